"""The connections that a process keeps to a journal's file: of threads that share them, and of the file it opened.

Belongs here: which thread has a connection, what a fork does to them, and whether the file at the journal's path is
still theirs. What is asked on them is :mod:`aegis.execution.journal_sqlite`.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from aegis.errors import JournalError

FORK_WAIT_SECONDS = 5.0
"""How long a fork waits for the threads that use kept connections; longer than any commit that waits for no other
process. Then it goes on, because the thread that uses one may wait for the thread that forks."""


class JournalFile:
    """The file that a journal was opened on: the first that one of its connections opened, for the journal's life.

    Parameters
    ----------
    database : str
        Its path, or SQLite's ``file:`` URI of it.

    Notes
    -----
    SQLite goes on in a file that was deleted or that another took the place of, and says nothing: what is committed is
    gone with the process. As long as a connection is open, no other file gets the inode of its own.
    """

    _inherited: ClassVar[set[tuple[int, int]]] = set()
    """Files of which SQLite has locks in its memory that were the parent's. It would leave out those that it takes to
    be there, so that the parent could remove the log that the child commits to."""

    def __init__(self, database: str) -> None:
        name = unquote(urlsplit(database).path) if database.startswith("file:") else database
        self.path = Path(name).absolute()  # as the driver has it, wherever the process goes later
        self._opened: tuple[int, int] | None = None

    def change(self) -> str:
        """Return what happened to the file since it was opened; empty where nothing did."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - on the way of every order, and half of what Path.stat costs
        except FileNotFoundError:
            return "" if self._opened is None else "was deleted or moved"
        except OSError as error:
            return f"cannot be looked at ({error})"
        now = _identity(found)
        if self._opened in (None, now):
            return ""
        return f"was replaced by another file (device and inode {now}, opened were {self._opened})"

    def require_same(self) -> None:
        """Refuse another file than the one that was opened first, and one that was in use during a fork.

        Raises
        ------
        JournalError
            It was deleted, moved or replaced, or cannot be looked at; or this process was forked while it was used.
        """
        change = self.change()
        if change:
            raise self.refusal(change, "what was written into it since the backup was taken is lost")
        if self._inherited and self.path.exists() and _identity(self.path.stat()) in self._inherited:
            raise JournalError(
                f"journal file {self.path}: this process was forked while its parent used the journal, so that what it "
                "wrote could be lost; nothing was written. Start it as a new process (spawn), or fork while no thread "
                "uses the journal"
            )

    def leave_to_parent(self) -> None:
        """In a process that was just forked while the file was used, open it no more."""
        if self._opened is not None:
            self._inherited.add(self._opened)

    def note_opened(self) -> None:
        """Remember the file as the one that was opened, or refuse one that came in its place meanwhile.

        Raises
        ------
        JournalError
            See :meth:`require_same`; or there is no file though one was just opened.
        """
        self.require_same()
        if self._opened is None:
            try:
                found = self.path.stat()
            except OSError as error:
                raise self.refusal(f"cannot be looked at ({error})", "nothing was written") from error
            self._opened = _identity(found)

    def refusal(self, change: str, lost: str) -> JournalError:
        """Return the error that says what happened, what is lost, and what to do."""
        return JournalError(
            f"journal file {self.path} {change} while this process had it open; nothing more is written: {lost}. Stop "
            "the process, put the file back or restore the newest backup, and start again, so that the orders are "
            "reconciled with the broker's statement"
        )


