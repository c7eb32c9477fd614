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

from aegis.lake.attachment import ALIAS, LakeLocation, attach
from aegis.lake.lake import Lake
from aegis.lake.tables import ALL_TABLES

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
        Absolute folder of the catalog and the Parquet files.
    duckdb : DuckDBResource
        In-memory DuckDB that the lake is attached to.
    """

    folder: str
    duckdb: dg.ResourceDependency[DuckDBResource]

    @contextmanager
    def open(self) -> Iterator[Lake]:
        """Yield the lake on a connection of its own, with every table created.

        Notes
        -----
        Nobody else uses the connection meanwhile. Afterwards the lake is detached and the connection kept for the next
        call; after an error it is closed, which ``DuckDBResource.get_connection`` alone would not do.
        """
        idle = _IDLE.setdefault(os.getpid(), [])
        connection = idle.pop() if idle else ExitStack().enter_context(self.duckdb.get_connection())
        try:
            attach(connection, LakeLocation(Path(self.folder)))
            lake = Lake(connection)
            self._create_tables_once(lake)
            yield lake
            connection.execute(f"DETACH {ALIAS}")
        except BaseException:
            connection.close()
            raise
        idle.append(connection)

    def _create_tables_once(self, lake: Lake) -> None:
        """Create missing tables, once for each catalog and process: asking costs as much as a small write."""
        catalog = LakeLocation(Path(self.folder)).catalog
        identity = (str(catalog), catalog.stat().st_ino)
        if identity not in _PREPARED:
            lake.create_tables(ALL_TABLES)
            _PREPARED.add(identity)
