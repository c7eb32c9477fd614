"""How orders, fills and events are written as JSON, and read back to the bit.

Belongs here: one codec for the journal, the carried state and the broker's books. Floats are written as their shortest
exact decimal, dates and instants in ISO 8601, keys in order, so that equal values give equal text. A field with a
default is written only where it differs from it: a vocabulary that grows changes no text written before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from aegis.errors import ExecutionError
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
_ALWAYS_WRITTEN = frozenset({"filled_shares", "fills"})


def _named(kind: type[Order | Fill | OrderStatus], *, without: Collection[str] = ()) -> tuple[tuple[str, object], ...]:
    """Return the fields of a class and the value of each that is not written; nothing equals that of a required one."""
    return tuple(
        (field.name, MISSING if field.name in _ALWAYS_WRITTEN else field.default)
        for field in fields(kind)
        if field.name not in without
    )


_ORDER_FIELDS = _named(Order)
_FILL_FIELDS = _named(Fill)
_STATUS_FIELDS = _named(OrderStatus, without=("order", "state"))


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`: sorted keys, no blanks, exact floats.

    Raises
    ------
    ExecutionError
        The value holds NaN, an infinity or something that JSON does not know.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError) as error:
        raise ExecutionError(f"cannot be recorded as JSON ({error}): {value!r:.300}; record finite numbers") from error


@lru_cache(maxsize=64)
def instant_text(instant: datetime) -> str:
    """Return an instant as ``2014-06-09T20:00:00.000000Z``: fixed width, so that text order is time order.

    Remembered for a few instants, because all events of a close share one.

    Raises
    ------
    ExecutionError
        The instant has no time zone.
    """
    if instant.tzinfo is None:
        raise ExecutionError(f"instant {instant.isoformat()} has no time zone; pass an aware UTC datetime")
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat(timespec="microseconds")[:26] + "Z"


def instant_from_text(text: str) -> datetime:
    """Return the aware UTC instant that :func:`instant_text` wrote."""
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)


def order_record(order: Order) -> dict[str, Any]:
    """Return an order as a mapping that JSON can hold."""
    record = _told(order, _ORDER_FIELDS)
    record["session"] = order.session.isoformat()
    record["execution_session"] = order.execution_session.isoformat()
    if order.expires_at_utc is not None:
        record["expires_at_utc"] = instant_text(order.expires_at_utc)
    return record


def order_from_record(record: Mapping[str, Any]) -> Order:
    """Return the order that :func:`order_record` wrote."""
    values = dict(record)
    values["session"] = date.fromisoformat(values["session"])
    values["execution_session"] = date.fromisoformat(values["execution_session"])
    if "expires_at_utc" in values:
        values["expires_at_utc"] = instant_from_text(values["expires_at_utc"])
    return Order(**values)


def fill_record(fill: Fill) -> dict[str, Any]:
    """Return a fill as a mapping that JSON can hold."""
    record = _told(fill, _FILL_FIELDS)
    record["session"] = fill.session.isoformat()
    record["filled_at_utc"] = instant_text(fill.filled_at_utc)
    return record


def fill_from_record(record: Mapping[str, Any]) -> Fill:
    """Return the fill that :func:`fill_record` wrote."""
    values = dict(record)
    values["session"] = date.fromisoformat(values["session"])
    values["filled_at_utc"] = instant_from_text(values["filled_at_utc"])
    return Fill(**values)


def status_record(status: OrderStatus) -> dict[str, Any]:
    """Return where an order stands as a mapping that JSON can hold."""
    return {"order": order_record(status.order), "state": str(status.state), **_told(status, _STATUS_FIELDS)}


def status_from_record(record: Mapping[str, Any]) -> OrderStatus:
    """Return the status that :func:`status_record` wrote."""
    return OrderStatus(**{**record, "order": order_from_record(record["order"]), "state": OrderState(record["state"])})


def event_json(event: OrderEvent) -> str:
    """Return the canonical JSON of :func:`event_payload`; of many events the reason is all there is to say."""
    payload = event_payload(event)
    return reason_json(event.reason) if len(payload) == 1 else canonical_json(payload)


@lru_cache(maxsize=64)
def reason_json(reason: str) -> str:
    """Return the canonical JSON of a payload that has nothing but a reason."""
    return canonical_json({"reason": reason})


def event_payload(event: OrderEvent) -> dict[str, Any]:
    """Return what the journal's own columns do not say of an event: reason, fill, new terms and their number."""
    payload: dict[str, Any] = {"reason": event.reason}
    if event.fill is not None:
        payload["fill"] = fill_record(event.fill)
    if event.order is not None:
        payload["order"] = order_record(event.order)
    if event.revision != 0:
        payload["revision"] = event.revision
    if event.split_ratio is not None:
        payload["split_ratio"] = event.split_ratio
    return payload


def event_from_payload(
    payload: Mapping[str, Any], *, kind: str, client_order_id: str, session: date, at_utc: datetime
) -> OrderEvent:
    """Return the event whose payload :func:`event_payload` wrote."""
    return OrderEvent(
        kind=OrderEventKind(kind),
        client_order_id=client_order_id,
        session=session,
        at_utc=at_utc,
        reason=payload["reason"],
        fill=fill_from_record(payload["fill"]) if "fill" in payload else None,
        order=order_from_record(payload["order"]) if "order" in payload else None,
        revision=payload.get("revision", 0),
        split_ratio=payload.get("split_ratio"),
    )


def _told(value: object, named: tuple[tuple[str, object], ...]) -> dict[str, Any]:
    """Return the fields of a value that have no default, or another value than it."""
    return {name: found for name, default in named if (found := getattr(value, name)) != default}
