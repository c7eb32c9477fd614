"""How a parent's state and its algorithm are written as JSON, and read back to the bit.

Belongs here: the codec for restarts. Orders and their statuses are written as :mod:`aegis.execution.order_records`
does; floats as their shortest exact decimal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aegis.errors import ExecutionError
from aegis.execution.algorithms.intervals import Interval
from aegis.execution.algorithms.limit import Chase, WorkedLimit
from aegis.execution.algorithms.parent_state import (
    Child,
    NoteKind,
    Pace,
    ParentNote,
    ParentPhase,
    ParentState,
    VolumeMark,
)
from aegis.execution.algorithms.pov import ParticipationOfVolume
from aegis.execution.algorithms.schedule import Schedule, Slice
from aegis.execution.algorithms.scheduled import ScheduledAlgorithm
from aegis.execution.order_records import (
    instant_from_text,
    instant_text,
    order_from_record,
    order_record,
    status_from_record,
    status_record,
)

WorkingAlgorithm = ScheduledAlgorithm | ParticipationOfVolume | WorkedLimit
"""Every algorithm that can be written down."""


def state_record(state: ParentState) -> dict[str, Any]:
    """Return a state as a mapping that JSON can hold."""
    return {
        "order": order_record(state.order),
        "leg": state.leg,
        "lot_shares": state.lot_shares,
        "phase": str(state.phase),
        "ends_as": None if state.ends_as is None else str(state.ends_as),
        "children": [_child_record(child) for child in state.children],
        "notes": [[instant_text(note.at_utc), str(note.kind), note.text, note.interval_number] for note in state.notes],
        "pace": None if state.pace is None else [state.pace.interval_number, state.pace.due_lots, state.pace.cap_lots],
        "first_mark": _mark_record(state.first_mark),
        "last_mark": _mark_record(state.last_mark),
    }


def state_from_record(record: Mapping[str, Any]) -> ParentState:
    """Return the state that :func:`state_record` wrote."""
    return ParentState(
        order=order_from_record(record["order"]),
        leg=record["leg"],
        lot_shares=record["lot_shares"],
        phase=ParentPhase(record["phase"]),
        ends_as=None if record["ends_as"] is None else ParentPhase(record["ends_as"]),
        children=tuple(_child(child) for child in record["children"]),
        notes=tuple(
            ParentNote(instant_from_text(at), NoteKind(kind), text, interval)
            for at, kind, text, interval in record["notes"]
        ),
        pace=None if record["pace"] is None else Pace(*record["pace"]),
        first_mark=_mark(record["first_mark"]),
        last_mark=_mark(record["last_mark"]),
    )


def algorithm_record(algorithm: WorkingAlgorithm) -> dict[str, Any]:
    """Return an algorithm with all its settings as a mapping that JSON can hold."""
    match algorithm:
        case ScheduledAlgorithm():
            return {
                "kind": "scheduled",
                "slices": [
                    [instant_text(part.start_utc), instant_text(part.end_utc), part.quantity_lots]
                    for part in algorithm.schedule.slices
                ],
                "opens_utc": instant_text(algorithm.opens_utc),
                "participation_rate": algorithm.participation_rate,
                "expected_volume_shares": algorithm.expected_volume_shares and list(algorithm.expected_volume_shares),
                "max_data_age": _seconds(algorithm.max_data_age),
            }
        case ParticipationOfVolume():
            return {
                "kind": "pov",
                "intervals": [
                    [instant_text(part.start_utc), instant_text(part.end_utc)] for part in algorithm.intervals
                ],
                "opens_utc": instant_text(algorithm.opens_utc),
                "participation_rate": algorithm.participation_rate,
                "catch_up_rate": algorithm.catch_up_rate,
                "max_data_age": _seconds(algorithm.max_data_age),
            }
        case WorkedLimit():
            chase = algorithm.chase
            return {
                "kind": "limit",
                "begins_utc": instant_text(algorithm.begins_utc),
                "expires_utc": instant_text(algorithm.expires_utc),
                "worst_price_usd": algorithm.worst_price_usd,
                "reference": algorithm.reference,
                "improvement_usd": algorithm.improvement_usd,
                "tick_usd": algorithm.tick_usd,
                "chase": None if chase is None else [_seconds(chase.every), chase.step_usd, chase.most_steps],
                "min_rest": _seconds(algorithm.min_rest),
                "max_quote_age": _seconds(algorithm.max_quote_age),
            }


def algorithm_from_record(record: Mapping[str, Any]) -> WorkingAlgorithm:
    """Return the algorithm that :func:`algorithm_record` wrote.

    Raises
    ------
    ExecutionError
        It is of a kind that this version does not know.
    """
    values = dict(record)
    kind = values.pop("kind")
    for name in ("opens_utc", "begins_utc", "expires_utc"):
        if name in values:
            values[name] = instant_from_text(values[name])
    for name in ("max_data_age", "min_rest", "max_quote_age"):
        if name in values:
            values[name] = _duration(values[name])
    match kind:
        case "scheduled":
            slices = tuple(Slice(*_instants(start, end), lots) for start, end, lots in values.pop("slices"))
            expected = values.pop("expected_volume_shares")
            return ScheduledAlgorithm(
                schedule=Schedule(slices),
                expected_volume_shares=None if expected is None else tuple(expected),
                **values,
            )
        case "pov":
            intervals = tuple(Interval(*_instants(start, end)) for start, end in values.pop("intervals"))
            return ParticipationOfVolume(intervals=intervals, **values)
        case "limit":
            chase = values.pop("chase")
            chased = None if chase is None else Chase(timedelta(seconds=chase[0]), chase[1], chase[2])
            return WorkedLimit(chase=chased, **values)
    raise ExecutionError(f"algorithm of kind {kind!r} is not known; it was recorded by another version, use that one")


def _child_record(child: Child) -> dict[str, Any]:
    asked = child.cancel_asked_at_utc
    return {
        "number": child.number,
        "interval_number": child.interval_number,
        "sent_at_utc": instant_text(child.sent_at_utc),
        "priced_at_utc": instant_text(child.priced_at_utc),
        "status": status_record(child.status),
        "revision": child.revision,
        "cancel_asked_at_utc": None if asked is None else instant_text(asked),
    }


def _child(record: Mapping[str, Any]) -> Child:
    asked = record["cancel_asked_at_utc"]
    return Child(
        number=record["number"],
        interval_number=record["interval_number"],
        sent_at_utc=instant_from_text(record["sent_at_utc"]),
        priced_at_utc=instant_from_text(record["priced_at_utc"]),
        status=status_from_record(record["status"]),
        revision=record["revision"],
        cancel_asked_at_utc=None if asked is None else instant_from_text(asked),
    )


def _mark_record(mark: VolumeMark | None) -> list[Any] | None:
    return None if mark is None else [instant_text(mark.at_utc), mark.volume_shares]


def _mark(record: list[Any] | None) -> VolumeMark | None:
    return None if record is None else VolumeMark(instant_from_text(record[0]), record[1])


def _instants(start: str, end: str) -> tuple[datetime, datetime]:
    return instant_from_text(start), instant_from_text(end)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
