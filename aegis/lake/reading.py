"""Reading a table piece by piece, as it was at a snapshot: as much memory for ten years as for one.

Belongs here: choosing a table by its name, rows by session and symbol, and blocks of sessions. One read of one range is
:meth:`aegis.lake.lake.Lake.read`; files of what was read are :mod:`aegis.lake.exports`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from aegis.errors import LakeError
from aegis.lake.lake import Lake, reading, row_conditions, table_name
from aegis.lake.schema import TableSchema

ROWS_PER_BLOCK = 200_000
_SHOWN = 60


@dataclass(frozen=True)
class Selection:
    """Which rows of which version of a table.

    Parameters
    ----------
    table : TableSchema
    snapshot_id : int
        The table as it was then.
    first, last : date, optional
        Inclusive bounds of ``session``.
    symbols : tuple of str, optional
        Only these. Default: all.
    """

    table: TableSchema
    snapshot_id: int
    first: date | None = None
    last: date | None = None
    symbols: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        names = self.table.column_names
        if (self.first or self.last) and not self.table.is_sessioned:
            raise LakeError(f"{self.table.key} has no sessions to choose from; leave --session, --from and --to out")
        if self.symbols is not None and "symbol" not in names:
            raise LakeError(f"{self.table.key} has no column symbol; leave --symbol out")
        if self.first and self.last and self.first > self.last:
            raise LakeError(f"{self.table.key}: {self.first} lies after {self.last}; give the earlier session first")


def find_table(text: str, tables: Sequence[TableSchema]) -> TableSchema:
    """Return the table whose key is `text`.

    Raises
    ------
    LakeError
        None is; the nearest known name is said.
    """
    known = {table.key: table for table in tables}
    if text in known:
        return known[text]
    near = difflib.get_close_matches(text[:_SHOWN], list(known), n=1, cutoff=0.0)
    raise LakeError(f"{ascii(text)[:_SHOWN]} is not a table of the lake; the nearest name is {near[0]}")


def require_symbols(lake: Lake, selection: Selection) -> None:
    """Refuse symbols that the table never had up to the snapshot.

    Raises
    ------
    LakeError
        Names the nearest one that it has.
    """
    if selection.symbols is None:
        return
    rows = _fetch(lake, selection, f"SELECT DISTINCT symbol FROM {_at(selection)} ORDER BY 1", [])  # noqa: S608
    known = [row[0] for row in rows]
    for symbol in selection.symbols:
        if symbol not in known:
            near = difflib.get_close_matches(symbol[:_SHOWN].upper(), known, n=1, cutoff=0.0)
            hint = f"the nearest is {near[0]}" if near else "it has no rows at all"
            raise LakeError(
                f"{selection.table.key} at snapshot {selection.snapshot_id} has no symbol {ascii(symbol)[:_SHOWN]}; "
                f"{hint}"
            )


def count_rows(lake: Lake, selection: Selection) -> int:
    """Return how many rows the selection has."""
    conditions, values = _conditions(selection)
    rows = _fetch(lake, selection, f"SELECT count(*) FROM {_at(selection)}{conditions}", values)  # noqa: S608
    return int(rows[0][0])


def read_blocks(lake: Lake, selection: Selection, *, rows_per_block: int = ROWS_PER_BLOCK) -> Iterator[pd.DataFrame]:
    """Yield the selected rows in primary-key order, whole sessions at a time.

    Parameters
    ----------
    lake : Lake
    selection : Selection
    rows_per_block : int
        A block ends with the session that reaches this many rows; a table without sessions is one block.

    Raises
    ------
    SnapshotNotFound
        The table did not exist at the snapshot.
    LakeUnreadable
        A data file cannot be read.
    """
    for first, last in _ranges(lake, selection, rows_per_block):
        yield lake.read(
            selection.table, first=first, last=last, symbols=selection.symbols, snapshot_id=selection.snapshot_id
        )


def _ranges(lake: Lake, selection: Selection, rows_per_block: int) -> Iterator[tuple[date | None, date | None]]:
    if not selection.table.is_sessioned:
        yield None, None
        return
    conditions, values = _conditions(selection)
    statement = f"SELECT session, count(*) FROM {_at(selection)}{conditions} GROUP BY 1 ORDER BY 1"  # noqa: S608
    start, rows, last = None, 0, None
    for session, count in _fetch(lake, selection, statement, values):
        start, last, rows = start or session, session, rows + int(count)
        if rows >= rows_per_block:
            yield start, last
            start, rows = None, 0
    if start is not None:
        yield start, last


def _fetch(lake: Lake, selection: Selection, statement: str, values: list[object]) -> list[tuple[Any, ...]]:
    with reading(selection.table, selection.snapshot_id):
        return lake.connection.execute(statement, values).fetchall()


def _at(selection: Selection) -> str:
    return f"{table_name(selection.table)} AT (VERSION => {int(selection.snapshot_id)})"


def _conditions(selection: Selection) -> tuple[str, list[object]]:
    conditions, values = row_conditions(selection.first, selection.last, None, selection.symbols)
    return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), values
