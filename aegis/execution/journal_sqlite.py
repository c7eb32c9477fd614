"""A journal in a file: SQLite in WAL mode with ``synchronous=FULL``, so that a batch survives a power cut.

Belongs here: settings, write lock, the triggers that make the events append-only, and what an order waits for, in
SQLite's own words on connections that are kept, which are :mod:`aegis.execution.journal_connections`. Columns and
constraints are :mod:`aegis.execution.journal_tables`; a team's journal is :mod:`aegis.execution.journal_postgres`.

Notes
-----
A writer takes the write lock before it reads the head of the chain (``BEGIN IMMEDIATE``), so writers of all processes
queue and the chain cannot fork. Whatever is asked seldom goes through SQLAlchemy, whose own work for a statement is
several times SQLite's.
"""

from __future__ import annotations

import operator
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from aegis.errors import JournalError
from aegis.execution.journal_chain import EMPTY, JournalHead, JournalRow
from aegis.execution.journal_connections import JournalFile, KeptConnection
from aegis.execution.journal_tables import EVENTS, HEADS, LOCK_TIMEOUT_SECONDS, METADATA

# Every name in these is ours.
OF_ORDER = f"SELECT * FROM {EVENTS.name} WHERE client_order_id = ? AND account || '' = ?"  # noqa: S608
"""The order's own index finds a handful of rows; asked by the account as well, SQLite would walk through all of it. It
gives them as they were appended, which is cheaper to look through than to have sorted."""
_HEAD = f"SELECT sequence, hash FROM {HEADS.name} WHERE account = ?"  # noqa: S608
_INSERT = f"INSERT OR ROLLBACK INTO {EVENTS.name} VALUES ({', '.join('?' for _ in EVENTS.columns)})"  # noqa: S608
"""A refusal ends the transaction. To end the statement alone, SQLite would copy all pages that each row changes."""
_FIRST_HEAD = f"INSERT INTO {HEADS.name} (sequence, hash, account) VALUES (?, ?, ?)"  # noqa: S608
_MOVE_HEAD = f"UPDATE {HEADS.name} SET sequence = ?, hash = ? WHERE account = ?"  # noqa: S608

CHECKPOINT_PAGES = 20_000
"""Of 4 kB, at which a commit copies them into the file itself, where nobody has meanwhile."""
_COMMITS_A_CHECKPOINT = 250
"""About 4,000 pages."""
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
_FREE_PASSES = 2
_SWITCH_AGAIN_SECONDS = 0.01

_SEQUENCE = operator.attrgetter("sequence")

_REFUSAL = "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
_REFUSAL_OF_BATCH = _REFUSAL.replace("ABORT", "ROLLBACK")
"""For the reason of :data:`_INSERT`. Files of before have ABORT here: a stranger's transaction is left open by it."""
_TRIGGERS = {
    "journal_events_refuse_update": f"BEFORE UPDATE ON journal_events {_REFUSAL}",
    "journal_events_refuse_delete": f"BEFORE DELETE ON journal_events {_REFUSAL}",
    # INSERT OR REPLACE removes the row in its way without asking the trigger on DELETE.
    "journal_events_refuse_replace": (
        "BEFORE INSERT ON journal_events WHEN EXISTS (SELECT 1 FROM journal_events WHERE rowid = NEW.rowid "  # noqa: S608
        "OR (account = NEW.account AND (sequence = NEW.sequence OR idempotency_key = NEW.idempotency_key))) "
        f"{_REFUSAL_OF_BATCH}"
    ),
}


