"""What follows from the journal's events: committed decisions, where orders stand, fills.

Belongs here: reading rows back into values. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from aegis.execution.decisions import ASIDES, INTENTS, CommittedDecision, DecisionEventKind
from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalRow
from aegis.execution.order_records import event_from_payload, order_from_record
from aegis.execution.order_states import FINAL_EVENTS, OrderState, OrderStatus, apply_event
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind

DECISION_KINDS = (
    DecisionEventKind.DECISION_COMMITTED,
    DecisionEventKind.INTENT_RECORDED,
    OrderEventKind.REFUSED,
)
"""The rows that make up a committed decision."""


def committed_decisions(journal: Journal, *, first: date, last: date, after: int = 0) -> dict[str, CommittedDecision]:
    """Return the decisions committed for the sessions in ``[first, last]`` by decision id, in one query.

    Parameters
    ----------
    journal : Journal
        Of the account.
    first, last : date
        Sessions, inclusive.
    after : int
        Only decisions that follow this place in the chain, where one batch of it ends.
    """
    rows = journal.events(first=first, last=last, kinds=DECISION_KINDS, after=after)
    return {name: decision_from(group) for name, group in rows_by_decision(rows).items()}


def recorded_fills(journal: Journal, *, first: date, last: date) -> list[Fill]:
    """Return the fills of the sessions in ``[first, last]`` in the order in which they were recorded."""
    kinds = (OrderEventKind.FILLED, OrderEventKind.PARTIALLY_FILLED)
    events = (order_event(row) for row in journal.events(first=first, last=last, kinds=kinds))
    return [event.fill for event in events if event.fill is not None]


def order_statuses(rows: Iterable[JournalRow]) -> dict[str, OrderStatus]:
    """Return where each order stands that has its intent among `rows`.

    Parameters
    ----------
    rows : iterable of JournalRow
        By ascending sequence.

    Raises
    ------
    IllegalTransition
        The recorded events cannot have followed each other.
    """
    statuses: dict[str, OrderStatus] = {}
    for row in rows:
        name = row.client_order_id
        if name is None:
            continue
        if row.kind in INTENTS:
            statuses[name] = OrderStatus(order_from_record(row.payload["order"]), OrderState.INTENT_RECORDED)
        elif name in statuses and row.kind not in ASIDES:
            statuses[name] = apply_event(statuses[name], order_event(row))
    return statuses


def sent_without_end(journal: Journal) -> frozenset[str]:
    """Return the orders that were sent to the venue and of which no end is recorded: it may still have them."""
    rows = journal.events(kinds=(OrderEventKind.SUBMITTED, *sorted(FINAL_EVENTS)))
    sent = {str(row.client_order_id) for row in rows if row.kind == OrderEventKind.SUBMITTED}
    return frozenset(sent - {str(row.client_order_id) for row in rows if row.kind in FINAL_EVENTS})


def order_event(row: JournalRow) -> OrderEvent:
    """Return the order event that a row records."""
    return event_from_payload(
        row.payload,
        kind=row.kind,
        client_order_id=str(row.client_order_id),
        session=row.session_date,
        at_utc=row.instant_utc,
    )


def decision_snapshots(journal: Journal) -> frozenset[int]:
    """Return the lake snapshots that decisions of the journal were made from, refused ones too."""
    kinds = (DecisionEventKind.DECISION_COMMITTED, DecisionEventKind.DECISION_REFUSED)
    return frozenset(int(row.payload["input_snapshot_id"]) for row in journal.events(kinds=kinds))


def rows_by_decision(rows: Iterable[JournalRow]) -> dict[str, list[JournalRow]]:
    """Group the rows that make up committed decisions; other rows are left out.

    Notes
    -----
    A child that is refused is a row of the session in which it was made; the decision that it works is not among the
    rows of that session.
    """
    groups: dict[str, list[JournalRow]] = {}
    committed: set[str] = set()
    for row in rows:
        if row.kind in DECISION_KINDS:
            groups.setdefault(str(row.decision_id), []).append(row)
        if row.kind == DecisionEventKind.DECISION_COMMITTED:
            committed.add(str(row.decision_id))
    return {name: group for name, group in groups.items() if name in committed}


def decision_from(rows: Iterable[JournalRow]) -> CommittedDecision:
    """Return the committed decision that one group of :func:`rows_by_decision` records."""
    orders: list[Order] = []
    refusals: dict[str, str] = {}
    made_of: dict[str, Any] = {}
    for row in rows:
        if row.kind == DecisionEventKind.DECISION_COMMITTED:
            made_of = row.payload
        elif row.kind == DecisionEventKind.INTENT_RECORDED:
            orders.append(order_from_record(row.payload["order"]))
        elif row.kind == OrderEventKind.REFUSED:
            refusals[str(row.client_order_id)] = row.payload["reason"]
    return CommittedDecision(
        orders=tuple(orders),
        # Children of its orders are refused as well; they are no part of what was decided.
        refusals={
            order.client_order_id: refusals[order.client_order_id]
            for order in orders
            if order.client_order_id in refusals
        },
        gate_rows=tuple(made_of["gate_rows"]),
        input_snapshot_id=made_of["input_snapshot_id"],
        code_version=made_of["code_version"],
        config_hash=made_of["config_hash"],
    )
