"""Risk: volatility, drawdown, value at risk and expected shortfall of a series of returns.

Belongs here: the formula of each number, once. What a target book risks is :mod:`aegis.risk.value_at_risk`, which calls
these.

Notes
-----
Losses are positive in value at risk and expected shortfall; drawdowns are zero or negative. A failed number is a
:class:`~aegis.errors.RiskError`, never 0 or NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from aegis.errors import RiskError
from aegis.metrics.returns import SESSIONS_PER_YEAR, FloatArray, level_series, return_series

_STANDARD_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of a series of levels.

    Parameters
    ----------
    depth : float
        Level at the trough / level at the peak - 1; zero or negative.
    peak, trough : int
        Positions in the series: the last highest level before the fall, and the lowest level of it. Both 0 when the
        series never fell.
    recovery : int or None
        First position at or above the peak's level after the trough; None while the fall is not made good.
    """

    depth: float
    peak: int
    trough: int
    recovery: int | None


def standard_deviation(returns: ArrayLike) -> float:
    """Return the sample standard deviation (divisor n - 1), 1/session.

    Raises
    ------
    RiskError
        Fewer than two returns, or a value that is no return.
    """
    return float(np.std(return_series(returns, minimum=2), ddof=1))


def annualised_volatility(returns: ArrayLike, *, sessions_per_year: int = SESSIONS_PER_YEAR) -> float:
    """Return the standard deviation scaled by the square root of time, 1/year.

    Raises
    ------
    RiskError
        See :func:`standard_deviation`.

    Notes
    -----
    A constant series has a volatility of 0: that is its value, not a failure. Ratios that divide by it refuse.

    References
    ----------
    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th edition: the square root of time.
    """
    return standard_deviation(returns) * math.sqrt(sessions_per_year)


def drawdowns(levels: ArrayLike) -> FloatArray:
    """Return each level relative to the highest level until then, minus 1.

    Parameters
    ----------
    levels : array-like of float, shape (n,)
        Equity or index levels above 0, the starting level included.

    Returns
    -------
    ndarray of float64, shape (n,)
        Zero at a peak, negative below it.

    Raises
    ------
    RiskError
        See :func:`~aegis.metrics.returns.level_series`.
    """
    series = level_series(levels)
    falls: FloatArray = series / np.maximum.accumulate(series) - 1.0
    return falls


def max_drawdown(levels: ArrayLike) -> Drawdown:
    """Return the deepest fall from a peak, with where it began, bottomed and was made good.

    Parameters
    ----------
    levels : array-like of float, shape (n,)
        Equity or index levels above 0, the starting level included: a loss in the first session is a drawdown.

    Raises
    ------
    RiskError
        See :func:`~aegis.metrics.returns.level_series`.

    References
    ----------
    Grossman, S. and Zhou, Z. (1993), Optimal investment strategies for controlling drawdowns, Mathematical Finance 3.
    """
    series = level_series(levels)
    falls = drawdowns(series)
    trough = int(np.argmin(falls))
    if falls[trough] == 0.0:
        return Drawdown(0.0, 0, 0, 0)
    before = series[: trough + 1]
    peak = trough - int(np.argmax(before[::-1]))
    regained = np.flatnonzero(series[trough:] >= series[peak])
    return Drawdown(float(falls[trough]), peak, trough, trough + int(regained[0]) if regained.size else None)


def historical_value_at_risk(returns: ArrayLike, *, confidence: float = 0.95) -> float:
    r"""Return the loss that is exceeded in at most a share 1 - confidence of the sessions; positive is a loss.

    Parameters
    ----------
    returns : array-like of float, shape (n,)
        1/session; at least 1 / (1 - confidence) of them, so that the tail holds one whole observation.
    confidence : float
        Between 0 and 1, both excluded.

    Returns
    -------
    float
        1/session. Negative when even that quantile is a gain.

    Raises
    ------
    RiskError
        Too few returns for the tail, a value that is no return, or a confidence outside (0, 1).

    Notes
    -----
    The lower quantile :math:`\inf\{l : F_L(l) \ge c\}` of the empirical losses, no interpolation: with n returns it is
    the loss of rank :math:`\lfloor (1-c) n \rfloor + 1`, the 6th largest of 100 at 95 %.

    References
    ----------
    Rockafellar, R. T. and Uryasev, S. (2002), Conditional value-at-risk for general loss distributions, Journal of
    Banking & Finance 26, definition 1.
    """
    losses, tail = _losses_and_tail(returns, confidence)
    return float(losses[min(math.floor(tail), losses.size - 1)])


