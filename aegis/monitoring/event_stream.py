"""What happened in the trading of an account, numbered, for whoever follows: a dashboard, an endpoint, a person.

Belongs here: keeping the newest events in memory and in two files of bounded length. What is worth an event is
:mod:`aegis.monitoring.monitor`. It is no record: the journal is, and what the stream forgets is in it.

Notes
-----
``events.jsonl`` has the newest lines; when it is full it becomes ``events.older.jsonl``, in the place of the one
before. Numbers go on over restarts. Each line is ``{"number": n, "at_utc": ..., "kind": ..., ...}``.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from aegis.durable_files import append_json_lines, flush_folder

_REMEMBERED = 1_000


class EventStream:
    """The events of one account; any thread may read, one writes.

    Parameters
    ----------
    path : Path
        The newest lines.
    lines : int
        How many the file may hold.

    Raises
    ------
    OSError
        A file that exists cannot be read.
    """

    def __init__(self, path: Path, *, lines: int) -> None:
        self._path = path
        self._older = path.with_name(f"{path.stem}.older{path.suffix}")
        self._limit = lines
        self._changed = threading.Condition()
        known = _read(self._older) + _read(path)
        self._events: deque[dict[str, Any]] = deque(known, maxlen=_REMEMBERED)
        self._number = known[-1]["number"] if known else 0
        self._written = self._number
        self._lines = len(_read(path))

    @property
    def last_number(self) -> int:
        """Number of the newest event; 0 before the first."""
        return self._number

    def newest(self, kind: str) -> dict[str, Any] | None:
        """Return the newest remembered event of a kind; None where there is none."""
        with self._changed:
            return next((event for event in reversed(self._events) if event["kind"] == kind), None)

    def append(self, kind: str, at_utc: datetime, record: Mapping[str, Any]) -> None:
        """Add an event; it is on the disk after :meth:`flush`."""
        with self._changed:
            self._number += 1
            event = {**record, "number": self._number, "at_utc": at_utc.isoformat(), "kind": kind}
            self._events.append(event)
            self._changed.notify_all()

    def flush(self) -> None:
        """Write what is new to the file.

        Raises
        ------
        OSError
            It cannot be written; the events are tried again with the next ones, as far as memory holds them.
        """
        new = self.since(self._written)
        if not new:
            return
        if self._lines + len(new) > self._limit and self._path.exists():
            self._path.replace(self._older)
            flush_folder(self._path.parent)
            self._lines = 0
        append_json_lines(self._path, new)
        self._lines += len(new)
        self._written = new[-1]["number"]

    def since(self, number: int) -> list[dict[str, Any]]:
        """Return the remembered events after a number, oldest first."""
        with self._changed:
            return [event for event in self._events if event["number"] > number]

    def wait(self, number: int, timeout_seconds: float) -> list[dict[str, Any]]:
        """Return the events after a number, waiting for one; an empty list after the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number, timeout_seconds)
        return self.since(number)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # torn by a crash
        if isinstance(event, dict) and isinstance(event.get("number"), int):
            found.append(event)
    return found
