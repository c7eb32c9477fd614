"""Orders whose session is over and that nobody traded: the process that trades says how they ended.

Belongs here: finding and ending them. They are ended by the holder of the account's lease and by nobody else: whoever
makes the book cannot know that an order which was not sent yet is not just being sent.

Notes
-----
What was not traded in its session is not made up for, so without this an order would stay approved for ever, and the
book of its session could not be made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, datetime

from aegis.execution.algorithms.child_orders import told
from aegis.execution.algorithms.parent_records import state_from_record
from aegis.execution.decisions import DecisionEventKind
from aegis.execution.journal import Journal
from aegis.execution.order_projections import committed_decisions
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import OrderState
from aegis.execution.orders import Order
from aegis.live_trading.exit_door import ExitDoor
from aegis.live_trading.worked_parents import worked_event

_LOOKED_AT_SESSIONS = 10
"""Newest sessions with decisions that are looked at. The book of a session waits for the ends of its orders, and the
next decision for the book, so only the newest decision of a book can have such orders."""


def end_untraded(
    door: ExitDoor, journal: Journal, *, before: date, at_work: Collection[str], session: date, at_utc: datetime
) -> tuple[str, ...]:
    """End the orders of committed decisions whose session is over, and return their ids, sorted.

    Parameters
    ----------
    door : ExitDoor
        Of the account; its process holds the lease.
    journal : Journal
        Of the account; other processes commit decisions to it.
    before : date
        The session that is open, or comes next; orders of earlier ones are ended.
    at_work : collection of str
        Parents that are being worked here: their algorithm ends them.
    session : date
        The session that had begun last.
    at_utc : datetime
        Now.

    Notes
    -----
    An order that was never sent ends as 'cancelled'. A parent whose children have all ended, and which no process works
    any more, ends as 'worked'. One with a child that may still fill waits for the venue's answer.
    """
    ended = []
    for order in _overdue(door, journal, before):
        name = order.client_order_id
        if name in at_work:
            continue
        with door.held() as ledger:
            kept = ledger.asides(name, DecisionEventKind.PARENT_KEPT)
            if not kept:
                why = f"nobody released it, and session {order.execution_session} is over"
                door.give_up(name, reason_text(OrderReason.NEVER_SENT, why))
            else:
                state = state_from_record(kept[-1]["state"])
                names = (child.status.order.client_order_id for child in state.children)
                # A child that the journal does not know was wanted and never sent, and its session is over.
                found = {child: status for child in names if (status := door.status(child)) is not None}
                if not all(status.is_final for status in found.values()):
                    continue
                ledger.record([worked_event(told(state, found, now_utc=at_utc), session, at_utc)])
        ended.append(name)
    return tuple(sorted(ended))


def _overdue(door: ExitDoor, journal: Journal, before: date) -> Iterator[Order]:
    """Yield the orders of the newest decisions that stand approved after their session."""
    decided = journal.counts([DecisionEventKind.DECISION_COMMITTED])
    sessions = sorted(decided)[-_LOOKED_AT_SESSIONS:]
    if not sessions:
        return
    for decision in committed_decisions(journal, first=sessions[0], last=sessions[-1]).values():
        for order in decision.approved:
            if order.execution_session < before:
                status = door.status(order.client_order_id)
                if status is not None and status.state is OrderState.APPROVED:
                    yield order
