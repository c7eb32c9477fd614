"""Volatility: of total returns, of their losses, and within the session.

Belongs here: estimators that look at one symbol alone. What is left of it beside the benchmark is
:mod:`aegis.features.market_model`. Formulas and sources of the columns are in :mod:`aegis.lake.tables.features`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aegis.features import compiled_windows
from aegis.features.observations import Observations, missing_allowed
from aegis.features.segments import segment_sum, window_start
from aegis.metrics.returns import SESSIONS_PER_YEAR

Floats = NDArray[np.float64]


def volatility(observed: Observations, *, sessions: int) -> Floats:
    """Return the annualised sample standard deviation (n - 1) of the daily total returns, 1/year, (n_symbols, rows).

    Notes
    -----
    Sessions without a bar have no return; a return over a gap counts as one observation. The window is walked twice,
    about its own mean.
    """
    count = observed.count(observed.is_observed, sessions)
    start = window_start(observed.returns, sessions, rows=observed.rows)
    squares = np.empty((observed.symbols, observed.rows))
    divisor = np.maximum(count, 1).astype(np.float64)
    weights = observed.is_observed.astype(np.float64)
    compiled_windows.squared_deviations(observed.returns, weights, divisor, start, sessions, observed.rows, squares)
    value = np.sqrt(SESSIONS_PER_YEAR * squares / np.maximum(count - 1, 1))
    return np.where(observed.is_full(sessions + 1), value, np.nan)


def downside_volatility(observed: Observations, *, sessions: int) -> Floats:
    """Return the annualised root mean square of the losses, 1/year, shape (n_symbols, rows); gains count as zero."""
    count = observed.count(observed.is_observed, sessions)
    losses = segment_sum(np.minimum(observed.returns, 0.0) ** 2, sessions, rows=observed.rows)
    value = np.sqrt(SESSIONS_PER_YEAR * losses / np.maximum(count, 1))
    return np.where(observed.is_full(sessions + 1), value, np.nan)


def parkinson_volatility(observed: Observations, *, sessions: int) -> Floats:
    """Return the annualised volatility from highs and lows, 1/year, shape (n_symbols, rows)."""
    return _range_volatility(observed, observed.log_ranges**2 / (4.0 * math.log(2.0)), sessions)


def garman_klass_volatility(observed: Observations, *, sessions: int) -> Floats:
    """Return the annualised volatility from open, high, low and close, 1/year, shape (n_symbols, rows)."""
    moves = np.log(np.where(observed.has_traded, observed.close_usd / observed.open_usd, 1.0))
    variance = 0.5 * observed.log_ranges**2 - (2.0 * math.log(2.0) - 1.0) * moves**2
    return _range_volatility(observed, variance, sessions)


def _range_volatility(observed: Observations, variance: Floats, sessions: int) -> Floats:
    """Annualise the mean of the sessions' variances; a session without trading takes no part and counts as missing."""
    count = observed.count(observed.has_traded, sessions)
    total = segment_sum(variance, sessions, rows=observed.rows)
    value = np.sqrt(SESSIONS_PER_YEAR * total / np.maximum(count, 1))
    enough = count >= sessions - missing_allowed(sessions)
    return np.where(observed.is_full(sessions) & enough, value, np.nan)
