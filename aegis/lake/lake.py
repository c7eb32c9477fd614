"""Reading and writing the versioned tables.

Belongs here: the one way rows enter and leave the lake. Every write is one transaction, hence one snapshot, whose
commit message says who wrote what and why. What a table looks like is :mod:`aegis.lake.schema`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import duckdb
import pandas as pd

from aegis.errors import LakeError, LakeUnreadable, SchemaMismatch, SnapshotNotFound
from aegis.lake.added_columns import missing_columns, select_list
from aegis.lake.arrow import arrow_rows_to_insert
from aegis.lake.attachment import ALIAS, remedy_of
from aegis.lake.checksums import ANCHOR, DataFileChecksums, is_contention
from aegis.lake.schema import TableSchema
from aegis.lake.snapshot_log import snapshot_log
from aegis.lake.unchanged_rows import UnchangedRows

READ_AT = "read_at"
"""Name, in a commit message, of the snapshot at which the writer began to read."""
_WRITE_ATTEMPTS = 12
_FIRST_BACKOFF_SECONDS = 0.05


@dataclass(frozen=True)
class CommitMessage:
    """Who made a snapshot, and why.

    Parameters
    ----------
    asset : str
        Asset or command that writes.
    sessions : str
        Range of sessions, ``2014-01-02..2014-12-31``; empty for tables without sessions.
    run_id : str
        Dagster run, or the command's name outside Dagster.
    code_version : str
        Version of the code that computed the rows.
    reason : str
        ``materialize``, or why a correction was made.
    journal_head : str
        Where the account's journal ended when its book was written, ``account:sequence:hash``; empty for other writes.
        A journal that lost its end later does not reach it any more.
    """

    asset: str
    sessions: str
    run_id: str
    code_version: str
    reason: str = "materialize"
    journal_head: str = ""


@dataclass(frozen=True)
class Replacement:
    """Rows that take the place of a table's rows for a range of sessions (and one account, where it has accounts).

    Parameters
    ----------
    table : TableSchema
    frame : DataFrame
        Conforming to the table, all within the range.
    first, last : date, optional
        Range of sessions replaced, inclusive. Required for tables with sessions; without sessions the whole table is
        replaced.
    account : str, optional
        Only this account's rows are replaced, and all rows of the frame are its own.
    """

    table: TableSchema
    frame: pd.DataFrame
    first: date | None = None
    last: date | None = None
    account: str | None = None


class Lake:
    """The tables of one workspace.

    Parameters
    ----------
    connection : DuckDBPyConnection
        With the lake attached (:func:`aegis.lake.attachment.attach`). Not shared between threads.
    sleep : callable
        Waits between attempts of a write that another writer delayed; replaced in tests.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connection = connection
        self._sleep = sleep
        self._read_at: int | None = None
        self.checksums = DataFileChecksums(connection)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection, for the modules of this package that ask the catalog."""
        return self._connection

    def create_tables(self, tables: Sequence[TableSchema]) -> None:
        """Create the tables that do not exist yet, and the columns; one snapshot if any was missing, none otherwise.

        Raises
        ------
        SchemaMismatch
            A stored table lacks a column that may not be null.
        """
        rows = self._fetch(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE database_name = ?", [ALIAS]
        )
        held: dict[tuple[str, str], set[str]] = {}
        for layer, name, column in rows:
            held.setdefault((layer, name), set()).add(column)
        missing = [table for table in tables if (table.layer, table.name) not in held]
        added = {
            table: columns
            for table in tables
            if (table.layer, table.name) in held and (columns := missing_columns(table, held[table.layer, table.name]))
        }
        if not missing and not added:
            return

        def create() -> None:
            if missing:
                # A quarter faster to write than DuckLake's own choice, and no larger.
                self._connection.execute(f"CALL {ALIAS}.set_option('parquet_compression', 'lz4')")
            for table in missing:
                columns = ", ".join(f'"{c.name}" {c.sql_type}' for c in table.columns)
                self._connection.execute(f'CREATE SCHEMA IF NOT EXISTS {ALIAS}."{table.layer}"')
                self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table_name(table)} ({columns})")
            for table, new in added.items():
                for c in new:
                    self._connection.execute(
                        f'ALTER TABLE {table_name(table)} ADD COLUMN IF NOT EXISTS "{c.name}" {c.sql_type}'
                    )

        self.transact(create, CommitMessage("tables", "", "create_tables", "1", "create tables"))

    def read(
        self,
        table: TableSchema,
        *,
        first: date | None = None,
        last: date | None = None,
        account: str | None = None,
        symbols: Sequence[str] | None = None,
        snapshot_id: int | None = None,
    ) -> pd.DataFrame:
        """Return rows in primary-key order.

        Parameters
        ----------
        first, last : date, optional
            Inclusive bounds of ``session``.
        account : str, optional
            Only this account's rows.
        symbols : sequence of str, optional
            Only rows of these symbols.
        snapshot_id : int, optional
            The table as it was at this snapshot; default is now.

        Raises
        ------
        SnapshotNotFound
            The lake has no such snapshot, or the table did not exist then.
        LakeUnreadable
            A data file or the catalog cannot be read.
        """
        conditions, values = row_conditions(first, last, account, symbols)
        version = f" AT (VERSION => {int(snapshot_id)})" if snapshot_id is not None else ""
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        source = f"{table_name(table)}{version}"
        with reading(table, snapshot_id):
            self._before_read(table, first, last, snapshot_id)
            if self._read_at is None:
                self._read_at = self.snapshot_id() if snapshot_id is None else snapshot_id
            columns = self.select_list(table, source) if version else select_list(table, table.column_names)
            frame = self._connection.execute(f"SELECT {columns} FROM {source}{where}", values).df()  # noqa: S608
        return table.adopt(frame)

    def select_list(self, table: TableSchema, source: str) -> str:
        """Return the columns of a version of a table, which may lack those that came later."""
        held = self._connection.execute(f"SELECT * FROM {source} LIMIT 0").description  # noqa: S608 - the schema's name
        return select_list(table, [column[0] for column in held])

    def _before_read(self, table: TableSchema, first: date | None, last: date | None, snapshot_id: int | None) -> None:
        """Refuse a read; a plain lake refuses none, see :mod:`aegis.lake.verified_lake`."""

    def sessions(self, table: TableSchema, *, account: str | None = None) -> list[date]:
        """Return the sessions for which `table` has rows, ascending."""
        conditions, values = row_conditions(None, None, account)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._fetch(f"SELECT DISTINCT session FROM {table_name(table)}{where} ORDER BY 1", values)  # noqa: S608
        return [row[0] for row in rows]

    def last_session(self, table: TableSchema) -> date | None:
        """Return the newest session for which `table` has rows; None where it has none or is not created yet."""
        try:
            rows = self._fetch(f"SELECT max(session) FROM {table_name(table)}")  # noqa: S608 - names come from the schema
        except duckdb.CatalogException:
            return None
        found: date | None = rows[0][0]
        return found

    def write(
        self, replacements: Sequence[Replacement], message: CommitMessage, *, based_on: Sequence[UnchangedRows] = ()
    ) -> int:
        """Replace ranges of rows in one transaction and return the number of the snapshot that holds them.

        Raises
        ------
        SchemaMismatch
            A frame does not fit its table, or holds rows outside its range or of another account. Nothing has been
            written.
        LakeError
            Rows of `based_on` changed, or other writers held the catalog for all attempts. Nothing has been written.

        Notes
        -----
        DuckLake makes no snapshot of a transaction that changes nothing. That a session was computed and had no rows is
        worth remembering, so such a write leaves a row in ``lake.empty_writes``. The commit message says at which
        snapshot this object began to read since its last write: the rows may rest on that one and not on the newest.
        """
        prepared = [(r, arrow_rows_to_insert(r.table, _checked(r))) for r in replacements]

        def replace() -> None:
            changed = 0
            for rows_read in based_on:
                rows_read.require(self)
            for replacement, rows in prepared:
                conditions, values = row_conditions(replacement.first, replacement.last, replacement.account)
                where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
                deleted = self._fetch(f"DELETE FROM {table_name(replacement.table)}{where}", values)  # noqa: S608
                changed += rows.num_rows + int(deleted[0][0])
                if rows.num_rows:
                    self._connection.register("incoming_rows", rows)
                    target = table_name(replacement.table)
                    self._connection.execute(f"INSERT INTO {target} BY NAME SELECT * FROM incoming_rows")  # noqa: S608
                    self._connection.unregister("incoming_rows")
            if not changed:
                self._note_empty_write(message)

        return self.transact(replace, message)

    def snapshot_id(self) -> int:
        """Return the number of the newest snapshot."""
        return int(self._fetch(f"SELECT id FROM {ALIAS}.current_snapshot()")[0][0])  # noqa: S608

    def snapshots(self) -> pd.DataFrame:
        """Return all snapshots, expired ones too: number, time, message and whether it can still be read."""
        return snapshot_log(self._connection)

    def _note_empty_write(self, message: CommitMessage) -> None:
        columns = "asset VARCHAR, sessions VARCHAR, run_id VARCHAR"
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ALIAS}.lake")
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS {ALIAS}.lake.empty_writes ({columns})")
        values = [message.asset, message.sessions, message.run_id]
        self._connection.execute(f"INSERT INTO {ALIAS}.lake.empty_writes VALUES (?, ?, ?)", values)  # noqa: S608

    def transact(self, change: Callable[[], None], message: CommitMessage) -> int:
        """Make `change` in one transaction, again where another writer was faster, and return the snapshot's number.

        Raises
        ------
        LakeError
            Other writers held the catalog for all attempts, or the change was refused. Nothing has been written.
        """
        for attempt in range(_WRITE_ATTEMPTS):
            try:
                anchor = self.checksums.highest()
                self._connection.execute("BEGIN TRANSACTION")
                change()
                subject = f"{message.asset} {message.sessions}"
                read_at = {} if self._read_at is None else {READ_AT: self._read_at}
                details = json.dumps({**asdict(message), ANCHOR: anchor, **read_at}, sort_keys=True)
                self._connection.execute(
                    f"CALL {ALIAS}.set_commit_message(?, ?, extra_info => ?)", ["aegis", subject.strip(), details]
                )
                self._connection.execute("COMMIT")
            except duckdb.Error as error:
                self._roll_back()
                if not is_contention(error):
                    raise LakeError(f"{message.asset}: nothing was written: {error}") from error
                self._sleep(min(_FIRST_BACKOFF_SECONDS * 2**attempt, 2.0))
            except LakeError:
                self._roll_back()
                raise
            else:
                self._read_at = None
                snapshot_id = self._committed_snapshot_id()
                self.checksums.record_patiently(f"{message.asset} snapshot {snapshot_id}", anchor, sleep=self._sleep)
                return snapshot_id
        raise LakeError(
            f"{message.asset}: other writers held the lake for {_WRITE_ATTEMPTS} attempts; nothing was written, "
            "run it again"
        )

    def _committed_snapshot_id(self) -> int:
        committed = self._fetch(f"SELECT id FROM {ALIAS}.last_committed_snapshot()")[0][0]  # noqa: S608
        # A transaction that changed nothing makes no snapshot; then the rows stand as they were.
        return self.snapshot_id() if committed is None else int(committed)

    def _roll_back(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except duckdb.TransactionException:
            return  # the failed commit has already ended the transaction

    def _fetch(self, statement: str, values: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values or []).fetchall()


@contextmanager
def reading(table: TableSchema, snapshot_id: int | None) -> Iterator[None]:
    """Say in the lake's errors why rows of `table` could not be read.

    Raises
    ------
    SnapshotNotFound
        The lake has no such snapshot, or the table did not exist then.
    LakeUnreadable
        A data file or the catalog cannot be read.
    """
    try:
        yield
    except duckdb.Error as error:
        is_unknown = snapshot_id is not None and "snapshot" in str(error).lower()
        if is_unknown or isinstance(error, duckdb.CatalogException):
            raise SnapshotNotFound(
                f"{table.key} at snapshot {snapshot_id}: {error}; see `aegis data versions`"
            ) from error
        raise LakeUnreadable(f"{table.key} cannot be read: {error}; the lake: {remedy_of(error)}") from error


def table_name(table: TableSchema) -> str:
    """Return the table's name in SQL."""
    return f'{ALIAS}."{table.layer}"."{table.name}"'


