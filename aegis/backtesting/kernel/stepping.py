"""The loop: one step after another, until the strategy must be asked, memory grows, or the bars end.

Belongs here: the order of things within a step, and nothing of what they do. It can be left after any step and entered
again: everything it knows is in the records.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, types

from aegis.backtesting.compilation import compiled, compiled_for
from aegis.backtesting.kernel.acceptance import refusal
from aegis.backtesting.kernel.codes import ActionKind, OrderType, Reason, State, Stopped, TimeInForce
from aegis.backtesting.kernel.leaving import close_leavers
from aegis.backtesting.kernel.lot_sizes import whole_lots
from aegis.backtesting.kernel.matching import match_step
from aegis.backtesting.kernel.memory import (
    account_of,
    action_record,
    cursor_of,
    header_of,
    load_f8,
    load_i4,
    load_i8,
    position_of,
    position_record,
    rules_of,
    session_record,
    store_f8,
    symbol_of,
)
from aegis.backtesting.kernel.order_book import cancel_all_of, close_order, end_of_session, new_order, release
from aegis.backtesting.kernel.session_opening import open_session
from aegis.backtesting.kernel.sizing import order_targets

_REACHED, _STRATEGY_ERROR = int(Stopped.REACHED), int(Stopped.STRATEGY_ERROR)
_GROW_ORDERS, _GROW_FILLS = int(Stopped.GROW_ORDERS), int(Stopped.GROW_FILLS)
_GROW_AMENDMENTS, _GROW_RECEIVABLES = int(Stopped.GROW_AMENDMENTS), int(Stopped.GROW_RECEIVABLES)
_MARKET, _GTC, _DAY = int(OrderType.MARKET), int(TimeInForce.GTC), int(TimeInForce.DAY)
_LIQUIDATION, _MIN_NOTIONAL, _ACCEPTED = int(Reason.LIQUIDATION), int(Reason.MIN_NOTIONAL), int(Reason.NONE)
_CANCELLED, _REJECTED, _SPLIT = int(State.CANCELLED), int(State.REJECTED), int(ActionKind.SPLIT)

ON_BAR = types.void(types.int64)
"""What a jitted strategy looks like: it takes the handle and returns nothing."""

_FILLS_PER_ORDER = 2
_AMENDMENTS_PER_ORDER = 8
"""An order is triggered and released once in a step, and what siblings take from it is one change or, between those,
three; each split is one more. The rest is for the strategy."""


NOBODY = 0
"""The address of no strategy: decisions come from an array, or from outside."""

_intrinsic: Callable[..., Any] = extending.intrinsic


@_intrinsic
def _ask(_context: Any, _address: Any, _handle: Any) -> Any:
    """Call a jitted strategy by its address."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        strategy = ir.FunctionType(ir.VoidType(), [ir.IntType(64)]).as_pointer()
        builder.call(builder.inttoptr(arguments[0], strategy), [arguments[1]])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@compiled
def trade_step(handle: int) -> None:
    """Do everything of the current step that comes before the decision at its close."""
    open_step(handle)
    execute_step(handle)
    value_step(handle)
    if rules_of(handle).margin_account and _is_under_margin(handle):
        call_margin(handle)


@compiled
def open_step(handle: int) -> None:
    """Begin the current step, and its session where it is the session's first."""
    cursor = cursor_of(handle)
    cursor.now = load_i8(header_of(handle).closes_at, cursor.step)
    if cursor.step >= cursor.next_session_step:
        open_session(handle)


@compiled
def execute_step(handle: int) -> None:
    """Match the open orders with the bars of the current step; at the end of a session expire what was for it."""
    cursor = cursor_of(handle)
    if cursor.working > 0:
        match_step(handle)
    if cursor.step + 1 >= cursor.next_session_step and cursor.working > 0:
        end_of_session(handle)


@compiled
def value_step(handle: int) -> None:
    """Value the account at the closes of the current step, and turn what has left the market to cash."""
    cursor = cursor_of(handle)
    mark_step(handle)
    if cursor.step + 1 >= cursor.next_session_step and cursor.leaving > 0:
        close_leavers(handle)
    _record(handle, cursor.step)


@compiled
def memory_missing(handle: int, step: int) -> int:
    """Return which array could overflow in a step that comes next, as a :class:`Stopped`; REACHED for none.

    Notes
    -----
    An open order, held ones included, is filled twice in a step at most: an exit in the bar in which its entry grew.
    """
    header, cursor = header_of(handle), cursor_of(handle)
    open_orders = cursor.working + cursor.held
    # A margin call places one order for each symbol before the strategy places its own.
    if cursor.orders + header.orders_per_step + header.n_symbols > header.orders_capacity:
        return _GROW_ORDERS
    if cursor.fills + _FILLS_PER_ORDER * open_orders + 8 > header.fills_capacity:
        return _GROW_FILLS
    room = _AMENDMENTS_PER_ORDER * (open_orders + header.orders_per_step) + 8
    if open_orders > 0 and step >= cursor.next_session_step:
        room += _splits_ahead(handle) * open_orders
    if cursor.amendments + room > header.amendments_capacity:
        return _GROW_AMENDMENTS
    if cursor.receivables + header.n_actions - cursor.action > header.receivables_capacity:
        return _GROW_RECEIVABLES
    return _REACHED


