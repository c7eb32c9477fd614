"""Parents, children and siblings.

Belongs here: what the fill of one order does to the orders that depend on it. The exits of a bracket are children of
the entry and siblings of each other.
"""

from __future__ import annotations

from collections.abc import Iterator

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.acceptance import refused_now
from aegis.backtesting.kernel.codes import Amendment, Reason, State
from aegis.backtesting.kernel.lot_sizes import QUANTITY_TOLERANCE
from aegis.backtesting.kernel.memory import cursor_of, header_of, order_of, symbol_of
from aegis.backtesting.kernel.order_book import amend, close_order, is_open, release, session_for
from aegis.backtesting.kernel.records import NO_ORDER

_HELD, _CANCELLED, _REJECTED = int(State.HELD), int(State.CANCELLED), int(State.REJECTED)
_ACCEPTED, _SIBLING_FILLED = int(Reason.NONE), int(Reason.SIBLING_FILLED)
_REDUCED, _RELEASED = int(Amendment.REDUCED), int(Amendment.RELEASED)


@compiled
def reduce_siblings(handle: int, index: int, quantity: float) -> None:
    """Take what one of a ring filled from the others; what has nothing left is cancelled."""
    other = order_of(handle, index).sibling
    passed = 0
    while other >= 0 and other != index and passed < cursor_of(handle).orders:
        passed += 1
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

    Children that are not exits wait until their parent is filled to the end, and are then orders like any other: the
    venue may refuse them.
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
            reason = refused_now(handle, order)
            if reason == _ACCEPTED:
                _release_child(handle, child)
            else:
                close_order(handle, child, _REJECTED, reason)
        child += 1


@compiled
def _release_child(handle: int, index: int) -> None:
    order = order_of(handle, index)
    order.active_from = cursor_of(handle).now
    order.session = session_for(handle, order)
    release(handle, index)
    amend(handle, index, _RELEASED)


@compiled
def held_children_of(handle: int, s: int) -> Iterator[int]:
    """Yield the orders of a symbol that wait for a parent in the book, whichever symbol that one trades.

    The orders met may be changed and ended between two of them, and their parents with them.
    """
    cursor = cursor_of(handle)
    if cursor.held == 0:
        return
    for other in range(header_of(handle).n_symbols):
        parent = symbol_of(handle, other).first_order
        while parent != NO_ORDER:
            following = order_of(handle, parent).next
            child = order_of(handle, parent).child
            while NO_ORDER < child < cursor.orders and order_of(handle, child).parent == parent:
                order = order_of(handle, child)
                if order.symbol == s and order.state == _HELD:
                    yield child
                child += 1
            parent = following


@compiled
def link_siblings(handle: int, first: int, count: int) -> None:
    """Make a ring of `count` consecutive orders, of no ring yet, in which a fill of one takes from the others."""
    for k in range(count):
        order_of(handle, first + k).sibling = first + (k + 1) % count


@compiled
def join_ring(handle: int, index: int, member: int) -> None:
    """Let a new order into the ring of an earlier one, which may have been alone."""
    earlier = order_of(handle, member)
    order_of(handle, index).sibling = member if earlier.sibling == NO_ORDER else earlier.sibling
    earlier.sibling = index
