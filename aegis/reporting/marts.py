"""The reporting marts: how ``dbt/`` describes them, and what stands in the lake after a build.

Belongs here: descriptions from ``marts.yml``, and row counts, columns and snapshots from the lake. Building them is
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

SCHEMA = "marts"


@dataclass(frozen=True)
class MartDescription:
    """What a row of a mart is, and what each column means, by column name."""

    text: str
    columns: dict[str, str]


@dataclass(frozen=True)
class WrittenMart:
    """A mart in the lake.

    Parameters
    ----------
    row_count : int
    column_types : dict of str to str
        DuckDB's type of each column, in their order.
    snapshot_id : int
        The newest snapshot that wrote it.
    """

    row_count: int
    column_types: dict[str, str]
    snapshot_id: int


def describe_marts(project: Path) -> dict[str, MartDescription]:
    """Return the description of each mart of a dbt project, by name."""
    described = yaml.safe_load((project / "models" / SCHEMA / f"{SCHEMA}.yml").read_text(encoding="utf-8"))
    return {
        model["name"]: MartDescription(
            " ".join(model["description"].split()),
            {column["name"]: column.get("description", "") for column in model.get("columns", [])},
        )
        for model in described["models"]
    }


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
        columns = connection.execute(f"DESCRIBE {table}").fetchall()
        count = connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]  # noqa: S608 - a name of ours
        return WrittenMart(int(count), {column[0]: column[1] for column in columns}, newest[f"{SCHEMA}/{name}"])
    except (duckdb.CatalogException, KeyError) as error:
        raise ReportingError(
            f"mart {name}: dbt says that it was built, and the lake has no such table or no snapshot of it ({error}); "
            "run the report job again"
        ) from error
