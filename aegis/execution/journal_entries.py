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
from functools import lru_cache
from typing import Any

from aegis.execution.decisions import CommittedDecision, Decision, DecisionEventKind
from aegis.execution.journal import NewEvent
from aegis.execution.order_records import canonical_json, event_json, order_record, reason_json
from aegis.execution.orders import Order, OrderEvent, OrderEventKind


def commitment_entries(decision: Decision, committed: CommittedDecision, at_utc: datetime) -> Iterator[NewEvent]:
    """Yield the rows of a committed decision: itself, and for each order the intent and the gate's verdict."""
    key = commitment_key(decision.decision_id)
    made_by = decision.input_snapshot_id, decision.code_version, decision.config_hash
    said = canonical_json(_decision_payload(decision.gate_rows, *made_by)) if decision.gate_rows else _ungated(*made_by)
    yield _decision_entry(decision, DecisionEventKind.DECISION_COMMITTED, at_utc, said=said, key=key)
    for order in committed.orders:
        refusal = committed.refusals.get(order.client_order_id)
        yield _intent_entry(order, DecisionEventKind.INTENT_RECORDED, session=decision.session, at_utc=at_utc)
        yield _verdict_entry(order, refusal, session=decision.session, at_utc=at_utc)


def commitment_key(decision_id: str) -> str:
    """Return the key of a committed decision: it is committed once."""
    return f"{DecisionEventKind.DECISION_COMMITTED}:{decision_id}"


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
        Where it stands, or what was said, as canonical JSON.
    session : date
        The session that had begun last.
    at_utc : datetime
        When.
    number : int
        Which of its order's rows of this kind, from 1.
    """
    return _order_row(order, kind, said, session=session, at_utc=at_utc, number=number)


def refusal_entry(decision: Decision, at_utc: datetime) -> NewEvent:
    """Return the row of a decision that the gate refused as a whole.

    Notes
    -----
    The same orders refused with the same verdicts are the same refusal, whichever snapshot they were read from.
    """
    records = [order_record(order) for order in _sorted(decision.orders)]
    made_by = decision.input_snapshot_id, decision.code_version, decision.config_hash
    payload = {**_decision_payload(decision.gate_rows, *made_by), "orders": records}
    content = hashlib.sha256(canonical_json([records, payload["gate_rows"]]).encode()).hexdigest()
    key = f"{DecisionEventKind.DECISION_REFUSED}:{decision.decision_id}:{content}"
    return _decision_entry(decision, DecisionEventKind.DECISION_REFUSED, at_utc, said=canonical_json(payload), key=key)


def order_entry(event: OrderEvent, *, decision_id: str) -> NewEvent:
    """Return the row of something that happened to an order."""
    return NewEvent(
        kind=event.kind,
        session=event.session,
        at_utc=event.at_utc,
        payload_json=event_json(event),
        decision_id=decision_id,
        client_order_id=event.client_order_id,
        idempotency_key=order_event_key(event),
    )


def order_event_key(event: OrderEvent) -> str:
    """Return the key of an event: an order is accepted once, and filled or changed once for each number."""
    return f"{event.client_order_id}:{event.kind}:{event.number}"


def _intent_entry(order: Order, kind: DecisionEventKind, *, session: date, at_utc: datetime) -> NewEvent:
    said = canonical_json({"order": order_record(order)})
    return _order_row(order, kind, said, session=session, at_utc=at_utc)


def _verdict_entry(order: Order, refusal: str | None, *, session: date, at_utc: datetime) -> NewEvent:
    kind = OrderEventKind.APPROVED if refusal is None else OrderEventKind.REFUSED
    return _order_row(order, kind, reason_json(refusal or ""), session=session, at_utc=at_utc)


def _order_row(order: Order, kind: StrEnum, said: str, *, session: date, at_utc: datetime, number: int = 0) -> NewEvent:
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


def _decision_entry(decision: Decision, kind: DecisionEventKind, at_utc: datetime, *, said: str, key: str) -> NewEvent:
    return NewEvent(
        kind=kind,
        session=decision.session,
        at_utc=at_utc,
        payload_json=said,
        decision_id=decision.decision_id,
        idempotency_key=key,
    )


@lru_cache(maxsize=8, typed=True)
def _ungated(input_snapshot_id: int, code_version: str, config_hash: str) -> str:
    """Return what a decision says that no gate judged: as at the exit door, where every order says the same."""
    return canonical_json(_decision_payload((), input_snapshot_id, code_version, config_hash))


def _decision_payload(
    gate_rows: Sequence[Mapping[str, Any]], input_snapshot_id: int, code_version: str, config_hash: str
) -> dict[str, Any]:
    return {
        "gate_rows": [{name: _json_value(value) for name, value in row.items()} for row in gate_rows],
        "input_snapshot_id": input_snapshot_id,
        "code_version": code_version,
        "config_hash": config_hash,
    }


def _json_value(value: Any) -> Any:
    """Return a value of a gate row as JSON holds it: a rule that could not measure says infinity, written as text."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _sorted(orders: Sequence[Order]) -> list[Order]:
    return sorted(orders, key=lambda order: order.client_order_id)
