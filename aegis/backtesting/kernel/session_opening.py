"""What a night brings before a session trades: interest, fees, settlement, corporate actions, dividends.

Belongs here: the bookings between two sessions, in their order. Amounts are for calendar days on the balances held
overnight; a dividend belongs to the shares held before its ex-date, and before a split of the same day. What leaves the
market when a session closes is :mod:`aegis.backtesting.kernel.leaving`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.compilation import compiled
from aegis.backtesting.financing import borrow_fee_usd, interest_usd
from aegis.backtesting.kernel.bookings import value_position
from aegis.backtesting.kernel.codes import ActionKind, Amendment, Reason, State
from aegis.backtesting.kernel.leaving import turn_to_cash
from aegis.backtesting.kernel.lot_sizes import whole_lots
from aegis.backtesting.kernel.memory import (
    account_of,
    action_record,
    costs_of,
    cursor_of,
    fee_rate_record,
    header_of,
    order_of,
    position_of,
    receivable_record,
    session_record,
    symbol_of,
)
from aegis.backtesting.kernel.order_book import amend, close_order, is_open
from aegis.backtesting.kernel.order_families import held_children_of
from aegis.backtesting.kernel.records import IS_HALTED, IS_LEAVING, NO_ORDER, SETTLEMENT_RING

_DIVIDEND, _SPLIT, _MERGER = int(ActionKind.DIVIDEND), int(ActionKind.SPLIT), int(ActionKind.CASH_MERGER)
_DELISTING, _HALT, _RESUME = int(ActionKind.DELISTING), int(ActionKind.HALT), int(ActionKind.RESUME)
_EXCHANGE = int(ActionKind.SHARE_MERGER)
_CANCELLED, _NOTHING_LEFT = int(State.CANCELLED), int(Reason.SPLIT_LEAVES_NOTHING)
_RESCALED = int(Amendment.RESCALED)
_DAYS_0000_TO_1970 = 719_468


@compiled
def open_session(handle: int) -> None:
    """Begin the session whose first step is the current one."""
    cursor, header = cursor_of(handle), header_of(handle)
    cursor.session += 1
    record = session_record(header.sessions, cursor.chunk_session)
    cursor.chunk_session += 1
    cursor.next_session_step = session_record(header.sessions, cursor.chunk_session).first_step
    day = record.day
    if cursor.session > 0:
        _accrue(handle, day - cursor.day)
    cursor.day = day
    _settle(handle)
    _begin_month(handle, day)
    while cursor.fee_rate + 1 < header.n_fee_rates:
        if fee_rate_record(header.fee_rates, cursor.fee_rate + 1).day > day:
            break
        cursor.fee_rate += 1
    first_action = cursor.action
    while cursor.action < header.n_actions:
        action = action_record(header.actions, cursor.action)
        if action.day > day:
            break
        _apply(handle, action)
        cursor.action += 1
    _lower_marks(handle, first_action)
    _collect_dividends(handle, day)


@compiled
def _accrue(handle: int, days: int) -> None:
    """Book interest on cash and fees on borrowed shares for the calendar days since the last session."""
    account, costs = account_of(handle), costs_of(handle)
    interest = interest_usd(costs, account.cash, days)
    fees = 0.0
    if account.short_value < 0:
        for s in range(header_of(handle).n_symbols):
            position = position_of(handle, s)
            if position.quantity < 0:
                rate = symbol_of(handle, s).borrow_rate
                value = position.quantity * position.mark
                fees += borrow_fee_usd(costs, value, costs.borrow_rate if np.isnan(rate) else rate, days)
    account.interest += interest
    account.borrow_fees += fees
    account.cash += interest - fees
    account.equity_now += interest - fees


@compiled
def _settle(handle: int) -> None:
    """Let what is due today be spent; the total is added up anew, so that rounding does not gather in it."""
    account = account_of(handle)
    if account.unsettled_total == 0:
        return
    account.unsettled[cursor_of(handle).session % SETTLEMENT_RING] = 0.0
    total = 0.0
    for due in range(SETTLEMENT_RING):
        total += account.unsettled[due]
    account.unsettled_total = total


@compiled
def _begin_month(handle: int, day: int) -> None:
    account = account_of(handle)
    month = month_of(day)
    if month != account.month:
        account.month = month
        account.month_shares = 0.0


@compiled
def month_of(day: int) -> int:
    """Return the months since year 0 of a day since 1970.

    References
    ----------
    Howard Hinnant (2013), chrono-Compatible Low-Level Date Algorithms, ``civil_from_days``.
    """
    shifted = day + _DAYS_0000_TO_1970
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    # March is month 0 here, so January and February belong to the year before.
    return (year + era * 400) * 12 + month + 2


@compiled
def _apply(handle: int, action: Any) -> None:
    """Book one corporate action or change of listing."""
    symbol = symbol_of(handle, action.symbol)
    if action.kind == _DIVIDEND:
        _dividend(handle, action)
    elif action.kind == _SPLIT:
        _split(handle, action)
    elif action.kind == _MERGER:
        turn_to_cash(handle, action.symbol, action.amount)
    elif action.kind in (_DELISTING, _EXCHANGE):
        symbol.status |= IS_LEAVING
        cursor_of(handle).leaving += 1
    elif action.kind == _HALT:
        symbol.status |= IS_HALTED
    elif action.kind == _RESUME:
        symbol.status &= ~IS_HALTED


@compiled
def _dividend(handle: int, action: Any) -> None:
    quantity = position_of(handle, action.symbol).quantity
    if quantity == 0:
        return
    account, cursor = account_of(handle), cursor_of(handle)
    amount = quantity * action.amount
    account.dividends += amount
    account.receivable += amount
    account.equity_now += amount
    claim = receivable_record(header_of(handle).receivables, cursor.receivables)
    cursor.receivables += 1
    claim.amount, claim.pay_day, claim.symbol = amount, action.pay_day, action.symbol


@compiled
def _lower_marks(handle: int, first_action: int) -> None:
    """Take today's dividends from the marks: they are receivables now, and a bar may be missing today.

    It comes after the splits, because a fraction is paid at the mark of before; the dividend of a share is then spread
    over what splits after it made of the share. Those before it, on a day without a session, made the share that pays.
    """
    actions, last = header_of(handle).actions, cursor_of(handle).action
    for k in range(first_action, last):
        dividend = action_record(actions, k)
        if dividend.kind != _DIVIDEND:
            continue
        amount = dividend.amount
        for other in range(k + 1, last):
            split = action_record(actions, other)
            if split.kind == _SPLIT and split.symbol == dividend.symbol:
                amount /= split.ratio
        position = position_of(handle, dividend.symbol)
        if not np.isnan(position.mark):
            value_position(handle, dividend.symbol, position.quantity, max(position.mark - amount, 0.0))


@compiled
def _collect_dividends(handle: int, day: int) -> None:
    """Turn the claims whose pay day has come into cash."""
    account, cursor = account_of(handle), cursor_of(handle)
    claims = header_of(handle).receivables
    kept = 0
    for k in range(cursor.receivables):
        claim = receivable_record(claims, k)
        if claim.pay_day <= day:
            account.cash += claim.amount
            account.receivable -= claim.amount
        else:
            other = receivable_record(claims, kept)
            other.amount, other.pay_day, other.symbol = claim.amount, claim.pay_day, claim.symbol
            kept += 1
    cursor.receivables = kept
    if kept == 0:
        account.receivable = 0.0


@compiled
def _split(handle: int, action: Any) -> None:
    """Rescale a position and the open orders of its symbol; a fraction of a lot is paid in cash."""
    account, position = account_of(handle), position_of(handle, action.symbol)
    ratio, lot = action.ratio, symbol_of(handle, action.symbol).lot
    mark = position.mark / ratio
    if position.quantity != 0:
        exact = position.quantity * ratio
        whole = whole_lots(exact, lot)
        in_lieu = (exact - whole) * mark
        position.average_cost = position.average_cost / ratio if whole != 0 else 0.0
        value_position(handle, action.symbol, whole, mark)
        account.cash += in_lieu
        account.equity_now += in_lieu
    position.mark = mark
    _rescale_orders(handle, action.symbol, ratio, lot)


@compiled
def _rescale_orders(handle: int, s: int, ratio: float, lot: float) -> None:
    """Rescale the open orders of a symbol, and the children held for it, wherever their parents trade."""
    index = symbol_of(handle, s).first_order
    while index != NO_ORDER:
        following = order_of(handle, index).next
        _rescale(handle, index, ratio, lot)
        index = following
    for child in held_children_of(handle, s):
        _rescale(handle, child, ratio, lot)


@compiled
def _rescale(handle: int, index: int, ratio: float, lot: float) -> None:
    """Put an open order into the shares of after a split.

    What is filled and what is open are rounded towards zero apart, so that both are whole. An exit of which nothing is
    left ends its entry as well: what that bought from here on would have no exit.
    """
    order = order_of(handle, index)
    if not is_open(order):
        return
    open_part = whole_lots((order.quantity - order.filled) * ratio, lot)
    filled = whole_lots(order.filled * ratio, lot)
    order.split_away += abs(order.filled) - abs(filled)
    order.filled = filled
    order.quantity = order.filled + open_part
    order.limit /= ratio
    order.stop /= ratio
    order.watermark /= ratio
    if not order.trail_is_fraction:
        order.trail /= ratio
    if open_part == 0:
        close_order(handle, index, _CANCELLED, _NOTHING_LEFT)
        if order.is_exit and is_open(order_of(handle, order.parent)):
            close_order(handle, order.parent, _CANCELLED, _NOTHING_LEFT)
        return
    amend(handle, index, _RESCALED)
    if order.in_book:
        symbol = symbol_of(handle, order.symbol)
        symbol.always_from = symbol.first_order + 1
