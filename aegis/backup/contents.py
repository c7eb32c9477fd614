"""What must be equal in a workspace and in its restored backup: tables, journals, and copies of databases in use.

Belongs here: reading. Copies are made with SQLite's online backup: a writer is not held up, and the copy is what one
transaction would have read.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from aegis.backup.manifest import JournalContent, TableContent
from aegis.errors import BackupError
from aegis.execution.journal import Journal
from aegis.lake.attachment import ALIAS, load_extensions, remedy_of

_SQLITE_HEADER = b"SQLite format 3\0"
_FILES = """
SELECT schemas.path, schemas.path_is_relative, tables.path, tables.path_is_relative, files.path,
    files.path_is_relative, checksums.sha256
FROM (
    SELECT data_file_id AS file_id, table_id, path, path_is_relative FROM ducklake_data_file
    UNION ALL SELECT delete_file_id, table_id, path, path_is_relative FROM ducklake_delete_file
) AS files
JOIN (SELECT DISTINCT table_id, schema_id, path, path_is_relative FROM ducklake_table) AS tables USING (table_id)
JOIN (SELECT DISTINCT schema_id, path, path_is_relative FROM ducklake_schema) AS schemas USING (schema_id)
LEFT JOIN (SELECT DISTINCT file_id, sha256 FROM {checksums}) AS checksums USING (file_id)
"""
_NO_CHECKSUMS = "(SELECT NULL AS file_id, NULL AS sha256)"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A data file that a catalog lists, relative to the data folder, with its checksum where one was recorded."""

    path: str
    sha256: str | None


def is_database(file: Path) -> bool:
    """Return whether `file` is an SQLite database."""
    with file.open("rb") as content:
        return content.read(len(_SQLITE_HEADER)) == _SQLITE_HEADER


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite database that may be in use, as one transaction would read it.

    Raises
    ------
    BackupError
        It cannot be read, or is damaged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            closing(sqlite3.connect(source, timeout=30.0)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}; {remedy_of(error)}") from error
    if found != "ok":
        raise BackupError(f"{source} is damaged: {found}; restore it from an earlier backup")


def listed_files(catalog: Path) -> list[ListedFile]:
    """Return every data file that a copy of a catalog lists, of whatever snapshot.

    Raises
    ------
    BackupError
        A data file lies outside the lake's data folder.
    """
    with closing(sqlite3.connect(catalog)) as connection:
        has = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'aegis_data_file_checksums'").fetchone()
        rows = connection.execute(_FILES.format(checksums="aegis_data_file_checksums" if has else _NO_CHECKSUMS))
        files = []
        for row in rows:
            if not all(row[1:6:2]):
                raise BackupError(
                    f"data file {row[4]} lies outside the lake's folder, so that this backup would not hold it; copy "
                    "its rows into the lake first"
                )
            files.append(ListedFile("".join(row[0:6:2]), row[6]))
    return files


def lake_contents(catalog: Path, data_path: Path) -> tuple[int, dict[str, TableContent]]:
    """Return the newest snapshot of a lake and the content of each of its tables.

    Parameters
    ----------
    catalog : Path
        A copy of the catalog; another copy of it is attached, so that it stays as it is.
    data_path : Path
        Folder of the data files.
    """
    with TemporaryDirectory() as scratch, closing(duckdb.connect()) as connection:
        copy = Path(scratch) / "catalog.sqlite"
        copy_database(catalog, copy)
        load_extensions(connection)
        connection.execute("SET TimeZone = 'UTC'")
        quoted = str(data_path).replace("'", "''")
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{str(copy).replace(chr(39), chr(39) * 2)}' AS {ALIAS} "
            f"(DATA_PATH '{quoted}/', OVERRIDE_DATA_PATH true)"
        )
        try:
            return _contents(connection)
        except duckdb.Error as error:
            raise BackupError(f"the lake below {data_path} cannot be read: {error}; `aegis data verify`") from error
        finally:
            connection.execute("USE memory")
            connection.execute(f"DETACH {ALIAS}")


def journal_contents(file: Path) -> JournalContent:
    """Verify the whole chain of a copied journal and return where it ends.

    Raises
    ------
    JournalError
        It does not verify.
    """
    with TemporaryDirectory() as scratch:
        copy = Path(scratch) / file.name
        copy_database(file, copy)
        with Journal.open(copy, account=file.stem) as journal:
            journal.verify()
            return JournalContent(*journal.head())


def _contents(connection: duckdb.DuckDBPyConnection) -> tuple[int, dict[str, TableContent]]:
    newest = connection.execute(f"SELECT id FROM {ALIAS}.current_snapshot()").fetchall()[0][0]  # noqa: S608
    columns = connection.execute(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE database_name = ? "
        "AND NOT internal ORDER BY schema_name, table_name, column_index",
        [ALIAS],
    ).fetchall()
    tables: dict[tuple[str, str], list[str]] = {}
    for layer, name, column in columns:
        tables.setdefault((layer, name), []).append(column)
    return int(newest), {
        f"{layer}/{name}": _table_content(connection, layer, name, of) for (layer, name), of in tables.items()
    }


def _table_content(connection: duckdb.DuckDBPyConnection, layer: str, name: str, columns: list[str]) -> TableContent:
    """Hash each row's text, in which every value stands with its length; the sums of the halves know no order."""
    row = " || ".join(f"""coalesce(strlen({_name(c)}::VARCHAR) || ':' || {_name(c)}::VARCHAR, '-')""" for c in columns)
    halves = ", ".join(f"sum(md5_number_{half}(text)::HUGEINT)::VARCHAR" for half in ("lower", "upper"))
    source = f"SELECT {row} AS text FROM {ALIAS}.{_name(layer)}.{_name(name)}"  # noqa: S608 - quoted names
    statement = f"SELECT count(*), {halves} FROM ({source})"  # noqa: S608 - the same
    rows, low, high = connection.execute(statement).fetchall()[0]
    described = "\n".join([*columns, str(rows), str(low), str(high)])
    return TableContent(int(rows), hashlib.sha256(described.encode()).hexdigest())


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
