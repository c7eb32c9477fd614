"""The shape of the distribution of daily total returns: skewness, and the largest of them.

Belongs here: what is left of a distribution beside its width. Formulas and sources of the columns are in
:mod:`aegis.lake.tables.features`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis.features.market_model import NO_DISPERSION
from aegis.features.observations import Observations
from aegis.features.segments import segment_maximum, segment_sum

Floats = NDArray[np.float64]


def skewness(observed: Observations, *, sessions: int) -> Floats:
    """Return the sample skewness (G1) of the daily total returns, shape (n_symbols, rows).

    Notes
    -----
    Null as well where all returns are equal.
    """
    rows, returns = observed.rows, observed.returns
    count = np.maximum(observed.count(observed.is_observed, sessions), 3).astype(np.float64)
    mean = segment_sum(returns, sessions, rows=rows) / count
    squares = returns * returns
    second = segment_sum(squares, sessions, rows=rows)
    third = segment_sum(squares * returns, sessions, rows=rows)
    spread = second - count * mean**2
    usable = observed.is_full(sessions + 1) & (spread > NO_DISPERSION * second)
    variance = np.where(usable, spread, 1.0) / (count - 1.0)
    cubes = third - 3.0 * mean * second + 2.0 * count * mean * mean * mean
    value = count / ((count - 1.0) * (count - 2.0)) * cubes / (variance * np.sqrt(variance))
    return np.where(usable, value, np.nan)


def largest_return(observed: Observations, *, sessions: int) -> Floats:
    """Return the largest daily total return of the last `sessions` sessions, shape (n_symbols, rows)."""
    found = np.where(observed.is_observed, observed.total_returns, -np.inf)
    value = segment_maximum(found, sessions, rows=observed.rows)
    return np.where(observed.is_full(sessions + 1), value, np.nan)
