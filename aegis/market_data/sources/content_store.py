"""Bytes kept by their SHA-256, and an index that says which request they answer.

Belongs here: durability, checksums, the bound on size, and several processes at once. What the bytes mean is
:mod:`aegis.market_data.sources.cached_answers`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from aegis.clock import Clock
from aegis.durable_files import replace_file

Request = Mapping[str, str]
"""What was asked, by name; equal requests are one entry."""

MOST_ENTRIES = 512
"""Entries beyond this many are dropped like those beyond the size: every write looks at all of them."""


@dataclass(frozen=True)
class Entry:
    """One answered request.

    Parameters
    ----------
    request : mapping of str to str
    content : str
        SHA-256 of the answer's bytes, hex.
    size_bytes : int
    fetched_at_utc : datetime
        When the vendor gave the answer; aware.
    """

    request: Request
    content: str
    size_bytes: int
    fetched_at_utc: datetime


class ContentStore:
    """A folder of answers.

    Parameters
    ----------
    folder : Path
        Made on the first write.
    max_bytes : int
        Least recently used entries are dropped until the answers take no more.
    clock : Clock
        Dates the use of entries.

    Notes
    -----
    ``objects/<sha256>`` holds bytes, ``entries/<sha256 of the request>.json`` names them. Both are replaced as whole
    files (:mod:`aegis.durable_files`), the bytes before the entry: whoever is killed at any instant leaves the old
    entry or the new one. Writers take turns by a lock file; readers need none, since nothing
    is changed in place. Bytes that are not what their name says are moved to ``damaged/`` with their entry.
    """

    def __init__(self, folder: Path, *, max_bytes: int, clock: Clock) -> None:
        self._folder = folder
        self._objects, self._entries = folder / "objects", folder / "entries"
        self._damaged = folder / "damaged"
        self._max_bytes = max_bytes
        self._clock = clock
        self._remarks: list[str] = []

    @property
    def remarks(self) -> tuple[str, ...]:
        """What this process found damaged or could not keep, one sentence each."""
        return tuple(self._remarks)

    def read(self, request: Request) -> tuple[Entry, bytes] | None:
        """Return the answer to `request`, or None where there is none that can be trusted.

        Notes
        -----
        Every byte is hashed before it is returned. Another process may replace the answer between the reading of its
        entry and of its bytes, so an answer that is gone is looked for once more. A disk that cannot be read costs the
        copy and not the answer: it becomes a remark.
        """
        try:
            return self._read(request)
        except OSError as error:
            self._remarks.append(f"the answer to {_words(request)} could not be read: {error}; set the folder right")
            return None

    def _read(self, request: Request) -> tuple[Entry, bytes] | None:
        file = self._entry_file(request)
        for _ in range(2):
            entry = self._read_entry(file)
            if entry is None:
                return None
            try:
                payload = (self._objects / entry.content).read_bytes()
            except FileNotFoundError:
                continue
            if hashlib.sha256(payload).hexdigest() != entry.content:
                self._set_aside(f"the answer to {_words(request)}", file, self._objects / entry.content)
                return None
            self._mark_used(file)
            return entry, payload
        return None

    def replace(self, request: Request, change: Callable[[tuple[Entry, bytes] | None], bytes]) -> None:
        """Keep what `change` makes of the present answer to `request`.

        Parameters
        ----------
        request : mapping of str to str
        change : callable
            Takes the present answer, or None, and returns the new one. Called while no other process writes, so two
            that add to one answer both keep what they add.

        Notes
        -----
        A disk that takes no more costs the copy and not the answer: it becomes a remark.
        """
        try:
            with self._writing():
                payload = change(self.read(request))
                content = hashlib.sha256(payload).hexdigest()
                replace_file(self._objects / content, payload)
                entry = Entry(request, content, len(payload), self._clock.now_utc())
                replace_file(self._entry_file(request), _encode(entry))
                self._mark_used(self._entry_file(request))
                self._evict()
        except OSError as error:
            self._remarks.append(
                f"the answer to {_words(request)} could not be kept: {error}; make room or set it right"
            )

    def forget(self, chosen: Callable[[Request], bool]) -> list[Entry]:
        """Drop the entries whose request `chosen` picks, and return them."""
        with self._writing():
            found = [(file, entry) for file, entry in self._all() if chosen(entry.request)]
            for file, _ in found:
                file.unlink(missing_ok=True)
            self._drop_unnamed_objects()
        return [entry for _, entry in found]

    def entries(self) -> list[Entry]:
        """Return all entries, ordered by request."""
        return sorted((entry for _, entry in self._all()), key=lambda entry: _canonical(entry.request))

    def verify(self) -> list[str]:
        """Read every answer, set aside those that are damaged, and return a sentence for each."""
        before = len(self._remarks)
        for entry in self.entries():
            self.read(entry.request)
        return self._remarks[before:]

    def _entry_file(self, request: Request) -> Path:
        return self._entries / f"{hashlib.sha256(_canonical(request)).hexdigest()}.json"

    def _read_entry(self, file: Path) -> Entry | None:
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            return None
        entry = _decode(text)
        if entry is None or self._entry_file(entry.request) != file:
            self._set_aside(f"the entry {file.name}", file)
            return None
        return entry

    def _all(self) -> Iterator[tuple[Path, Entry]]:
        for file in sorted(self._entries.glob("*.json")):
            entry = self._read_entry(file)
            if entry is not None:
                yield file, entry

    def _set_aside(self, what: str, *files: Path) -> None:
        self._damaged.mkdir(parents=True, exist_ok=True)
        for file in files:
            try:
                file.replace(self._damaged / file.name)
            except FileNotFoundError:
                continue  # another process was first
        self._remarks.append(
            f"{what} was damaged on disk: it is kept in {self._damaged.name} and asked of the vendor again; if it "
            "happens twice, look at the disk"
        )

    def _mark_used(self, file: Path) -> None:
        moment = self._clock.now_utc().timestamp()
        try:
            os.utime(file, (moment, moment))
        except FileNotFoundError:
            return  # dropped by another process since

    def _evict(self) -> None:
        kept = sorted(self._all(), key=lambda item: (item[0].stat().st_mtime, item[0].name), reverse=True)
        taken = 0
        for number, (file, entry) in enumerate(kept):
            taken += entry.size_bytes
            if taken > self._max_bytes or number >= MOST_ENTRIES:
                file.unlink(missing_ok=True)
        self._drop_unnamed_objects()

    def _drop_unnamed_objects(self) -> None:
        """Remove bytes that no entry names: replaced, dropped, or left by a writer that was killed."""
        named = {entry.content for _, entry in self._all()}
        for file in self._objects.iterdir():
            if file.name not in named:
                file.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let one writer in at a time; whatever temporary file lies about then was left by one that was killed."""
        for folder in (self._objects, self._entries):
            folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self._entries.glob(".*.tmp"):
                left.unlink(missing_ok=True)
            yield


def _canonical(request: Request) -> bytes:
    return json.dumps(dict(request), sort_keys=True, ensure_ascii=True).encode()


def _encode(entry: Entry) -> bytes:
    record = {
        "request": dict(entry.request),
        "content": entry.content,
        "size_bytes": entry.size_bytes,
        "fetched_at_utc": entry.fetched_at_utc.isoformat(),
    }
    text = json.dumps(record, sort_keys=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n".encode()


def _decode(payload: bytes) -> Entry | None:
    """Return the entry, or None when its first line is not the SHA-256 of its second."""
    lines = payload.split(b"\n")
    if len(lines) != 3 or hashlib.sha256(lines[1]).hexdigest().encode() != lines[0]:  # noqa: PLR2004 - two lines, each ended
        return None
    record = json.loads(lines[1])
    return Entry(
        record["request"], record["content"], record["size_bytes"], datetime.fromisoformat(record["fetched_at_utc"])
    )


def _words(request: Request) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(request.items()) if name != "identity")