class SqliteStore:
    """A file that holds journals, opened; see :class:`~aegis.execution.journal_tables.JournalStore`.

    Parameters
    ----------
    location : Path or str
        The file, or its SQLAlchemy URL.

    Raises
    ------
    JournalError
        The URL cannot be read or is not that of a file, or the file's folder cannot be made.

    Notes
    -----
    Threads share it: one writes and one asks for orders at a time, each on a connection that is kept; the rest have
    connections of their own. A question that is short is asked on the connection that writes, unless somebody writes:
    it has the newest pages at hand, which another one reads anew after each commit.

    All connections are of the file that the first one opened; in another one that came in its place nothing is read or
    written any more, closed or not. What a kept connection has open already it still answers.

    A fork waits until nobody uses the kept connections, and closes them: the child can read and write, and each process
    opens connections of its own. There are three exceptions, in which the child opens none, because SQLite's locks are
    wrong in it and what it commits may be lost: a thread forks within its own commit; others use a connection for
    longer than :data:`~aegis.execution.journal_connections.FORK_WAIT_SECONDS`, after which the fork goes on; others
    read through the engine, as in verifying. The parent goes on in all of them.
    """

    def __init__(self, location: Path | str) -> None:
        self.engine, self._file = _engine(location)
        self._writing, self._reading = (KeptConnection(self.engine, self._file) for _ in range(2))
        self._commits = 0

    def create_tables(self) -> None:
        """Create tables, indexes and triggers where they are missing, in one transaction that holds the write lock."""
        with self.engine.connect() as connection:
            existing: set[str] = set(connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars())
        if existing >= {EVENTS.name, HEADS.name, *_TRIGGERS}:
            return
        with self.engine.connect().execution_options(journal_write=True) as connection, connection.begin():
            METADATA.create_all(connection)
            for name, rule in _TRIGGERS.items():
                connection.exec_driver_sql(f"CREATE TRIGGER IF NOT EXISTS {name} {rule}")

    def append(self, account: str, continued: Callable[[JournalHead], Sequence[JournalRow]]) -> None:
        """Append the rows that continue the chain of `account`, durably and as a whole.

        Raises
        ------
        JournalError
            The file was deleted, moved or replaced since the store was opened.
        """
        with self._writing.lent() as connection:
            change = self._file.change()
            if change:
                raise self._file.refusal(change, _lost(connection, account))
            with _Transaction(connection, "BEGIN IMMEDIATE"):
                head = _head(connection, account)
                rows = continued(head)
                connection.executemany(_INSERT, rows)
                last = rows[-1]
                connection.execute(_FIRST_HEAD if head == EMPTY else _MOVE_HEAD, (last.sequence, last.hash, account))
        self._commits += 1

    def head(self, account: str) -> JournalHead:
        """Return where the chain of `account` ends."""
        with self._writing.lent_or(self._reading) as connection:
            return _head(connection, account)

    def of_orders(self, account: str, client_order_ids: Sequence[str]) -> list[JournalRow]:
        """Return the events of orders as they are at one instant, by ascending sequence."""
        names = tuple(dict.fromkeys(client_order_ids))
        if len(names) == 1:  # one statement sees one instant by itself
            with self._writing.lent_or(self._reading) as connection:
                found = _of_order(connection, account, names[0])
        else:
            with self._reading.lent() as connection, _Transaction(connection, "BEGIN"):
                found = [row for name in names for row in _of_order(connection, account, name)]
        found.sort(key=_SEQUENCE)
        return found

    def checkpoint(self) -> None:
        """Let SQLite copy what it wrote beside the file into it, where that is much; others may write meanwhile.

        Notes
        -----
        Once all of it is copied, the next commit begins at the start of the log again, over blocks that the file system
        has given it already; one that makes the log longer waits for the disk longer. While orders leave without a
        pause, some are committed during a pass, so the last few pages are copied while this process's writers wait.
        """
        if self._commits < _COMMITS_A_CHECKPOINT:
            return
        self._commits = 0
        with closing(self.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            for _ in range(_FREE_PASSES):
                cursor.execute(_CHECKPOINT)
        with self._writing.lent() as writing:
            writing.execute(_CHECKPOINT)

    def close(self) -> None:
        """Close all connections, once who uses the kept ones is done; whoever asks later opens new ones."""
        self._writing.close()
        self._reading.close()
        self.engine.dispose()


def _head(connection: sqlite3.Connection, account: str) -> JournalHead:
    row = connection.execute(_HEAD, (account,)).fetchone()
    return EMPTY if row is None else JournalHead._make(row)


def _lost(connection: sqlite3.Connection, account: str) -> str:
    """Return what is lost with the file that a connection has open and nobody else can open."""
    try:
        ends = f"ended at sequence {_head(connection, account).sequence}"
    except sqlite3.Error as error:
        ends = f"ended at a sequence that cannot be read any more ({error})"
    return f"the chain of {account} in it {ends}, and what a backup lacks of that is lost"


def _of_order(connection: sqlite3.Connection, account: str, client_order_id: str) -> list[JournalRow]:
    return [JournalRow._make(row) for row in connection.execute(OF_ORDER, (client_order_id, account))]


class _Transaction:
    """Commit what is done within, or none of it."""

    __slots__ = ("_begin", "_connection")

    def __init__(self, connection: sqlite3.Connection, begin: str) -> None:
        self._connection, self._begin = connection, begin

    def __enter__(self) -> None:
        self._connection.execute(self._begin)

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        connection = self._connection
        try:
            if error is None:
                connection.execute("COMMIT")
        finally:
            if connection.in_transaction:  # neither committed nor, as after some failures, ended by SQLite itself
                connection.execute("ROLLBACK")


def _engine(location: Path | str) -> tuple[sa.Engine, JournalFile]:
    try:
        url = sa.make_url(location) if isinstance(location, str) and "://" in location else _file_url(Path(location))
    except sa.exc.ArgumentError as error:
        raise JournalError(f"journal location {location!r} is not a database URL ({error}); give a file") from error
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise JournalError(
            f"journal location {url.render_as_string(hide_password=True)}: only an SQLite file can be a journal by its "
            "URL; give a file path or sqlite:///<path>, and for PostgreSQL set storage.postgres_url"
        )
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False})
    file = JournalFile(url.database)
    sa.event.listen(engine, "do_connect", lambda *_: file.require_same())  # SQLite would make an empty file
    sa.event.listen(engine, "connect", lambda *_: file.note_opened())
    sa.event.listen(engine, "connect", _set_up_connection)
    sa.event.listen(engine, "begin", _begin)
    return engine, file


def _file_url(path: Path) -> sa.URL:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(f"journal folder {path.parent} cannot be made ({error}); choose one that can") from error
    return sa.URL.create("sqlite", database=str(path))


def _set_up_connection(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction handling begins late and never IMMEDIATE; what asks says itself when it begins.
    connection.isolation_level = None
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a file to its write-ahead log, which only the first of its connections has to do.

    Notes
    -----
    The switch reads before it writes. To a reader that wants to write, SQLite says at once that somebody else is
    writing and does not wait (sqlite.org, "Write-Ahead Logging" and ``sqlite3_busy_handler``): of two processes that
    make a file together, one would fail.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_SWITCH_AGAIN_SECONDS)
        else:
            return


def _begin(connection: sa.Connection) -> None:
    is_writing = connection.get_execution_options().get("journal_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
