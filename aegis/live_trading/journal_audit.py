"""Whether an account's journal is the one that its lake was written beside, and whole.

Belongs here: comparing the two. A chain that lost its newest events is still a chain, and so is a new, empty journal in
the place of a lost one; only what was published elsewhere tells. Hashes are :mod:`aegis.execution.journal_chain`.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import date

from aegis.errors import JournalError
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalHead
from aegis.execution.order_projections import order_event
from aegis.execution.orders import OrderEventKind

_REMEDY = "restore it from a backup before anything is decided; deciding anew could send an order twice"

_FILLING = frozenset({OrderEventKind.FILLED, OrderEventKind.PARTIALLY_FILLED})

FillKey = tuple[str, int]
"""Client order id and fill number."""


def head_text(account: str, head: JournalHead) -> str:
    """Return a head as the lake's commit messages hold it; ``aegis.lake.provenance`` reads it."""
    return f"{account}:{head.sequence}:{head.hash}"


def require_recorded_past(journal: Journal, *, published: JournalHead | None, last_booked: date | None) -> None:
    """Refuse to decide on a journal that does not hold the past of the book.

    Parameters
    ----------
    journal : Journal
        The account's.
    published : JournalHead or None
        Where it ended when the book was last written, as the lake says; None in a lake that never said so.
    last_booked : date or None
        Newest session that the lake has booked for the account; None before the first.

    Raises
    ------
    JournalError
        The journal is empty, ends before what was published or before the book, or does not follow from it.
    """
    if last_booked is None and published is None:
        return
    newest = journal.newest_session()
    if newest is None or (last_booked is not None and newest < last_booked):
        raise JournalError(
            f"journal of {journal.account}: the lake has booked sessions up to {last_booked}, and the journal "
            f"{'is empty' if newest is None else f'ends with session {newest}'}; {_REMEDY}"
        )
    if published is not None:
        journal.verify_since(published)
    else:
        journal.verify()


def lost_events(journal: Journal, *, orders: Set[str], fills: Set[FillKey]) -> str:
    """Return what the lake holds and the journal does not, in words; empty where nothing is missing.

    Parameters
    ----------
    journal : Journal
        The account's.
    orders : set of str
        Client order ids in ``execution/orders``.
    fills : set of (str, int)
        Order and number of each fill in ``execution/fills``.
    """
    events = journal.events()
    named = {event.client_order_id for event in events}
    happened = (order_event(event) for event in events if event.kind in _FILLING)
    filled = {(each.client_order_id, each.fill.fill_number) for each in happened if each.fill is not None}
    lost_orders, lost_fills = sorted(orders - named), sorted(fills - filled)
    if not lost_orders and not lost_fills:
        return ""
    first = lost_orders[0] if lost_orders else f"fill {lost_fills[0][1]} of order {lost_fills[0][0]}"
    return (
        f"journal of {journal.account}: the {len(events):,} events follow from each other, but {len(lost_orders):,} of "
        f"{len(orders):,} orders and {len(lost_fills):,} of {len(fills):,} fills of the lake are not among them, first "
        f"{first}; the end of the journal, or all of it, was lost: restore it from a backup"
    )
