"""Operations across the members of one session: z-scores, ranks, medians, coverage.

Belongs here: what a strategy needs to compare the members of a session with each other, for many sessions at once.

Notes
-----
Every function takes one value and one session for each row, rows of a session in any order but together or not. Nothing
crosses from one session to another: sums are added row by row within a session, so the result of a session has the same
bits whether it is computed alone or among thousands. Missing values (NaN) take no part and stay missing.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.signals import compiled_cross_section

WINSOR_LIMIT = 3.0
"""Scores are cut at this many standard deviations, so that one wild print does not own the book."""

MIN_CROSS_SECTION = 5
"""Fewer values than this are not a cross-section: there is no score and no confidence."""


_ROUNDING = 1e-12
"""A spread that is a smaller share of the mean than this is rounding of the mean."""


class CrossSections:
    """The sessions that rows belong to, laid out once for any number of values.

    Parameters
    ----------
    sessions : Series of datetime64
        Session of each row.
    """

    def __init__(self, sessions: pd.Series) -> None:
        codes = _codes(sessions)
        members = np.bincount(codes)
        self._shape = len(members), int(members.max(initial=0))
        order = np.argsort(codes, kind="stable")
        firsts = np.cumsum(members) - members
        self._cells: NDArray[np.intp] | None = np.empty_like(order)
        self._cells[order] = codes[order] * self._shape[1] + np.arange(len(codes)) - np.repeat(firsts, members)
        if np.array_equal(self._cells, np.arange(self._shape[0] * self._shape[1])):
            self._cells = None  # sessions together and of one size: rows are cells

    def rank(self, values: pd.Series) -> pd.Series:
        """Return the rank in the session; see :func:`rank`."""
        grid = self._grid(values)
        found = np.empty_like(grid)
        compiled_cross_section.rank_rows(grid, np.argsort(grid, axis=1), MIN_CROSS_SECTION, found)
        return self._column(found, values)

    def z_score(self, values: pd.Series) -> pd.Series:
        """Return the standard score in the session; see :func:`z_score`."""
        grid = self._grid(values)
        found = np.empty_like(grid)
        compiled_cross_section.score_rows(grid, MIN_CROSS_SECTION, WINSOR_LIMIT, _ROUNDING, found)
        return self._column(found, values)

    def _grid(self, values: pd.Series) -> NDArray[np.float64]:
        """Return the values with a row for each session, in their order."""
        given = np.ascontiguousarray(values, dtype=np.float64)
        if self._cells is None:
            return given.reshape(self._shape)
        grid = np.full(self._shape, np.nan)
        grid.ravel()[self._cells] = given
        return grid

    def _column(self, grid: NDArray[np.float64], values: pd.Series) -> pd.Series:
        cells = grid.ravel()
        return pd.Series(cells if self._cells is None else cells[self._cells], index=values.index)


def z_score(values: pd.Series, sessions: pd.Series) -> pd.Series:
    """Return (value - mean) / sample standard deviation of the session, cut at ±3.

    Parameters
    ----------
    values : Series of float64
        One value a row; NaN takes no part.
    sessions : Series of datetime64
        Session of each row, same index.

    Returns
    -------
    Series of float64
        Standard deviations. NaN where the value is missing or the session has fewer than :data:`MIN_CROSS_SECTION`
        values; 0 where all values of the session are equal.

    References
    ----------
    Grinold, R. and Kahn, R. (2000), Active Portfolio Management, 2nd ed., ch. 11 and 14: scores and outliers.
    """
    return CrossSections(sessions).z_score(values)


def rank(values: pd.Series, sessions: pd.Series) -> pd.Series:
    """Return the rank in the session as a share, (rank - 1/2) / n, between 0 and 1; equal values share the mean rank.

    Parameters
    ----------
    values : Series of float64
        One value a row; NaN takes no part.
    sessions : Series of datetime64
        Session of each row, same index.

    Returns
    -------
    Series of float64
        NaN where the value is missing or the session has fewer than :data:`MIN_CROSS_SECTION` values.

    References
    ----------
    Hazen, A. (1914), Storage to be provided in impounding reservoirs for municipal water supply, Transactions of the
    American Society of Civil Engineers 77: the plotting position.
    """
    return CrossSections(sessions).rank(values)


def median(values: pd.Series, sessions: pd.Series) -> pd.Series:
    """Return the median of the row's session; NaN where the session has no value."""
    return values.groupby(sessions.to_numpy()).transform("median")


def coverage(values: pd.Series, sessions: pd.Series) -> pd.Series:
    """Return the share of the session's rows that have a value, 0 to 1; 0 below :data:`MIN_CROSS_SECTION` values."""
    codes = _codes(sessions)
    count = np.bincount(codes, values.notna())
    share = np.where(count >= MIN_CROSS_SECTION, count / np.bincount(codes), 0.0)
    return pd.Series(share[codes], index=values.index)


def _codes(sessions: pd.Series) -> NDArray[np.intp]:
    """Return a number for each row's session, from 0."""
    given = sessions.to_numpy()
    if len(given) and np.all(given[1:] >= given[:-1]):
        changes = np.concatenate(([False], given[1:] != given[:-1]))
        return np.cumsum(changes)  # much faster than to look each session up
    codes: NDArray[np.intp] = pd.factorize(sessions)[0]
    return codes
