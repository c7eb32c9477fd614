"""The journal: an append-only, hash-chained table of everything that was decided and that happened to orders.

Belongs here: opening it, appending whole batches, reading, verifying. What a decision is and what follows from the
events is :mod:`aegis.execution.order_management`.

Notes
-----
When a batch returns, it survives a power cut. A batch takes the database's write lock before it reads the head of the
chain, so writers queue and the chain cannot fork. How a file does both is :mod:`aegis.execution.journal_sqlite`, how a
team's server does is :mod:`aegis.execution.journal_postgres`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from aegis.execution import journal_postgres
from aegis.execution.journal_chain import EMPTY, JournalHead, JournalRow, event_hash, require_anchor, verify_chain
from aegis.execution.journal_failures import explained
from aegis.execution.journal_sqlite import SqliteStore
from aegis.execution.journal_tables import EVENTS, JournalLocation, JournalStore, head_of
from aegis.execution.order_records import instant_text
from aegis.postgres import PostgresSchema

_READ_CHUNK_ROWS = 10_000


class NewEvent(NamedTuple):
    """An event on its way into the journal; fields as in :class:`~aegis.execution.journal_chain.JournalRow`.

    ``payload_json`` is what :func:`~aegis.execution.order_records.canonical_json` makes.
    """

    kind: str
    session: date
    at_utc: datetime
    payload_json: str
    decision_id: str | None = None
    client_order_id: str | None = None
    idempotency_key: str | None = None


class Batch:
    """Events that are written together or not at all."""

    def __init__(self) -> None:
        self._events: list[NewEvent] = []

    def append(self, event: NewEvent) -> None:
        """Add an event."""
        self._events.append(event)

    def __len__(self) -> int:
        return len(self._events)

    def chained(self, account: str, head: JournalHead) -> list[JournalRow]:
        """Return the rows that continue the chain of `account` from `head`.

        Raises
        ------
        ExecutionError
            An instant has no time zone.
        """
        rows = []
        sequence, previous = head
        for event in self._events:
            sequence += 1
            contents = (
                account,
                sequence,
                str(event.kind),
                event.session.isoformat(),
                event.decision_id,
                event.client_order_id,
                instant_text(event.at_utc),
                event.idempotency_key,
                event.payload_json,
            )
            digest = event_hash(previous, contents)
            rows.append(JournalRow(*contents, previous, digest))
            previous = digest
        return rows


class Journal:
    """The journal of one account. Use :meth:`open`; it is a context manager that closes its connections."""

    def __init__(self, store: JournalStore, *, account: str) -> None:
        self._store = store
        self.account = account

    @classmethod
    def open(cls, location: JournalLocation, *, account: str) -> Self:
        """Open the journal of an account, creating it where there is none.

        Parameters
        ----------
        location : Path, str or PostgresSchema
            A file, its SQLAlchemy URL, or a schema of a PostgreSQL database.
        account : str
            Whose journal.

        Raises
        ------
        JournalError
            The file is not a journal or cannot be opened, or the URL's database is not supported.
        StorageUnavailable
            The server does not answer.
        """
        store = (
            journal_postgres.PostgresStore(location) if isinstance(location, PostgresSchema) else SqliteStore(location)
        )
        with explained(f"journal of {account} at {location}"):
            store.create_tables()
        return cls(store, account=account)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._store.close()

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Collect events and write them in one transaction when the block ends; nothing if it raises.

        Raises
        ------
        DuplicateEvent
            An idempotency key is in the journal already.
        JournalError
            The database refused; nothing was written.
        """
        batch = Batch()
        yield batch
        if len(batch):
            self._write(batch)

    def head(self) -> JournalHead:
        """Return where the chain ends; worth publishing elsewhere, see :meth:`verify`."""
        with explained(f"journal of {self.account}"):
            return self._store.head(self.account)

    def verify(self, anchor: JournalHead = EMPTY) -> int:
        """Check the whole chain and return the number of events.

        Parameters
        ----------
        anchor : JournalHead
            A head published earlier; it must still be part of the chain.

        Raises
        ------
        JournalError
            Names the first sequence that was edited, deleted, inserted or moved.
        """
        with self._reading() as connection:
            head = head_of(connection, self.account)
            rows = self._select(connection, sa.select(EVENTS))
            return verify_chain(rows, account=self.account, head=head, anchor=anchor)

    def verify_since(self, anchor: JournalHead) -> int:
        """Check that the chain still holds a published head and follows from it; return the number of later events.

        Parameters
        ----------
        anchor : JournalHead
            A head published earlier.

        Raises
        ------
        JournalError
            The journal ends before the anchor, holds another row in its place, or a later row was edited, deleted,
            inserted or moved.

        Notes
        -----
        Rows before the anchor are not read, so the cost is that of what is new; :meth:`verify` reads them all.
        """
        with self._reading() as connection:
            head = self._require_holds(connection, anchor, kept_at="what was published")
            later = self._select(connection, sa.select(EVENTS).where(EVENTS.c.sequence > anchor.sequence))
            return verify_chain(later, account=self.account, head=head, start=anchor) - anchor.sequence

    def require_holds(self, anchor: JournalHead, *, kept_at: str) -> None:
        """Refuse a journal that ends before a head that was published, or has another row in its place.

        Parameters
        ----------
        anchor : JournalHead
            The head.
        kept_at : str
            Where it was published, for the message.

        Raises
        ------
        JournalError
            It does.
        """
        with self._reading() as connection:
            self._require_holds(connection, anchor, kept_at=kept_at)

    def events(
        self,
        *,
        first: date = date.min,
        last: date = date.max,
        kinds: Sequence[str] = (),
        client_order_ids: Sequence[str] | None = None,
        after: int = 0,
        idempotency_key: str | None = None,
    ) -> list[JournalRow]:
        """Return events by ascending sequence, in one query.

        Parameters
        ----------
        first, last : date
            Sessions they were booked in, inclusive.
        kinds : sequence of str
            Wanted kinds; all of them if empty.
        client_order_ids : sequence of str, optional
            Wanted orders; all events if None.
        after : int
            Only what follows this place in the chain; 0 for all of it.
        idempotency_key : str, optional
            Only what was recorded under it: one event, or none.
        """
        if client_order_ids is not None and (first, last, after, idempotency_key) == (date.min, date.max, 0, None):
            return self._of_orders(client_order_ids, kinds)
        query = sa.select(EVENTS)
        if (first, last) != (date.min, date.max):
            # Where it says nothing it is left out: the planner would walk through all sessions for the sake of it.
            query = query.where(EVENTS.c.session.between(first.isoformat(), last.isoformat()))
        if after:
            query = query.where(EVENTS.c.sequence > after)
        if kinds:
            query = query.where(EVENTS.c.kind.in_([str(kind) for kind in kinds]))
        if client_order_ids is not None:
            query = query.where(EVENTS.c.client_order_id.in_(client_order_ids))
        if idempotency_key is not None:
            query = query.where(EVENTS.c.idempotency_key == idempotency_key)
        with self._reading() as connection:
            return list(self._select(connection, query))

    def events_after(self, sequence: int) -> list[JournalRow]:
        """Return the events that follow a place in the chain, by ascending sequence; 0 asks for all of them."""
        with self._reading() as connection:
            return list(self._select(connection, sa.select(EVENTS).where(EVENTS.c.sequence > sequence)))

    def checkpoint(self) -> None:
        """Let SQLite copy what it wrote beside the file into it, where that is much; others may write meanwhile.

        Notes
        -----
        A process that trades asks for it in the background. Otherwise a commit does it by itself now and then, while
        its order waits.
        """
        with explained(f"journal of {self.account}"):
            self._store.checkpoint()

    def newest_session(self) -> date | None:
        """Return the newest session that an event is booked in, None in an empty journal."""
        query = sa.select(sa.func.max(EVENTS.c.session)).where(EVENTS.c.account == self.account)
        with self._reading() as connection:
            found: str | None = connection.execute(query).scalar_one()
        return None if found is None else date.fromisoformat(found)

    def counts(self, kinds: Sequence[str]) -> dict[date, int]:
        """Return how many events of `kinds` are booked in each session that has any."""
        query = (
            sa.select(EVENTS.c.session, sa.func.count())
            .where(EVENTS.c.account == self.account, EVENTS.c.kind.in_([str(kind) for kind in kinds]))
            .group_by(EVENTS.c.session)
        )
        with self._reading() as connection:
            return {date.fromisoformat(str(row[0])): int(row[1]) for row in connection.execute(query)}

    def _of_orders(self, client_order_ids: Sequence[str], kinds: Sequence[str]) -> list[JournalRow]:
        """Return the events of orders by ascending sequence, all kinds where none is named."""
        with explained(f"journal of {self.account}"):
            found = self._store.of_orders(self.account, client_order_ids)
        wanted = frozenset(kinds)
        return [row for row in found if row.kind in wanted] if wanted else found

    def _select(self, connection: sa.Connection, query: sa.Select[Any]) -> Iterator[JournalRow]:
        ordered = query.where(EVENTS.c.account == self.account).order_by(EVENTS.c.sequence)
        result = connection.execution_options(yield_per=_READ_CHUNK_ROWS).execute(ordered)
        return (JournalRow._make(row) for row in result)

    def _require_holds(self, connection: sa.Connection, anchor: JournalHead, *, kept_at: str) -> JournalHead:
        """Return where the chain ends, once it is seen to hold `anchor`."""
        head = head_of(connection, self.account)
        if anchor != EMPTY:
            wanted = sa.select(EVENTS.c.hash).where(
                EVENTS.c.account == self.account, EVENTS.c.sequence == anchor.sequence
            )
            found = connection.execute(wanted).scalar_one_or_none()
            require_anchor(found, account=self.account, head=head, anchor=anchor, kept_at=kept_at)
        return head

    def _write(self, batch: Batch) -> None:
        with explained(f"journal of {self.account}"):
            self._store.append(self.account, lambda head: batch.chained(self.account, head))

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with explained(f"journal of {self.account}"), self._store.engine.connect() as connection:
            yield connection


def holds_journal(location: JournalLocation, *, account: str) -> bool:
    """Whether the journal of `account` is at `location`: a file with content, or rows of the account in a database.

    Raises
    ------
    StorageUnavailable
        The server does not answer, which says nothing of the journal.
    """
    if isinstance(location, PostgresSchema):
        return journal_postgres.holds_account(location, account)
    file = Path(location)
    return file.exists() and file.stat().st_size > 0


def missing_journal(location: JournalLocation) -> str:
    """Return where a journal was looked for and what is there instead."""
    if isinstance(location, PostgresSchema):
        return f"{location} holds no event of it"
    return f"{location} {'is empty' if Path(location).exists() else 'does not exist'}"
