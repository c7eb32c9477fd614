"""The journal's two tables, and what a database must do that keeps them.

Belongs here: columns, constraints and the port. What makes it safe is :mod:`aegis.execution.journal_sqlite` for a file
and :mod:`aegis.execution.journal_postgres` for a team's server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from aegis.execution.journal_chain import EMPTY, JournalHead, JournalRow
from aegis.postgres import PostgresSchema

LOCK_TIMEOUT_SECONDS = 30

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
    sa.Index("journal_events_by_order", "client_order_id", sqlite_where=sa.text("client_order_id IS NOT NULL")),
)
"""Columns in the order of :class:`~aegis.execution.journal_chain.JournalRow`. In a file the last index leaves out what
is of no order, which spares each decision's commit a page; in files of before it has all rows, which serves as well."""

HEADS = sa.Table(
    "journal_heads",
    METADATA,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
)
"""Last row of each chain, moved by the transaction that appends; rows cut off the end would not be missed without."""

JournalLocation = Path | str | PostgresSchema
"""A file, its SQLAlchemy URL, or a schema of a PostgreSQL database."""


class JournalStore(Protocol):
    """A database that holds journals; threads may share it.

    Attributes
    ----------
    engine : Engine
        Whose connections read everything as of one instant, from the first statement to the end of the transaction.
    """

    engine: sa.Engine

    def create_tables(self) -> None:
        """Create what is missing, so that of several processes that do it one does."""
        ...

    def append(self, account: str, continued: Callable[[JournalHead], Sequence[JournalRow]]) -> None:
        """Append rows durably and as a whole, and move the chain's end.

        Parameters
        ----------
        account : str
            Whose chain.
        continued : callable
            Returns the rows, at least one, for where the chain ends; nobody else appends to it meanwhile.
        """
        ...

    def head(self, account: str) -> JournalHead:
        """Return where the chain of `account` ends."""
        ...

    def of_orders(self, account: str, client_order_ids: Sequence[str]) -> list[JournalRow]:
        """Return the events of orders as they are at one instant, by ascending sequence."""
        ...

    def checkpoint(self) -> None:
        """Do in the background what a commit would have to do now and then; where there is nothing, nothing."""
        ...

    def close(self) -> None:
        """Close all connections; whoever asks later opens new ones."""
        ...


def head_of(connection: sa.Connection, account: str) -> JournalHead:
    """Return where the chain of `account` ends, as a connection sees it."""
    query = sa.select(HEADS.c.sequence, HEADS.c.hash).where(HEADS.c.account == account)
    row = connection.execute(query).one_or_none()
    return EMPTY if row is None else JournalHead._make(row)
