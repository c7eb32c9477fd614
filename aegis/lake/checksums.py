"""SHA-256 of every data file of the lake, recorded in its catalog when a snapshot is made.

Belongs here: recording and comparing. Who refuses to read a damaged file is :mod:`aegis.lake.verified_lake`; what a
person sees is :mod:`aegis.lake.verification`.

Notes
-----
DuckLake writes a data file before its transaction commits and lists it when it does, so the checksum follows the
commit at once. A process that is killed in between leaves the newest files without one: the next write records them.
That could also hide checksums that somebody cut off at the end, so every commit message names the highest file that had
one: a list that ends before it was cut, and is refused. Data files are never changed in place.

The checksums are a table beside DuckLake's own in the catalog's database: they travel with it, and no expired snapshot
takes them along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from aegis.durable_files import flush_file
from aegis.errors import LakeError, LakeUnreadable
from aegis.lake.attachment import ALIAS
from aegis.lake.catalog_database import CatalogDatabase
from aegis.lake.schema import TableSchema

ANCHOR = "highest_checksummed_file"
"""Name, in a commit message, of the highest file that had a checksum before the commit."""
NONE_YET = -1
_ATTEMPTS = 12
_FIRST_BACKOFF_SECONDS = 0.05
_TABLE = "aegis_data_file_checksums"
_FILES = """
SELECT files.file_id, schemas.schema_name, tables.table_name, files.begin_snapshot, files.end_snapshot,
    files.size_bytes, checksums.sha256,
    CASE WHEN files.path_is_relative THEN
        CASE WHEN tables.path_is_relative THEN schemas.path || tables.path ELSE tables.path END || files.path
    ELSE files.path END AS path,
    CASE WHEN files.path_is_relative AND tables.path_is_relative AND schemas.path_is_relative
        THEN 'below data path' ELSE 'absolute' END AS place
FROM (
    SELECT data_file_id AS file_id, data_file_id, table_id, begin_snapshot, end_snapshot, file_size_bytes AS size_bytes,
        path, path_is_relative FROM ducklake_data_file
    UNION ALL
    SELECT delete_file_id, data_file_id, table_id, begin_snapshot, end_snapshot, file_size_bytes, path, path_is_relative
        FROM ducklake_delete_file
) AS files
JOIN (SELECT DISTINCT table_id, schema_id, table_name, path, path_is_relative FROM ducklake_table) AS tables
    ON tables.table_id = files.table_id
JOIN (SELECT DISTINCT schema_id, schema_name, path, path_is_relative FROM ducklake_schema) AS schemas
    ON schemas.schema_id = tables.schema_id
LEFT JOIN (SELECT DISTINCT file_id, sha256 FROM {checksums}) AS checksums ON checksums.file_id = files.file_id
"""
_IN_RANGE = """
files.data_file_id NOT IN (
    SELECT stats.data_file_id FROM ducklake_file_column_stats AS stats
    JOIN ducklake_column AS columns
        ON columns.table_id = stats.table_id AND columns.column_id = stats.column_id
    WHERE columns.column_name = 'session' AND stats.max_value IS NOT NULL
        AND (stats.max_value < '{first}' OR stats.min_value > '{last}')
)
"""
_HIGHEST = """
SELECT (SELECT max(file_id) FROM {checksums}) AS highest,
    (SELECT commit_extra_info FROM ducklake_snapshot_changes
        WHERE commit_extra_info LIKE '%"{anchor}"%' ORDER BY snapshot_id DESC LIMIT 1) AS details
"""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of rows, or of the places of deleted rows, that the catalog lists.

    Parameters
    ----------
    file_id : int
        DuckLake's number of it; later files have higher ones.
    table_key : str
        Table that it belongs to.
    begin_snapshot : int
        First snapshot that its rows belong to.
    end_snapshot : int or None
        First snapshot that does without it; None while it is in use.
    size_bytes : int
        As the catalog lists it.
    sha256 : str or None
        Recorded when it was written.
    path : str
        Where it is: absolute, or an address in an object store.
    """

    file_id: int
    table_key: str
    begin_snapshot: int
    end_snapshot: int | None
    size_bytes: int
    sha256: str | None
    path: str


