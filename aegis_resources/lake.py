"""The lake as a Dagster resource, reached through ``dagster-duckdb``.

Belongs here: opening and closing. What can be read and written is :mod:`aegis.lake.lake`.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import SecretStr

from aegis.config_storage import POSTGRES_URL_VARIABLE
from aegis.lake.attachment import ALIAS, LakeLocation, attach
from aegis.lake.lake import Lake
from aegis.lake.object_store import ObjectStore
from aegis.lake.tables import ALL_TABLES
from aegis.lake.tables.market import MARKET_TABLES
from aegis.lake.tables.research import RESEARCH_TABLES
from aegis.lake.verified_lake import VerifiedLake
from aegis.postgres import PostgresSchema
from aegis.workspace import Workspace

_PREPARED: set[tuple[str, int]] = set()
"""Catalogs, by path and inode, that this process knows to hold every table."""


_IDLE: dict[int, list[duckdb.DuckDBPyConnection]] = {}
"""Connections without a lake, by process: loading DuckLake takes 0.14 s, attaching a lake 0.003 s, and every step of a
run opens the lake. A process forked from this one must not use its connections."""


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The versioned tables of one workspace.

    Attributes
    ----------
    folder : str
        Absolute folder of the catalog and the Parquet files, as far as they are on this machine.
    postgres_url, postgres_schema : str
        Database and schema of the catalog; empty for a SQLite file. The URL may be an ``EnvVar``: Dagster shows the
        values of a resource in its UI, and of a variable the name alone.
    data_url, s3_endpoint_url, s3_region, s3_url_style : str
        Object store of the Parquet files; empty for the folder.
    duckdb : DuckDBResource
        In-memory DuckDB that the lake is attached to.
    """

    folder: str
    postgres_url: str = ""
    postgres_schema: str = ""
    data_url: str = ""
    s3_endpoint_url: str = ""
    s3_region: str = ""
    s3_url_style: str = ""
    duckdb: dg.ResourceDependency[DuckDBResource]

    @classmethod
    def of(cls, workspace: Workspace) -> "LakeResource":
        """Return the resource that opens a workspace's lake."""
        location, variable = workspace.lake, POSTGRES_URL_VARIABLE
        server, store = location.server, location.store
        url = "" if server is None else server.url.get_secret_value()
        return cls(
            folder=str(location.folder),
            postgres_url=dg.EnvVar(variable) if url and os.environ.get(variable) == url else url,
            postgres_schema="" if server is None else server.name,
            data_url="" if store is None else store.url,
            s3_endpoint_url="" if store is None else store.endpoint_url or "",
            s3_region="" if store is None else store.region,
            s3_url_style="" if store is None else store.url_style,
            duckdb=DuckDBResource(database=":memory:"),
        )

    @property
    def location(self) -> LakeLocation:
        """Where the lake is."""
        # Outside of a run Dagster has not put the variable's value in its place.
        url = self.postgres_url.get_value() if isinstance(self.postgres_url, dg.EnvVar) else self.postgres_url
        return LakeLocation(
            Path(self.folder),
            PostgresSchema(SecretStr(url), self.postgres_schema) if url else None,
            ObjectStore(self.data_url, self.s3_region, self.s3_endpoint_url or None, self.s3_url_style)
            if self.data_url
            else None,
        )

    @contextmanager
    def open(self) -> Iterator[Lake]:
        """Yield the lake on a connection of its own, with every table created; a damaged data file is not read.

        Notes
        -----
        Nobody else uses the connection meanwhile. Afterwards the lake is detached and the connection kept for the next
        call; after an error it is closed, which ``DuckDBResource.get_connection`` alone would not do.
        """
        idle = _IDLE.setdefault(os.getpid(), [])
        connection = idle.pop() if idle else ExitStack().enter_context(self.duckdb.get_connection())
        try:
            attach(connection, self.location)
            lake = VerifiedLake(connection)
            self._create_tables_once(lake)
            yield lake
            connection.execute(f"DETACH {ALIAS}")
        except BaseException:
            connection.close()
            raise
        idle.append(connection)

    def _create_tables_once(self, lake: Lake) -> None:
        """Create missing tables, once for each catalog and process: asking costs as much as a small write."""
        location = self.location
        identity = (location.catalog_name, location.catalog.stat().st_ino if location.server is None else 0)
        if identity not in _PREPARED:
            lake.create_tables(ALL_TABLES)
            lake.checksums.cover(MARKET_TABLES + RESEARCH_TABLES)
            lake.checksums.record()  # what a killed process, dbt or an earlier version wrote without
            _PREPARED.add(identity)
