"""What a fill does to the account, the position and the order.

Belongs here: cash, shares, average cost, settlement, and the fill's own record. How much is filled and at which price
has been decided before.
"""

from __future__ import annotations

from typing import Any

from aegis.backtesting.commissions import commission_usd
from aegis.backtesting.compilation import compiled, inlined
from aegis.backtesting.kernel.codes import Reason, State
from aegis.backtesting.kernel.fees import fees_due_usd
from aegis.backtesting.kernel.lot_sizes import QUANTITY_TOLERANCE, is_nothing
from aegis.backtesting.kernel.memory import (
    account_of,
    costs_of,
    cursor_of,
    fill_record,
    header_of,
    order_of,
    position_of,
    rules_of,
)
from aegis.backtesting.kernel.order_book import close_order, is_open
from aegis.backtesting.kernel.order_families import reduce_siblings, release_children
from aegis.backtesting.kernel.records import NO_ORDER, SETTLEMENT_RING

_FILLED, _PARTIAL, _CANCELLED = int(State.FILLED), int(State.PARTIALLY_FILLED), int(State.CANCELLED)
_POSITION_CLOSED = int(Reason.POSITION_CLOSED)


@inlined
def book_fill(handle: int, index: int, quantity: float, price: float, reference: float, at: int) -> None:
    """Book one execution of an order.

    Parameters
    ----------
    handle : int
        The simulation.
    index : int
        The order.
    quantity : float
        Signed shares, no more than what is open.
    price, reference : float
        USD, with and without slippage and impact.
    at : int
        The :class:`~aegis.backtesting.kernel.codes.Pass`.
    """
    account, cursor, order = account_of(handle), cursor_of(handle), order_of(handle, index)
    commission = commission_usd(
        costs_of(handle),
        quantity,
        price,
        abs(order.filled),
        order.commission,
        account.month_shares,
        order.split_away,
    )
    section31, activity = fees_due_usd(handle, order, quantity, price)
    fees = section31 + activity
    order.commission += commission
    order.activity_fee += activity
    order.filled += quantity
    order.fills += 1
    fill = fill_record(header_of(handle).fills, cursor.fills)
    cursor.fills += 1
    fill.quantity, fill.price, fill.reference = quantity, price, reference
    fill.commission, fill.fees = commission, fees
    fill.order, fill.symbol = index, order.symbol
    fill.step, fill.session = cursor.steps_before + cursor.step, cursor.session
    fill.number, fill.at = order.fills, at
    account.commissions += commission
    account.fees += fees
    account.slippage += quantity * (price - reference)
    account.month_shares += abs(quantity)
    pay_for(handle, quantity, price, commission, fees)
    move_shares(handle, order.symbol, quantity, price, reference)
    cursor.notice = 1
    _advance_order(handle, index, order, quantity)


@compiled
def book_recorded_fill(
    handle: int, symbol: int, quantity: float, price: float, reference: float, commission: float, fees: float
) -> None:
    """Book an execution that was decided elsewhere: its cash and its shares, but no order."""
    pay_for(handle, quantity, price, commission, fees)
    move_shares(handle, symbol, quantity, price, reference)


@compiled
def pay_for(handle: int, quantity: float, price: float, commission: float, fees: float) -> None:
    """Move the cash of an execution of signed shares at `price`, and what it costs, all USD."""
    _move_cash(handle, quantity * price + commission + fees)


@compiled
def _advance_order(handle: int, index: int, order: Any, quantity: float) -> None:
    """Bring the order, its siblings and its children to where the fill leaves them."""
    if order.sibling != NO_ORDER:
        reduce_siblings(handle, index, quantity)
    if order.child != NO_ORDER:
        release_children(handle, index, quantity)
    if order.is_exit and is_open(order_of(handle, order.parent)):
        # What the entry bought from here on would have no exit.
        close_order(handle, order.parent, _CANCELLED, _POSITION_CLOSED)
    if abs(order.quantity - order.filled) <= QUANTITY_TOLERANCE:
        close_order(handle, index, _FILLED, 0)
    else:
        order.state = _PARTIAL


@compiled
def _move_cash(handle: int, paid: float) -> None:
    """Take what was paid from the cash; what is received may have to settle first."""
    account, rules = account_of(handle), rules_of(handle)
    account.cash -= paid
    account.equity_now -= paid
    if paid < 0 and rules.settlement_sessions > 0:
        due = (cursor_of(handle).session + rules.settlement_sessions) % SETTLEMENT_RING
        account.unsettled[due] -= paid
        account.unsettled_total -= paid


@compiled
def move_shares(handle: int, symbol: int, quantity: float, price: float, mark: float) -> None:
    """Add signed shares bought at `price` to a position and value it at `mark`, both USD.

    The average cost changes with what is opened, restarts when the position crosses zero, and stays when it is reduced;
    what is closed realises price less average cost. What only rounding leaves of a position is nothing.
    """
    position = position_of(handle, symbol)
    held = position.quantity
    after = held + quantity
    if held * quantity < 0 and is_nothing(after, held):
        after = 0.0
    if held * quantity >= 0:
        position.average_cost = (held * position.average_cost + quantity * price) / after
    else:
        closed = quantity if abs(quantity) <= abs(held) else -held
        position.realised -= closed * (price - position.average_cost)
        if after == 0:
            position.average_cost = 0.0
        elif abs(quantity) > abs(held):
            position.average_cost = price
    value_position(handle, symbol, after, mark)


@compiled
def value_position(handle: int, symbol: int, quantity: float, mark: float) -> None:
    """Set a position's shares and mark, and the account's values with them."""
    account, position = account_of(handle), position_of(handle, symbol)
    before = position.quantity * position.mark if position.quantity != 0 else 0.0
    value = quantity * mark if quantity != 0 else 0.0
    account.long_value += max(value, 0.0) - max(before, 0.0)
    account.short_value += min(value, 0.0) - min(before, 0.0)
    account.equity_now += value - before
    position.quantity = quantity
    position.mark = mark
