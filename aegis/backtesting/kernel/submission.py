"""What a strategy may ask of the kernel: place, bracket, link, cancel and replace orders.

Belongs here: the only entrances for orders, the same for array, jitted and Python strategies, and their checks. A wish
that cannot be an order (a NaN price, an unknown symbol) is a fault of the strategy and stops the run; an order that the
venue does not take is rejected with a reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.acceptance import takes_terms
from aegis.backtesting.kernel.codes import Fault, OrderType, Reason, TimeInForce
from aegis.backtesting.kernel.memory import cursor_of, header_of, order_of
from aegis.backtesting.kernel.order_book import cancel, is_open, new_order, replace, submit
from aegis.backtesting.kernel.order_families import link_siblings
from aegis.backtesting.kernel.records import NEVER, NO_ORDER
from aegis.backtesting.kernel.sizing import fail, has_room

_QUANTITY, _PRICE, _SYMBOL = int(Fault.QUANTITY), int(Fault.PRICE), int(Fault.SYMBOL)
_UNKNOWN, _IN_FORCE = int(Fault.UNKNOWN_ORDER), int(Fault.TIME_IN_FORCE)
_LIMIT, _STOP, _STOP_LIMIT = int(OrderType.LIMIT), int(OrderType.STOP), int(OrderType.STOP_LIMIT)
_TRAILING = int(OrderType.TRAILING_STOP)
_MARKET, _MARKET_ON_OPEN, _MARKET_ON_CLOSE = (
    int(OrderType.MARKET),
    int(OrderType.MARKET_ON_OPEN),
    int(OrderType.MARKET_ON_CLOSE),
)
_LIMIT_ON_OPEN, _LIMIT_ON_CLOSE = int(OrderType.LIMIT_ON_OPEN), int(OrderType.LIMIT_ON_CLOSE)
_GTC, _GTD, _OPG, _CLS = int(TimeInForce.GTC), int(TimeInForce.GTD), int(TimeInForce.OPG), int(TimeInForce.CLS)
_BY_STRATEGY = int(Reason.BY_STRATEGY)
_BRACKET = 3


@compiled
def place(
    handle: int,
    symbol: int,
    kind: int,
    quantity: float,
    limit: float,
    stop: float,
    trail: float,
    trail_is_fraction: int,
    time_in_force: int,
    expires: int,
) -> int:
    """Place one order and return its index, -1 if the strategy made a fault.

    Parameters
    ----------
    handle : int
        The simulation.
    symbol : int
        Number of the symbol.
    kind, time_in_force : int
        :class:`~aegis.backtesting.kernel.codes.OrderType`, :class:`~aegis.backtesting.kernel.codes.TimeInForce`.
    quantity : float
        Signed shares.
    limit, stop, trail : float
        USD; NaN where the type has none. `trail` is a fraction if `trail_is_fraction`.
    expires : int
        For GTD: nanoseconds since 1970, UTC.
    """
    if not has_room(handle, 1, symbol) or not _is_sound(handle, symbol, kind, quantity, limit, stop, trail):
        return NO_ORDER
    if time_in_force == _GTD and expires == NEVER:
        fail(handle, _IN_FORCE, symbol, quantity)
        return NO_ORDER
    index = cursor_of(handle).orders
    order = new_order(handle, symbol, _of_auction(kind, time_in_force), quantity, time_in_force)
    order.limit, order.stop, order.trail = limit, stop, trail
    order.trail_is_fraction = trail_is_fraction
    order.expires = expires
    submit(handle, order, index)
    return index


@compiled
def place_bracket(
    handle: int,
    symbol: int,
    kind: int,
    quantity: float,
    limit: float,
    stop: float,
    time_in_force: int,
    stop_loss: float,
    take_profit: float,
) -> int:
    """Place an entry with a stop-loss and a take-profit, good till cancelled; return the entry's index.

    The exits have the next two indices: the stop-loss, then the take-profit. NaN leaves one out.
    """
    if not has_room(handle, _BRACKET, symbol) or not _is_sound(handle, symbol, kind, quantity, limit, stop, 0.0):
        return NO_ORDER
    if not _exits_are_sound(handle, symbol, quantity, stop_loss, take_profit):
        return NO_ORDER
    cursor = cursor_of(handle)
    index = cursor.orders
    entry = new_order(handle, symbol, _of_auction(kind, time_in_force), quantity, time_in_force)
    entry.limit, entry.stop = limit, stop
    entry.child = index + 1
    if not np.isnan(stop_loss):
        exit_order = _new_exit(handle, symbol, _STOP, quantity, index)
        exit_order.stop = stop_loss
    if not np.isnan(take_profit):
        exit_order = _new_exit(handle, symbol, _LIMIT, quantity, index)
        exit_order.limit = take_profit
    if cursor.orders == index + _BRACKET:
        link_siblings(handle, index + 1, 2)
    submit(handle, entry, index)
    return index


@compiled
def _new_exit(handle: int, symbol: int, kind: int, entry_quantity: float, parent: int) -> Any:
    order = new_order(handle, symbol, kind, -entry_quantity, _GTC)
    order.parent = parent
    order.is_exit = 1
    return order


@compiled
def place_child(
    handle: int,
    parent: int,
    symbol: int,
    kind: int,
    quantity: float,
    limit: float,
    stop: float,
    time_in_force: int,
) -> int:
    """Place an order that begins to work when its parent is filled to the end; return its index.

    Children are placed directly after their parent, before any other order.
    """
    cursor = cursor_of(handle)
    index = cursor.orders
    follows = index > 0 and (parent == index - 1 or order_of(handle, index - 1).parent == parent)
    if parent < 0 or not follows:
        fail(handle, _UNKNOWN, symbol, parent)
        return NO_ORDER
    if not has_room(handle, 1, symbol) or not _is_sound(handle, symbol, kind, quantity, limit, stop, 0.0):
        return NO_ORDER
    order = new_order(handle, symbol, _of_auction(kind, time_in_force), quantity, time_in_force)
    order.limit, order.stop, order.parent = limit, stop, parent
    if order_of(handle, parent).child == NO_ORDER:
        order_of(handle, parent).child = index
    return index


@compiled
def link(handle: int, first: int, count: int) -> bool:
    """Make consecutive orders cancel one another: what one fills is taken from the others."""
    if first < 0 or first + count > cursor_of(handle).orders:
        fail(handle, _UNKNOWN, 0, first)
        return False
    link_siblings(handle, first, count)
    return True


@compiled
def cancel_order(handle: int, index: int) -> bool:
    """Cancel the rest of an order; false if it had ended."""
    if index < 0 or index >= cursor_of(handle).orders:
        fail(handle, _UNKNOWN, 0, index)
        return False
    return cancel(handle, index, _BY_STRATEGY)


@compiled
def replace_order(handle: int, index: int, quantity: float, limit: float, stop: float) -> bool:
    """Change an open order's total quantity and prices, NaN for no change.

    False, and no change, if it had ended or if the venue does not take the new terms.
    """
    if index < 0 or index >= cursor_of(handle).orders:
        fail(handle, _UNKNOWN, 0, index)
        return False
    order = order_of(handle, index)
    if not is_open(order):
        return False
    bad_price = (not np.isnan(limit) and not _is_price(limit)) or (not np.isnan(stop) and not _is_price(stop))
    if bad_price or (not np.isnan(limit) and np.isnan(order.limit)) or (not np.isnan(stop) and np.isnan(order.stop)):
        fail(handle, _PRICE, order.symbol, limit if not np.isnan(limit) else stop)
        return False
    if not np.isnan(quantity) and (quantity == 0 or (quantity > 0) != (order.quantity > 0)):
        fail(handle, _QUANTITY, order.symbol, quantity)
        return False
    if not takes_terms(handle, order.symbol, quantity, limit, stop):
        return False
    return replace(handle, index, quantity, limit, stop)


@compiled
def _of_auction(kind: int, time_in_force: int) -> int:
    """Return the type: a market or limit order for an auction is an auction order."""
    if time_in_force == _OPG:
        return _LIMIT_ON_OPEN if kind == _LIMIT else _MARKET_ON_OPEN if kind == _MARKET else kind
    if time_in_force == _CLS:
        return _LIMIT_ON_CLOSE if kind == _LIMIT else _MARKET_ON_CLOSE if kind == _MARKET else kind
    return kind


@compiled
def _is_price(value: float) -> bool:
    return np.isfinite(value) and value > 0


@compiled
def _is_sound(handle: int, symbol: int, kind: int, quantity: float, limit: float, stop: float, trail: float) -> bool:
    """Whether an order can be one at all; notes the fault where it cannot."""
    if symbol < 0 or symbol >= header_of(handle).n_symbols:
        fail(handle, _SYMBOL, symbol, quantity)
        return False
    if not np.isfinite(quantity) or quantity == 0:
        fail(handle, _QUANTITY, symbol, quantity)
        return False
    needs_limit = kind in (_LIMIT, _STOP_LIMIT, _LIMIT_ON_OPEN, _LIMIT_ON_CLOSE)
    needs_stop = kind in (_STOP, _STOP_LIMIT)
    wrong_limit = not _is_price(limit) if needs_limit else not np.isnan(limit)
    wrong_stop = not _is_price(stop) if needs_stop else not np.isnan(stop)
    if wrong_limit or wrong_stop or (kind == _TRAILING and not _is_price(trail)):
        fail(handle, _PRICE, symbol, limit if wrong_limit else stop if wrong_stop else trail)
        return False
    return True


@compiled
def _exits_are_sound(handle: int, symbol: int, quantity: float, stop_loss: float, take_profit: float) -> bool:
    """Whether a bracket's exits are prices on the right sides of each other."""
    has_stop, has_profit = not np.isnan(stop_loss), not np.isnan(take_profit)
    side = 1.0 if quantity > 0 else -1.0
    wrong_stop = has_stop and not _is_price(stop_loss)
    wrong_profit = has_profit and not _is_price(take_profit)
    crossed = has_stop and has_profit and side * (take_profit - stop_loss) <= 0
    if wrong_stop or wrong_profit or crossed or not (has_stop or has_profit):
        fail(handle, _PRICE, symbol, stop_loss if has_stop else take_profit)
        return False
    return True
