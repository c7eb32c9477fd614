"""Parents, children and siblings.

Belongs here: what the fill of one order does to the orders that depend on it. The exits of a bracket are children of
the entry and siblings of each other.
"""

from __future__ import annotations

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.codes import Amendment, Reason, State
from aegis.backtesting.kernel.lot_sizes import QUANTITY_TOLERANCE
from aegis.backtesting.kernel.memory import cursor_of, order_of
from aegis.backtesting.kernel.order_book import amend, close_order, is_open, release, session_for
from aegis.backtesting.kernel.records import NO_ORDER

_HELD, _CANCELLED = int(State.HELD), int(State.CANCELLED)
_SIBLING_FILLED = int(Reason.SIBLING_FILLED)
_REDUCED, _RELEASED = int(Amendment.REDUCED), int(Amendment.RELEASED)


@compiled
def reduce_siblings(handle: int, index: int, quantity: float) -> None:
    """Take what one of a ring filled from the others; what has nothing left is cancelled."""
    other = order_of(handle, index).sibling
    if other == NO_ORDER:
        return
    while other != index:
        order = order_of(handle, other)
        following = order.sibling
        if is_open(order):
            left = order.quantity - order.filled
            taken = min(abs(quantity), abs(left))
            order.quantity -= taken if left > 0 else -taken
            if abs(left) - taken <= QUANTITY_TOLERANCE:
                close_order(handle, other, _CANCELLED, _SIBLING_FILLED)
            else:
                amend(handle, other, _REDUCED)
        other = following


@compiled
def release_children(handle: int, index: int, quantity: float) -> None:
    """Send the exits of what an entry has just filled to the venue, or let them grow by it.

    Children that are not exits wait until their parent is filled to the end.
    """
    parent = order_of(handle, index)
    total = cursor_of(handle).orders
    child = parent.child
    while child < total and order_of(handle, child).parent == index:
        order = order_of(handle, child)
        if order.state == _HELD and order.is_exit:
            order.quantity = -quantity
            _release_child(handle, child)
        elif is_open(order) and order.is_exit:
            order.quantity -= quantity
            amend(handle, child, _RELEASED)
        elif order.state == _HELD and abs(parent.quantity - parent.filled) <= QUANTITY_TOLERANCE:
            _release_child(handle, child)
        child += 1


@compiled
def _release_child(handle: int, index: int) -> None:
    order = order_of(handle, index)
    order.active_from = cursor_of(handle).now
    order.session = session_for(handle, order)
    release(handle, index)
    amend(handle, index, _RELEASED)


@compiled
def link_siblings(handle: int, first: int, count: int) -> None:
    """Make a ring of `count` consecutive orders in which a fill of one takes from the others."""
    for k in range(count):
        order_of(handle, first + k).sibling = first + (k + 1) % count
