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

WINSOR_LIMIT = 3.0
"""Scores are cut at this many standard deviations, so that one wild print does not own the book."""

MIN_CROSS_SECTION = 5
"""Fewer values than this are not a cross-section: there is no score and no confidence."""


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
    codes, numbers, present, count = _grouped(values, sessions)
    mean = np.bincount(codes, np.where(present, numbers, 0.0)) / np.maximum(count, 1)
    deviation = np.where(present, numbers - mean[codes], 0.0)
    variance = np.bincount(codes, deviation**2) / np.maximum(count - 1, 1)
    spread = np.sqrt(variance)[codes]
    level = np.maximum(np.abs(mean), np.finfo(np.float64).tiny)[codes]
    varies = spread > 1e-12 * level  # below that the differences are rounding of the mean
    score = np.where(varies, deviation / np.where(varies, spread, 1.0), 0.0)
    clipped = np.clip(score, -WINSOR_LIMIT, WINSOR_LIMIT)
    usable = present & (count >= MIN_CROSS_SECTION)[codes]
    return pd.Series(np.where(usable, clipped, np.nan), index=values.index)


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
    codes, numbers, present, count = _grouped(values, sessions)
    members = np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    place = np.arange(len(codes)) - np.repeat(np.cumsum(members) - members, members)
    grid = np.full((len(members), members.max(initial=0)), np.nan)  # a row for each session
    grid[codes[order], place] = numbers[order]
    ranks = np.empty(len(codes))
    ranks[order] = _mean_ranks(grid)[codes[order], place]
    usable = present & (count >= MIN_CROSS_SECTION)[codes]
    return pd.Series(np.where(usable, (ranks - 0.5) / np.maximum(count, 1)[codes], np.nan), index=values.index)


def median(values: pd.Series, sessions: pd.Series) -> pd.Series:
    """Return the median of the row's session; NaN where the session has no value."""
    return values.groupby(sessions.to_numpy()).transform("median")


def coverage(values: pd.Series, sessions: pd.Series) -> pd.Series:
    """Return the share of the session's rows that have a value, 0 to 1; 0 below :data:`MIN_CROSS_SECTION` values."""
    codes, _, _, count = _grouped(values, sessions)
    share = np.where(count >= MIN_CROSS_SECTION, count / np.bincount(codes), 0.0)
    return pd.Series(share[codes], index=values.index)


def _mean_ranks(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value in its row, from 1; equal values share the mean rank, NaN comes last."""
    rows, width = grid.shape
    order = np.argsort(grid, axis=1)
    ordered = np.take_along_axis(grid, order, axis=1)
    is_first = np.ones((rows, width), dtype=bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    starts = np.flatnonzero(is_first)
    sizes = np.diff(starts, append=rows * width)
    of_ties = starts % max(width, 1) + 0.5 * (sizes + 1)
    ranks = np.empty((rows, width))
    np.put_along_axis(ranks, order, np.repeat(of_ties, sizes).reshape(rows, width), axis=1)
    return ranks


def _grouped(
    values: pd.Series, sessions: pd.Series
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    codes: NDArray[np.intp] = pd.factorize(sessions)[0]
    numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64)
    present = ~np.isnan(numbers)
    count = np.bincount(codes, present.astype(np.float64)).astype(np.float64)
    return codes, numbers, present, count
