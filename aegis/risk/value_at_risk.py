"""What a book of weights may lose in one session.

Belongs here: from weights and covariance to volatility, and to the parametric numbers of :mod:`aegis.metrics.risk`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from aegis.errors import RiskError
from aegis.metrics.returns import FloatArray, finite_series
from aegis.metrics.risk import normal_expected_shortfall, normal_value_at_risk

_NEGATIVE_VARIANCE_TOLERANCE = 1e-12
"""Share of the largest variance by which rounding may push a book's variance below 0."""


def book_volatility(weights: ArrayLike, covariance: ArrayLike, *, uncovered_weights: ArrayLike = ()) -> float:
    r"""Return the forecast standard deviation of a book's return.

    Parameters
    ----------
    weights : array-like of float, shape (n,)
        Signed shares of equity, in the order of the covariance.
    covariance : array-like of float, shape (n, n)
        Covariance of returns of one session, 1/session.
    uncovered_weights : array-like of float, shape (m,)
        Weights of holdings that have no row in the covariance (no full history).

    Returns
    -------
    float
        :math:`\sqrt{w' \Sigma w} + \sigma_{max} \sum_u |w_u|`, 1/session. 0 for an empty book.

    Raises
    ------
    RiskError
        Shapes that do not fit, a value that is not finite, a covariance that is not symmetric or gives the book a
        negative variance, or uncovered holdings with no covariance at all to judge them by.

    Notes
    -----
    An uncovered holding counts as volatile as the most volatile covered one and as moving against us together with all
    others: volatility is subadditive, so this bounds the book's from above for any correlation, as long as the holding
    is no more volatile than that. Leaving it out would call an unmeasured holding riskless.

    References
    ----------
    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th edition, chapter 6: delta-normal portfolio variance.
    """
    held = finite_series(weights, "weights", minimum=0)
    uncovered = float(np.sum(np.abs(finite_series(uncovered_weights, "uncovered weights", minimum=0))))
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (held.size, held.size) and (held.size or matrix.size):
        raise RiskError(f"covariance: expected shape ({held.size}, {held.size}) for the weights, found {matrix.shape}")
    if not held.size:
        if uncovered > 0.0:
            raise RiskError(
                f"book volatility: {uncovered:.4f} of equity is held and no name has a covariance; estimate one first"
            )
        return 0.0
    return math.sqrt(_variance(held, matrix)) + math.sqrt(float(np.max(np.diag(matrix)))) * uncovered


def parametric_value_at_risk(volatility_daily: float, *, confidence: float = 0.95) -> float:
    """Return the one-session value at risk of a normal return with mean 0; positive, as a share of equity.

    Raises
    ------
    RiskError
        See :func:`~aegis.metrics.risk.normal_value_at_risk`.

    Notes
    -----
    The mean of one session is set to 0: at this horizon it is far smaller than its own standard error, and an
    optimistic forecast must not make the book look safer.
    """
    return normal_value_at_risk(volatility_daily, mean=0.0, confidence=confidence)


def parametric_expected_shortfall(volatility_daily: float, *, confidence: float = 0.95) -> float:
    """Return the one-session expected shortfall of a normal return with mean 0; positive, as a share of equity.

    Raises
    ------
    RiskError
        See :func:`~aegis.metrics.risk.normal_expected_shortfall`.
    """
    return normal_expected_shortfall(volatility_daily, mean=0.0, confidence=confidence)


def _variance(weights: FloatArray, matrix: FloatArray) -> float:
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise RiskError(f"covariance: entry ({row}, {column}) is {matrix[row, column]}; estimate it again")
    scale = float(np.max(np.abs(matrix)))
    if not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-12 * scale):
        raise RiskError("covariance: the matrix is not symmetric; rows and columns must follow the same symbols")
    variance = float(weights @ matrix @ weights)
    if variance < -_NEGATIVE_VARIANCE_TOLERANCE * scale * float(np.sum(np.abs(weights))) ** 2:
        raise RiskError(f"covariance: the book's variance is {variance}; the matrix is not positive semi-definite")
    return max(variance, 0.0)
