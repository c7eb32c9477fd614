"""A lake whose folder was moved: its catalog remembers the absolute place of its data files.

Belongs here: noticing the move, seeing that every data file came along, and telling the catalog. Attaching is
:mod:`aegis.lake.attachment`.

Notes
-----
Data files are listed relative to the catalog's ``data_path``, so that one value is all that has to change. DuckDB's own
``OVERRIDE_DATA_PATH`` holds for one connection only: dbt, or a person with the DuckDB shell, would be refused again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from aegis.errors import LakeUnreadable

_DATA_PATH = "SELECT value FROM ducklake_metadata WHERE key = 'data_path'"
_FILES = """
SELECT DISTINCT
    schemas.path, schemas.path_is_relative, tables.path, tables.path_is_relative, files.path, files.path_is_relative
FROM (
    SELECT table_id, path, path_is_relative FROM ducklake_data_file
    UNION ALL SELECT table_id, path, path_is_relative FROM ducklake_delete_file
) AS files
JOIN ducklake_table AS tables ON tables.table_id = files.table_id
JOIN ducklake_schema AS schemas ON schemas.schema_id = tables.schema_id
"""


def follow_move(catalog: Path, data_path: Path) -> bool:
    """Tell `catalog` that its data files are below `data_path` now, and return whether it thought otherwise.

    Raises
    ------
    LakeUnreadable
        A data file did not come along, of any snapshot. Nothing has been changed.
    sqlite3.Error
        The catalog cannot be read.
    """
    here = f"{data_path}/"
    with closing(sqlite3.connect(catalog, timeout=10.0)) as connection:
        found = connection.execute(_DATA_PATH).fetchone()
        if found is None or found[0] == here:
            return False
        files = list(_data_files(connection, data_path))
        missing = [file for file in files if not file.exists()]
        if missing:
            raise LakeUnreadable(
                f"lake catalog {catalog} was moved here from {found[0]}, but {len(missing)} of its {len(files)} data "
                f"files are not in {data_path}, first {missing[0]}; move the whole workspace folder, or restore it "
                "from a backup"
            )
        with connection:
            connection.execute("UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path'", (here,))
    return True


def _data_files(connection: sqlite3.Connection, data_path: Path) -> Iterator[Path]:
    for row in connection.execute(_FILES):
        place = data_path
        for path, is_relative in zip(row[0::2], row[1::2], strict=True):
            place = place / path if is_relative else Path(path)
        yield place
