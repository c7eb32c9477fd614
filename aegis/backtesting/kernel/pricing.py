"""The price of a fill: the reference price, moved against the order by slippage and impact, never beyond its limit.

Belongs here: how the parts go together. The formulas are :mod:`aegis.backtesting.slippage` and
:mod:`aegis.backtesting.market_impact`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.compilation import inlined
from aegis.backtesting.kernel.memory import costs_of, header_of, load_f8, symbol_of
from aegis.backtesting.market_impact import impact_fraction
from aegis.backtesting.slippage import slipped_price


@inlined
def fill_price_usd(handle: int, order: Any, reference: float, quantity: float, row: int) -> float:
    """Return the price paid or received per share, USD.

    Parameters
    ----------
    handle : int
        The simulation.
    order : ORDER
        Its limit, if it has one, holds.
    reference : float
        USD, from :mod:`aegis.backtesting.kernel.triggers`.
    quantity : float
        Signed shares of this fill.
    row : int
        The bar.

    Notes
    -----
    Impact is a fraction of the reference price and is added to the slippage. Daily volatility and average volume are
    those of the sessions before.
    """
    header, costs = header_of(handle), costs_of(handle)
    sigma = load_f8(header.sigma, row) if header.sigma != 0 else np.nan
    adv = load_f8(header.adv, row) if header.adv != 0 else np.nan
    # Volume-share slippage counts all that the bar has filled so far, this fill included.
    taken = symbol_of(handle, order.symbol).volume_taken
    price = slipped_price(
        costs,
        reference,
        taken if quantity > 0 else -taken,
        load_f8(header.volume, row),
        sigma,
        load_f8(header.high, row),
        load_f8(header.low, row),
    )
    moved = impact_fraction(costs, quantity, adv, sigma) * reference
    if quantity > 0:
        price += moved
        return min(price, order.limit) if not np.isnan(order.limit) else price
    price = max(price - moved, 0.0)
    return max(price, order.limit) if not np.isnan(order.limit) else price