def row_conditions(
    first: date | None, last: date | None, account: str | None, symbols: Sequence[str] | None = None
) -> tuple[list[str], list[object]]:
    """Return SQL conditions that choose rows, and the values of their parameters."""
    listed = None if symbols is None else list(symbols)
    terms = [
        ("session >= ?", first),
        ("session <= ?", last),
        ("account = ?", account),
        ("list_contains(?, symbol)", listed),
    ]
    chosen = [(condition, value) for condition, value in terms if value is not None]
    return [condition for condition, _ in chosen], [value for _, value in chosen]


def _checked(replacement: Replacement) -> pd.DataFrame:
    table = replacement.table
    frame = table.adopt(replacement.frame)  # it is only read
    if replacement.account is not None:
        _refuse_other_accounts(table, frame, replacement.account)
    if not table.is_sessioned:
        return frame
    if replacement.first is None or replacement.last is None:
        raise SchemaMismatch(f"{table.key}: a write must name the range of sessions that it replaces")
    outside = frame[~frame["session"].between(pd.Timestamp(replacement.first), pd.Timestamp(replacement.last))]
    if not outside.empty:
        raise SchemaMismatch(
            f"{table.key}: {len(outside)} row(s) lie outside {replacement.first}..{replacement.last}, first "
            f"{outside.iloc[0][list(table.primary_key)].to_dict()}; write them with their own range"
        )
    return frame


def _refuse_other_accounts(table: TableSchema, frame: pd.DataFrame, account: str) -> None:
    if "account" not in table.column_names:
        raise SchemaMismatch(
            f"{table.key}: the write replaces rows of account {account!r}, and the table has no accounts; name none"
        )
    others = frame[frame["account"] != account]
    if not others.empty:
        raise SchemaMismatch(
            f"{table.key}: {len(others)} row(s) are not of account {account!r}, whose rows are replaced, first "
            f"{others.iloc[0][list(table.primary_key)].to_dict()}; write each account's rows with their own account"
        )