class DataFileChecksums:
    """The checksums of an attached lake.

    Parameters
    ----------
    connection : DuckDBPyConnection
        With the lake attached.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._opened: CatalogDatabase | None = None

    def highest(self) -> int:
        """Return the highest file with a checksum, :data:`NONE_YET` where there is none.

        Raises
        ------
        LakeUnreadable
            A commit message names a higher one: checksums were cut off.
        """
        newest, details = self._ask(_HIGHEST, anchor=ANCHOR)[0]
        highest = NONE_YET if newest is None else int(newest)
        promised = NONE_YET if details is None else int(json.loads(details)[ANCHOR])
        if promised > highest:
            raise LakeUnreadable(
                f"checksums of the lake's data files end with file {highest}, and file {promised} had one: they were "
                "cut off, so that damage would pass unseen; restore the lake from a backup (`aegis data restore`)"
            )
        return highest

    def record(self, after: int | None = None) -> int:
        """Hash the files that are newer than the newest with a checksum, flush and record them; return how many.

        Parameters
        ----------
        after : int, optional
            What :meth:`highest` said before these files were committed; asked again if not given.

        Raises
        ------
        LakeUnreadable
            A file is not there, or not as long as the catalog says.
        duckdb.Error
            Another process holds the catalog; nothing was recorded.
        """
        newest = self.highest() if after is None else after
        fresh = self._files(f"files.file_id > {int(newest)}", "checksums.sha256 IS NULL")
        rows = [[file.file_id, self._first_digest(file)] for file in fresh]
        if rows:
            values = ", ".join("(?, ?)" for _ in rows)
            self._connection.execute(
                f"INSERT INTO {self._catalog().attached_name(_TABLE)} VALUES {values}",  # noqa: S608 - placeholders
                [value for row in rows for value in row],
            )
        return len(rows)

    def record_patiently(self, written: str, after: int, *, sleep: Callable[[float], None]) -> None:
        """Record as :meth:`record`, and wait for other writers of the catalog.

        Raises
        ------
        LakeError
            `written` is committed and has no checksums yet; the next write records them.
        """
        for attempt in range(_ATTEMPTS):
            try:
                self.record(after)
            except duckdb.Error as error:
                if not is_contention(error):
                    raise LakeError(f"{written} is written and has no checksums: {error}; write again") from error
                sleep(min(_FIRST_BACKOFF_SECONDS * 2**attempt, 2.0))
            else:
                return
        raise LakeError(
            f"{written} is written, and other writers held the lake for {_ATTEMPTS} attempts to record its checksums; "
            "the next write records them"
        )

    def cover(self, tables: Iterable[TableSchema]) -> None:
        """Let every row of `tables` lie in a data file from now on, which has a checksum.

        Notes
        -----
        DuckLake keeps an insert of up to ten rows in the catalog's database instead, where no checksum sees it.
        """
        scopes = self._connection.execute(
            f"SELECT scope_entry FROM ducklake_options('{ALIAS}') WHERE option_name = 'data_inlining_row_limit'"  # noqa: S608
        ).fetchall()
        covered = {scope for (scope,) in scopes}
        for table in tables:
            if f"{table.layer}.{table.name}" not in covered:
                self._connection.execute(
                    f"CALL {ALIAS}.set_option('data_inlining_row_limit', 0, schema => ?, table_name => ?)",
                    [table.layer, table.name],
                )

    def all_files(self, *, since: date | None = None) -> list[DataFile]:
        """Return every file that the catalog lists, of whatever snapshot, by ascending number.

        Parameters
        ----------
        since : date, optional
            Only files that may hold rows of this session or later ones.

        Raises
        ------
        LakeUnreadable
            As :meth:`highest`.
        """
        self.highest()
        terms = [] if since is None else [_in_range(since, None)]
        return sorted(self._files(*terms), key=lambda file: file.file_id)

    def files_read(
        self, table: TableSchema, *, first: date | None, last: date | None, snapshot_id: int | None
    ) -> list[DataFile]:
        """Return the files that hold rows of `table` between two sessions, at a snapshot or now."""
        terms = [f"schemas.schema_name = '{table.layer}'", f"tables.table_name = '{table.name}'"]
        if snapshot_id is None:
            terms.append("files.end_snapshot IS NULL")
        else:
            terms.append(f"files.begin_snapshot <= {int(snapshot_id)}")
            terms.append(f"(files.end_snapshot IS NULL OR files.end_snapshot > {int(snapshot_id)})")
        if first is not None or last is not None:
            terms.append(_in_range(first, last))
        return self._files(*terms)

    def digest(self, file: DataFile) -> str:
        """Return the SHA-256 of a file as it is now.

        Raises
        ------
        OSError, duckdb.Error
            It is not there or cannot be read.
        """
        if "://" in file.path:
            statement = "SELECT sha256(content) FROM read_blob(?)"
            return str(self._connection.execute(statement, [file.path]).fetchall()[0][0])
        with Path(file.path).open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def _first_digest(self, file: DataFile) -> str:
        try:
            if "://" not in file.path:
                _require_length(file)
                flush_file(Path(file.path))
            return self.digest(file)
        except OSError as error:
            raise LakeUnreadable(
                f"{file.table_key}: data file {file.path} of snapshot {file.begin_snapshot} was just written and "
                f"cannot be read: {error}; see whether the disk is full or failing, and materialize these rows again"
            ) from error

    def _files(self, *terms: str) -> list[DataFile]:
        """Return the files for which all `terms`, conditions in SQL, hold."""
        where = f" WHERE {' AND '.join(terms)}" if terms else ""
        below = self._catalog().data_path
        return [
            DataFile(
                file_id=int(number),
                table_key=f"{layer}/{name}",
                begin_snapshot=int(begin),
                end_snapshot=None if end is None else int(end),
                size_bytes=int(size),
                sha256=sha256,
                path=path if place == "absolute" else below + path,
            )
            for number, layer, name, begin, end, size, sha256, path, place in self._ask(_FILES + where)
        ]

    def _ask(self, question: str, **names: str) -> list[tuple[Any, ...]]:
        return self._catalog().ask(question.format(checksums=_TABLE, **names))

    def _catalog(self) -> CatalogDatabase:
        if self._opened is None:
            catalog = CatalogDatabase(self._connection)
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {catalog.attached_name(_TABLE)} (file_id BIGINT, sha256 VARCHAR)"
            )
            self._opened = catalog
        return self._opened


def _in_range(first: date | None, last: date | None) -> str:
    """Return the condition that a file may hold rows between two sessions."""
    return _IN_RANGE.format(first=first or date.min, last=last or date.max)


def is_contention(error: duckdb.Error | str) -> bool:
    """Return whether another process held the catalog, so that the same attempt may succeed later.

    Parameters
    ----------
    error : duckdb.Error or str
        The error, or its message where another program passes it on.
    """
    text = str(error).lower()
    # Two that begin a lake together: one reads the catalog between the other's steps.
    half_begun = "failed to load ducklake" in text and "does not exist" in text
    # Two that make the table of checksums on PostgreSQL together.
    made_twice = "duplicate key" in text and "pg_type" in text
    return "database is locked" in text or "conflict" in text or half_begun or made_twice


def _require_length(file: DataFile) -> None:
    length = Path(file.path).stat().st_size
    if length != file.size_bytes:
        raise OSError(f"it has {length:,} bytes, and the catalog lists {file.size_bytes:,}")
