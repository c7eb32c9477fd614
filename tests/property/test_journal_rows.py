"""Rows of the journal are hashed as the JSON that the format says, whatever is in them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.execution.journal import Batch, NewEvent
from aegis.execution.journal_chain import GENESIS_HASH, JournalHead, event_hash
from aegis.execution.order_records import instant_text

_TEXTS = st.text() | st.sampled_from(["", '"\\\b\f\n\r\t/', "\x00\x1f\x7f", "ß漢😀", "\ud800", "\u2028"])
_EVENTS = st.builds(
    NewEvent,
    kind=_TEXTS,
    session=st.dates(),
    at_utc=st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the strategy's own form
    payload_json=_TEXTS,
    decision_id=st.none() | _TEXTS,
    client_order_id=st.none() | _TEXTS,
    idempotency_key=st.none() | _TEXTS,
)


def plain_hash(previous: str, contents: tuple[object, ...]) -> str:
    """Return the hash as the format describes it: a JSON array without blanks, in ASCII, after the hash before."""
    return hashlib.sha256((previous + json.dumps(contents, separators=(",", ":"))).encode()).hexdigest()


@settings(max_examples=40)
@given(
    account=_TEXTS,
    events=st.lists(_EVENTS, min_size=1, max_size=4),
    sequence=st.integers(min_value=0, max_value=2**63 - 10),
)
def test_a_batch_is_chained_as_plain_json_says(account: str, events: list[NewEvent], sequence: int) -> None:
    batch = Batch()
    for event in events:
        batch.append(event)
    previous = GENESIS_HASH
    rows = batch.chained(account, JournalHead(sequence, GENESIS_HASH))
    for number, (event, row) in enumerate(zip(events, rows, strict=True), start=sequence + 1):
        expected = (
            account,
            number,
            event.kind,
            event.session.isoformat(),
            event.decision_id,
            event.client_order_id,
            event.at_utc.strftime("%Y").zfill(4) + event.at_utc.strftime("-%m-%dT%H:%M:%S.%fZ"),
            event.idempotency_key,
            event.payload_json,
        )
        assert row == (*expected, previous, plain_hash(previous, expected))
        previous = row.hash


@given(values=st.tuples(*[st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS] * 9))
def test_what_an_intruder_wrote_into_a_row_is_hashed_as_plain_json_too(values: tuple[object, ...]) -> None:
    assert event_hash("0" * 64, values) == plain_hash("0" * 64, values)


@settings(max_examples=40)
@given(
    at=st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001 - the strategy's own form
    minutes=st.integers(min_value=-1439, max_value=1439),
)
def test_an_instant_of_any_zone_is_written_in_utc(at: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    utc = at - timedelta(minutes=minutes)
    day = f"{utc.year:04}-{utc.month:02}-{utc.day:02}"
    assert instant_text(at.replace(tzinfo=zone)) == f"{day}T{utc.strftime('%H:%M:%S.%f')}Z"
