"""The kill switch of one account: a file that stops every order, and the history of who used it.

Belongs here: the switch. That nothing leaves while it is engaged is the pre-trade gate's rule, which is given the
answer of :meth:`KillSwitch.is_engaged`.

Notes
-----
Fails closed. A file that cannot be read or understood means engaged. A missing file means what the history says last,
and off only where there is no history either: a new account.

Engaging writes the state first and the history after it; releasing writes the history first, once the state's file is
seen to be replaceable. A crash in between leaves the switch engaged both times.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aegis.durable_files import append_json_line, replace_json
from aegis.errors import ExecutionError


@dataclass(frozen=True, slots=True)
class KillSwitchStatus:
    """Where the switch stands.

    Parameters
    ----------
    is_engaged : bool
        Whether nothing may leave.
    reason, actor : str
        Why, and who set it; empty for a switch that nobody has used.
    at_utc : datetime or None
        When it was set; None where nobody has used it or the file cannot be read.
    flatten : str
        Name of the request to close every position, which stands until the switch is released; empty for none.
    """

    is_engaged: bool
    reason: str
    actor: str
    at_utc: datetime | None
    flatten: str = ""

    @property
    def told(self) -> str:
        """Say since when, by whom and why nothing may leave; empty while orders may."""
        if not self.is_engaged:
            return ""
        if self.at_utc is None:
            return f"cannot be read, which counts as engaged: {self.reason}"
        return f"engaged since {self.at_utc:%Y-%m-%d %H:%M} UTC by {self.actor}: {self.reason}"


_UNREADABLE = (OSError, ValueError, LookupError, TypeError, RecursionError, MemoryError)
"""What reading a file of any content raises; JSON that is nested too deeply, or too large, is no word either."""

_NEVER_USED = KillSwitchStatus(is_engaged=False, reason="", actor="", at_utc=None)


class KillSwitch:
    """The switch of one account.

    Parameters
    ----------
    path : Path
        Its state, a JSON file in the account's workspace. The history is beside it, ``<stem>.history.jsonl``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.history_path = path.with_name(f"{path.stem}.history.jsonl")

    def is_engaged(self) -> bool:
        """Whether nothing may leave; True as well when that cannot be found out."""
        return self.status().is_engaged

    def status(self) -> KillSwitchStatus:
        """Return where the switch stands; an unreadable file reads as engaged, with the cause as its reason."""
        try:
            if _is_there(self.path):
                return _understood(json.loads(_text(self.path)))
            if not _is_there(self.history_path):
                return _NEVER_USED
            lines = _text(self.history_path).splitlines()
            return _understood(json.loads(lines[-1]))
        except _UNREADABLE as error:
            return KillSwitchStatus(
                is_engaged=True,
                reason=f"{self.path} or its history cannot be read ({_said(error)}); inspect them, then release the "
                "switch",
                actor="",
                at_utc=None,
            )

    def history(self) -> tuple[KillSwitchStatus, ...]:
        """Return every use of the switch, oldest first.

        Raises
        ------
        ExecutionError
            The history cannot be read.
        """
        try:
            if not _is_there(self.history_path):
                return ()
            lines = _text(self.history_path).splitlines()
            return tuple(_understood(json.loads(line)) for line in lines)
        except _UNREADABLE as error:
            raise ExecutionError(
                f"{self.history_path} cannot be read ({_said(error)}); restore it from a backup"
            ) from error

    def engage(self, reason: str, *, actor: str, at_utc: datetime, flatten: bool = False) -> None:
        """Stop every order of the account. Never refused: an empty reason is recorded as such.

        Parameters
        ----------
        reason, actor : str
            Why, and who.
        at_utc : datetime
            When; aware UTC.
        flatten : bool
            Whether every position is to be closed too. A request that stands stays, whatever is asked now: asking
            again closes nothing twice.

        Raises
        ------
        ExecutionError
            The state or the history could not be written. The message says which; stop the trader by hand if it is the
            state.
        """
        standing = self.status().flatten
        request = standing or (f"{at_utc.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}" if flatten else "")
        record = _record(
            is_engaged=True,
            reason=reason.strip() or "no reason given",
            actor=actor.strip() or "unknown",
            at_utc=at_utc,
            flatten=request,
        )
        try:
            replace_json(self.path, record)
        except OSError as error:
            raise ExecutionError(
                f"the kill switch {self.path} could NOT be engaged ({error}); stop the trader process by hand"
            ) from error
        self._remember(record, "the switch is engaged")

    def release(self, reason: str, *, actor: str, at_utc: datetime) -> None:
        """Let orders leave again.

        Raises
        ------
        ExecutionError
            The switch is not engaged, reason or actor is empty, or a file could not be written; the switch stays as it
            was, and so does what its history says last.
        """
        if not reason.strip() or not actor.strip():
            raise ExecutionError(f"{self.path}: a release needs a reason and an actor; found {reason!r}, {actor!r}")
        if not self.is_engaged():
            raise ExecutionError(f"{self.path}: the kill switch is not engaged; there is nothing to release")
        record = _record(is_engaged=False, reason=reason.strip(), actor=actor.strip(), at_utc=at_utc)
        standing = self._hold()
        self._remember(record, "the switch stays engaged")
        try:
            replace_json(self.path, record)
        except OSError as error:
            with suppress(OSError):  # the state stands, whatever becomes of this line
                append_json_line(self.history_path, standing)
            raise ExecutionError(f"{self.path} could not be written ({error}); the switch stays engaged") from error

    def _hold(self) -> dict[str, Any]:
        """Write the state that stands anew and return it: the history says released only where the state can follow."""
        status = self.status()
        standing = _record(
            is_engaged=True, reason=status.reason, actor=status.actor, at_utc=status.at_utc, flatten=status.flatten
        )
        try:
            replace_json(self.path, standing)
        except OSError as error:
            raise ExecutionError(f"{self.path} could not be written ({error}); the switch stays engaged") from error
        return standing

    def _remember(self, record: dict[str, Any], standing: str) -> None:
        try:
            append_json_line(self.history_path, record)
        except OSError as error:
            raise ExecutionError(f"{self.history_path} could not be written ({error}); {standing}") from error


