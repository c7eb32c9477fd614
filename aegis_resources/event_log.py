"""Dagster's SQLite event log with pooled connections and one transaction for a batch of events.

Belongs here: how Dagster's bookkeeping is stored, nothing about what it records. Why it exists, and what it was
measured against, is in ``docs/adr/0002-event-log.md``. A team on PostgreSQL uses ``dagster-postgres`` instead and needs
none of it.

Notes
-----
Dagster's own class opens an engine and commits for every event, in the run's file and again in the index. A ten-year
backfill of this graph writes about a hundred thousand events. Dagster groups a step's materializations into batches
when ``DAGSTER_EVENT_BATCH_SIZE`` is set; its SQLite storage then still stores them one at a time. This class stores
such a batch in one transaction for each file, both files or neither: Dagster stores a batch that was refused once more,
event by event, and would double what a half of it had kept.

``synchronous=NORMAL`` in WAL mode: killing the process loses nothing that was committed; a power cut can lose the
newest commits but corrupts nothing (SQLite documentation, "PRAGMA synchronous").
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from dagster import DagsterEventType
from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._record import copy as copy_record
from dagster._serdes import ConfigurableClassData

BATCH_SIZE_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
BATCH_SIZE = 1_000
_MAX_POOLED_SHARDS = 8


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's SQLite event log, same files and schema, with pooled connections and batched writes.

    Parameters
    ----------
    base_dir : str
        Folder of the event log files, as for the class it extends; either class can open the other's files.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[tuple[int, str], sa.Engine] = {}
        self._has_index_columns: bool | None = None
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledSqliteEventLogStorage:
        """Build the storage from the ``config`` block of ``dagster.yaml``."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock, self._transaction(shard) as connection:
            yield connection

    @contextmanager
    def _transaction(self, shard: str) -> Iterator[sa.Connection]:
        """Yield a connection of a file in a transaction; the caller holds the lock."""
        engine = self._engine(shard)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        with engine.connect() as connection, connection.begin():
            yield connection

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event; a planned check without its partitions, because a check is evaluated once for a range.

        Notes
        -----
        Dagster would write one planned row for each partition, each with the whole partitions definition in it: 18
        checks over 3,242 sessions took 957 MB, and the evaluation, which has no partition, completed none of them.
        """
        super().store_event(_planned_once(event))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the materialization events of one step, or of one run's plan, in one transaction a file.

        Other kinds (planned checks) are few and go the usual way, one at a time, after the batch: if the batch is
        refused, Dagster stores all events again.
        """
        asset_events = [event for event in events if event.dagster_event_type in ASSET_EVENTS]
        for run_id in dict.fromkeys(event.run_id for event in asset_events):
            self._store_asset_events(run_id, [event for event in asset_events if event.run_id == run_id])
        for event in events:
            if event.dagster_event_type not in ASSET_EVENTS:
                self.store_event(event)

    def wipe(self) -> None:
        """Delete everything; pooled connections are closed first, or they would write to files that are gone."""
        self._close_engines()
        super().wipe()

    def dispose(self) -> None:
        """Close pooled connections."""
        self._close_engines()
        super().dispose()

    def _close_engines(self) -> None:
        with self._db_lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()

    def _store_asset_events(self, run_id: str, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run in the index and in the run's file.

        The index is written first and committed last. It is the file that several processes write, so it is the one
        that may be locked, and then the run's file has not been touched; a kill between the two commits leaves events
        in the run's file of which the index knows nothing, and which a rerun materializes again.
        """
        rows = [self._event_to_row(event) for event in events]
        with self.index_transaction() as connection:  # holds the lock for both files
            statement = SqlEventLogStorageTable.insert().returning(
                SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
            )
            event_ids = list(connection.execute(statement, rows).scalars())
            self._store_asset_event_tags(connection, events, event_ids)
            for event, event_id in self._newest_of_each_asset(events, event_ids):
                self._store_asset_event(connection, event, event_id)
            with self._transaction(run_id) as own:
                own.execute(SqlEventLogStorageTable.insert(), rows)

    @staticmethod
    def _newest_of_each_asset(
        events: Sequence[EventLogEntry], event_ids: Sequence[int]
    ) -> Iterator[tuple[EventLogEntry, int]]:
        newest: dict[tuple[str, DagsterEventType | None], tuple[EventLogEntry, int]] = {}
        for event, event_id in zip(events, event_ids, strict=True):
            key = event.get_dagster_event().asset_key
            if key is not None:
                newest[(key.to_string(), event.dagster_event_type)] = (event, event_id)
        yield from newest.values()

    def _has_asset_key_index_cols_on_connection(self, conn: sa.Connection) -> bool:
        """Inspect the table once: Dagster asks for every event, and the answer cannot change while it runs."""
        if self._has_index_columns is None:
            self._has_index_columns = bool(super()._has_asset_key_index_cols_on_connection(conn))
        return self._has_index_columns

    def _engine(self, shard: str) -> sa.Engine:
        """Return the pooled engine of a file; one set for each process, so a fork never shares a connection."""
        key = (os.getpid(), shard)
        if key not in self._engines:
            self._drop_oldest_shard()
            engine = sa.create_engine(
                self.conn_string_for_shard(shard),
                pool_size=1,
                max_overflow=4,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            sa.event.listen(engine, "connect", _relax_synchronous)
            self._engines[key] = engine
        return self._engines[key]

    def _drop_oldest_shard(self) -> None:
        mine = [key for key in self._engines if key[0] == os.getpid() and key[1] != INDEX_SHARD_NAME]
        if len(mine) >= _MAX_POOLED_SHARDS:
            self._engines.pop(mine[0]).dispose()


def _planned_once(event: EventLogEntry) -> EventLogEntry:
    if event.dagster_event_type != DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        return event
    planned = event.get_dagster_event()
    check = copy_record(planned.asset_check_planned_data, partitions_subset=None)
    return event._replace(dagster_event=planned._replace(event_specific_data=check))


def _relax_synchronous(dbapi_connection: Any, _record: Any) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
