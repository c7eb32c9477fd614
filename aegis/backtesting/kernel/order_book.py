"""Opening, changing and ending orders, and the book of open orders of each symbol.

Belongs here: what an order's life does to its record. A symbol's book is a linked list in time priority, with two
prices between which a bar touches none of it. What its fills do to its family is
:mod:`aegis.backtesting.kernel.order_families`, whether a bar executes it :mod:`aegis.backtesting.kernel.triggers`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.compilation import compiled, inlined
from aegis.backtesting.kernel.acceptance import refusal
from aegis.backtesting.kernel.codes import Amendment, Fault, OrderType, Reason, State, TimeInForce
from aegis.backtesting.kernel.memory import (
    amendment_record,
    cursor_of,
    header_of,
    order_of,
    position_of,
    symbol_of,
)
from aegis.backtesting.kernel.records import NEVER, NO_ORDER
from aegis.backtesting.kernel.triggers import trailed_stop

_HELD, _WORKING, _PARTIAL = int(State.HELD), int(State.WORKING), int(State.PARTIALLY_FILLED)
_CANCELLED, _EXPIRED, _REJECTED = int(State.CANCELLED), int(State.EXPIRED), int(State.REJECTED)
_LIMIT, _STOP, _STOP_LIMIT, _TRAILING = (
    int(OrderType.LIMIT),
    int(OrderType.STOP),
    int(OrderType.STOP_LIMIT),
    int(OrderType.TRAILING_STOP),
)
_DAY, _GTC, _GTD = int(TimeInForce.DAY), int(TimeInForce.GTC), int(TimeInForce.GTD)
_OPG, _CLS = int(TimeInForce.OPG), int(TimeInForce.CLS)
_ON_OPEN, _LIMIT_ON_OPEN = int(OrderType.MARKET_ON_OPEN), int(OrderType.LIMIT_ON_OPEN)
_ON_CLOSE, _LIMIT_ON_CLOSE = int(OrderType.MARKET_ON_CLOSE), int(OrderType.LIMIT_ON_CLOSE)
_ACCEPTED, _PARENT_ENDED = int(Reason.NONE), int(Reason.PARENT_ENDED)
_REPLACED_TO_FILLED, _END_OF_SESSION = int(Reason.REPLACED_TO_FILLED), int(Reason.END_OF_SESSION)
_END_OF_LIFE, _MISSED_AUCTION = int(Reason.END_OF_LIFE), int(Reason.MISSED_AUCTION)
_REDUCED = int(Amendment.REDUCED)
_REPLACED, _TOO_MANY_CHANGES = int(Amendment.REPLACED), int(Fault.TOO_MANY_CHANGES)


@inlined
def new_order(handle: int, symbol: int, kind: int, quantity: float, time_in_force: int) -> Any:
    """Append an order without prices and relations to the records and return it; there must be room."""
    cursor = cursor_of(handle)
    order = order_of(handle, cursor.orders)
    cursor.orders += 1
    cursor.held += 1
    order.quantity = quantity
    order.filled = 0.0
    order.limit = np.nan
    order.stop = np.nan
    order.trail = np.nan
    order.watermark = np.nan
    order.commission = 0.0
    order.activity_fee = 0.0
    order.split_away = 0.0
    order.active_from = cursor.now
    order.expires = NEVER
    order.submitted_step = cursor.steps_before + cursor.step
    order.triggered_step = -1
    order.closed_step = -1
    order.symbol = symbol
    order.next = NO_ORDER
    order.previous = NO_ORDER
    order.parent = NO_ORDER
    order.sibling = NO_ORDER
    order.child = NO_ORDER
    order.amendment = -1
    order.fills = 0
    order.type = kind
    order.time_in_force = _time_in_force(kind, time_in_force)
    order.state = _HELD
    order.reason = 0
    order.trail_is_fraction = 0
    order.in_book = 0
    order.is_exit = 0
    order.session = session_for(handle, order)
    return order


@compiled
def _time_in_force(kind: int, time_in_force: int) -> int:
    """Return how long an order lives: an auction order for its auction."""
    if kind in (_ON_OPEN, _LIMIT_ON_OPEN):
        return _OPG
    if kind in (_ON_CLOSE, _LIMIT_ON_CLOSE):
        return _CLS
    return time_in_force


@compiled
def session_for(handle: int, order: Any) -> int:
    """Return the session of the next bar; for the opening auction one that has not opened."""
    cursor = cursor_of(handle)
    session_is_over = cursor.step + 1 >= cursor.next_session_step
    waits = session_is_over or order.time_in_force == _OPG
    return cursor.session + 1 if waits and cursor.session >= 0 else max(cursor.session, 0)


@inlined
def submit(handle: int, order: Any, index: int) -> None:
    """Hand an order to the venue: it is working from here on, or rejected."""
    reason = refusal(handle, order)
    if reason != _ACCEPTED:
        close_order(handle, index, _REJECTED, reason)
        return
    release(handle, index)


@inlined
def release(handle: int, index: int) -> None:
    """Let an order work: from the next bar of its symbol on."""
    cursor = cursor_of(handle)
    order = order_of(handle, index)
    if order.type == _TRAILING:
        side = 1.0 if order.quantity > 0 else -1.0
        if np.isnan(order.watermark):
            order.watermark = position_of(handle, order.symbol).mark
        order.stop = trailed_stop(order.watermark, order.trail, side, order.trail_is_fraction != 0)
    cursor.held -= order.state == _HELD
    order.state = _WORKING
    _link(handle, order, index)
    cursor.working += 1


@compiled
def restore_order(handle: int, index: int) -> None:
    """Put an order that was working before this simulation began behind those that are in its symbol's book."""
    order = order_of(handle, index)
    if order.type == _TRAILING:
        side = 1.0 if order.quantity > 0 else -1.0
        order.stop = trailed_stop(order.watermark, order.trail, side, order.trail_is_fraction != 0)
    _link(handle, order, index)
    cursor_of(handle).working += 1


