"""What a strategy may ask of the kernel: place, bracket, link, cancel and replace orders.

Belongs here: the only entrances for orders, the same for array, jitted and Python strategies, and their checks. A wish
that cannot be an order (a NaN price, an unknown symbol) is a fault of the strategy and stops the run; an order that the
venue does not take is rejected with a reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.compilation import compiled, inlined
from aegis.backtesting.kernel.acceptance import refused_terms, takes_terms
from aegis.backtesting.kernel.codes import Fault, OrderType, Reason, State, TimeInForce
from aegis.backtesting.kernel.memory import cursor_of, order_of
from aegis.backtesting.kernel.order_book import cancel, close_order, is_open, new_order, replace, submit
from aegis.backtesting.kernel.order_checks import changes_are_sound, exits_are_sound, is_sound
from aegis.backtesting.kernel.order_families import join_ring, link_siblings
from aegis.backtesting.kernel.records import NEVER, NO_ORDER
from aegis.backtesting.kernel.sizing import fail, has_room

_QUANTITY, _UNKNOWN = int(Fault.QUANTITY), int(Fault.UNKNOWN_ORDER)
_NOT_AFTER_PARENT, _CHILD_OF_CHILD = int(Fault.NOT_AFTER_PARENT), int(Fault.CHILD_OF_CHILD)
_CHILD_TYPE = int(Fault.CHILD_TYPE)
_RING_SIZE, _RING_MEMBER, _RING_ENDED = int(Fault.RING_SIZE), int(Fault.RING_MEMBER), int(Fault.RING_ENDED)
_LIMIT, _STOP, _TRAILING = int(OrderType.LIMIT), int(OrderType.STOP), int(OrderType.TRAILING_STOP)
_MARKET, _MARKET_ON_OPEN, _MARKET_ON_CLOSE = (
    int(OrderType.MARKET),
    int(OrderType.MARKET_ON_OPEN),
    int(OrderType.MARKET_ON_CLOSE),
)
_LIMIT_ON_OPEN, _LIMIT_ON_CLOSE = int(OrderType.LIMIT_ON_OPEN), int(OrderType.LIMIT_ON_CLOSE)
_GTC, _OPG, _CLS = int(TimeInForce.GTC), int(TimeInForce.OPG), int(TimeInForce.CLS)
_ACCEPTED, _BY_STRATEGY, _PARENT_ENDED = int(Reason.NONE), int(Reason.BY_STRATEGY), int(Reason.PARENT_ENDED)
_CANCELLED, _REJECTED = int(State.CANCELLED), int(State.REJECTED)
_BRACKET, _SMALLEST_RING = 3, 2
_NAN = np.nan


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
    return place_sibling(
        handle, NO_ORDER, symbol, kind, quantity, limit, stop, trail, trail_is_fraction, time_in_force, expires
    )


@inlined
def place_sibling(
    handle: int,
    sibling: int,
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
    """Place one order that cancels, and is cancelled by, an order placed before and all of that one's ring.

    Parameters
    ----------
    sibling : int
        Index of an order of the ring, which may still be alone; NO_ORDER for no ring. The others are those of
        :func:`place`.

    Notes
    -----
    The ring is judged as one: a sale in a cash account may be of shares that its siblings offer already, because only
    one of them sells. That is what linking orders afterwards cannot do: by then the second has been rejected. A
    sibling that the venue rejected stays in the ring and does nothing; one that ended otherwise is a fault.
    """
    if not has_room(handle, 1, symbol):
        return NO_ORDER
    if not is_sound(handle, symbol, kind, quantity, limit, stop, trail, trail_is_fraction, time_in_force, expires) or (
        sibling != NO_ORDER and not _can_be_in_a_ring(handle, sibling)
    ):
        return NO_ORDER
    index = cursor_of(handle).orders
    order = new_order(handle, symbol, _of_auction(kind, time_in_force), quantity, time_in_force)
    order.limit, order.stop, order.trail = limit, stop, trail
    order.trail_is_fraction = trail_is_fraction
    order.expires = expires
    if sibling != NO_ORDER:
        join_ring(handle, index, sibling)
    submit(handle, order, index)
    return index


@compiled
def _can_be_in_a_ring(handle: int, index: int) -> bool:
    """Whether an order exists and can still cancel others, or was rejected; notes the fault where it cannot."""
    if index < 0 or index >= cursor_of(handle).orders:
        fail(handle, _UNKNOWN, 0, index)
        return False
    order = order_of(handle, index)
    if not is_open(order) and order.state != _REJECTED:
        fail(handle, _RING_ENDED, order.symbol, index)
        return False
    return True


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
    if not has_room(handle, _BRACKET, symbol) or not _can_be_in_a_family(handle, symbol, kind):
        return NO_ORDER
    if not is_sound(handle, symbol, kind, quantity, limit, stop, _NAN, 0, time_in_force, NEVER):
        return NO_ORDER
    if not exits_are_sound(handle, symbol, quantity, stop_loss, take_profit):
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
    if _exits_are_taken(handle, index):
        submit(handle, entry, index)
    return index


@compiled
def _exits_are_taken(handle: int, entry: int) -> bool:
    """Reject a bracket as a whole where the venue would not take one of its exits; true if it takes them."""
    for index in range(entry + 1, cursor_of(handle).orders):
        reason = refused_terms(handle, order_of(handle, index))
        if reason != _ACCEPTED:
            close_order(handle, index, _REJECTED, reason)
            close_order(handle, entry, _REJECTED, reason)
            return False
    return True


@compiled
def _can_be_in_a_family(handle: int, symbol: int, kind: int) -> bool:
    if kind == _TRAILING:
        fail(handle, _CHILD_TYPE, symbol, kind)
        return False
    return True


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
    if not has_room(handle, 1, symbol) or not _can_be_parent(handle, parent, symbol):
        return NO_ORDER
    if not _can_be_in_a_family(handle, symbol, kind):
        return NO_ORDER
    if not is_sound(handle, symbol, kind, quantity, limit, stop, _NAN, 0, time_in_force, NEVER):
        return NO_ORDER
    index = cursor_of(handle).orders
    order = new_order(handle, symbol, _of_auction(kind, time_in_force), quantity, time_in_force)
    order.limit, order.stop, order.parent = limit, stop, parent
    if order_of(handle, parent).child == NO_ORDER:
        order_of(handle, parent).child = index
    reason = refused_terms(handle, order)
    if reason != _ACCEPTED:
        close_order(handle, index, _REJECTED, reason)
    elif not is_open(order_of(handle, parent)):
        close_order(handle, index, _CANCELLED, _PARENT_ENDED)
    return index


@compiled
def _can_be_parent(handle: int, parent: int, symbol: int) -> bool:
    """Whether the next order can wait for this one; notes the fault where it cannot."""
    last = cursor_of(handle).orders - 1
    if parent < 0 or parent > last:
        fail(handle, _UNKNOWN, symbol, parent)
    elif order_of(handle, parent).parent != NO_ORDER:
        fail(handle, _CHILD_OF_CHILD, symbol, parent)
    elif parent != last and order_of(handle, last).parent != parent:
        fail(handle, _NOT_AFTER_PARENT, symbol, parent)
    else:
        return True
    return False


@compiled
def link(handle: int, first: int, count: int) -> bool:
    """Make consecutive orders cancel one another: what one fills is taken from the others.

    They must be in no ring yet and able to cancel others. One that the venue rejected is no fault, and does nothing.
    """
    if count < _SMALLEST_RING:
        fail(handle, _RING_SIZE, 0, count)
        return False
    for index in range(first, first + count):
        if not _can_be_in_a_ring(handle, index):
            return False
        if order_of(handle, index).sibling != NO_ORDER:
            fail(handle, _RING_MEMBER, order_of(handle, index).symbol, index)
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
    if not changes_are_sound(handle, order.symbol, order.limit, order.stop, limit, stop):
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