@compiled
def _splits_ahead(handle: int) -> int:
    """Return how many splits the opening of the next session books."""
    header, cursor = header_of(handle), cursor_of(handle)
    day = session_record(header.sessions, cursor.chunk_session).day
    splits = 0
    for k in range(cursor.action, header.n_actions):
        action = action_record(header.actions, k)
        if action.day > day:
            break
        splits += action.kind == _SPLIT
    return splits


@compiled
def mark_step(handle: int) -> None:
    """Value the positions at the closes of the current step."""
    header, cursor, account = header_of(handle), cursor_of(handle), account_of(handle)
    n, positions, closes = header.n_symbols, header.positions, header.close
    is_dense = header.row_symbol == 0
    if not is_dense:
        for row in range(load_i8(header.first_row, cursor.step), load_i8(header.first_row, cursor.step + 1)):
            position_record(positions, load_i4(header.row_symbol, row)).mark = load_f8(closes, row)
    long_value = 0.0
    short_value = 0.0
    for s in range(n):
        position = position_record(positions, s)
        if is_dense:
            close = load_f8(closes, cursor.step * n + s)
            if not np.isnan(close):
                position.mark = close
        if position.quantity > 0:
            long_value += position.quantity * position.mark
        elif position.quantity < 0:
            short_value += position.quantity * position.mark
    account.long_value = long_value
    account.short_value = short_value
    account.equity_now = account.cash + account.receivable + long_value + short_value


@compiled
def _record(handle: int, step: int) -> None:
    header, account = header_of(handle), account_of(handle)
    store_f8(header.equity, step, account.equity_now)
    store_f8(header.cash, step, account.cash)


@compiled
def _follow_targets(handle: int) -> None:
    """Order what the target array says at this step, if anything."""
    header, cursor = header_of(handle), cursor_of(handle)
    if cursor.target >= header.n_targets:
        return
    if load_i8(header.target_steps, cursor.target) == cursor.step:
        order_targets(handle, cursor.target, _DAY)
        cursor.target += 1


@compiled
def _is_under_margin(handle: int) -> bool:
    account = account_of(handle)
    exposure = account.long_value - account.short_value
    return exposure > 0 and account.equity_now < rules_of(handle).maintenance_margin * exposure


@compiled
def call_margin(handle: int) -> None:
    """Cut every position by the same share, with market orders, so that the initial margin is met again.

    Open orders are cancelled first: they could undo it. The orders take part in the next bar like any other, whatever
    the least value of an order is.
    """
    account, cursor, rules = account_of(handle), cursor_of(handle), rules_of(handle)
    exposure = account.long_value - account.short_value
    kept = max(account.equity_now, 0.0) / (rules.initial_margin * exposure)
    for s in range(header_of(handle).n_symbols):
        cancel_all_of(handle, s, _CANCELLED, _LIQUIDATION)
        position = position_of(handle, s)
        if position.quantity == 0:
            continue
        quantity = whole_lots(position.quantity * kept, symbol_of(handle, s).lot) - position.quantity
        if quantity != 0:
            index = cursor.orders
            order = new_order(handle, s, _MARKET, quantity, _GTC)
            reason = refusal(handle, order)
            if reason in (_ACCEPTED, _MIN_NOTIONAL):
                release(handle, index)
            else:
                close_order(handle, index, _REJECTED, reason)


@compiled_for(types.int64(types.int64, types.int64, types.int64))
def advance(handle: int, until_step: int, on_bar: int) -> int:
    """Take the steps of the chunk before `until_step` that are not taken yet; return why it stopped.

    Parameters
    ----------
    handle : int
        The simulation.
    until_step : int
        Step of the chunk.
    on_bar : int
        Address of the jitted strategy that is called at each close; `NOBODY` for none.

    Returns
    -------
    int
        :class:`~aegis.backtesting.kernel.codes.Stopped`.

    Notes
    -----
    The arguments are integers because Python calls this at every bar in which an order is open, and to unpack a
    first-class function takes numba 10 us, three hundred times the step itself.
    """
    cursor = cursor_of(handle)
    while cursor.step + 1 < until_step:
        missing = memory_missing(handle, cursor.step + 1)
        if missing != _REACHED:
            return missing
        cursor.step += 1
        trade_step(handle)
        _follow_targets(handle)
        if on_bar != NOBODY:
            _ask(on_bar, handle)
        if cursor.error != 0:
            return _STRATEGY_ERROR
    return _REACHED
