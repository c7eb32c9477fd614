"""What a jitted strategy may order beyond the plain kinds.

Belongs here: orders of any type and time in force, and orders that depend on others, as thin entrances to
:mod:`aegis.backtesting.kernel.submission`. `order_type` and `time_in_force` are the codes of
:mod:`aegis.backtesting.jitted`; prices are USD, NaN where the type has none; times are nanoseconds since 1970 in UTC.
"""

from __future__ import annotations

import numpy as np

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel import submission
from aegis.backtesting.kernel.codes import OrderType, TimeInForce
from aegis.backtesting.kernel.records import NEVER

_LIMIT, _TRAILING, _GTD = int(OrderType.LIMIT), int(OrderType.TRAILING_STOP), int(TimeInForce.GTD)
_NAN = np.nan


@compiled
def order(
    market: int, symbol: int, order_type: int, quantity: float, limit: float, stop: float, time_in_force: int
) -> int:
    """Order signed shares in any way but GTD or with a trail; return the order's index."""
    return submission.place(market, symbol, order_type, quantity, limit, stop, _NAN, 0, time_in_force, NEVER)


@compiled
def order_until(
    market: int, symbol: int, order_type: int, quantity: float, limit: float, stop: float, expires_at: int
) -> int:
    """Order signed shares, good till a time (GTD); return the order's index."""
    return submission.place(market, symbol, order_type, quantity, limit, stop, _NAN, 0, _GTD, expires_at)


@compiled
def trailing_stop_fraction_order(market: int, symbol: int, quantity: float, fraction: float, time_in_force: int) -> int:
    """Order signed shares once the price comes back from its best by a fraction of it; return the order's index."""
    return submission.place(market, symbol, _TRAILING, quantity, _NAN, _NAN, fraction, 1, time_in_force, NEVER)


@compiled
def limit_bracket(
    market: int,
    symbol: int,
    quantity: float,
    limit: float,
    stop_loss: float,
    take_profit: float,
    time_in_force: int,
) -> int:
    """Order signed shares at `limit` or better with two exits, NaN for none; return the entry's index.

    The exits have the next indices: the stop-loss, then the take-profit.
    """
    return submission.place_bracket(
        market, symbol, _LIMIT, quantity, limit, _NAN, time_in_force, stop_loss, take_profit
    )


@compiled
def sibling_order(
    market: int,
    sibling: int,
    symbol: int,
    order_type: int,
    quantity: float,
    limit: float,
    stop: float,
    time_in_force: int,
) -> int:
    """Order an alternative to `sibling`: what one of them fills is taken from the other; return the order's index.

    In a cash account both exits of a position are taken only so; linked afterwards, the second is a short sale.
    """
    return submission.place_sibling(
        market, sibling, symbol, order_type, quantity, limit, stop, _NAN, 0, time_in_force, NEVER
    )


@compiled
def child_order(
    market: int,
    parent: int,
    symbol: int,
    order_type: int,
    quantity: float,
    limit: float,
    stop: float,
    time_in_force: int,
) -> int:
    """Order what waits until `parent`, placed directly before it, is filled; return the order's index."""
    return submission.place_child(market, parent, symbol, order_type, quantity, limit, stop, time_in_force)


@compiled
def one_cancels_other(market: int, first: int, count: int) -> bool:
    """Make `count` orders placed one after the other cancel one another: what one fills is taken from the rest."""
    return submission.link(market, first, count)
