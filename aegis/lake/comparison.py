"""What differs between two snapshots of a table, row by row, and since when.

Belongs here: comparing rows. Which later decisions were made from the rows as they were is
:mod:`aegis.lake.consequences`.

Notes
-----
DuckLake's change feed says which sessions were written between the snapshots. A write replaces whole sessions, so most
of what it lists did not change; what did is found by joining the two versions of those sessions. Since when is asked of
the snapshots themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from aegis.lake.attachment import ALIAS
from aegis.lake.lake import Lake, reading, table_name
from aegis.lake.schema import TableSchema
from aegis.lake.versions import Version, VersionHistory

_ROWS_PER_BLOCK = 50_000
_COPY = "copy_number"

_FEED = f"ducklake_table_changes('{ALIAS}', ?, ?, ?, ?)"

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that is not in both snapshots, or not with the same values.

    Parameters
    ----------
    kind : {"added", "removed", "changed"}
    key : dict
        Primary key by column.
    differing : dict
        For each column that differs: before and after. Empty for an added or a removed row.
    snapshot_id : int
        Snapshot since which the row is as it is in the later one.
    """

    kind: Literal["added", "removed", "changed"]
    key: Mapping[str, Any]
    differing: Mapping[str, tuple[Any, Any]]
    snapshot_id: int


@dataclass(frozen=True)
class Comparison:
    """Two snapshots of one table, the earlier first."""

    table: TableSchema
    before: int
    after: int


def changed_rows(lake: Lake, comparison: Comparison, history: VersionHistory) -> Iterator[RowChange]:
    """Yield the rows that differ, in the order of their sessions, reading some sessions at a time.

    Parameters
    ----------
    lake : Lake
    comparison : Comparison
        Both snapshots can be read.
    history : VersionHistory
        Says since when the table exists.

    Raises
    ------
    SnapshotNotFound
        The table did not exist at the later snapshot.
    LakeUnreadable
        A data file cannot be read.

    Notes
    -----
    Values are compared as DuckDB compares them: NaN equals NaN, and -0.0 equals 0.0. A column that a snapshot lacks,
    because it came later, is null there. Rows of a table that does not enforce its key are paired in the order of their
    values.
    """
    versions = history.of_table(comparison.table)
    between = [version for version in versions if comparison.before < version.snapshot_id <= comparison.after]
    if not between:
        return
    existed = versions[0].snapshot_id <= comparison.before
    for sessions in _blocks(lake, comparison):
        differing = _differing(lake, comparison, sessions, existed=existed)
        if differing:
            since = _since(lake, comparison, sessions, {key: after for key, _, after in differing}, between)
            for key, old, new in differing:
                yield _change(comparison.table, key, old, new, since[key])


def _blocks(lake: Lake, comparison: Comparison) -> Iterator[Sequence[date] | None]:
    """Yield the sessions that were written between the snapshots, some at a time; None for a table without sessions.

    Notes
    -----
    The feed begins with the earlier snapshot, as the one after it may be expired. Its own rows are left out in the
    aggregate and not in a WHERE: DuckLake (1.5.5) takes such a condition for one on files, and leaves out deletions
    that stand in one delete file with older ones.
    """
    if not comparison.table.is_sessioned:
        yield None
        return
    counted = _fetch(
        lake,
        comparison,
        f"SELECT session, count(*) FILTER (WHERE snapshot_id > ?) AS written FROM {_FEED} "  # noqa: S608
        "GROUP BY 1 HAVING written > 0 ORDER BY 1",
        [comparison.before, *_feed_values(comparison)],
    )
    block: list[date] = []
    rows = 0
    for session, count in counted:
        block.append(session)
        rows += count
        if rows >= _ROWS_PER_BLOCK:
            yield block
            block, rows = [], 0
    if block:
        yield block


def _differing(
    lake: Lake, comparison: Comparison, sessions: Sequence[date] | None, *, existed: bool
) -> list[tuple[Row, Row | None, Row | None]]:
    """Return key, earlier and later values of the rows that differ."""
    table = comparison.table
    names = [*table.column_names, *([] if table.enforce_key else [_COPY])]
    before, values = _version(lake, table, comparison.before if existed else None, sessions)
    after, more = _version(lake, table, comparison.after, sessions)
    keys = [*table.primary_key, *([] if table.enforce_key else [_COPY])]
    same_key = " AND ".join(f'old."{name}" = new."{name}"' for name in keys)
    differs = " OR ".join(f'old."{name}" IS DISTINCT FROM new."{name}"' for name in names)
    shown = ", ".join(f'{side}."{name}"' for side in ("old", "new") for name in [*names, "is_there"])
    statement = (
        f"SELECT {shown} FROM ({before}) AS old FULL OUTER JOIN ({after}) AS new ON {same_key} "  # noqa: S608
        f"WHERE {differs} ORDER BY {', '.join(f'coalesce(old.{k}, new.{k})' for k in _quoted(keys))}"
    )
    found: list[tuple[Row, Row | None, Row | None]] = []
    places = [names.index(name) for name in keys]
    for row in _fetch(lake, comparison, statement, [*values, *more]):
        old, new = row[: len(names) + 1], row[len(names) + 1 :]
        there = new if new[-1] else old
        key = tuple(there[place] for place in places)
        width = len(table.columns)
        found.append((key, old[:width] if old[-1] else None, new[:width] if new[-1] else None))
    return found


