"""The event stream: numbered over restarts, bounded on the disk, followed by waiting readers."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

from aegis.monitoring.event_stream import EventStream

NOON = datetime(2014, 6, 6, 16, tzinfo=UTC)


def _numbers(path: Path) -> list[int]:
    return [json.loads(line)["number"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_numbers_go_on_over_restarts_and_files_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(3):
        stream = EventStream(path, lines=10)
        for _ in range(8):
            stream.append("test", NOON, {"what": "one"})
            stream.flush()
    assert _numbers(path) == [21, 22, 23, 24]
    assert _numbers(tmp_path / "events.older.jsonl") == list(range(11, 21))
    assert EventStream(path, lines=10).last_number == 24


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    stream = EventStream(path, lines=10)
    stream.append("test", NOON, {})
    stream.flush()
    path.write_bytes(path.read_bytes() + b'{"number": 2, "ki')
    again = EventStream(path, lines=10)
    again.append("test", NOON, {})
    again.flush()
    assert [event["number"] for event in EventStream(path, lines=10).since(0)] == [1, 2]


def test_a_reader_waits_for_the_next_event(tmp_path: Path) -> None:
    stream = EventStream(tmp_path / "events.jsonl", lines=10)
    stream.append("test", NOON, {"what": "before"})
    found: list[dict[str, object]] = []
    reader = threading.Thread(target=lambda: found.extend(stream.wait(1, 30.0)))
    reader.start()
    stream.append("test", NOON, {"what": "after"})
    reader.join()
    assert [event["what"] for event in found] == ["after"]
    assert stream.wait(stream.last_number, 0.0) == []