def historical_expected_shortfall(returns: ArrayLike, *, confidence: float = 0.95) -> float:
    """Return the mean of the worst share 1 - confidence of the losses; positive is a loss.

    Parameters
    ----------
    returns, confidence
        As in :func:`historical_value_at_risk`.

    Raises
    ------
    RiskError
        As in :func:`historical_value_at_risk`.

    Notes
    -----
    A tail of a whole and a fraction of observations counts the last one by its fraction, so that the probability of the
    tail is exactly 1 - confidence.

    References
    ----------
    Rockafellar, R. T. and Uryasev, S. (2002), Journal of Banking & Finance 26, proposition 8.
    """
    losses, tail = _losses_and_tail(returns, confidence)
    whole = math.floor(tail)
    split = (tail - whole) * losses[whole] if tail > whole else 0.0
    return float((math.fsum(losses[:whole]) + split) / tail)


def normal_value_at_risk(volatility: float, *, mean: float = 0.0, confidence: float = 0.95) -> float:
    """Return the value at risk of a normal return: ``z(confidence) * volatility - mean``; positive is a loss.

    Parameters
    ----------
    volatility : float
        Standard deviation of the return, zero or positive, 1/session.
    mean : float
        Expected return, 1/session. The default 0 is the RiskMetrics assumption for one session.
    confidence : float
        Between 0 and 1, both excluded.

    Raises
    ------
    RiskError
        A negative or non-finite volatility, a non-finite mean, or a confidence outside (0, 1).

    References
    ----------
    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th edition, chapter 1.
    """
    _require_normal(volatility, mean, confidence)
    return _STANDARD_NORMAL.inv_cdf(confidence) * volatility - mean


def normal_expected_shortfall(volatility: float, *, mean: float = 0.0, confidence: float = 0.95) -> float:
    """Return the expected shortfall of a normal return: ``pdf(z) / (1 - confidence) * volatility - mean``.

    Parameters
    ----------
    volatility, mean, confidence
        As in :func:`normal_value_at_risk`.

    Raises
    ------
    RiskError
        As in :func:`normal_value_at_risk`.

    References
    ----------
    McNeil, A., Frey, R. and Embrechts, P. (2015), Quantitative Risk Management, revised edition, chapter 2.
    """
    _require_normal(volatility, mean, confidence)
    z = _STANDARD_NORMAL.inv_cdf(confidence)
    return _STANDARD_NORMAL.pdf(z) / (1.0 - confidence) * volatility - mean


def _losses_and_tail(returns: ArrayLike, confidence: float) -> tuple[FloatArray, float]:
    """Return the losses, largest first, and the number of observations in the tail, rounding noise removed."""
    _require_confidence(confidence)
    minimum = math.ceil(_without_noise(1.0 / (1.0 - confidence)))
    losses = -np.sort(return_series(returns, minimum=minimum))
    return losses, _without_noise((1.0 - confidence) * losses.size)


def _without_noise(value: float) -> float:
    """Snap to the integer that binary rounding missed: (1 - 0.95) * 100 is 5, not 5.000000000000004."""
    nearest = round(value)
    return float(nearest) if math.isclose(value, nearest, rel_tol=1e-12) else value


def _require_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise RiskError(f"confidence: expected a number between 0 and 1, found {confidence}; 0.95 is 95 %")


def _require_normal(volatility: float, mean: float, confidence: float) -> None:
    _require_confidence(confidence)
    if not math.isfinite(volatility) or volatility < 0.0:
        raise RiskError(f"volatility: expected a finite number of at least 0, found {volatility}; check the covariance")
    if not math.isfinite(mean):
        raise RiskError(f"mean return: expected a finite number, found {mean}; check the expected returns")
