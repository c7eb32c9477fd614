"""The reporting marts: how ``dbt/`` describes them, and what stands in the lake after a build.

Belongs here: descriptions from ``dbt/models/marts``, and row counts and snapshots from the lake. Building them is
:mod:`aegis.reporting.dbt_build`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

from aegis.errors import ReportingError
from aegis.lake.attachment import ALIAS, LakeLocation, connect
from aegis.reporting.dbt_sources import documentation_blocks, resolved

SCHEMA = "marts"


@dataclass(frozen=True)
class MartColumn:
    """A column that a mart promises: its type in DuckDB, and what it means."""

    name: str
    data_type: str
    description: str


@dataclass(frozen=True)
class MartDescription:
    """What a row of a mart is, and its columns in their order."""

    text: str
    columns: tuple[MartColumn, ...]


@dataclass(frozen=True)
class WrittenMart:
    """A mart in the lake: how many rows it has, and the newest snapshot that wrote it."""

    row_count: int
    snapshot_id: int


def describe_marts(project: Path) -> dict[str, MartDescription]:
    """Return the description of each mart of a dbt project, by name.

    Notes
    -----
    dbt refuses to build a mart whose columns are not these (its contract), so they are known before anything is built.
    """
    blocks = documentation_blocks()
    described = {}
    for file in sorted((project / "models" / SCHEMA).glob("*.yml")):
        for model in yaml.safe_load(file.read_text(encoding="utf-8"))["models"]:
            columns = tuple(
                MartColumn(column["name"], column["data_type"], resolved(column["description"], blocks))
                for column in model["columns"]
            )
            described[model["name"]] = MartDescription(" ".join(model["description"].split()), columns)
    return described


def read_written_marts(location: LakeLocation, names: Collection[str]) -> dict[str, WrittenMart]:
    """Return what stands in the lake of each mart in `names`.

    Raises
    ------
    ReportingError
        A mart is not in the lake, or no snapshot says who wrote it.
    """
    with connect(location) as connection:
        newest: dict[str, int] = dict(
            connection.execute(
                f"SELECT commit_message, max(snapshot_id) FROM {ALIAS}.snapshots() GROUP BY 1"  # noqa: S608 - our name
            ).fetchall()
        )
        return {name: _written(connection, name, newest) for name in names}


def _written(connection: duckdb.DuckDBPyConnection, name: str, newest: dict[str, int]) -> WrittenMart:
    table = f'{ALIAS}.{SCHEMA}."{name}"'
    try:
        count = connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]  # noqa: S608 - a name of ours
        return WrittenMart(int(count), newest[f"{SCHEMA}/{name}"])
    except (duckdb.CatalogException, KeyError) as error:
        raise ReportingError(
            f"mart {name}: dbt says that it was built, and the lake has no such table or no snapshot of it ({error}); "
            "run the report job again"
        ) from error
