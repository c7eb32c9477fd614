"""What leaves the market: orders are cancelled, shares turn to cash or to shares of the acquirer.

Belongs here: the end of a symbol, at the opening for a merger for cash, else after the last bar of its session. When a
symbol begins to leave is :mod:`aegis.backtesting.kernel.session_opening`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.bookings import move_shares, value_position
from aegis.backtesting.kernel.codes import ActionKind, Reason, State
from aegis.backtesting.kernel.lot_sizes import whole_lots
from aegis.backtesting.kernel.memory import (
    account_of,
    action_record,
    cursor_of,
    header_of,
    load_f8,
    load_i4,
    load_i8,
    position_of,
    session_record,
    symbol_of,
)
from aegis.backtesting.kernel.order_book import cancel_all_of, close_order
from aegis.backtesting.kernel.order_families import held_children_of
from aegis.backtesting.kernel.records import IS_DELISTED, IS_LEAVING, NO_SYMBOL

_CANCELLED, _DELISTED = int(State.CANCELLED), int(Reason.DELISTED)
_EXCHANGE = int(ActionKind.SHARE_MERGER)
_NONE = -1


@compiled
def turn_to_cash(handle: int, s: int, price: float) -> None:
    """End a symbol: its orders are cancelled, its shares turn to cash at `price` USD, and it trades no more."""
    account, position = account_of(handle), position_of(handle, s)
    cancel_all_of(handle, s, _CANCELLED, _DELISTED)
    for child in held_children_of(handle, s):
        close_order(handle, child, _CANCELLED, _DELISTED)
    symbol_of(handle, s).status = IS_DELISTED
    quantity = position.quantity
    if quantity == 0:
        return
    proceeds = quantity * price
    position.realised += quantity * (price - position.average_cost)
    position.average_cost = 0.0
    value_position(handle, s, 0.0, price)
    account.cash += proceeds
    account.equity_now += proceeds


@compiled
def close_leavers(handle: int) -> None:
    """End the symbols that traded for the last time: in shares of an acquirer that trades, else in cash at their marks.

    An exchange asks whether its acquirer leaves as well, so all of them are made before anything else ends.
    """
    n = header_of(handle).n_symbols
    for s in range(n):
        if symbol_of(handle, s).status & IS_LEAVING:
            merger = _merger_of(handle, s)
            if merger != _NONE:
                _exchange(handle, action_record(header_of(handle).actions, merger))
    for s in range(n):
        if symbol_of(handle, s).status & IS_LEAVING:
            turn_to_cash(handle, s, position_of(handle, s).mark)
    cursor_of(handle).leaving = 0


@compiled
def _merger_of(handle: int, s: int) -> int:
    """Return the merger for shares that ends a symbol which leaves now, -1 for none: it leaves once only."""
    actions = header_of(handle).actions
    for k in range(cursor_of(handle).action - 1, -1, -1):
        action = action_record(actions, k)
        if action.kind == _EXCHANGE and action.symbol == s:
            return k
    return _NONE


@compiled
def _exchange(handle: int, action: Any) -> None:
    """Turn a position into whole lots of the acquirer, fraction and cash part paid out; do nothing without a price.

    Both happen at the acquirer's close of the session: what is received realises the profit, and begins at that close.
    """
    acquirer = action.acquirer
    if acquirer == NO_SYMBOL or symbol_of(handle, acquirer).status & (IS_LEAVING | IS_DELISTED):
        return
    close = _close_of_session(handle, acquirer)
    if np.isnan(close):
        return
    received = whole_lots(position_of(handle, action.symbol).quantity * action.ratio, symbol_of(handle, acquirer).lot)
    turn_to_cash(handle, action.symbol, action.amount + action.ratio * close)
    if received != 0:
        account = account_of(handle)
        account.cash -= received * close
        account.equity_now -= received * close
        move_shares(handle, acquirer, received, close, close)


@compiled
def _close_of_session(handle: int, s: int) -> float:
    """Return the last close of a symbol in the current session, NaN where it has no bar in it."""
    header, cursor = header_of(handle), cursor_of(handle)
    # A session that goes on from an earlier chunk begins with this one's first step.
    first = session_record(header.sessions, cursor.chunk_session - 1).first_step if cursor.chunk_session > 0 else 0
    for back in range(cursor.step - first + 1):
        step = cursor.step - back
        if header.row_symbol == 0:
            close = load_f8(header.close, step * header.n_symbols + s)
            if not np.isnan(close):
                return close
            continue
        for row in range(load_i8(header.first_row, step), load_i8(header.first_row, step + 1)):
            if load_i4(header.row_symbol, row) == s:
                return load_f8(header.close, row)
    return np.nan
