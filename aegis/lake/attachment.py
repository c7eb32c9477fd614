"""Where a lake lives, and how a DuckDB connection is attached to it.

Belongs here: the DuckLake extension, the catalog and the data path. Tables are :mod:`aegis.lake.lake`.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import duckdb_extensions

from aegis.errors import LakeUnreadable
from aegis.lake.object_store import ObjectStore
from aegis.lake.relocation import follow_move
from aegis.postgres import PostgresSchema

ALIAS = "lake"
_EXTENSIONS = ("sqlite", "ducklake")
_CATALOG_TABLE = "ducklake_metadata"
_CATALOG_SECRET = "aegis_lake_catalog"  # noqa: S105 - the name of a secret


@dataclass(frozen=True)
class LakeLocation:
    """A lake: on this machine a SQLite catalog and a folder of Parquet files, or one or both of them elsewhere.

    Parameters
    ----------
    folder : Path
        Absolute. A relative path would be resolved against the working directory of whoever reads.
    server : PostgresSchema, optional
        Takes the place of the SQLite catalog.
    store : ObjectStore, optional
        Takes the place of the folder of Parquet files.
    """

    folder: Path
    server: PostgresSchema | None = None
    store: ObjectStore | None = None

    def __post_init__(self) -> None:
        if not self.folder.is_absolute():
            raise LakeUnreadable(f"lake folder {self.folder} must be absolute; resolve it against aegis.yaml first")

    @property
    def catalog(self) -> Path:
        """SQLite file that holds tables, snapshots and file lists."""
        return self.folder / "catalog.sqlite"

    @property
    def data_path(self) -> Path:
        """Folder of the Parquet files, where they are on this machine."""
        return self.folder / "data"

    @property
    def data_url(self) -> str:
        """Where the Parquet files are, ending in a slash: a folder, or a place in an object store."""
        return f"{self.data_path}/" if self.store is None else self.store.url

    @property
    def catalog_name(self) -> str:
        """Where the catalog is, as shown to people."""
        return str(self.catalog if self.server is None else self.server)

    @property
    def extensions(self) -> tuple[str, ...]:
        """DuckDB extensions that reading it takes."""
        elsewhere = (("postgres", self.server), ("httpfs", self.store))
        return (*_EXTENSIONS, *(name for name, place in elsewhere if place is not None))

    def exists(self) -> bool:
        """Whether the lake was ever begun.

        Raises
        ------
        StorageUnavailable
            The server of its catalog does not answer.
        """
        return self.catalog.exists() if self.server is None else self.server.has_table(_CATALOG_TABLE)


def attach(connection: duckdb.DuckDBPyConnection, location: LakeLocation) -> None:
    """Attach the lake at `location` to `connection` under the name ``lake``, creating it when it does not exist.

    Raises
    ------
    LakeUnreadable
        The catalog is damaged, or gone while its data files are there, or was moved without them, or the folder cannot
        be written. Nothing has been changed.
    StorageUnavailable
        The catalog's server does not answer.
    ConfigurationError
        The object store's credentials are missing.

    Notes
    -----
    A lake that was moved together with its data files is told its new place, see :mod:`aegis.lake.relocation`.
    """
    load_extensions(connection, location.extensions)
    if location.store is not None:
        location.store.open(connection)
    if location.server is not None:
        _attach_to_server(connection, location, location.server)
    else:
        _attach_embedded(connection, location)


def _attach_to_server(connection: duckdb.DuckDBPyConnection, location: LakeLocation, server: PostgresSchema) -> None:
    """Attach a lake whose catalog is a schema of a PostgreSQL database.

    Raises
    ------
    LakeUnreadable
        The folder has an embedded catalog, the server does not answer, the catalog is damaged or knows another data
        path, or is gone while its data files are there.
    """
    if _has_content(location.catalog):
        raise LakeUnreadable(
            f"lake {location.folder} has an embedded catalog, and storage.postgres_url names PostgreSQL; two catalogs "
            "would tell two histories: name another workspace with run.workspace, or leave storage.postgres_url out"
        )
    _create_server_secret(connection, server)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        if location.store is None:
            location.data_path.mkdir(parents=True, exist_ok=True)
        try:
            _attach_schema(connection, location, server, "CREATE_IF_NOT_EXISTS false")
        except duckdb.InvalidInputException:  # it was never begun
            with server.locked("begin the lake"):  # else two that begin together would each meet half of a catalog
                if not server.has_table(_CATALOG_TABLE):
                    _refuse_data_without_catalog(connection, location)
                _attach_schema(connection, location, server)
    except (duckdb.Error, OSError) as error:
        raise LakeUnreadable(
            f"lake catalog {location.catalog_name} cannot be opened: {error}; see that the server runs and that "
            "storage.postgres_url and storage.data_path are those that the lake was made with"
        ) from error


def _create_server_secret(connection: duckdb.DuckDBPyConnection, server: PostgresSchema) -> None:
    """Hand DuckDB the server's address; the password is bound to a parameter and stands in no statement."""
    url = server.server_url()
    given = {
        "HOST": url.query.get("host", url.host),
        "PORT": url.port,
        "DATABASE": url.database,
        "USER": url.username,
        "PASSWORD": url.password,
    }
    named = {name: str(value) for name, value in given.items() if value is not None}
    terms = "".join(f", {name} ?" for name in named)
    connection.execute(
        f"CREATE OR REPLACE TEMPORARY SECRET {_CATALOG_SECRET} (TYPE postgres{terms})", list(named.values())
    )


