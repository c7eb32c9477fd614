"""Giving up old snapshots that nothing and nobody refers to.

Belongs here: which snapshots may go, and letting them go. DuckLake then drops the files that only they read, never one
that a kept snapshot reads; the files leave the disk with :func:`aegis.lake.compaction.remove_unused_files`.

Notes
-----
What an expired snapshot said of its writer stays in the lake (:mod:`aegis.lake.snapshot_log`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aegis.errors import LakeError
from aegis.lake.attachment import ALIAS
from aegis.lake.lake import CommitMessage, Lake, table_name
from aegis.lake.schema import TableSchema
from aegis.lake.snapshot_log import EXPIRED, has_table
from aegis.lake.versions import Version, VersionHistory

_REFERS = "snapshot_id"
_COLUMNS = (
    "snapshot_id BIGINT, snapshot_time TIMESTAMPTZ, commit_message VARCHAR, commit_extra_info VARCHAR, "
    "tables VARCHAR, expired_at_utc TIMESTAMPTZ, reason VARCHAR"
)


@dataclass(frozen=True)
class ExpiryPlan:
    """What an expiry would do.

    Parameters
    ----------
    before : datetime
        Only older snapshots were looked at.
    expiring : tuple of Version
        Those that go.
    kept : dict of int to str
        Those that are as old and stay, each with why.
    """

    before: datetime
    expiring: tuple[Version, ...]
    kept: Mapping[int, str]


def referenced_snapshots(lake: Lake, tables: Sequence[TableSchema]) -> dict[int, str]:
    """Return the snapshots that rows of `tables` name, or ever named, each with one column that does.

    Notes
    -----
    A column refers to a snapshot when its name ends with ``snapshot_id``. Rows that were replaced since count as well:
    an order was decided on the check results of its time.
    """
    history = VersionHistory.of(lake)
    live = [version for version in history.versions if not version.is_expired]
    found: dict[int, str] = {}
    for table in tables:
        created = history.of_table(table)
        for column in table.columns:
            if not column.name.endswith(_REFERS) or column.kind != "integer" or not created:
                continue
            begin = next(v.snapshot_id for v in live if v.snapshot_id >= created[0].snapshot_id)
            at_first = f'SELECT "{column.name}" FROM {table_name(table)} AT (VERSION => {begin})'  # noqa: S608
            inserted = f"""
            SELECT "{column.name}" FROM ducklake_table_insertions('{ALIAS}', ?, ?, ?, ?)
            """  # noqa: S608 - names come from the schema
            rows = lake.connection.execute(
                f"SELECT DISTINCT * FROM ({at_first} UNION ALL {inserted})",  # noqa: S608
                [table.layer, table.name, begin, live[-1].snapshot_id],
            ).fetchall()
            found |= {int(row[0]): f"{table.key}.{column.name}" for row in rows if row[0] is not None}
    return found


def plan_expiry(
    history: VersionHistory,
    *,
    before: datetime,
    referenced: Mapping[int, str],
    publishing: Sequence[TableSchema] = (),
) -> ExpiryPlan:
    """Return which of the snapshots made before `before` may go.

    Parameters
    ----------
    history : VersionHistory
    before : datetime
        Aware. Younger snapshots are left alone.
    referenced : mapping of int to str
        Snapshots that something refers to, and what: orders, decisions, check results, journal entries.
    publishing : sequence of TableSchema
        Every snapshot that wrote one of these is kept: the orders table, whose writes are decisions.

    Notes
    -----
    Kept as well are the newest snapshot, the newest write of each table, and whatever a person marked.
    """
    live = [version for version in history.versions if not version.is_expired]
    newest_write = {key: version.snapshot_id for version in live for key in version.tables}
    written_last = {number: f"newest write of {key}" for key, number in newest_write.items()}
    published = {table.key for table in publishing}
    expiring: list[Version] = []
    kept: dict[int, str] = {}
    for version in live:
        if version.made_at_utc >= before:
            continue
        number = version.snapshot_id
        decisions = published.intersection(version.tables)
        why = (
            (f"kept: {version.kept_because}" if version.kept_because else "")
            or (f"named in {referenced[number]}" if number in referenced else "")
            or (f"wrote {min(decisions)}" if decisions else "")
            or written_last.get(number, "")
            or ("newest snapshot" if version is live[-1] else "")
        )
        if why:
            kept[number] = why
        else:
            expiring.append(version)
    return ExpiryPlan(before, tuple(expiring), kept)


def expire(lake: Lake, plan: ExpiryPlan, message: CommitMessage, *, at_utc: datetime) -> int:
    """Expire what the plan says, record what those snapshots were, and return how many they are.

    Raises
    ------
    LakeError
        A snapshot of the plan was marked or expired by somebody else since, or other writers held the catalog for all
        attempts. Nothing has been expired.

    Notes
    -----
    The record and the expiry are one transaction: a crash leaves both or none. The table of the record is made before,
    in a transaction of its own: DuckLake (1.5.5) forgets the schemas of what it expires at once, while a table that the
    same transaction made still points at one of them, and the process can die at the commit
    (duckdb/ducklake issue 1248).
    """
    numbers = [version.snapshot_id for version in plan.expiring]
    if not numbers:
        return 0
    _refuse_changed(lake, plan)
    _create_record(lake)

    def give_up() -> None:
        changed = [", ".join(version.tables) for version in plan.expiring]
        lake.connection.execute(
            f"INSERT INTO {EXPIRED} SELECT snapshot_id, snapshot_time, commit_message, commit_extra_info, "  # noqa: S608
            f"map(?::BIGINT[], ?::VARCHAR[])[snapshot_id], ?, ? FROM {ALIAS}.snapshots() "
            "WHERE list_contains(?, snapshot_id)",
            [numbers, changed, at_utc, message.reason, numbers],
        )
        listed = ", ".join(str(int(number)) for number in numbers)
        lake.connection.execute(f"CALL ducklake_expire_snapshots('{ALIAS}', versions => [{listed}])")

    lake.transact(give_up, message)
    return len(numbers)


def _create_record(lake: Lake) -> None:
    """Make the table of expired snapshots where there is none yet."""
    if has_table(lake.connection, EXPIRED):
        return

    def create() -> None:
        lake.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ALIAS}.lake")
        lake.connection.execute(f"CREATE TABLE IF NOT EXISTS {EXPIRED} ({_COLUMNS})")

    lake.transact(create, CommitMessage("tables", "", "expire", "1", "create the record of expired snapshots"))


def _refuse_changed(lake: Lake, plan: ExpiryPlan) -> None:
    now = {version.snapshot_id: version for version in VersionHistory.of(lake).versions}
    for version in plan.expiring:
        if now.get(version.snapshot_id) != version:
            raise LakeError(
                f"snapshot {version.snapshot_id} was marked or expired since the plan was made; nothing was expired, "
                "run it again"
            )
