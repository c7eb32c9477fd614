"""Matching one step's bars against the open orders.

Belongs here: who is executed in which order, and how much: first every open order is asked once, then the answers are
carried out pass by pass, sales before purchases at one price. The volume of a bar is shared.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.compilation import compiled, inlined
from aegis.backtesting.kernel.bookings import book_fill
from aegis.backtesting.kernel.buying_power import affordable
from aegis.backtesting.kernel.codes import Amendment, OrderType, Pass, Reason, State, TimeInForce
from aegis.backtesting.kernel.lot_sizes import whole_lots
from aegis.backtesting.kernel.memory import (
    bar_opens_at,
    candidate_record,
    cursor_of,
    header_of,
    load_f8,
    load_i4,
    load_i8,
    order_of,
    position_of,
    rules_of,
    symbol_of,
)
from aegis.backtesting.kernel.order_book import amend, close_order, is_open, watch
from aegis.backtesting.kernel.pricing import fill_price_usd
from aegis.backtesting.kernel.records import IS_DELISTED, IS_HALTED, NO_ORDER
from aegis.backtesting.kernel.triggers import evaluate, exits_in_entry_bar, trailed_stop

_NOT, _PASSES = int(Pass.NONE), int(Pass.NONE)
_AT_STOP, _AT_LIMIT = int(Pass.STOP), int(Pass.LIMIT)
_STOP_LIMIT, _TRAILING, _STOP = int(OrderType.STOP_LIMIT), int(OrderType.TRAILING_STOP), int(OrderType.STOP)
_IOC, _FOK, _GTD = int(TimeInForce.IOC), int(TimeInForce.FOK), int(TimeInForce.GTD)
_TRIGGERED = int(Amendment.TRIGGERED)
_CANCELLED, _EXPIRED, _REJECTED, _HELD = (
    int(State.CANCELLED),
    int(State.EXPIRED),
    int(State.REJECTED),
    int(State.HELD),
)
_END_OF_LIFE, _NOT_IMMEDIATE, _NOT_WHOLE = int(Reason.END_OF_LIFE), int(Reason.NOT_IMMEDIATE), int(Reason.NOT_WHOLE)
_BUYING_POWER, _POSITION_CLOSED = int(Reason.BUYING_POWER), int(Reason.POSITION_CLOSED)
_SHORT_SALE = int(Reason.SHORT_SALE)


@compiled
def match_step(handle: int) -> None:
    """Execute what the bars of the current step execute."""
    cursor, header = cursor_of(handle), header_of(handle)
    step = cursor.step
    if header.row_symbol == 0:
        first, last = step * header.n_symbols, (step + 1) * header.n_symbols
    else:
        first, last = load_i8(header.first_row, step), load_i8(header.first_row, step + 1)
    found = 0
    wanted = 0
    for row in range(first, last):
        s = row - first if header.row_symbol == 0 else load_i4(header.row_symbol, row)
        symbol = symbol_of(handle, s)
        if symbol.first_order == NO_ORDER:
            continue
        if not load_f8(header.volume, row) > 0 or np.isnan(load_f8(header.close, row)):
            continue
        if symbol.status & (IS_HALTED | IS_DELISTED):
            continue
        high, low = load_f8(header.high, row), load_f8(header.low, row)
        # Between the triggers only those that need every bar, and what came after them, have to be asked.
        is_between = low > symbol.down_trigger and high < symbol.up_trigger
        if is_between and symbol.always_from == 0:
            continue
        symbol.volume_taken = 0.0
        if not is_between:
            symbol.up_trigger, symbol.down_trigger = np.inf, -np.inf
        begin = symbol.always_from - 1 if is_between else symbol.first_order
        found, wanted = _ask(handle, s, row, begin, found, wanted)
    if found > 0:
        _carry_out(handle, found, wanted)


@inlined
def _ask(handle: int, s: int, row: int, begin: int, found: int, wanted: int) -> tuple[int, int]:
    """Ask the orders of one symbol's book from `begin` on about its bar; append those that it executes."""
    header, cursor, rules, symbol = header_of(handle), cursor_of(handle), rules_of(handle), symbol_of(handle, s)
    opened, high = load_f8(header.open, row), load_f8(header.high, row)
    low, close = load_f8(header.low, row), load_f8(header.close, row)
    closes_session = cursor.step + 1 >= cursor.next_session_step
    bar_opens = bar_opens_at(handle, row)
    # An order for an opening auction was here before its session, so this is asked of each of the session's bars.
    is_first_bar = symbol.asked_in != cursor.session + 1
    symbol.asked_in = cursor.session + 1
    symbol.always_from = 0
    index = begin
    while index != NO_ORDER:
        order = order_of(handle, index)
        following = order.next
        if order.active_from > bar_opens:
            watch(symbol, order, index)
        elif order.time_in_force == _GTD and order.expires <= bar_opens:
            close_order(handle, index, _EXPIRED, _END_OF_LIFE)
        else:
            opens_session = is_first_bar and order.session == cursor.session
            at, price, triggered = evaluate(
                order, opened, high, low, close, opens_session, closes_session, rules.limit_needs_trade_through != 0
            )
            _note_trigger(handle, order, index, triggered)
            if order.type == _TRAILING and not triggered:
                _trail(order, high, low)
            watch(symbol, order, index)
            if at != _NOT:
                candidate = candidate_record(header.candidates, found)
                candidate.price, candidate.order, candidate.at, candidate.row = price, index, at, row
                found += 1
                wanted |= 1 << at
            elif order.time_in_force in (_IOC, _FOK):
                close_order(handle, index, _CANCELLED, _NOT_IMMEDIATE)
        index = following
    return found, wanted


