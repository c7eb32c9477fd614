"""Turning target weights and target quantities into orders at a close.

Belongs here: the one rule by which a wish about a position becomes a quantity, for array strategies, jitted ones and
Python ones alike.
"""

from __future__ import annotations

import numpy as np

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.codes import Fault
from aegis.backtesting.kernel.lot_sizes import QUANTITY_TOLERANCE, whole_lots
from aegis.backtesting.kernel.memory import (
    account_of,
    cursor_of,
    header_of,
    load_f8,
    position_of,
    rules_of,
    symbol_of,
)
from aegis.backtesting.kernel.open_quantities import open_quantity
from aegis.backtesting.kernel.order_book import new_order, submit
from aegis.backtesting.kernel.records import IS_DELISTED, NO_ORDER

_QUANTITY, _WEIGHT, _TOO_MANY = int(Fault.QUANTITY), int(Fault.WEIGHT), int(Fault.TOO_MANY_ORDERS)


@compiled
def fail(handle: int, error: int, symbol: int, value: float) -> None:
    """Note the first thing that a strategy did wrong; the loop stops at the end of the step."""
    cursor = cursor_of(handle)
    if cursor.error == 0:
        cursor.error, cursor.error_symbol, cursor.error_value = error, symbol, value


@compiled
def has_room(handle: int, orders: int, symbol: int) -> bool:
    """Whether the strategy may still place `orders` at this close; notes the failure where it may not."""
    cursor, header = cursor_of(handle), header_of(handle)
    step = cursor.steps_before + cursor.step
    if cursor.counted_step != step:
        cursor.counted_step, cursor.orders_before = step, cursor.orders
    placed = cursor.orders + orders - cursor.orders_before
    if placed <= header.orders_per_step and cursor.orders + orders <= header.orders_capacity:
        return True
    fail(handle, _TOO_MANY, symbol, header.orders_per_step)
    return False


@compiled
def quantity_for_weight(handle: int, s: int, weight: float) -> float:
    """Return the signed shares, in whole lots, that are `weight` of the equity at the current marks.

    Notes
    -----
    Rounded towards zero. Equity and price are those of the close at which it is decided.
    """
    return whole_lots(weight * account_of(handle).equity_now / position_of(handle, s).mark, symbol_of(handle, s).lot)


@compiled
def order_target_quantity(handle: int, s: int, target: float, kind: int, time_in_force: int) -> int:
    """Order what is missing to a signed target of shares, counting open orders; the order's index or -1 for none."""
    if not np.isfinite(target):
        fail(handle, _QUANTITY, s, target)
        return NO_ORDER
    position = position_of(handle, s)
    held = position.quantity
    if symbol_of(handle, s).first_order != NO_ORDER:
        held += open_quantity(handle, s)
    quantity = target - held
    if abs(quantity) <= QUANTITY_TOLERANCE:
        return NO_ORDER
    if not has_room(handle, 1, s):
        return NO_ORDER
    index = cursor_of(handle).orders
    submit(handle, new_order(handle, s, kind, quantity, time_in_force), index)
    return index


@compiled
def order_target_weight(handle: int, s: int, weight: float, kind: int, time_in_force: int) -> int:
    """Order what is missing to a weight of equity; the order's index, or -1 for none.

    A symbol without a price yet, or delisted, is left alone at weight 0 and refused by the venue otherwise.
    """
    if weight == 0.0:
        return order_target_quantity(handle, s, 0.0, kind, time_in_force)
    if not np.isfinite(weight):
        fail(handle, _WEIGHT, s, weight)
        return NO_ORDER
    if np.isnan(position_of(handle, s).mark) or symbol_of(handle, s).status & IS_DELISTED:
        if not has_room(handle, 1, s):
            return NO_ORDER
        index = cursor_of(handle).orders
        lot = symbol_of(handle, s).lot
        submit(handle, new_order(handle, s, kind, lot if weight > 0 else -lot, time_in_force), index)
        return index
    return order_target_quantity(handle, s, quantity_for_weight(handle, s, weight), kind, time_in_force)


@compiled
def order_targets(handle: int, row: int, time_in_force: int) -> None:
    """Order what one row of the target array asks for; NaN leaves a symbol as it is."""
    header = header_of(handle)
    kind = rules_of(handle).target_order_type
    n = header.n_symbols
    for s in range(n):
        target = load_f8(header.targets, row * n + s)
        if np.isnan(target):
            continue
        if header.targets_are_weights:
            order_target_weight(handle, s, target, kind, time_in_force)
        else:
            order_target_quantity(handle, s, target, kind, time_in_force)