def _version(
    lake: Lake, table: TableSchema, snapshot_id: int | None, sessions: Sequence[date] | None
) -> tuple[str, list[object]]:
    """Return a query of the rows of `sessions` at a snapshot; of no rows where the table did not exist.

    A column that the snapshot lacks, because it came later, is null in all its rows.
    """
    columns = ", ".join(_quoted(table.column_names))
    copies = (
        ""
        if table.enforce_key
        else f", row_number() OVER (PARTITION BY {', '.join(_quoted(table.primary_key))} ORDER BY {columns}) AS {_COPY}"
    )
    source = table_name(table) + ("" if snapshot_id is None else f" AT (VERSION => {int(snapshot_id)})")
    conditions = (["false"] if snapshot_id is None else []) + (
        [] if sessions is None else ["list_contains(?, session)"]
    )
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    values: list[object] = [] if sessions is None else [list(sessions)]
    with reading(table, snapshot_id):
        held = lake.select_list(table, source)
    rows = f"SELECT {held} FROM {source}{where}"  # noqa: S608
    return f"SELECT {columns}{copies}, true AS is_there FROM ({rows})", values  # noqa: S608


def _since(
    lake: Lake,
    comparison: Comparison,
    sessions: Sequence[date] | None,
    final: Mapping[Row, Row | None],
    versions: Sequence[Version],
) -> dict[Row, int]:
    """Return for each key the snapshot from which on its row is as it is in the later snapshot.

    Notes
    -----
    A row that was written again with the same values is older than its last write, so the snapshots that wrote its
    session are read again, latest first, until one differs. Those that were expired cannot be asked: then it is the
    first that can be read and agrees, or the later snapshot where none does.
    """
    table = comparison.table
    since = dict.fromkeys(final, comparison.after)
    for written, writers in _writers(sessions, versions).items():
        unsettled = {key: row for key, row in final.items() if written is None or key[_place(table)] == written}
        if len(writers) == 1:
            since |= dict.fromkeys(unsettled, writers[0].snapshot_id)
            continue
        for version in reversed(writers):
            if version.is_expired or not unsettled:
                continue
            rows = _rows(lake, table, version.snapshot_id, None if written is None else [written])
            unsettled = {key: row for key, row in unsettled.items() if repr(rows.get(key)) == repr(row)}
            since |= dict.fromkeys(unsettled, version.snapshot_id)
    return since


def _writers(sessions: Sequence[date] | None, versions: Sequence[Version]) -> Mapping[date | None, Sequence[Version]]:
    """Return the snapshots that may have written each session, oldest first; under None for a table without any."""
    if sessions is None:
        return {None: versions}
    return {day: [version for version in versions if version.may_have_written(day)] for day in sessions}


def _place(table: TableSchema) -> int:
    return table.primary_key.index("session")


def _rows(lake: Lake, table: TableSchema, snapshot_id: int, sessions: Sequence[date] | None) -> dict[Row, Row]:
    """Return the rows of `sessions` at a snapshot by their keys; copies of one key are numbered."""
    statement, values = _version(lake, table, snapshot_id, sessions)
    with reading(table, snapshot_id):
        found = lake.connection.execute(statement, values).fetchall()
    width = len(table.columns)
    places = [table.column_names.index(name) for name in table.primary_key] + ([] if table.enforce_key else [width])
    return {tuple(row[place] for place in places): row[:width] for row in found}


def _change(table: TableSchema, key: Row, old: Row | None, new: Row | None, snapshot_id: int) -> RowChange:
    named = dict(zip(table.primary_key, key, strict=False))
    if old is None or new is None:
        return RowChange("added" if old is None else "removed", named, {}, snapshot_id)
    pairs = zip(table.column_names, old, new, strict=True)
    differing = {name: (was, now) for name, was, now in pairs if repr(was) != repr(now)}
    return RowChange("changed", named, differing, snapshot_id)


def _feed_values(comparison: Comparison) -> list[object]:
    return [comparison.table.layer, comparison.table.name, comparison.before, comparison.after]


def _fetch(lake: Lake, comparison: Comparison, statement: str, values: Sequence[object]) -> list[Row]:
    with reading(comparison.table, comparison.after):
        return lake.connection.execute(statement, list(values)).fetchall()


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]