class HeldSwitch:
    """The switch as it stood when a batch of decisions began, and whether it still stands there.

    Parameters
    ----------
    switch : KillSwitch
        The account's.

    Notes
    -----
    A batch is committed in one transaction, so it is decided under one position of the switch. Engaged in the middle of
    a range of sessions, it lets none of the batch's orders out, those of earlier sessions included: they exist in
    memory only. What was committed before the batch began stands.
    """

    def __init__(self, switch: KillSwitch) -> None:
        self._switch = switch
        self.status = switch.status()

    def require_unmoved(self) -> None:
        """Refuse to go on once the switch was engaged, or released.

        Raises
        ------
        ExecutionError
            It stands elsewhere now. Nothing of the batch may be committed.
        """
        now = self._switch.status()
        if now.is_engaged != self.status.is_engaged:
            moved = f"is {now.told}" if now.is_engaged else f"was released by {now.actor}: {now.reason}"
            raise ExecutionError(
                f"the kill switch {self._switch.path} {moved}; it moved while sessions were being decided, so none of "
                "their decisions was committed and nothing was written. Run again: "
                + ("every order will be refused until the switch is released" if now.is_engaged else "orders may leave")
            )


def _is_there(path: Path) -> bool:
    """Return whether there is a file, or a link, wherever it leads; what keeps one from finding out is raised."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _text(path: Path) -> str:
    """Return what a file says; what is no regular one is refused, because reading a pipe or a device may never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            return file.readall().decode("utf-8")
    finally:
        os.close(descriptor)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _record(*, is_engaged: bool, reason: str, actor: str, at_utc: datetime | None, flatten: str = "") -> dict[str, Any]:
    record = {
        "is_engaged": is_engaged,
        "reason": reason,
        "actor": actor,
        "at_utc": None if at_utc is None else at_utc.isoformat(),
    }
    return {**record, "flatten": flatten} if flatten else record


def _understood(record: Any) -> KillSwitchStatus:
    if not isinstance(record["is_engaged"], bool):
        raise TypeError(f"is_engaged must be true or false, found {record['is_engaged']!r}")
    at_utc = record["at_utc"]
    return KillSwitchStatus(
        is_engaged=record["is_engaged"],
        reason=str(record["reason"]),
        actor=str(record["actor"]),
        at_utc=None if at_utc is None else datetime.fromisoformat(at_utc),
        flatten=str(record.get("flatten", "")) if record["is_engaged"] else "",
    )
