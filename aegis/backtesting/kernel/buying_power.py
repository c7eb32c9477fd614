"""How much of an order the account can carry.

Belongs here: the rules of cash and margin accounts, asked when an order would be filled, because only then is its price
known. What is bought and sold moves in :mod:`aegis.backtesting.kernel.bookings`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aegis.backtesting.commissions import commission_usd
from aegis.backtesting.compilation import compiled, inlined
from aegis.backtesting.kernel.fees import fees_due_usd
from aegis.backtesting.kernel.lot_sizes import is_nothing
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


@inlined
def affordable(handle: int, order: Any, quantity: float, price: float) -> float:
    """Return the part of `quantity` (signed shares) that the account can carry at `price`, in whole lots.

    Notes
    -----
    What closes a position passes. In a cash account nothing else can be sold, and the rest must be covered by settled
    cash, commission included. In a margin account the gross exposure after the fill must be at most the equity after
    it, costs included, times ``min(1 / initial_margin, max_leverage)``, with the traded symbol valued at `price` and
    the others at their marks.
    """
    rules = rules_of(handle)
    held = position_of(handle, order.symbol).quantity
    closing = _closing(held, quantity)
    if closing == quantity:
        return quantity
    if quantity < 0 and not rules.margin_account:
        return closing
    if rules.margin_account:
        room = _margin_room_usd(handle, order.symbol, price, held + closing)
    else:
        room = spendable_cash_usd(handle) - max(closing, 0.0) * price
    return _largest(handle, order, quantity, closing, price, room)


@compiled
def _closing(held: float, quantity: float) -> float:
    """Return the part of a fill that closes what is held; all of it where only rounding goes beyond."""
    if held * quantity >= 0:
        return 0.0
    return quantity if is_nothing(max(abs(quantity) - abs(held), 0.0), held) else -held


@compiled
def _margin_room_usd(handle: int, symbol: int, price: float, quantity_after_closing: float) -> float:
    """Return the USD of exposure, and of its costs, that may be added to what stands after the closing part."""
    account = account_of(handle)
    position = position_of(handle, symbol)
    mark = position.mark if not np.isnan(position.mark) else price
    equity = account.equity_now + position.quantity * (price - mark)
    others = account.long_value - account.short_value - abs(position.quantity) * mark
    return _leverage(handle) * equity - others - abs(quantity_after_closing) * price


@compiled
def _leverage(handle: int) -> float:
    """Return the exposure that a USD of equity carries."""
    rules = rules_of(handle)
    return min(1.0 / rules.initial_margin, rules.max_leverage)


@compiled
def _cost(handle: int, order: Any, quantity: float, opening: float, price: float) -> float:
    """Return what a fill takes: the value that it opens, and its costs as often as the account's leverage counts them.

    The costs are those of the whole fill, of which `opening` is the part that closes nothing: they lower the equity.
    """
    account = account_of(handle)
    charge: float = commission_usd(
        costs_of(handle),
        quantity,
        price,
        abs(order.filled),
        order.commission,
        account.month_shares,
        order.split_away,
    )
    if not rules_of(handle).margin_account:
        return abs(opening) * price + charge
    section31, activity = fees_due_usd(handle, order, quantity, price)
    return abs(opening) * price + _leverage(handle) * (charge + section31 + activity)


@compiled
def _largest(handle: int, order: Any, wanted: float, closing: float, price: float, room: float) -> float:
    """Return the largest fill of at most `wanted`, beyond `closing` in whole lots, whose cost is at most `room`.

    The cost grows with the quantity, so the number of lots is found by halving: each turn halves what is left, whatever
    the price and the lot.
    """
    if _cost(handle, order, wanted, wanted - closing, price) <= room:
        return wanted
    if room <= 0:
        return closing
    lot = symbol_of(handle, order.symbol).lot
    lot = lot if wanted > 0 else -lot
    fits = 0.0
    too_many = min(np.floor(room / price / abs(lot)) + 2.0, np.ceil((wanted - closing) / lot))
    middle = np.floor(too_many / 2)
    while fits < middle < too_many:
        if _cost(handle, order, closing + middle * lot, middle * lot, price) <= room:
            fits = middle
        else:
            too_many = middle
        middle = np.floor((fits + too_many) / 2)
    return closing + fits * lot
