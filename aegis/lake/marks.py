"""Marks of a person on snapshots: keep this one, whatever refers to it or not.

Belongs here: setting and lifting marks, and who did so and why. What they spare a snapshot from is
:mod:`aegis.lake.retention`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import duckdb

from aegis.errors import LakeError
from aegis.lake.attachment import ALIAS
from aegis.lake.lake import CommitMessage, Lake
from aegis.lake.snapshot_log import has_table

MARKS = f"{ALIAS}.lake.snapshot_marks"
_COLUMNS = "snapshot_id BIGINT, mark VARCHAR, reason VARCHAR, person VARCHAR, marked_at_utc TIMESTAMPTZ"
_LONGEST_REASON = 500

Mark = Literal["keep", "release"]


def mark_snapshot(lake: Lake, snapshot_id: int, mark: Mark, *, reason: str, person: str, at_utc: datetime) -> None:
    """Append a mark; the newest of a snapshot holds.

    Parameters
    ----------
    lake : Lake
    snapshot_id : int
        A snapshot that can be read.
    mark : {"keep", "release"}
    reason : str
        Why; shown with the snapshot.
    person : str
        Who.
    at_utc : datetime
        When.

    Raises
    ------
    LakeError
        The reason is missing, too long or not printable, or other writers held the lake. Nothing has been written.
    """
    said = required_reason(reason)

    def add() -> None:
        lake.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ALIAS}.lake")
        lake.connection.execute(f"CREATE TABLE IF NOT EXISTS {MARKS} ({_COLUMNS})")
        lake.connection.execute(
            f"INSERT INTO {MARKS} VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            [snapshot_id, mark, said, person, at_utc],
        )

    lake.transact(add, CommitMessage(f"{mark} snapshot {snapshot_id}", "", person, "1", said))


def marks(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """Return the snapshots that a person keeps, each with the reason."""
    if not has_table(connection, MARKS):
        return {}
    rows = connection.execute(  # in the order of writing: a clock may have been set back between two marks
        f"SELECT snapshot_id, mark, reason FROM {MARKS} ORDER BY rowid"  # noqa: S608 - a constant
    ).fetchall()
    newest = {int(number): (mark, reason) for number, mark, reason in rows}
    return {number: reason for number, (mark, reason) in newest.items() if mark == "keep"}


def required_reason(reason: str) -> str:
    """Return a reason that a person gave, without blanks around it.

    Raises
    ------
    LakeError
        It is missing, longer than 500 characters, or holds characters that do not print.
    """
    said = reason.strip()
    if not said or len(said) > _LONGEST_REASON or not said.isprintable():
        raise LakeError(
            f"reason {ascii(said)[:60]} cannot stand: it must be 1 to {_LONGEST_REASON} printable characters on one "
            "line; say in words why"
        )
    return said
