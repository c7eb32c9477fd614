"""Which snapshots were ever made, what each changed, and which of them can still be read.

Belongs here: reading the catalog's list together with the record of expired ones. DuckLake forgets an expired snapshot
with its commit message; that message says which run wrote which sessions, and the pre-trade gate asks it. What a person
or an order needs of a snapshot is :mod:`aegis.lake.versions`, expiry itself :mod:`aegis.lake.retention`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb
import pandas as pd

from aegis.lake.attachment import ALIAS

EXPIRED = f"{ALIAS}.lake.expired_snapshots"
"""Copies of the entries of snapshots that were expired, made in the transaction that expires them."""

_LOG = f"""
SELECT snapshot_id, snapshot_time, commit_message, commit_extra_info, false AS is_expired FROM {ALIAS}.snapshots()
"""  # noqa: S608 - a constant
_EXPIRED_LOG = f"""
UNION ALL SELECT snapshot_id, snapshot_time, commit_message, commit_extra_info, true FROM {EXPIRED}
"""  # noqa: S608 - a constant
_TABLES = f"""
SELECT tables.table_id, schemas.schema_name || '/' || tables.table_name
FROM __ducklake_metadata_{ALIAS}.ducklake_table AS tables
JOIN __ducklake_metadata_{ALIAS}.ducklake_schema AS schemas ON schemas.schema_id = tables.schema_id
"""  # noqa: S608 - a constant
_KEEP_ALL_ROWS = frozenset({"flushed_inlined", "merge_adjacent", "rewrite_delete", "compacted_table"})
"""Changes that move rows into other files and change none."""
_OF_TABLES = ("tables_", "inlined_")


def snapshot_log(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return one row for each snapshot ever made, by number.

    Returns
    -------
    DataFrame
        ``snapshot_id``, ``snapshot_time`` (UTC), ``commit_message``, ``commit_extra_info`` and ``is_expired``.
    """
    expired = _EXPIRED_LOG if has_table(connection, EXPIRED) else ""
    return connection.execute(f"{_LOG}{expired} ORDER BY 1").df()


def changed_tables(connection: duckdb.DuckDBPyConnection) -> dict[int, tuple[str, ...]]:
    """Return for each snapshot the keys of the tables whose rows or columns it changed; merging files changes none."""
    names = dict(connection.execute(_TABLES).fetchall())
    entries = connection.execute(f"SELECT snapshot_id, changes FROM {ALIAS}.snapshots()").fetchall()  # noqa: S608
    found = {int(number): _changed(changes, names) for number, changes in entries}
    if has_table(connection, EXPIRED):
        expired = connection.execute(f"SELECT snapshot_id, tables FROM {EXPIRED}").fetchall()  # noqa: S608
        found |= {int(number): tuple(filter(None, tables.split(", "))) for number, tables in expired}
    return found


def has_table(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether the lake has one of its own record tables, given as ``catalog.schema.table``."""
    database, schema, table = name.split(".")
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? AND table_name = ?",
        [database, schema, table],
    ).fetchone()
    return found is not None and found[0] > 0


def _changed(changes: Mapping[str, Iterable[str]], names: Mapping[int, str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for kind, objects in changes.items():
        if kind in _KEEP_ALL_ROWS or not kind.startswith(_OF_TABLES):
            continue
        for name in objects:
            found[names.get(int(name), f"table {name}") if name.isdecimal() else _key(name)] = None
    return tuple(found)


def _key(name: str) -> str:
    """Return ``layer/table`` of the catalog's ``layer.table``."""
    return name.replace('"', "").replace(".", "/", 1)
