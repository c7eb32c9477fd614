"""Returns: from equity to returns and back, compounded, annualised, by month.

Belongs here: what an account earned, and the check that every metric makes of its input. How much it risked is
:mod:`aegis.metrics.risk`; how the two compare is :mod:`aegis.metrics.ratios`.

Notes
-----
Returns are simple returns of one session (1/session), oldest first. A metric never answers 0 or NaN for "failed": an
empty, too short, missing or infinite input raises :class:`~aegis.errors.RiskError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aegis.errors import RiskError

FloatArray = NDArray[np.float64]

SESSIONS_PER_YEAR = 252
"""Sessions in a year for annualising: the usual count of the New York exchange."""


@dataclass(frozen=True, slots=True)
class MonthlyReturn:
    """Compounded return of one calendar month.

    Parameters
    ----------
    year, month : int
        The month; 1 is January.
    total_return : float
        Compounded over the month's sessions, 1/month.
    sessions : int
        Sessions that it compounds; fewer than usual in the first and last month of a history.
    """

    year: int
    month: int
    total_return: float
    sessions: int


def finite_series(values: ArrayLike, name: str, *, minimum: int = 1) -> FloatArray:
    """Return `values` as a one-dimensional float64 array, or refuse it.

    Parameters
    ----------
    values : array-like of float, shape (n,)
        Any series.
    name : str
        What it is called in the error.
    minimum : int
        Smallest number of values that the asker can work with.

    Raises
    ------
    RiskError
        Not one-dimensional, fewer than `minimum` values, or a value is NaN or infinite.
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise RiskError(f"{name}: expected one dimension, found shape {series.shape}; pass one series")
    if series.size < minimum:
        raise RiskError(f"{name}: expected at least {minimum} values, found {series.size}; use a longer history")
    bad = np.flatnonzero(~np.isfinite(series))
    if bad.size:
        raise RiskError(
            f"{name}: {bad.size} of {series.size} values are not finite, the first is {series[bad[0]]} at position "
            f"{bad[0]}; mend or drop them before measuring"
        )
    return series


def return_series(returns: ArrayLike, *, minimum: int = 1) -> FloatArray:
    """Return `returns` as float64, 1/session, or refuse it.

    Raises
    ------
    RiskError
        As :func:`finite_series`; or a return is below -1, a loss of more than everything.
    """
    series = finite_series(returns, "returns", minimum=minimum)
    worst = int(np.argmin(series)) if series.size else 0
    if series.size and series[worst] < -1.0:
        raise RiskError(
            f"returns: {series[worst]} at position {worst} loses more than everything; returns are fractions of the "
            "previous equity, not percent"
        )
    return series


def level_series(levels: ArrayLike, name: str = "levels", *, minimum: int = 1) -> FloatArray:
    """Return equity or index levels as float64, or refuse them.

    Raises
    ------
    RiskError
        As :func:`finite_series`; or a level is zero or negative, from which no return can be measured.
    """
    series = finite_series(levels, name, minimum=minimum)
    low = int(np.argmin(series)) if series.size else 0
    if series.size and series[low] <= 0.0:
        raise RiskError(
            f"{name}: expected values above 0, found {series[low]} at position {low}; nothing is left to earn on"
        )
    return series


def simple_returns(levels: ArrayLike) -> FloatArray:
    """Return the return of each step between levels: ``levels[t] / levels[t-1] - 1``.

    Parameters
    ----------
    levels : array-like of float, shape (n,)
        Equity or index levels above 0, oldest first; n of at least 2.

    Returns
    -------
    ndarray of float64, shape (n - 1,)
        1/session.

    Raises
    ------
    RiskError
        See :func:`level_series`.
    """
    series = level_series(levels, minimum=2)
    returns: FloatArray = series[1:] / series[:-1] - 1.0
    return returns


def compounded_levels(returns: ArrayLike) -> FloatArray:
    """Return the growth of 1: the starting level 1, then the level after each session.

    Parameters
    ----------
    returns : array-like of float, shape (n,)
        1/session.

    Returns
    -------
    ndarray of float64, shape (n + 1,)

    Raises
    ------
    RiskError
        See :func:`return_series`.
    """
    return np.concatenate(([1.0], np.cumprod(1.0 + return_series(returns))))


def total_return(returns: ArrayLike) -> float:
    """Return the compounded return over all sessions.

    Raises
    ------
    RiskError
        See :func:`return_series`.
    """
    return float(np.prod(1.0 + return_series(returns)) - 1.0)


def annualised_return(returns: ArrayLike, *, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Return the compound annual growth rate: ``(1 + total) ** (sessions_per_year / n) - 1``, 1/year.

    Raises
    ------
    RiskError
        See :func:`return_series`.

    Notes
    -----
    A history shorter than a year is extrapolated, as the formula says; a reader should be told the number of sessions.

    References
    ----------
    CFA Institute (2020), Global Investment Performance Standards, glossary, "annualized": the geometric mean.
    """
    series = return_series(returns)
    return float(np.prod(1.0 + series) ** (sessions_per_year / series.size) - 1.0)


def session_rate(annual_rate: float, *, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Return the rate of one session that compounds to `annual_rate` over a year.

    Parameters
    ----------
    annual_rate : float
        Effective annual rate, 1/year; 0.02 is two percent.

    Returns
    -------
    float
        ``(1 + annual_rate) ** (1 / sessions_per_year) - 1``, 1/session.

    Raises
    ------
    RiskError
        The rate is not finite, or is -1 or below.
    """
    if not np.isfinite(annual_rate) or annual_rate <= -1.0:
        raise RiskError(f"annual rate: expected a finite number above -1, found {annual_rate}; 0.02 is two percent")
    return float((1.0 + annual_rate) ** (1.0 / sessions_per_year) - 1.0)


def hit_rate(returns: ArrayLike) -> float:
    """Return the share of sessions that gained among those that gained or lost.

    Raises
    ------
    RiskError
        See :func:`return_series`; or no session gained or lost, so that there is nothing to take a share of.

    Notes
    -----
    Sessions with a return of exactly 0 (no position) are neither a hit nor a miss.
    """
    series = return_series(returns)
    decided = int(np.count_nonzero(series))
    if decided == 0:
        raise RiskError(f"hit rate: none of {series.size} sessions gained or lost; there is nothing to take a share of")
    return int(np.count_nonzero(series > 0.0)) / decided


def monthly_returns(sessions: Sequence[date], returns: ArrayLike) -> tuple[MonthlyReturn, ...]:
    """Return the compounded return of each calendar month, oldest first.

    Parameters
    ----------
    sessions : sequence of date
        Strictly ascending, one for each return.
    returns : array-like of float, shape (n,)
        1/session.

    Raises
    ------
    RiskError
        See :func:`return_series`; or the sessions are not ascending or not as many as the returns.
    """
    series = return_series(returns)
    if len(sessions) != series.size:
        raise RiskError(f"monthly returns: {len(sessions)} sessions for {series.size} returns; pass one of each")
    for earlier, later in pairwise(sessions):
        if later <= earlier:
            raise RiskError(f"monthly returns: session {later} follows {earlier}; sort the sessions and drop repeats")
    months: list[MonthlyReturn] = []
    pairs = zip(sessions, series.tolist(), strict=True)
    for (year, month), rows in groupby(pairs, key=lambda pair: (pair[0].year, pair[0].month)):
        values = np.array([value for _, value in rows])
        months.append(MonthlyReturn(year, month, float(np.prod(1.0 + values) - 1.0), values.size))
    return tuple(months)
