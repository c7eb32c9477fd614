"""What is written into the journal: decisions and order events as its rows.

Belongs here: payloads, and the idempotency key that makes each row be written once. Who may write them when is
:mod:`aegis.execution.order_management`; reading them back is :mod:`aegis.execution.order_projections`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from aegis.execution.decisions import CommittedDecision, Decision, DecisionEventKind
from aegis.execution.journal import NewEvent
from aegis.execution.order_records import canonical_json, event_payload, order_record
from aegis.execution.orders import Order, OrderEvent, OrderEventKind


def commitment_entries(decision: Decision, committed: CommittedDecision, at_utc: datetime) -> Iterator[NewEvent]:
    """Yield the rows of a committed decision: itself, and for each order the intent and the gate's verdict."""
    key = f"{DecisionEventKind.DECISION_COMMITTED}:{decision.decision_id}"
    payload = _decision_payload(decision)
    yield _decision_entry(decision, DecisionEventKind.DECISION_COMMITTED, at_utc, payload=payload, key=key)
    for order in committed.orders:
        refusal = committed.refusals.get(order.client_order_id)
        yield _intent_entry(order, DecisionEventKind.INTENT_RECORDED, session=decision.session, at_utc=at_utc)
        yield _verdict_entry(order, refusal, session=decision.session, at_utc=at_utc)


def child_entries(order: Order, refusal: str | None, *, session: date, at_utc: datetime) -> Iterator[NewEvent]:
    """Yield the rows of a child of a committed order: the child and the exit door's verdict.

    Parameters
    ----------
    order : Order
        With the id of the decision that its parent belongs to.
    refusal : str, optional
        The rule that refused it.
    session : date
        The session that had begun last.
    at_utc : datetime
        When it was made.
    """
    yield _intent_entry(order, DecisionEventKind.CHILD_RECORDED, session=session, at_utc=at_utc)
    yield _verdict_entry(order, refusal, session=session, at_utc=at_utc)


def aside_entry(
    order: Order,
    kind: DecisionEventKind,
    said: str,
    *,
    session: date,
    at_utc: datetime,
    number: int,
) -> NewEvent:
    """Return a row about an order that is no event of it: where a parent stands, or what the exit door said.

    Parameters
    ----------
    order : Order
        The order.
    kind : DecisionEventKind
        One of :data:`aegis.execution.decisions.ASIDES`.
    said : str
        What, as canonical JSON.
    session : date
        The session that had begun last.
    at_utc : datetime
        When.
    number : int
        Which of its order's rows of this kind, from 1.
    """
    name = order.client_order_id
    return NewEvent(
        kind=kind,
        session=session,
        at_utc=at_utc,
        payload_json=said,
        decision_id=order.decision_id,
        client_order_id=name,
        idempotency_key=f"{name}:{kind}:{number}",
    )


def refusal_entry(decision: Decision, at_utc: datetime) -> NewEvent:
    """Return the row of a decision that the gate refused as a whole.

    Notes
    -----
    The same orders refused with the same verdicts are the same refusal, whichever snapshot they were read from.
    """
    records = [order_record(order) for order in _sorted(decision.orders)]
    payload = {**_decision_payload(decision), "orders": records}
    said = canonical_json([records, payload["gate_rows"]])
    key = f"{DecisionEventKind.DECISION_REFUSED}:{decision.decision_id}:{hashlib.sha256(said.encode()).hexdigest()}"
    return _decision_entry(decision, DecisionEventKind.DECISION_REFUSED, at_utc, payload=payload, key=key)


def order_entry(event: OrderEvent, *, decision_id: str) -> NewEvent:
    """Return the row of something that happened to an order."""
    return NewEvent(
        kind=event.kind,
        session=event.session,
        at_utc=event.at_utc,
        payload_json=canonical_json(event_payload(event)),
        decision_id=decision_id,
        client_order_id=event.client_order_id,
        idempotency_key=order_event_key(event),
    )


def order_event_key(event: OrderEvent) -> str:
    """Return the key of an event: an order is accepted once, and filled or changed once for each number."""
    return f"{event.client_order_id}:{event.kind}:{event.number}"


def _intent_entry(order: Order, kind: DecisionEventKind, *, session: date, at_utc: datetime) -> NewEvent:
    return _order_row(order, kind, {"order": order_record(order)}, session=session, at_utc=at_utc)


def _verdict_entry(order: Order, refusal: str | None, *, session: date, at_utc: datetime) -> NewEvent:
    kind = OrderEventKind.APPROVED if refusal is None else OrderEventKind.REFUSED
    return _order_row(order, kind, {"reason": refusal or ""}, session=session, at_utc=at_utc)


def _order_row(order: Order, kind: StrEnum, payload: Mapping[str, Any], *, session: date, at_utc: datetime) -> NewEvent:
    return NewEvent(
        kind=kind,
        session=session,
        at_utc=at_utc,
        payload_json=canonical_json(payload),
        decision_id=order.decision_id,
        client_order_id=order.client_order_id,
        idempotency_key=f"{order.client_order_id}:{kind}:0",
    )


def _decision_entry(
    decision: Decision, kind: DecisionEventKind, at_utc: datetime, *, payload: dict[str, Any], key: str
) -> NewEvent:
    return NewEvent(
        kind=kind,
        session=decision.session,
        at_utc=at_utc,
        payload_json=canonical_json(payload),
        decision_id=decision.decision_id,
        idempotency_key=key,
    )


def _decision_payload(decision: Decision) -> dict[str, Any]:
    return {
        "gate_rows": [{name: _json_value(value) for name, value in row.items()} for row in decision.gate_rows],
        "input_snapshot_id": decision.input_snapshot_id,
        "code_version": decision.code_version,
        "config_hash": decision.config_hash,
    }


def _json_value(value: Any) -> Any:
    """Return a value of a gate row as JSON holds it: a rule that could not measure says infinity, written as text."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _sorted(orders: Sequence[Order]) -> list[Order]:
    return sorted(orders, key=lambda order: order.client_order_id)
