"""Trend of the adjusted close: means of two lengths, and the straightness of its path.

Belongs here: what depends on the path of the adjusted close within a window. It is compounded from the window's oldest
session, and no value depends on its level. Formulas and sources of the columns are in
:mod:`aegis.lake.tables.features`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis.features import compiled_windows
from aegis.features.observations import Observations
from aegis.features.segments import discounted_growth, window_start

NO_RESIDUAL = 1e-12
"""A residual that is a smaller share of the variation than this is rounding: the path is a line."""

Floats = NDArray[np.float64]


def mean_ratio(observed: Observations, *, short: int, long: int) -> Floats:
    """Return the log ratio of the mean of `short` adjusted closes to that of `long`, shape (n_symbols, rows)."""
    growth = observed.gross_returns
    start = window_start(growth, long - 1, rows=observed.rows)
    total_short, total_long = np.empty((2, observed.symbols, observed.rows))
    compiled_windows.compounded_sums(growth, start, short, long, observed.rows, total_short, total_long)
    value = np.log((total_short / short) / (total_long / long))
    return np.where(observed.is_full(long), value, np.nan)


def slope_t_statistic(observed: Observations, *, closes: int) -> Floats:
    """Return the t-statistic of the slope of the log adjusted close over time, shape (n_symbols, rows).

    Notes
    -----
    Null as well where the close did not move, or moved along a line without any residual.
    """
    steps = np.log(observed.gross_returns)
    start = window_start(steps, closes - 1, rows=observed.rows)
    total, moment, squares = np.empty((3, observed.symbols, observed.rows))
    compiled_windows.path_moments(steps, start, closes, observed.rows, total, moment, squares)
    variation = squares - total * total / closes
    spread_of_time = closes * (closes**2 - 1) / 12.0
    slope = moment / spread_of_time
    residual = variation - slope * moment
    usable = observed.is_full(closes) & (residual > NO_RESIDUAL * squares)
    error = np.sqrt(np.where(usable, residual, 1.0) / ((closes - 2) * spread_of_time))
    return np.where(usable, slope / error, np.nan)


def exponential_mean_ratio(observed: Observations, *, short: int, long: int, closes: int) -> Floats:
    """Return the exponential mean of `short` sessions over that of `long`, less 1, shape (n_symbols, rows).

    Notes
    -----
    The weights are cut off after `closes` sessions and add up to one. A recursive mean would depend on the whole
    history, and its bits on where the history starts.
    """
    decays = 1.0 - 2.0 / (short + 1), 1.0 - 2.0 / (long + 1)
    sums = (discounted_growth(observed.gross_returns, closes - 1, rows=observed.rows, decay=d) for d in decays)
    weights = [sum(decay**age for age in range(closes)) for decay in decays]
    short_mean, long_mean = ((s + d ** (closes - 1)) / w for s, d, w in zip(sums, decays, weights, strict=True))
    return np.where(observed.is_full(closes), short_mean / long_mean - 1.0, np.nan)
