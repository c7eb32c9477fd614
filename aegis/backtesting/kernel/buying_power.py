"""How much of an order the account can carry.

Belongs here: the rules of cash and margin accounts, asked when an order would be filled, because only then is its price
known. What is bought and sold moves in :mod:`aegis.backtesting.kernel.bookings`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.commissions import commission_usd
from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.lot_sizes import whole_lots
from aegis.backtesting.kernel.memory import (
    account_of,
    costs_of,
    position_of,
    rules_of,
    symbol_of,
)


@compiled
def spendable_cash_usd(handle: int) -> float:
    """Return the settled cash of the account, USD."""
    account = account_of(handle)
    return account.cash - account.unsettled_total


@compiled
def affordable(handle: int, order: Any, quantity: float, price: float) -> float:
    """Return the part of `quantity` (signed shares) that the account can carry at `price`, in whole lots.

    Notes
    -----
    What closes a position passes. In a cash account nothing else can be sold, and the rest must be covered by settled
    cash, commission included. In a margin account the gross exposure after the fill must be at most equity times
    ``min(1 / initial_margin, max_leverage)``, with the traded symbol valued at `price` and the others at their marks.
    """
    rules = rules_of(handle)
    held = position_of(handle, order.symbol).quantity
    closing = _closing(held, quantity)
    opening = quantity - closing
    if opening == 0:
        return quantity
    if quantity < 0 and not rules.margin_account:
        return closing
    if rules.margin_account:
        room = _margin_room_usd(handle, order.symbol, price, held + closing)
    else:
        room = spendable_cash_usd(handle)
    if closing != 0:
        room -= _charge(handle, order, closing, price)
        if not rules.margin_account:
            room -= max(closing, 0.0) * price
    return closing + _largest(handle, order, opening, price, room)


@compiled
def _closing(held: float, quantity: float) -> float:
    """Return the part of a fill that closes what is held."""
    if held * quantity >= 0:
        return 0.0
    return quantity if abs(quantity) <= abs(held) else -held


@compiled
def _margin_room_usd(handle: int, symbol: int, price: float, quantity_after_closing: float) -> float:
    """Return the USD of exposure, and of its costs, that may be added to what stands after the closing part."""
    rules, account = rules_of(handle), account_of(handle)
    position = position_of(handle, symbol)
    mark = position.mark if not np.isnan(position.mark) else price
    equity = account.equity_now + position.quantity * (price - mark)
    others = account.long_value - account.short_value - abs(position.quantity) * mark
    leverage = min(1.0 / rules.initial_margin, rules.max_leverage)
    return leverage * equity - others - abs(quantity_after_closing) * price


@compiled
def _charge(handle: int, order: Any, quantity: float, price: float) -> float:
    account = account_of(handle)
    return commission_usd(costs_of(handle), quantity, price, abs(order.filled), order.commission, account.month_shares)


@compiled
def _cost(handle: int, order: Any, quantity: float, price: float) -> float:
    """Return what opening takes: its value, and its commission as often as the account's leverage counts it."""
    rules = rules_of(handle)
    weight = min(1.0 / rules.initial_margin, rules.max_leverage) if rules.margin_account else 1.0
    return abs(quantity) * price + weight * _charge(handle, order, quantity, price)


@compiled
def _largest(handle: int, order: Any, wanted: float, price: float, room: float) -> float:
    """Return the largest part of `wanted` in whole lots whose cost is at most `room`."""
    if _cost(handle, order, wanted, price) <= room:
        return wanted
    if room <= 0:
        return 0.0
    lot = symbol_of(handle, order.symbol).lot
    side = 1.0 if wanted > 0 else -1.0
    size = min(whole_lots(room / price, lot), abs(wanted))
    excess = _cost(handle, order, side * size, price) - room
    while size > 0 and excess > 0:
        size = max(size - np.ceil(excess / price / lot) * lot, 0.0)
        excess = _cost(handle, order, side * size, price) - room
    while size + lot <= abs(wanted) and _cost(handle, order, side * (size + lot), price) <= room:
        size += lot
    return side * size
