"""The lake as a Dagster resource, reached through ``dagster-duckdb``.

Belongs here: opening and closing. What can be read and written is :mod:`aegis.lake.lake`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster_duckdb import DuckDBResource

from aegis.lake.attachment import LakeLocation, attach
from aegis.lake.lake import Lake
from aegis.lake.tables import ALL_TABLES

_PREPARED: set[tuple[str, int]] = set()
"""Catalogs, by path and inode, that this process knows to hold every table."""


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
        ``DuckDBResource.get_connection`` does not close its connection when the body raises, so it is closed here.
        """
        with self.duckdb.get_connection() as connection:
            try:
                attach(connection, LakeLocation(Path(self.folder)))
                lake = Lake(connection)
                self._create_tables_once(lake)
                yield lake
            finally:
                connection.close()

    def _create_tables_once(self, lake: Lake) -> None:
        """Create missing tables, once for each catalog and process: asking costs as much as a small write."""
        catalog = LakeLocation(Path(self.folder)).catalog
        identity = (str(catalog), catalog.stat().st_ino)
        if identity not in _PREPARED:
            lake.create_tables(ALL_TABLES)
            _PREPARED.add(identity)