class KeptConnection:
    """One connection of an engine, opened when it is first asked for and lent to one thread at a time.

    Parameters
    ----------
    engine : Engine
        Whose.
    file : JournalFile
        What the engine's connections open.

    Notes
    -----
    A fork takes it from all threads and closes it, and what is idle in the engine's pool: SQLite keeps what it locked
    in the memory of the process, so that a child would never get a lock that a thread had during the fork, and would
    take the file for locked by itself that is not. Both processes open a new one when they next need one; where a
    connection could not be taken, the child opens none.
    """

    def __init__(self, engine: sa.Engine, file: JournalFile) -> None:
        self._engine, self._file = engine, file
        self._is_left_open = False
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._connection: sqlite3.Connection | None = None
        _KEPT.add(self)

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection, once it is given back; one that is left within a transaction is closed."""
        with self._lock, self._opened() as connection:
            yield connection

    @contextmanager
    def lent_or(self, other: KeptConnection) -> Iterator[sqlite3.Connection]:
        """Lend the connection, or another one while somebody has it."""
        lock = self._lock
        if not lock.acquire(blocking=False):
            with other.lent() as connection:
                yield connection
            return
        try:
            with self._opened() as connection:
                yield connection
        finally:
            lock.release()

    def close(self) -> None:
        """Close the connection, once it is given back."""
        with self._lock:
            self._close()

    def take_for_fork(self, deadline: float) -> threading.Lock | None:
        """Close the connection and return its lock, held; None where a thread has it still at `deadline`.

        Parameters
        ----------
        deadline : float
            Of the monotonic clock, in seconds. A thread that has it itself does not wait.
        """
        pool = self._engine.pool
        is_read = isinstance(pool, sa.QueuePool) and pool.checkedout() > 0
        self._engine.dispose()
        is_taken = self._holder != threading.get_ident() and _acquired(self._lock, deadline)
        if is_taken:
            self._close()
        self._is_left_open = is_read or not is_taken
        return self._lock if is_taken else None

    def leave_to_parent(self) -> None:
        """In a process that was just forked, forget the connections and who holds them, and close none."""
        if self._is_left_open:
            self._file.leave_to_parent()
        _OF_PARENTS.extend((self._connection, self._engine.pool))
        self._engine.dispose(close=False)
        self._lock = threading.Lock()
        self._holder = self._connection = None
        self._is_left_open = False

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self._holder = threading.get_ident()
        try:
            connection = self._connection
            if connection is None:
                connection = self._connection = _detached(self._engine)
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    self._connection = None
                    connection.close()
        finally:
            self._holder = None


class _AllKept:
    """All kept connections of the process, and those that a fork took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._kept: weakref.WeakValueDictionary[int, KeptConnection] = weakref.WeakValueDictionary()
        self._taken = threading.local()

    def add(self, kept: KeptConnection) -> None:
        with self._lock:
            self._kept[next(self._numbers)] = kept

    def take(self) -> None:
        """Take all of them for a fork, always in the order in which they were made."""
        deadline = time.monotonic() + FORK_WAIT_SECONDS
        taken: list[threading.Lock] = []
        self._taken.locks = taken
        if _acquired(self._lock, deadline):
            taken.append(self._lock)
        for _, kept in sorted(self._kept.items()):
            lock = kept.take_for_fork(deadline)
            if lock is not None:
                taken.append(lock)

    def give_back(self) -> None:
        """After the fork, let the parent's threads go on."""
        for lock in reversed(self._taken.locks):
            lock.release()
        self._taken.locks = []

    def leave_to_parent(self) -> None:
        """After the fork, begin anew in the child."""
        self._lock = threading.Lock()
        self._taken.locks = []
        for kept in tuple(self._kept.values()):
            kept.leave_to_parent()


_KEPT = _AllKept()
_OF_PARENTS: list[object] = []
"""SQLite forbids a forked process even to close what its parent opened (sqlite.org, "How To Corrupt An SQLite Database
File", 2.6), so it is not collected while the process lives."""

os.register_at_fork(before=_KEPT.take, after_in_parent=_KEPT.give_back, after_in_child=_KEPT.leave_to_parent)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _acquired(lock: threading.Lock, deadline: float) -> bool:
    return lock.acquire(timeout=max(0.0, deadline - time.monotonic()))


def _detached(engine: sa.Engine) -> sqlite3.Connection:
    """Return a connection that was set up like those of the engine and is not one of its pool's."""
    made = engine.raw_connection()
    connection: sqlite3.Connection = made.driver_connection  # type: ignore[assignment] # what this engine's driver makes
    made.detach()
    return connection
