"""Liquidity: dollar volume, what a trade moves the price, and the spread that highs and lows tell of.

Belongs here: what it costs to trade, as far as daily bars show it. Formulas and sources of the columns are in
:mod:`aegis.lake.tables.features`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from aegis.features.observations import Observations, missing_allowed
from aegis.features.segments import segment_sum, window_median

_USD_PER_MILLION = 1e6
_CORWIN_SCHULTZ_K = 3.0 - 2.0 * math.sqrt(2.0)

Floats = NDArray[np.float64]


def log_median_dollar_volume(observed: Observations, *, sessions: int) -> Floats:
    """Return the log of the median dollar volume (raw close times volume), log USD, shape (n_symbols, rows).

    Notes
    -----
    Null as well where the median is zero: a source without volume, or a name halted for most of the window.
    """
    median = window_median(observed.dollar_volume_usd, sessions, rows=observed.rows)
    usable = observed.is_full(sessions) & (median > 0.0)
    return np.where(usable, np.log(np.where(usable, median, 1.0)), np.nan)


def price_impact(observed: Observations, *, sessions: int) -> Floats:
    """Return the mean absolute total return per million USD traded, 1/million USD, shape (n_symbols, rows).

    Notes
    -----
    A session without trading takes no part and counts as missing.
    """
    traded = observed.is_observed & observed.has_traded
    millions = np.where(traded, observed.dollar_volume_usd, 1.0) / _USD_PER_MILLION
    impact = np.where(traded, np.abs(observed.returns) / millions, 0.0)
    count = observed.count(traded, sessions)
    value = segment_sum(impact, sessions, rows=observed.rows) / np.maximum(count, 1)
    enough = count >= sessions - missing_allowed(sessions)
    return np.where(observed.is_full(sessions + 1) & enough, value, np.nan)


def volume_ratio(observed: Observations, *, short: int, long: int) -> Floats:
    """Return the log ratio of the mean dollar volume of `short` sessions to that of `long`, shape (n_symbols, rows).

    Notes
    -----
    Means of the sessions with a bar; null as well where one of them is zero. Dollars and not shares, so that a split
    changes nothing.
    """
    volume = np.where(observed.has_bar, observed.dollar_volume_usd, 0.0)
    short_mean, long_mean = (
        segment_sum(volume, length, rows=observed.rows) / np.maximum(observed.count(observed.has_bar, length), 1)
        for length in (short, long)
    )
    usable = observed.is_full(short) & observed.is_full(long) & (short_mean > 0.0) & (long_mean > 0.0)
    return np.where(usable, np.log(np.where(usable, short_mean, 1.0) / np.where(usable, long_mean, 1.0)), np.nan)


def corwin_schultz_spread(observed: Observations, *, pairs: int) -> Floats:
    """Return the mean estimated bid-ask spread of `pairs` of neighbouring sessions, a share, shape (n_symbols, rows).

    Notes
    -----
    Estimates below zero count as zero. The bar of the session before is scaled so that its close and this one's differ
    by the total return, which takes splits and dividends out. A move between the sessions is taken out as in the paper:
    where the second session's range does not contain the first one's close, it is shifted until it does. A missing bar
    costs two pairs, and twice as many may lack as of bars; sessions without trading count as missing.
    """
    earlier, later = np.s_[:, :-1], np.s_[:, 1:]
    paired = observed.has_one_session_return.copy()
    paired &= observed.has_traded
    paired[later] &= observed.has_traded[earlier]
    paired[:, 0] = False
    high, low = np.where(paired, observed.high_usd, 1.0), np.where(paired, observed.low_usd, 1.0)
    first_high, first_low, first_close = np.ones_like(high), np.ones_like(high), np.ones_like(high)
    adjusted_close = observed.close_usd / observed.gross_returns
    scale = adjusted_close[later] / observed.close_usd[earlier]
    for target, prices in (
        (first_high, observed.high_usd), (first_low, observed.low_usd), (first_close, observed.close_usd)
    ):  # fmt: skip
        target[later] = np.where(paired[later], prices[earlier] * scale, 1.0)
    shift = np.maximum(first_close - high, 0.0) - np.maximum(low - first_close, 0.0)
    high, low = high + shift, low + shift
    beta = np.log(first_high / first_low) ** 2 + np.log(high / low) ** 2
    gamma = np.log(np.maximum(first_high, high) / np.minimum(first_low, low)) ** 2
    k = _CORWIN_SCHULTZ_K
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
    growth = np.exp(alpha)
    spread = np.where(paired, np.maximum(2.0 * (growth - 1.0) / (1.0 + growth), 0.0), 0.0)
    count = observed.count(paired, pairs)
    value = segment_sum(spread, pairs, rows=observed.rows) / np.maximum(count, 1)
    enough = count >= pairs - 2 * missing_allowed(pairs)
    return np.where(observed.is_full(pairs + 1) & enough, value, np.nan)
