"""The lake's history as a person asks about it: which snapshot a number or a time means, and what each one changed.

Belongs here: finding snapshots and counting what they changed. Comparing rows is :mod:`aegis.lake.comparison`; which
snapshots are given up is :mod:`aegis.lake.retention`.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb

from aegis.errors import SnapshotNotFound
from aegis.lake.attachment import ALIAS
from aegis.lake.lake import Lake
from aegis.lake.marks import marks
from aegis.lake.schema import TableSchema
from aegis.lake.snapshot_log import changed_tables

LATEST = "latest"

_NUMBER = re.compile(r"\d{1,18}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?")
_SHOWN = 60
_COUNT_CHANGES = f"""
SELECT count(*) FILTER (change_type = 'insert'), count(*) FILTER (change_type = 'delete')
FROM ducklake_table_changes('{ALIAS}', ?, ?, ?, ?)
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Version:
    """One snapshot.

    Parameters
    ----------
    snapshot_id : int
        Its number.
    made_at_utc : datetime
        When it was committed.
    asset, sessions, run_id, code_version, reason : str
        What its writer said, see :class:`aegis.lake.lake.CommitMessage`; empty for a writer that said nothing.
    tables : tuple of str
        Keys of the tables whose rows or columns it changed.
    is_expired : bool
        Whether it was given up and cannot be read.
    kept_because : str
        Why a person keeps it; empty without such a mark.
    """

    snapshot_id: int
    made_at_utc: datetime
    asset: str
    sessions: str
    run_id: str
    code_version: str
    reason: str
    tables: tuple[str, ...]
    is_expired: bool
    kept_because: str

    def may_have_written(self, session: date) -> bool:
        """Whether `session` lies within the sessions that the writer named, or it named none."""
        first, _, last = self.sessions.partition("..")
        return not last or first <= session.isoformat() <= last


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many rows a snapshot added to a table and removed from it; a row that it replaced counts as both."""

    added: int
    removed: int


class VersionHistory:
    """All snapshots of a lake, oldest first.

    Parameters
    ----------
    versions : sequence of Version
        Ascending numbers; expired ones included.
    """

    def __init__(self, versions: Sequence[Version]) -> None:
        self._versions = tuple(versions)
        self._numbers = [version.snapshot_id for version in versions]

    @classmethod
    def of(cls, lake: Lake) -> VersionHistory:
        """Return the history of `lake` as it is now."""
        tables, kept = changed_tables(lake.connection), marks(lake.connection)
        log = lake.snapshots().itertuples(index=False, name=None)
        return cls([_version(row, tables, kept) for row in log])

    @property
    def versions(self) -> tuple[Version, ...]:
        """Every snapshot ever made."""
        return self._versions

    def of_table(self, table: TableSchema) -> tuple[Version, ...]:
        """Return the snapshots that changed rows of `table`."""
        return tuple(version for version in self._versions if table.key in version.tables)

    def find(self, text: str, *, table: TableSchema | None = None) -> int:
        """Return the number of a snapshot that can be read and shows what `text` asks for.

        Parameters
        ----------
        text : str
            A number, ``latest``, a time or a day. A time means the newest snapshot at or before it, and UTC without a
            zone; a day means its end, 24:00 UTC.
        table : TableSchema, optional
            The only table that will be read. Default: all of them.

        Returns
        -------
        int
            The snapshot itself. Where it was expired: a neighbour between which and it nothing of `table` changed, so
            that the rows are the same.

        Raises
        ------
        SnapshotNotFound
            `text` is none of these, is before the first snapshot or after the last number, or the snapshot was expired
            and no neighbour shows the same rows.
        """
        number = self._number(text)
        readable = self._readable(number, None if table is None else table.key)
        if readable is None:
            raise SnapshotNotFound(
                f"snapshot {number} of {self._by_number(number).made_at_utc:%Y-%m-%d %H:%M:%S} UTC was expired, and "
                f"{'the lake' if table is None else table.key} changed since the one kept before it; nearest that can "
                f"be read: {self._neighbours(number)}. An older backup may hold it"
            )
        return readable

    def _number(self, text: str) -> int:
        if text == LATEST:
            return self._numbers[-1]
        if _NUMBER.fullmatch(text):
            number = int(text)
            if number in self._numbers:
                return number
            raise SnapshotNotFound(
                f"there is no snapshot {number}: the lake has {self._numbers[0]} to {self._numbers[-1]}, nearest "
                f"{min(self._numbers, key=lambda known: abs(known - number))}; see `aegis data versions`"
            )
        instant = _instant(text)
        # Writers have clocks of their own, and clocks are set back: the numbers ascend, the times need not.
        for version in reversed(self._versions):
            if version.made_at_utc <= instant:
                return version.snapshot_id
        first = min(self._versions, key=lambda version: version.made_at_utc)
        raise SnapshotNotFound(
            f"the lake's first snapshot is {first.snapshot_id} of {first.made_at_utc:%Y-%m-%dT%H:%M:%SZ}, after "
            f"{instant:%Y-%m-%dT%H:%M:%SZ}; give a later time"
        )

    def _readable(self, number: int, key: str | None) -> int | None:
        """Return the snapshot, or a live neighbour with the same rows of a table (None: of every table)."""
        start = bisect.bisect_left(self._numbers, number)
        for version in reversed(self._versions[: start + 1]):
            if not version.is_expired:
                return version.snapshot_id
            if _changes(version, key):
                break
        for version in self._versions[start + 1 :]:
            if _changes(version, key):
                return None
            if not version.is_expired:
                return version.snapshot_id
        return None

    def _by_number(self, number: int) -> Version:
        return self._versions[bisect.bisect_left(self._numbers, number)]

    def _neighbours(self, number: int) -> str:
        live = [version.snapshot_id for version in self._versions if not version.is_expired]
        place = bisect.bisect_left(live, number)
        return ", ".join(str(found) for found in live[max(place - 1, 0) : place + 1])


def row_counts(lake: Lake, version: Version, tables: Iterable[TableSchema]) -> dict[str, RowCounts]:
    """Return how many rows a snapshot added to and removed from each of those of `tables` that it changed.

    Notes
    -----
    From DuckLake's change feed. Empty for a snapshot that was expired.
    """
    if version.is_expired:
        return {}
    found: dict[str, RowCounts] = {}
    for table in tables:
        if table.key in version.tables:
            counted = lake.connection.execute(
                _COUNT_CHANGES,
                [table.layer, table.name, version.snapshot_id, version.snapshot_id],
            ).fetchone()
            found[table.key] = RowCounts(*counted) if counted else RowCounts(0, 0)
    return found


def file_counts(connection: duckdb.DuckDBPyConnection) -> dict[int, tuple[int, int]]:
    """Return for each snapshot how many of the lake's present data files begin with it, and end with it.

    Notes
    -----
    A few rows stand in the catalog itself and have no file. A merged file begins with the oldest snapshot in it.
    """
    rows = connection.execute(
        f"""
        SELECT snapshot, sum(begun), sum(ended) FROM (
            SELECT begin_snapshot AS snapshot, 1 AS begun, 0 AS ended
            FROM __ducklake_metadata_{ALIAS}.ducklake_data_file
            UNION ALL
            SELECT end_snapshot, 0, 1 FROM __ducklake_metadata_{ALIAS}.ducklake_data_file WHERE end_snapshot IS NOT NULL
        ) GROUP BY snapshot
        """  # noqa: S608 - a constant
    ).fetchall()
    return {int(number): (int(begun), int(ended)) for number, begun, ended in rows}


def _instant(text: str) -> datetime:
    """Return the instant that a time or a day means.

    Raises
    ------
    SnapshotNotFound
        `text` is neither.
    """
    try:
        if _DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1)
        if _TIME.fullmatch(text):
            instant = datetime.fromisoformat(text)
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SnapshotNotFound(f"{text!r} is not a time: {error}; write it as 2024-05-31T20:00:00Z") from error
    shown = ascii(text)[:_SHOWN]
    raise SnapshotNotFound(
        f"{shown} is neither a snapshot's number, nor '{LATEST}', nor a time; write 42, 2024-05-31 or "
        "2024-05-31T20:00:00Z"
    )


def _changes(version: Version, key: str | None) -> bool:
    return bool(version.tables) if key is None else key in version.tables


def _version(row: tuple[Any, ...], tables: Mapping[int, tuple[str, ...]], kept: Mapping[int, str]) -> Version:
    number, time, message, extra, is_expired = row
    told = json.loads(extra) if isinstance(extra, str) else {}
    names = ("asset", "sessions", "run_id", "code_version", "reason")
    said = {name: str(told.get(name, "")) for name in names}
    said["asset"] = said["asset"] or (message if isinstance(message, str) else "")
    return Version(
        snapshot_id=int(number),
        made_at_utc=time.to_pydatetime(),
        **said,
        tables=tables.get(int(number), ()),
        is_expired=bool(is_expired),
        kept_because=kept.get(int(number), ""),
    )