@compiled
def _link(handle: int, order: Any, index: int) -> None:
    """Append an order to its symbol's book."""
    symbol = symbol_of(handle, order.symbol)
    order.previous = symbol.last_order
    order.next = NO_ORDER
    if symbol.last_order == NO_ORDER:
        symbol.first_order = index
        symbol.up_trigger = np.inf
        symbol.down_trigger = -np.inf
        symbol.always_from = 0
    else:
        order_of(handle, symbol.last_order).next = index
    symbol.last_order = index
    order.in_book = 1
    watch(symbol, order, index)


@compiled
def watch(symbol: Any, order: Any, index: int) -> None:
    """Narrow the two prices between which a bar does not touch the symbol's book, so that this order is seen.

    Orders are watched in the order of the book, so that none before `always_from` needs every bar.
    """
    kind = order.type
    resting = kind in (_LIMIT, _STOP, _STOP_LIMIT)
    lives_on = order.time_in_force in (_DAY, _GTC)
    triggered = order.triggered_step >= 0
    if not resting or not lives_on or (kind == _STOP and triggered):
        if symbol.always_from == 0:
            symbol.always_from = index + 1
        return
    waits_for_stop = kind != _LIMIT and not triggered
    price = order.stop if waits_for_stop else order.limit
    if (order.quantity > 0) == waits_for_stop:
        symbol.up_trigger = min(symbol.up_trigger, price)
    else:
        symbol.down_trigger = max(symbol.down_trigger, price)


@compiled
def _unlink(handle: int, order: Any, index: int) -> None:
    symbol = symbol_of(handle, order.symbol)
    if symbol.always_from == index + 1:
        symbol.always_from = order.next + 1
    if order.previous == NO_ORDER:
        symbol.first_order = order.next
    else:
        order_of(handle, order.previous).next = order.next
    if order.next == NO_ORDER:
        symbol.last_order = order.previous
    else:
        order_of(handle, order.next).previous = order.previous
    order.in_book = 0
    cursor_of(handle).working -= 1


@compiled
def is_open(order: Any) -> bool:
    """Whether anything can still happen to an order."""
    return order.state <= _PARTIAL


@compiled
def close_order(handle: int, index: int, state: int, reason: int) -> None:
    """End an order, and with it the children that nothing can release any more."""
    cursor = cursor_of(handle)
    order = order_of(handle, index)
    if order.in_book:
        _unlink(handle, order, index)
    cursor.held -= order.state == _HELD
    order.state = state
    order.reason = reason
    order.closed_step = cursor.steps_before + cursor.step
    cursor.notice = 1
    if order.child != NO_ORDER:
        child = order.child
        while child < cursor.orders and order_of(handle, child).parent == index:
            if order_of(handle, child).state == _HELD:
                close_order_alone(handle, child, _CANCELLED, _PARENT_ENDED)
            child += 1


