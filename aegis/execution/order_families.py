"""What must hold between the orders of a book: entries and their exits, OCO siblings. Never a naked or doubled exit.

Belongs here: invariants, as sentences about what breaks them. They hold whenever everything that a venue did at one
instant has been told; between a fill and the event that reduces its sibling they may not.
"""

from __future__ import annotations

from collections.abc import Iterator

from aegis.execution.order_book import OrderBook
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderState, OrderStatus


def exit_shares(book: OrderBook, parent_id: str) -> float:
    """Return how many shares the exits of an entry have closed or may close, in today's shares, never negative.

    Parameters
    ----------
    book : OrderBook
        The account's orders.
    parent_id : str
        The entry. Its exits are its children on the other side.

    Notes
    -----
    Filled exits count with what they filled. Of the working exits of one OCO group only one can fill any share, so the
    group counts with the largest of them; exits without a group count each by itself. Held exits are not working.
    """
    entry = book.status(parent_id).order.quantity_shares
    exits = [child for child in book.children(parent_id) if child.order.quantity_shares * entry < 0]
    working: dict[str, float] = {}
    for child in exits:
        if child.is_working:
            group = child.order.oco_group or f"{child.order.client_order_id} alone"
            working[group] = max(working.get(group, 0.0), abs(child.remaining_shares))
    filled = sum(abs(book.filled_today_shares(child.order.client_order_id)) for child in exits)
    return filled + sum(working.values())


def family_violations(book: OrderBook) -> tuple[str, ...]:
    """Return what breaks the invariants of parents, children and siblings; empty where all is well.

    Notes
    -----
    The invariants: no order is filled beyond its quantity. What exits have closed and may still close is at most what
    their entry filled. A held child has not filled. A child never outlives a parent that ended without a fill, and is
    released, or ended, when its parent is filled. Where one order of an OCO group is filled, no other is open.
    """
    statuses = book.statuses()
    parents = {status.order.parent_id for status in statuses.values()}
    groups = {status.order.oco_group for status in statuses.values()}
    found: list[str] = []
    for name, status in statuses.items():
        found += _own_violations(name, status)
    for parent in sorted(name for name in parents if name in statuses):
        found += _parent_violations(book, parent)
    for group in sorted(name for name in groups if name is not None):
        found += _group_violations(group, book.oco_group(group))
    return tuple(found)


def _own_violations(name: str, status: OrderStatus) -> Iterator[str]:
    filled, quantity = status.filled_shares, status.order.quantity_shares
    if filled * quantity < 0 or abs(filled) > abs(quantity) + FILL_TOLERANCE_SHARES:
        yield f"order {name}: {filled} shares are filled of {quantity}"
    if status.state is OrderState.HELD and status.fills > 0:
        yield f"order {name}: it is held and has {status.fills} fills"


def _parent_violations(book: OrderBook, parent_id: str) -> Iterator[str]:
    parent = book.status(parent_id)
    entered, leaving = abs(book.filled_today_shares(parent_id)), exit_shares(book, parent_id)
    if leaving > entered + FILL_TOLERANCE_SHARES:
        yield f"order {parent_id}: its exits close up to {leaving} shares, but {entered} are filled"
    for child in book.children(parent_id):
        name = child.order.client_order_id
        if parent.is_final and parent.fills == 0 and not child.is_final:
            yield f"order {name}: open, though its parent {parent_id} ended as '{parent.state}' without a fill"
        if parent.state is OrderState.FILLED and child.state is OrderState.HELD:
            yield f"order {name}: held, though its parent {parent_id} is filled"


def _group_violations(group: str, members: tuple[OrderStatus, ...]) -> Iterator[str]:
    if any(member.state is OrderState.FILLED for member in members):
        for member in members:
            if not member.is_final:
                yield f"order {member.order.client_order_id}: open, though another order of OCO group {group} is filled"
