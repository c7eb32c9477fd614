"""The regression of a symbol's total returns on the benchmark's.

Belongs here: slope and residual of one factor over a trailing window. Formulas and sources of the columns are in
:mod:`aegis.lake.tables.features`.

Notes
-----
A pair of returns counts where both are of one session: over a gap a symbol's return is that of many sessions and the
benchmark's is not. A missing bar therefore costs two pairs, and twice as many may lack as of bars.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aegis.features.observations import Observations, missing_allowed
from aegis.features.segments import segment_sum
from aegis.metrics.returns import SESSIONS_PER_YEAR

NO_DISPERSION = 1e-10
"""A sum of squared deviations that is a smaller share of the sum of squares than this is rounding."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MarketModel:
    """Regression of each symbol's returns on the benchmark's; arrays of shape (n_symbols, rows).

    Parameters
    ----------
    beta : ndarray of float64
    residual_volatility : ndarray of float64
        Standard error of the regression (n - 2), 1/year.

    Notes
    -----
    Both are NaN where the window is not full or the benchmark did not move.
    """

    beta: Floats
    residual_volatility: Floats


def market_model(observed: Observations, *, sessions: int) -> MarketModel:
    """Regress the total returns of the last `sessions` sessions on the benchmark's."""
    paired = observed.has_one_session_return & ~np.isnan(observed.benchmark_returns)
    returns = np.where(paired, observed.returns, 0.0)
    market = np.where(paired, observed.benchmark_returns, 0.0)
    summed = (market, returns, market * market, market * returns, returns * returns)
    sum_x, sum_y, sum_xx, sum_xy, sum_yy = (segment_sum(values, sessions, rows=observed.rows) for values in summed)
    count = observed.count(paired, sessions)
    number = np.maximum(count, 1)
    spread_x = sum_xx - sum_x * sum_x / number
    spread_y = sum_yy - sum_y * sum_y / number
    shared = sum_xy - sum_x * sum_y / number
    enough = observed.is_full(sessions + 1) & (count >= sessions - 2 * missing_allowed(sessions))
    usable = enough & (spread_x > NO_DISPERSION * sum_xx)
    beta = np.where(usable, shared / np.where(usable, spread_x, 1.0), np.nan)
    residual = np.maximum(spread_y - beta * shared, 0.0)
    return MarketModel(beta, np.sqrt(SESSIONS_PER_YEAR * residual / np.maximum(count - 2, 1)))
