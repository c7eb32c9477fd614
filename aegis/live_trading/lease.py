"""That one process at a time trades an account.

Belongs here: the lease of an account on this machine. A second process that sends orders of one account would know
nothing of what the first has reserved.

Notes
-----
The lease is a lock of the operating system on a file, so it ends with the process that holds it, however that ends, and
a lease that nobody holds needs no cleaning up. The file says who holds it, for people.

A lock on a file that was deleted, or replaced, keeps nobody out: the next process locks the new one. Nothing shows that
from outside, so whoever holds a lease asks it again and again, :meth:`Lease.stop_if_lost`.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from aegis.errors import ExecutionError
from aegis.live_trading.kill_switch import KillSwitch, KillSwitchStatus

_ATTEMPTS = 5


class Lease:
    """The right to trade an account; a context manager that holds it.

    Parameters
    ----------
    path : Path
        Its file, in the account's workspace on a disk of this machine.
    account : str
        Named in messages.
    since_utc : datetime
        When it is taken, written into the file.

    Raises
    ------
    ExecutionError
        On entering: another process trades the account, or the file cannot be written.
    """

    def __init__(self, path: Path, *, account: str, since_utc: datetime) -> None:
        self._path = path
        self._account = account
        self._since_utc = since_utc
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Take the lease."""
        for _ in range(_ATTEMPTS):
            file = self._locked()
            if _lies_at(file, self._path):
                break
            file.close()  # deleted between opening and locking: another process may have the new one
        else:
            raise ExecutionError(
                f"account {self._account}: the lease {self._path} is deleted again and again, or its folder cannot be "
                "looked at; nothing was sent. See what deletes it"
            )
        file.seek(0)
        file.truncate()
        file.write(json.dumps(self._record(), sort_keys=True) + "\n")
        file.flush()
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back; giving it back again does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def lost(self) -> str:
        """Why the lease keeps no other process out any more; empty while it does, and after it was given back."""
        if self._file is None or _lies_at(self._file, self._path):
            return ""
        return (
            f"the lease {self._path} was deleted or replaced, so another process may trade account {self._account} "
            "too; end this process, see that no other trades it, start one again and release the switch"
        )

    def stop_if_lost(self, switch: KillSwitch, now_utc: datetime) -> KillSwitchStatus:
        """Engage the account's switch once another process may trade it too, and return where the switch stands.

        Raises
        ------
        ExecutionError
            It could not be engaged, or its history not be written.
        """
        stands, lost = switch.status(), self.lost
        if not lost or stands.is_engaged:
            return stands
        switch.engage(lost, actor="its trading process", at_utc=now_utc)
        return switch.status()

    def _locked(self) -> IO[str]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            raise ExecutionError(
                f"account {self._account}: the lease {self._path} cannot be opened ({error}); nothing was sent. Make "
                "its folder writable"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise ExecutionError(
                f"account {self._account} is traded by {holder(self._path) or 'another process'} already; nothing was "
                "sent. Stop that process, or trade another account"
            ) from error
        return file

    def _record(self) -> dict[str, Any]:
        return {
            "account": self._account,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "since_utc": self._since_utc.isoformat(),
        }


def _lies_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one that a path leads to; not where that cannot be found out."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def holder(path: Path) -> str | None:
    """Return who holds the lease at `path`, for people; None where nobody does."""
    try:
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                with suppress(ValueError, LookupError, TypeError):
                    said = json.loads(file.read())
                    return f"process {said['process']} on {said['host']} since {said['since_utc']}"
                return "another process"
    except OSError:
        return None
    return None
