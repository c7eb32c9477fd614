"""Rows of the lake as a file: CSV or Parquet, whole or not at all, and as large as the disk.

Belongs here: writing blocks one after the other. Which rows is :mod:`aegis.lake.reading`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow.parquet as pq

from aegis.durable_files import replacing
from aegis.errors import LakeError
from aegis.lake.arrow import arrow_rows, arrow_schema
from aegis.lake.schema import TableSchema

FileFormat = Literal["csv", "parquet"]


def export(table: TableSchema, blocks: Iterable[pd.DataFrame], path: Path, file_format: FileFormat) -> int:
    """Write `blocks` of `table` to `path` and return how many rows that were.

    Parameters
    ----------
    table : TableSchema
    blocks : iterable of DataFrame
        Conforming to the table; read one at a time.
    path : Path
        Replaced when every block is written; unchanged after an error.
    file_format : {"csv", "parquet"}
        CSV has a header line, ISO dates and instants with their zone; lists of numbers are in brackets.

    Raises
    ------
    LakeError
        The file cannot be written.
    """
    write = {"csv": _write_csv, "parquet": _write_parquet}[file_format]
    try:
        return write(table, blocks, path)
    except OSError as error:
        raise LakeError(
            f"{table.key} cannot be written to {path}: {error}; choose a folder that you may write, with room"
        ) from error


def _write_csv(table: TableSchema, blocks: Iterable[pd.DataFrame], path: Path) -> int:
    written = 0
    with replacing(path) as file:
        file.write((",".join(table.column_names) + "\n").encode())
        for block in blocks:
            shown = block.assign(**{c.name: block[c.name].dt.date for c in table.columns if c.kind == "session"})
            file.write(shown.to_csv(index=False, header=False, lineterminator="\n").encode())
            written += len(block)
    return written


def _write_parquet(table: TableSchema, blocks: Iterable[pd.DataFrame], path: Path) -> int:
    written = 0
    with replacing(path) as file, pq.ParquetWriter(file, arrow_schema(table)) as writer:
        for block in blocks:
            writer.write_table(arrow_rows(table, block))
            written += len(block)
    return written
