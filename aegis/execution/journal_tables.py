"""The journal's two tables and the connections they are kept safe by.

Belongs here: columns, constraints, and what SQLite needs for a journal: its settings, its write lock and the triggers
that make the events append-only. The same for PostgreSQL is :mod:`aegis.execution.journal_postgres`.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import sqlalchemy as sa

from aegis.errors import JournalError
from aegis.postgres import PostgresSchema

LOCK_TIMEOUT_SECONDS = 30
_SWITCH_AGAIN_SECONDS = 0.01

METADATA = sa.MetaData()

EVENTS = sa.Table(
    "journal_events",
    METADATA,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("session", sa.String, nullable=False),
    sa.Column("decision_id", sa.String),
    sa.Column("client_order_id", sa.String),
    sa.Column("at_utc", sa.String, nullable=False),
    sa.Column("idempotency_key", sa.String),
    sa.Column("payload_json", sa.String, nullable=False),
    sa.Column("previous_hash", sa.String, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
    sa.UniqueConstraint("account", "idempotency_key", name="recorded_once"),
    sa.Index("journal_events_by_session", "account", "session"),
    sa.Index("journal_events_by_order", "client_order_id"),
)
"""Columns in the order of :class:`~aegis.execution.journal_chain.JournalRow`."""

HEADS = sa.Table(
    "journal_heads",
    METADATA,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
)
"""Last row of each chain, moved by the transaction that appends; rows cut off the end would not be missed without."""

# What SQLite is told while an order waits for it: through SQLAlchemy each of these takes longer than the database does.
# Every name in them is ours.
READ_HEAD = f"SELECT sequence, hash FROM {HEADS.name} WHERE account = ?"  # noqa: S608
INSERT = f"INSERT INTO {EVENTS.name} VALUES ({', '.join('?' for _ in EVENTS.columns)})"  # noqa: S608
FIRST_HEAD = f"INSERT INTO {HEADS.name} (sequence, hash, account) VALUES (?, ?, ?)"  # noqa: S608
MOVE_HEAD = f"UPDATE {HEADS.name} SET sequence = ?, hash = ? WHERE account = ?"  # noqa: S608
# The order's own index finds a handful of rows; asked by the account as well, SQLite would walk through all of it.
OF_ORDER = f"SELECT * FROM {EVENTS.name} WHERE client_order_id = ? AND account || '' = ? ORDER BY sequence"  # noqa: S608
CHECKPOINT_PAGES = 20_000
"""Of 4 kB, at which a commit copies them into the file itself, where nobody has meanwhile."""

JournalLocation = Path | str | PostgresSchema
"""A file, its SQLAlchemy URL, or a schema of a PostgreSQL database."""

_REFUSAL = "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
_TRIGGERS = {
    "journal_events_refuse_update": "BEFORE UPDATE ON journal_events",
    "journal_events_refuse_delete": "BEFORE DELETE ON journal_events",
    # INSERT OR REPLACE removes the row in its way without asking the trigger on DELETE.
    "journal_events_refuse_replace": (
        "BEFORE INSERT ON journal_events WHEN EXISTS (SELECT 1 FROM journal_events WHERE rowid = NEW.rowid "
        "OR (account = NEW.account AND (sequence = NEW.sequence OR idempotency_key = NEW.idempotency_key)))"
    ),
}


def create_engine(location: Path | str) -> sa.Engine:
    """Return an engine for a file or its SQLAlchemy URL.

    Raises
    ------
    JournalError
        The URL cannot be read, or is not that of a file.
    """
    try:
        url = sa.make_url(location) if isinstance(location, str) and "://" in location else _file_url(Path(location))
    except sa.exc.ArgumentError as error:
        raise JournalError(f"journal location {location!r} is not a database URL ({error}); give a file") from error
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        raise JournalError(
            f"journal location {url.render_as_string(hide_password=True)}: only an SQLite file can be a journal by its "
            "URL; give a file path or sqlite:///<path>, and for PostgreSQL set storage.postgres_url"
        )
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_TIMEOUT_SECONDS})
    sa.event.listen(engine, "connect", _set_up_connection)
    sa.event.listen(engine, "begin", _begin)
    return engine


def create_tables(engine: sa.Engine) -> None:
    """Create tables, indexes and triggers where they are missing, in one transaction that holds the write lock."""
    with engine.connect() as connection:
        existing: set[str] = set(connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars())
    if existing >= {EVENTS.name, HEADS.name, *_TRIGGERS}:
        return
    with engine.connect().execution_options(journal_write=True) as connection, connection.begin():
        METADATA.create_all(connection)
        for name, rule in _TRIGGERS.items():
            connection.exec_driver_sql(f"CREATE TRIGGER IF NOT EXISTS {name} {rule} {_REFUSAL}")


def _file_url(path: Path) -> sa.URL:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(f"journal folder {path.parent} cannot be made ({error}); choose one that can") from error
    return sa.URL.create("sqlite", database=str(path))


def _set_up_connection(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction handling begins late and never IMMEDIATE; `_begin` takes its place.
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
