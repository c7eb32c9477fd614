"""Which function computes which column of ``features/daily_features``.

Belongs here: the binding of each definition in :mod:`aegis.lake.tables.features` to its function and windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from aegis.features import distribution, liquidity, momentum, trend, value, volatility
from aegis.features.market_model import market_model
from aegis.features.observations import Observations
from aegis.features.segments import ordered_product
from aegis.lake.tables.features import SYMBOL_FEATURES

Floats = NDArray[np.float64]

_COMPUTED: Mapping[str, Callable[[Observations], Floats]] = {
    "momentum_12_1": partial(momentum.momentum, since=252, until=21, product=ordered_product),
    "momentum_12_7": partial(momentum.momentum, since=252, until=126),
    "momentum_6_1": partial(momentum.momentum, since=126, until=21),
    "momentum_3_1": partial(momentum.momentum, since=63, until=21),
    "high_52w": partial(momentum.nearness_to_high, closes=252),
    "seasonality_12": partial(momentum.momentum, since=252, until=231),
    "reversal_1": partial(momentum.reversal, sessions=1),
    "reversal_5": partial(momentum.reversal, sessions=5, product=ordered_product),
    "reversal_21": partial(momentum.reversal, sessions=21),
    "volatility_21": partial(volatility.volatility, sessions=21),
    "volatility_63": partial(volatility.volatility, sessions=63),
    "downside_volatility_63": partial(volatility.downside_volatility, sessions=63),
    "parkinson_volatility_21": partial(volatility.parkinson_volatility, sessions=21),
    "garman_klass_volatility_21": partial(volatility.garman_klass_volatility, sessions=21),
    "skewness_63": partial(distribution.skewness, sessions=63),
    "max_return_21": partial(distribution.largest_return, sessions=21),
    "trend_50_200": partial(trend.mean_ratio, short=50, long=200),
    "trend_t_63": partial(trend.slope_t_statistic, closes=63),
    "macd_12_26": partial(trend.exponential_mean_ratio, short=12, long=26, closes=104),
    "liquidity_21": partial(liquidity.log_median_dollar_volume, sessions=21),
    "amihud_21": partial(liquidity.price_impact, sessions=21),
    "volume_5_63": partial(liquidity.volume_ratio, short=5, long=63),
    "corwin_schultz_spread_21": partial(liquidity.corwin_schultz_spread, pairs=21),
    "dividend_yield_12": partial(value.dividend_yield, sessions=252),
}

LONGEST_WINDOW_SESSIONS = max(feature.closes for feature in SYMBOL_FEATURES)
"""Sessions, its own included, whose closes a feature may be made from."""


def symbol_features(observed: Observations) -> dict[str, Floats]:
    """Return every feature of the block's symbols by column, each of shape (rows, n_symbols)."""
    model = market_model(observed, sessions=252)
    regressed = {"beta_252": model.beta, "idiosyncratic_volatility_252": model.residual_volatility}
    return regressed | {name: compute(observed) for name, compute in _COMPUTED.items()}