@compiled
def close_order_alone(handle: int, index: int, state: int, reason: int) -> None:
    """End an order that has no children."""
    cursor = cursor_of(handle)
    order = order_of(handle, index)
    if order.in_book:
        _unlink(handle, order, index)
    cursor.held -= order.state == _HELD
    order.state = state
    order.reason = reason
    order.closed_step = cursor.steps_before + cursor.step
    cursor.notice = 1


@compiled
def amend(handle: int, index: int, kind: int) -> None:
    """Write down an order's terms after a change; room is made before each step, and too many changes are a fault.

    What siblings take from an order one after another in one step is one change: a ring of n orders would write n² / 2
    of them, and nobody can act in between.
    """
    cursor = cursor_of(handle)
    order = order_of(handle, index)
    if kind == _REDUCED and 0 <= order.amendment < cursor.amendments:
        latest = amendment_record(header_of(handle).amendments, order.amendment)
        is_of_step = latest.order == index and latest.step == cursor.steps_before + cursor.step
        if is_of_step and latest.kind == _REDUCED:
            latest.quantity = order.quantity
            return
    if cursor.amendments >= header_of(handle).amendments_capacity:
        if cursor.error == 0:
            cursor.error, cursor.error_symbol, cursor.error_value = _TOO_MANY_CHANGES, order.symbol, index
        return
    amendment = amendment_record(header_of(handle).amendments, cursor.amendments)
    order.amendment = cursor.amendments
    cursor.amendments += 1
    amendment.quantity = order.quantity
    amendment.limit = order.limit
    amendment.stop = order.stop
    amendment.order = index
    amendment.step = cursor.steps_before + cursor.step
    amendment.kind = kind
    cursor.notice = 1


@compiled
def cancel(handle: int, index: int, reason: int) -> bool:
    """Cancel the rest of an order; false if it had ended."""
    if not is_open(order_of(handle, index)):
        return False
    close_order(handle, index, _CANCELLED, reason)
    return True


@compiled
def replace(handle: int, index: int, quantity: float, limit: float, stop: float) -> bool:
    """Give an open order a new total quantity and new prices (NaN leaves them); false if it cannot be.

    Its place in the book stays. A quantity of no more than what is filled cancels the rest. A bracket's exit cannot be
    made larger: it would close shares that its entry did not open. Held, it has no quantity of its own yet.
    """
    order = order_of(handle, index)
    if not is_open(order):
        return False
    if not np.isnan(quantity):
        if order.is_exit and (order.state == _HELD or abs(quantity) > abs(order.quantity)):
            return False
        if abs(quantity) <= abs(order.filled):
            return cancel(handle, index, _REPLACED_TO_FILLED)
        order.quantity = quantity
    if not np.isnan(limit):
        order.limit = limit
    if not np.isnan(stop):
        order.stop = stop
    amend(handle, index, _REPLACED)
    if order.in_book:
        watch(symbol_of(handle, order.symbol), order, index)  # a change of terms is none of how often it is asked
    return True


@compiled
def end_of_session(handle: int) -> None:
    """Expire the orders of the session that closes."""
    cursor = cursor_of(handle)
    for s in range(header_of(handle).n_symbols):
        index = symbol_of(handle, s).first_order
        while index != NO_ORDER:
            order = order_of(handle, index)
            following = order.next
            in_force = order.time_in_force
            if in_force == _GTD:
                if order.expires <= cursor.now:
                    close_order(handle, index, _EXPIRED, _END_OF_LIFE)
            elif in_force != _GTC and order.session <= cursor.session:
                missed = in_force in (_OPG, _CLS)
                close_order(handle, index, _EXPIRED, _MISSED_AUCTION if missed else _END_OF_SESSION)
            index = following


@compiled
def cancel_all_of(handle: int, symbol: int, state: int, reason: int) -> None:
    """End every open order of a symbol; held children end with their parents."""
    index = symbol_of(handle, symbol).first_order
    while index != NO_ORDER:
        following = order_of(handle, index).next
        if is_open(order_of(handle, index)):
            close_order(handle, index, state, reason)
        index = following
