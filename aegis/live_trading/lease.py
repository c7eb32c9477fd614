"""That one process at a time trades an account.

Belongs here: the lease of an account on this machine. A second process that sends orders of one account would know
nothing of what the first has reserved.

Notes
-----
The lease is a lock of the operating system on a file, so it ends with the process that holds it, however that ends, and
a lease that nobody holds needs no cleaning up. The file says who holds it, for people.
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

    def _record(self) -> dict[str, Any]:
        return {
            "account": self._account,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "since_utc": self._since_utc.isoformat(),
        }


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
