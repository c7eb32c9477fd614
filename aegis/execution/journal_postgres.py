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

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from aegis.execution.journal_chain import EMPTY, JournalHead, JournalRow
from aegis.execution.journal_tables import EVENTS, HEADS, LOCK_TIMEOUT_SECONDS, METADATA, head_of
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


class PostgresStore:
    """A schema that holds journals; see :class:`~aegis.execution.journal_tables.JournalStore`.

    Parameters
    ----------
    schema : PostgresSchema
        Where.
    """

    def __init__(self, schema: PostgresSchema) -> None:
        self._schema = schema
        self.engine = _engine(schema)

    def create_tables(self) -> None:
        """Create schema, tables, indexes and triggers where they are missing, in one transaction with the lock."""
        if self._schema.has_table(HEADS.name):
            return
        self._schema.create()
        with self.engine.connect().execution_options(journal_write=True) as connection, connection.begin():
            METADATA.create_all(connection)
            connection.exec_driver_sql(_CREATE_FUNCTION)
            for name, rule in _TRIGGERS.items():
                connection.exec_driver_sql(f"CREATE OR REPLACE TRIGGER {name} {rule} EXECUTE FUNCTION {_FUNCTION}()")

    def append(self, account: str, continued: Callable[[JournalHead], Sequence[JournalRow]]) -> None:
        """Append the rows that continue the chain of `account`, durably and as a whole."""
        with self.engine.connect().execution_options(journal_write=True) as connection, connection.begin():
            head = head_of(connection, account)
            rows = continued(head)
            connection.execute(sa.insert(EVENTS), [row._asdict() for row in rows])
            values = {"sequence": rows[-1].sequence, "hash": rows[-1].hash}
            if head == EMPTY:
                connection.execute(sa.insert(HEADS), {"account": account, **values})
            else:
                connection.execute(sa.update(HEADS).where(HEADS.c.account == account), values)

    def head(self, account: str) -> JournalHead:
        """Return where the chain of `account` ends."""
        with self.engine.connect() as connection:
            return head_of(connection, account)

    def of_orders(self, account: str, client_order_ids: Sequence[str]) -> list[JournalRow]:
        """Return the events of orders as they are at one instant, by ascending sequence."""
        query = (
            sa.select(EVENTS)
            .where(EVENTS.c.account == account, EVENTS.c.client_order_id.in_(client_order_ids))
            .order_by(EVENTS.c.sequence)
        )
        with self.engine.connect() as connection:
            return [JournalRow._make(row) for row in connection.execute(query)]

    def checkpoint(self) -> None:
        """Nothing: the server does it by itself."""

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def holds_account(schema: PostgresSchema, account: str) -> bool:
    """Whether the journal of `account` was ever written to.

    Raises
    ------
    StorageUnavailable
        The server cannot be reached, or refuses.
    """
    with schema.connected() as connection:
        if not sa.inspect(connection).has_table(HEADS.name, schema=schema.name):
            return False
        found = connection.execute(sa.select(HEADS.c.sequence).where(HEADS.c.account == account)).one_or_none()
        return found is not None


def _engine(schema: PostgresSchema) -> sa.Engine:
    """Return an engine whose transactions queue when they write, and see one instant when they read."""
    engine = schema.engine()
    sa.event.listen(engine, "connect", _set_up_connection)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _set_up_connection(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
    connection.commit()


def _begin(connection: sa.Connection) -> None:
    is_writing = connection.get_execution_options().get("journal_write", False)
    statement = _LOCK if is_writing else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    # Through SQLAlchemy, whose errors say whether the connection is lost: the driver's own would escape unexplained. A
    # connection that streams would get a cursor on the server for this as well.
    connection.exec_driver_sql(statement, execution_options={"stream_results": False, "yield_per": None})
