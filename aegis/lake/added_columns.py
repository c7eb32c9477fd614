"""Tables that were made before their schema had all of its columns.

Belongs here: which columns a stored table lacks, and how they are read from versions that never had them. A column that
is renamed, removed or given another type is not recognised: that is a new table.
"""

from __future__ import annotations

from collections.abc import Collection

from aegis.errors import SchemaMismatch
from aegis.lake.schema import Column, TableSchema


def missing_columns(table: TableSchema, held: Collection[str]) -> list[Column]:
    """Return the columns of the schema that the stored table lacks.

    Parameters
    ----------
    table : TableSchema
    held : collection of str
        Names of the stored table's columns.

    Raises
    ------
    SchemaMismatch
        One of them may not be null, so that rows stored before could not be read with it.
    """
    missing = [column for column in table.columns if column.name not in held]
    required = [column.name for column in missing if not column.nullable]
    if required:
        raise SchemaMismatch(
            f"{table.key}: the stored table lacks {required[0]}, which is required of every row; it was written by "
            "another version of Aegis: go on with that one, or run in a new workspace"
        )
    return missing


def select_list(table: TableSchema, held: Collection[str]) -> str:
    """Return the columns of the schema as SQL: null where the stored version lacks one."""
    missing = {column.name for column in missing_columns(table, held)}
    return ", ".join(
        f'NULL::{column.sql_type} AS "{column.name}"' if column.name in missing else f'"{column.name}"'
        for column in table.columns
    )
