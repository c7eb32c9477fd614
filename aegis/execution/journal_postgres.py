"""A journal in PostgreSQL: what makes it as safe as the SQLite file.

Belongs here: the write lock, the triggers that make the events append-only, and the settings of a connection. Columns
and constraints are :mod:`aegis.execution.journal_tables`.

Notes
-----
A writer takes an advisory lock before it reads the head of the chain, so writers queue and the chain cannot fork; it
runs READ COMMITTED, because the snapshot of a stricter transaction would be older than the lock. A reader runs
REPEATABLE READ, so that the head and the rows it is compared with are of one instant. ``synchronous_commit`` is on
whatever the role's default: when a batch returns, it survives a power cut. PostgreSQL 14 or later.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import sqlalchemy as sa

from aegis.execution.journal_tables import EVENTS, HEADS, LOCK_TIMEOUT_SECONDS, METADATA
from aegis.postgres import PostgresSchema

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' journal', 0))"
_FUNCTION = "journal_refuse"
_CREATE_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$
"""
_TRIGGERS = {
    # ON CONFLICT DO UPDATE is an update, so nothing can take the place of a row.
    "journal_events_refuse_change": f"BEFORE UPDATE OR DELETE ON {EVENTS.name} FOR EACH ROW",
    "journal_events_refuse_truncate": f"BEFORE TRUNCATE ON {EVENTS.name} FOR EACH STATEMENT",
}


def create_engine(schema: PostgresSchema) -> sa.Engine:
    """Return an engine whose transactions queue when they write, and see one instant when they read."""
    engine = schema.engine()
    sa.event.listen(engine, "connect", _set_up_connection)
    sa.event.listen(engine, "begin", _begin)
    return engine


def create_tables(engine: sa.Engine, schema: PostgresSchema) -> None:
    """Create schema, tables, indexes and triggers where they are missing, in one transaction that holds the lock."""
    if schema.has_table(HEADS.name):
        return
    schema.create()
    with engine.connect().execution_options(journal_write=True) as connection, connection.begin():
        METADATA.create_all(connection)
        connection.exec_driver_sql(_CREATE_FUNCTION)
        for name, rule in _TRIGGERS.items():
            connection.exec_driver_sql(f"CREATE OR REPLACE TRIGGER {name} {rule} EXECUTE FUNCTION {_FUNCTION}()")


def holds_account(schema: PostgresSchema, account: str) -> bool:
    """Whether the journal of `account` was ever written to."""
    if not schema.has_table(HEADS.name):
        return False
    engine = create_engine(schema)
    try:
        with engine.connect() as connection:
            found = connection.execute(sa.select(HEADS.c.sequence).where(HEADS.c.account == account)).one_or_none()
    finally:
        engine.dispose()
    return found is not None


def _set_up_connection(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
    connection.commit()


def _begin(connection: sa.Connection) -> None:
    is_writing = connection.get_execution_options().get("journal_write", False)
    statement = _LOCK if is_writing else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    # The driver's own cursor: SQLAlchemy would give a connection that streams a cursor on the server for this as well.
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(statement)
