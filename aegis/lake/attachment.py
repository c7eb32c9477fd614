"""Where a lake lives, and how a DuckDB connection is attached to it.

Belongs here: the DuckLake extension, the catalog and the data path. Tables are :mod:`aegis.lake.lake`.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import duckdb_extensions

from aegis.errors import LakeUnreadable
from aegis.lake.relocation import follow_move

ALIAS = "lake"
_EXTENSIONS = ("sqlite", "ducklake")


@dataclass(frozen=True)
class LakeLocation:
    """A lake on this machine: a SQLite catalog and a folder of Parquet files.

    Parameters
    ----------
    folder : Path
        Absolute. A relative path would be resolved against the working directory of whoever reads.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not self.folder.is_absolute():
            raise LakeUnreadable(f"lake folder {self.folder} must be absolute; resolve it against aegis.yaml first")

    @property
    def catalog(self) -> Path:
        """SQLite file that holds tables, snapshots and file lists."""
        return self.folder / "catalog.sqlite"

    @property
    def data_path(self) -> Path:
        """Folder of the Parquet files."""
        return self.folder / "data"


def attach(connection: duckdb.DuckDBPyConnection, location: LakeLocation) -> None:
    """Attach the lake at `location` to `connection` under the name ``lake``, creating it when it does not exist.

    Raises
    ------
    LakeUnreadable
        The catalog is damaged, or gone while its data files are there, or was moved without them, or the folder cannot
        be written. Nothing has been changed.

    Notes
    -----
    A lake that was moved together with its data files is told its new place, see :mod:`aegis.lake.relocation`.
    """
    load_extensions(connection)
    existed = location.catalog.exists()
    _refuse_data_without_catalog(location)
    try:
        location.data_path.mkdir(parents=True, exist_ok=True)
        connection.execute("SET TimeZone = 'UTC'")
        with _one_at_a_time(location):
            _attach_where_it_lies(connection, location)
    except (duckdb.Error, sqlite3.Error, OSError) as error:
        state = "cannot be opened" if existed else "cannot be created"
        raise LakeUnreadable(
            f"lake catalog {location.catalog} {state}: {error}; restore it from a backup, "
            "or name another workspace with run.workspace"
        ) from error


@contextmanager
def _one_at_a_time(location: LakeLocation) -> Iterator[None]:
    """Let one connection at a time attach: two processes that begin a lake together would each meet half of a catalog.

    Whether it has begun is not asked of the catalog: closing a file releases every lock that its process holds on it,
    also those of DuckDB's own SQLite.
    """
    with (location.folder / "attaching.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _attach_where_it_lies(connection: duckdb.DuckDBPyConnection, location: LakeLocation) -> None:
    """Attach the lake; one that was moved with all its data files is told its new place first."""
    existed = location.catalog.exists()
    try:
        _attach(connection, location)
    except duckdb.Error:
        if not (existed and follow_move(location.catalog, location.data_path)):
            raise
        _attach(connection, location, "OVERRIDE_DATA_PATH true")  # others may see the same lake at another place


def _attach(connection: duckdb.DuckDBPyConnection, location: LakeLocation, *options: str) -> None:
    given = (f"DATA_PATH '{_quoted(location.data_path)}'", "META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 10000")
    connection.execute(
        f"ATTACH 'ducklake:sqlite:{_quoted(location.catalog)}' AS {ALIAS} ({', '.join([*given, *options])})"
    )


def _refuse_data_without_catalog(location: LakeLocation) -> None:
    """Refuse to begin a new, empty lake over the data files of one whose catalog was lost."""
    if _has_content(location.catalog) or not any(location.data_path.rglob("*.parquet")):
        return
    if _has_content(location.catalog):
        return  # another process has begun the lake in the meantime
    raise LakeUnreadable(
        f"lake catalog {location.catalog} is gone, but {location.data_path} holds its data files; restore it from a "
        "backup, or name another workspace with run.workspace"
    )


def _has_content(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def load_extensions(connection: duckdb.DuckDBPyConnection) -> None:
    """Load DuckLake and its SQLite catalog from the installed packages; nothing is downloaded.

    Raises
    ------
    LakeUnreadable
        A package is missing, or was built for another version of DuckDB.

    Notes
    -----
    DuckDB copies an extension into its own folder under the user's home the first time a process asks; later calls
    find it there.
    """
    connection.execute("SET autoinstall_known_extensions = false")
    for name in _EXTENSIONS:
        try:
            _install_once(name)
            connection.execute(f"LOAD {name}")
        except (duckdb.Error, ModuleNotFoundError) as error:
            raise LakeUnreadable(
                f"DuckDB extension {name} does not load into duckdb {duckdb.__version__}: {error}; "
                "run `make env` to install the locked packages"
            ) from error


@cache
def _install_once(name: str) -> None:
    """Put the packaged extension where DuckDB looks for it; reading it takes a tenth of a second."""
    with duckdb.connect() as connection:
        duckdb_extensions.import_extension(name, con=connection)


@contextmanager
def connect(location: LakeLocation) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection of its own with the lake attached; closed on leaving, also after an error."""
    connection = duckdb.connect()
    try:
        attach(connection, location)
        yield connection
    finally:
        connection.close()


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