@compiled
def _note_trigger(handle: int, order: Any, index: int, triggered: bool) -> None:
    if triggered and order.triggered_step < 0:
        order.triggered_step = cursor_of(handle).steps_before + cursor_of(handle).step
        amend(handle, index, _TRIGGERED)


@compiled
def _trail(order: Any, high: float, low: float) -> None:
    """Let the watermark follow the bar; the stop it gives counts from the next bar on."""
    buying = order.quantity > 0
    order.watermark = min(order.watermark, low) if buying else max(order.watermark, high)
    order.stop = trailed_stop(order.watermark, order.trail, 1.0 if buying else -1.0, order.trail_is_fraction != 0)


@compiled
def _carry_out(handle: int, found: int, wanted: int) -> None:
    """Execute the candidates pass by pass; then end those that had one chance only."""
    candidates = header_of(handle).candidates
    exits_act = rules_of(handle).children_act_in_entry_bar != 0
    for at in range(_PASSES):
        if not wanted & (1 << at):
            continue
        for k in range(found):
            candidate = candidate_record(candidates, k)
            if candidate.at == at and is_open(order_of(handle, candidate.order)):
                filled = _execute(handle, candidate.order, candidate.row, candidate.price, at)
                if filled and exits_act and at <= _AT_LIMIT and order_of(handle, candidate.order).child != NO_ORDER:
                    _act_in_entry_bar(handle, candidate.order, candidate.row, candidate.price, at)
    for k in range(found):
        index = candidate_record(candidates, k).order
        order = order_of(handle, index)
        if is_open(order) and order.time_in_force in (_IOC, _FOK):
            close_order(handle, index, _CANCELLED, _NOT_IMMEDIATE)


@compiled
def _execute(handle: int, index: int, row: int, reference: float, at: int) -> bool:
    """Fill as much of an order as the bar's volume and the account allow; false if that is nothing.

    What follows from the fill for exits in the same bar is the caller's: functions that call each other in a circle
    cannot be loaded from disk.
    """
    header, order = header_of(handle), order_of(handle, index)
    rules, symbol = rules_of(handle), symbol_of(handle, order.symbol)
    quantity = order.quantity - order.filled
    if order.is_exit:
        quantity = _exit_quantity(handle, order, quantity)
        if quantity == 0:
            close_order(handle, index, _CANCELLED, _POSITION_CLOSED)
            return False
    capacity = whole_lots(rules.participation_rate * load_f8(header.volume, row), symbol.lot) - symbol.volume_taken
    whole_or_nothing = order.time_in_force == _FOK
    if whole_or_nothing and abs(quantity) > capacity:
        close_order(handle, index, _CANCELLED, _NOT_WHOLE)
        return False
    taken = min(abs(quantity), max(capacity, 0.0))
    if taken <= 0:
        return False
    taken_before = symbol.volume_taken
    symbol.volume_taken = taken_before + taken
    quantity = taken if quantity > 0 else -taken
    price = fill_price_usd(handle, order, reference, quantity, row)
    carried = affordable(handle, order, quantity, price)
    short_of = _BUYING_POWER if quantity > 0 or rules.margin_account else _SHORT_SALE
    if carried != 0 and abs(carried) < abs(quantity):
        # A smaller fill moves the price less. A short sale is then worth more, so it is asked for again.
        symbol.volume_taken = taken_before + abs(carried)
        price = fill_price_usd(handle, order, reference, carried, row)
        carried = affordable(handle, order, carried, price)
        symbol.volume_taken = taken_before + taken
    if carried != quantity and (rules.reject_unaffordable or whole_or_nothing or carried == 0):
        close_order(handle, index, _REJECTED if order.fills == 0 else _CANCELLED, short_of)
        return False
    book_fill(handle, index, carried, price, reference, at)
    if carried != quantity and is_open(order):
        close_order(handle, index, _CANCELLED, short_of)
    return True


@compiled
def _exit_quantity(handle: int, order: Any, quantity: float) -> float:
    """Return what an exit may close: no more than there is."""
    held = position_of(handle, order.symbol).quantity
    if held * quantity >= 0:
        return 0.0
    return quantity if abs(quantity) <= abs(held) else -held


@compiled
def _act_in_entry_bar(handle: int, parent: int, row: int, entry_price: float, entered: int) -> None:
    """Let the exits of an entry act in the bar that filled it: stops first, then limits."""
    header = header_of(handle)
    high, low, close = load_f8(header.high, row), load_f8(header.low, row), load_f8(header.close, row)
    needs_through = rules_of(handle).limit_needs_trade_through != 0
    total = cursor_of(handle).orders
    for wanted in (_AT_STOP, _AT_LIMIT):
        child = order_of(handle, parent).child
        while child < total and order_of(handle, child).parent == parent:
            order = order_of(handle, child)
            if order.is_exit and is_open(order) and order.state != _HELD:
                at, price = exits_in_entry_bar(order, entered, entry_price, high, low, close, needs_through)
                if at == wanted:
                    if at == _AT_STOP:
                        # From here on it needs every bar, wherever it stands in the book.
                        _note_trigger(handle, order, child, triggered=True)
                        symbol_of(handle, order.symbol).always_from = symbol_of(handle, order.symbol).first_order + 1
                    _execute(handle, child, row, price, at)
            child += 1