def _attach_schema(
    connection: duckdb.DuckDBPyConnection, location: LakeLocation, server: PostgresSchema, *options: str
) -> None:
    given = (
        f"DATA_PATH '{_quoted(location.data_url)}'",
        f"META_SECRET '{_CATALOG_SECRET}'",
        f"METADATA_SCHEMA '{server.name}'",
        f"META_SCHEMA '{server.name}'",  # so that DuckLake's own tables are found without naming the schema
    )
    given_terms = {name: value for name, value in server.server_url().query.items() if name != "host"}
    # For questions in PostgreSQL's own SQL, which name no schema (aegis.lake.catalog_database).
    given_terms["options"] = f"{given_terms.get('options', '')} -csearch_path={server.name}".strip()
    terms = " ".join(f"{name}={_quoted_term(str(value))}" for name, value in given_terms.items())
    path = _quoted(f"ducklake:postgres:{terms}")  # sslmode and the like, which a secret has no place for
    connection.execute(f"ATTACH '{path}' AS {ALIAS} ({', '.join([*given, *options])})")


def _attach_embedded(connection: duckdb.DuckDBPyConnection, location: LakeLocation) -> None:
    existed = location.catalog.exists()
    try:
        _refuse_data_without_catalog(connection, location)
        location.folder.mkdir(parents=True, exist_ok=True)
        if location.store is None:
            location.data_path.mkdir(exist_ok=True)
        connection.execute("SET TimeZone = 'UTC'")
        with _one_at_a_time(location):
            _attach_where_it_lies(connection, location)
    except (duckdb.Error, sqlite3.Error, OSError) as error:
        state = "cannot be opened" if existed else "cannot be created"
        raise LakeUnreadable(
            f"lake catalog {location.catalog} {state}: {error}; {remedy_of(error)}, or name another workspace with "
            "run.workspace"
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
        if not (existed and location.store is None and follow_move(location.catalog, location.data_path)):
            raise
        _attach(connection, location, "OVERRIDE_DATA_PATH true")  # others may see the same lake at another place


def _attach(connection: duckdb.DuckDBPyConnection, location: LakeLocation, *options: str) -> None:
    given = (f"DATA_PATH '{_quoted(location.data_url)}'", "META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 10000")
    connection.execute(
        f"ATTACH 'ducklake:sqlite:{_quoted(location.catalog)}' AS {ALIAS} ({', '.join([*given, *options])})"
    )


def _refuse_data_without_catalog(connection: duckdb.DuckDBPyConnection, location: LakeLocation) -> None:
    """Refuse to begin a new, empty lake over the data files of one whose catalog was lost."""
    if _has_content(location.catalog) or not _has_data(connection, location):
        return
    if _has_content(location.catalog):
        return  # another process has begun the lake in the meantime
    raise LakeUnreadable(
        f"lake catalog {location.catalog_name} is gone, but {location.data_url} holds its data files; restore it from "
        "a backup, or name another workspace with run.workspace"
    )


def _has_data(connection: duckdb.DuckDBPyConnection, location: LakeLocation) -> bool:
    if location.store is not None:
        return location.store.has_files(connection)
    return any(location.data_path.rglob("*.parquet"))


def _has_content(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def load_extensions(connection: duckdb.DuckDBPyConnection, names: Sequence[str] = _EXTENSIONS) -> None:
    """Load DuckLake and its SQLite catalog, or those of `names`, from the installed packages; nothing is downloaded.

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
    for name in names:
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


def _quoted_term(value: str) -> str:
    """Return a value of a connection string of libpq, in quotation marks."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _quoted(path: Path | str) -> str:
    return str(path).replace("'", "''")


def remedy_of(error: Exception) -> str:
    """Return what mends a database that SQLite cannot use: nothing is damaged where its folder cannot be written.

    Notes
    -----
    Reading a catalog writes as well: its log of writes ahead lies beside it.
    """
    is_read_only = "readonly database" in str(error) or isinstance(error, PermissionError)
    return "make its folder writable" if is_read_only else "restore it from a backup"
