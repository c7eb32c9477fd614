"""Ratios of return to risk, alone and against a benchmark.

Belongs here: the formula of each ratio, once. A ratio whose denominator is nothing but rounding noise does not exist:
it is refused, as an infinite or arbitrary number would be read as skill.

Notes
-----
The risk-free rate is an effective annual rate. One session earns :func:`~aegis.metrics.returns.session_rate` of it:
``(1 + rate) ** (1 / 252) - 1``, the rate that compounds back to it, rather than ``rate / 252``.
Means and deviations of one session are annualised by 252 and its square root.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from aegis.errors import RiskError
from aegis.metrics.returns import (
    SESSIONS_PER_YEAR,
    FloatArray,
    annualised_return,
    compounded_levels,
    finite_series,
    return_series,
    session_rate,
)
from aegis.metrics.risk import max_drawdown

_ROUNDING_NOISE = 1e-12
"""A deviation below this, 1/session, is what remains of a constant after dividing levels in binary."""


def sharpe_ratio(returns: ArrayLike, *, risk_free_rate: float, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Return the mean excess return over its sample standard deviation, annualised.

    Parameters
    ----------
    returns : array-like of float, shape (n,)
        1/session; at least 2.
    risk_free_rate : float
        Effective annual rate, 1/year.

    Raises
    ------
    RiskError
        Fewer than two returns, a value that is no return, or returns that do not vary.

    References
    ----------
    Sharpe, W. (1994), The Sharpe ratio, Journal of Portfolio Management 21, equations 1 to 6 (divisor n - 1).
    """
    excess = _excess(returns, risk_free_rate, sessions_per_year)
    deviation = _denominator(float(np.std(excess, ddof=1)), "Sharpe ratio: the returns do not vary")
    return float(np.mean(excess)) / deviation * math.sqrt(sessions_per_year)


def sortino_ratio(returns: ArrayLike, *, risk_free_rate: float, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Return the mean excess return over its downside deviation, annualised.

    Parameters
    ----------
    returns : array-like of float, shape (n,)
        1/session; at least 2.
    risk_free_rate : float
        Effective annual rate, 1/year; the target return.

    Raises
    ------
    RiskError
        Fewer than two returns, a value that is no return, or no return below the target.

    Notes
    -----
    Downside deviation is the root of the mean squared shortfall below the target over *all* n sessions, those above the
    target counting 0.

    References
    ----------
    Sortino, F. and Price, L. (1994), Performance measurement in a downside risk framework, Journal of Investing 3.
    """
    excess = _excess(returns, risk_free_rate, sessions_per_year)
    downside = float(np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2)))
    deviation = _denominator(downside, "Sortino ratio: no return is below the risk-free rate")
    return float(np.mean(excess)) / deviation * math.sqrt(sessions_per_year)


def calmar_ratio(returns: ArrayLike, *, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Return the compound annual return over the depth of the deepest drawdown.

    Parameters
    ----------
    returns : array-like of float, shape (n,)
        1/session. The level before the first session counts as a peak.

    Raises
    ------
    RiskError
        A value that is no return, a loss of everything, or no drawdown at all.

    References
    ----------
    Young, T. (1991), Calmar ratio: a smoother tool, Futures 20. The whole history is used in place of 36 months.
    """
    depth = -max_drawdown(compounded_levels(returns)).depth
    return annualised_return(returns, sessions_per_year=sessions_per_year) / _denominator(
        depth, "Calmar ratio: the levels never fell"
    )


def beta(returns: ArrayLike, benchmark_returns: ArrayLike) -> float:
    """Return the covariance with the benchmark over the benchmark's variance.

    Parameters
    ----------
    returns, benchmark_returns : array-like of float, shape (n,)
        1/session, of the same sessions; at least 2.

    Raises
    ------
    RiskError
        Unequal lengths, fewer than two returns, a value that is no return, or a benchmark that does not vary.

    References
    ----------
    Sharpe, W. (1964), Capital asset prices, Journal of Finance 19.
    """
    series, benchmark = _aligned(returns, benchmark_returns)
    deviation = _denominator(float(np.std(benchmark)), "beta: the benchmark's returns do not vary")
    centred = benchmark - np.mean(benchmark)
    return float(np.mean((series - np.mean(series)) * centred)) / deviation**2


def alpha(
    returns: ArrayLike,
    benchmark_returns: ArrayLike,
    *,
    risk_free_rate: float,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> float:
    """Return Jensen's alpha: the mean excess return that beta does not explain, times the sessions of a year.

    Parameters
    ----------
    returns, benchmark_returns : array-like of float, shape (n,)
        1/session, of the same sessions; at least 2.
    risk_free_rate : float
        Effective annual rate, 1/year.

    Returns
    -------
    float
        1/year, not compounded.

    Raises
    ------
    RiskError
        See :func:`beta`.

    References
    ----------
    Jensen, M. (1968), The performance of mutual funds in the period 1945-1964, Journal of Finance 23, equation 8.
    """
    series, benchmark = _aligned(returns, benchmark_returns)
    slope = beta(series, benchmark)
    rate = session_rate(risk_free_rate, sessions_per_year=sessions_per_year)
    return float(np.mean(series - rate) - slope * np.mean(benchmark - rate)) * sessions_per_year


def tracking_error(
    returns: ArrayLike, benchmark_returns: ArrayLike, *, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float:
    """Return the annualised sample standard deviation of the return above the benchmark's, 1/year.

    Raises
    ------
    RiskError
        Unequal lengths, fewer than two returns, or a value that is no return.

    References
    ----------
    Grinold, R. and Kahn, R. (2000), Active Portfolio Management, 2nd edition, chapter 3: active risk.
    """
    return float(np.std(_active(returns, benchmark_returns), ddof=1)) * math.sqrt(sessions_per_year)


def information_ratio(
    returns: ArrayLike, benchmark_returns: ArrayLike, *, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float:
    """Return the mean return above the benchmark's over its sample standard deviation, annualised.

    Raises
    ------
    RiskError
        See :func:`tracking_error`; or the account does not differ from the benchmark but by a constant.

    References
    ----------
    Grinold, R. and Kahn, R. (2000), Active Portfolio Management, 2nd edition, chapter 5.
    """
    active = _active(returns, benchmark_returns)
    deviation = _denominator(float(np.std(active, ddof=1)), "information ratio: the active return does not vary")
    return float(np.mean(active)) / deviation * math.sqrt(sessions_per_year)


def _excess(returns: ArrayLike, risk_free_rate: float, sessions_per_year: int) -> FloatArray:
    excess: FloatArray = return_series(returns, minimum=2) - session_rate(
        risk_free_rate, sessions_per_year=sessions_per_year
    )
    return excess


def _aligned(returns: ArrayLike, benchmark_returns: ArrayLike) -> tuple[FloatArray, FloatArray]:
    series = return_series(returns, minimum=2)
    benchmark = finite_series(benchmark_returns, "benchmark returns", minimum=2)
    if series.size != benchmark.size:
        raise RiskError(
            f"returns and benchmark: {series.size} and {benchmark.size} sessions; align them on the same sessions"
        )
    return series, benchmark


def _active(returns: ArrayLike, benchmark_returns: ArrayLike) -> FloatArray:
    series, benchmark = _aligned(returns, benchmark_returns)
    active: FloatArray = series - benchmark
    return active


def _denominator(value: float, refusal: str) -> float:
    if value <= _ROUNDING_NOISE:
        raise RiskError(f"{refusal} (found {value:.3g}); the ratio does not exist, show that instead of a number")
    return value
