"""What the open orders of a symbol would still trade.

Belongs here: the one rule of counting them. Of a ring, in which one fill takes from the others, the largest counts.
Exits do not count: they close what their entry opened.
"""

from __future__ import annotations

from typing import Any

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.memory import order_of, symbol_of
from aegis.backtesting.kernel.records import NO_ORDER

_BOTH_SIDES, _SALES = 0, 1


@compiled
def open_quantity(handle: int, s: int) -> float:
    """Return the signed shares of a symbol that open orders would still trade."""
    total = 0.0
    index = symbol_of(handle, s).first_order
    while index != NO_ORDER:
        order = order_of(handle, index)
        if not order.is_exit:
            total += _counted(handle, order, index, _BOTH_SIDES)
        index = order.next
    return total


@compiled
def on_sale(handle: int, new: Any) -> float:
    """Return the shares on sale already, negative, as they stand beside a new sale: those of its own ring aside."""
    total = 0.0
    index = symbol_of(handle, new.symbol).first_order
    while index != NO_ORDER:
        order = order_of(handle, index)
        if order.quantity < 0 and not order.is_exit and not _is_in_ring_of(handle, new, index):
            total += _counted(handle, order, index, _SALES)
        index = order.next
    return total


@compiled
def _is_in_ring_of(handle: int, order: Any, index: int) -> bool:
    """Whether the order of this index is in an order's ring."""
    if order.sibling == NO_ORDER:
        return False
    other = order.sibling
    while other != index:
        other = order_of(handle, other).sibling
        if other == order.sibling:
            return False
    return True


@compiled
def _counted(handle: int, order: Any, index: int, side: int) -> float:
    """Return what is open of an order; of a ring, of its largest, at the first of them and 0 at the rest."""
    left = order.quantity - order.filled
    if order.sibling == NO_ORDER:
        return left
    other = order.sibling
    while other != index:
        sibling = order_of(handle, other)
        counts = sibling.in_book and sibling.symbol == order.symbol and not sibling.is_exit
        if counts and (sibling.quantity < 0 or side == _BOTH_SIDES):
            if other < index:
                return 0.0
            its = sibling.quantity - sibling.filled
            if abs(its) > abs(left):
                left = its
        other = sibling.sibling
    return left
