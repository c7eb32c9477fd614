"""Which snapshot, and which run, wrote a table's rows of a session.

Belongs here: reading the commit messages that every write leaves (:class:`aegis.lake.lake.CommitMessage`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from aegis.lake.lake import READ_AT
from aegis.lake.schema import TableSchema


@dataclass(frozen=True, slots=True)
class TableWrite:
    """One write of one table.

    Parameters
    ----------
    snapshot_id : int
        Snapshot that it made.
    run_id : str
        Dagster run that wrote.
    first, last : date
        Sessions whose rows it replaced.
    read_at : int
        Snapshot at which the writer began to read; the one before its own where it did not say.
    """

    snapshot_id: int
    run_id: str
    first: date
    last: date
    read_at: int


class Provenance:
    """All writes of sessions that a lake remembers.

    Parameters
    ----------
    snapshots : DataFrame
        What :meth:`aegis.lake.lake.Lake.snapshots` returns.
    """

    def __init__(self, snapshots: pd.DataFrame) -> None:
        self._writes: dict[str, list[TableWrite]] = {}
        self._journal_heads: dict[str, tuple[int, str]] = {}
        for number, extra in zip(snapshots["snapshot_id"], snapshots["commit_extra_info"], strict=True):
            if not isinstance(extra, str):
                continue
            message = json.loads(extra)
            if head := message.get("journal_head"):
                account, sequence, digest = head.split(":")
                self._journal_heads[account] = (int(sequence), digest)
            first, _, last = message.get("sessions", "").partition("..")
            if not last:
                continue
            read_at = message.get(READ_AT)
            write = TableWrite(
                snapshot_id=int(number),
                run_id=message["run_id"],
                first=date.fromisoformat(first),
                last=date.fromisoformat(last),
                read_at=int(number) - 1 if read_at is None else int(read_at),
            )
            for key in message["asset"].split(", "):
                self._writes.setdefault(key, []).append(write)

    def writes(self, table: TableSchema, session: date) -> list[TableWrite]:
        """Return the writes that replaced a session's rows of `table`, oldest first."""
        return [write for write in self._writes.get(table.key, ()) if write.first <= session <= write.last]

    def journal_head(self, account: str) -> tuple[int, str] | None:
        """Return where the journal of `account` ended when its book was last written: sequence and hash, if known."""
        return self._journal_heads.get(account)

    def newest_snapshots(self, table: TableSchema, spans: Sequence[tuple[date, date]]) -> list[int]:
        """Return for each span of sessions the newest snapshot that replaced any of its rows, -1 where none did."""
        return self._newest(table, spans, lambda write: write.snapshot_id)

    def read_at(self, table: TableSchema, spans: Sequence[tuple[date, date]]) -> list[int]:
        """Return for each span of sessions the snapshot that the writer of its newest rows read, -1 where none wrote.

        Notes
        -----
        Rows are as old as what they were computed from, and not as new as their commit: another process may have
        written between the two.
        """
        return self._newest(table, spans, lambda write: write.read_at)

    def _newest(
        self, table: TableSchema, spans: Sequence[tuple[date, date]], number_of: Callable[[TableWrite], int]
    ) -> list[int]:
        writes = self._writes.get(table.key, [])
        lows = np.array([low for low, _ in spans], dtype="datetime64[D]")
        highs = np.array([high for _, high in spans], dtype="datetime64[D]")
        newest = np.full(len(spans), -1, dtype=np.int64)
        for write in writes:
            newest[(lows <= np.datetime64(write.last)) & (highs >= np.datetime64(write.first))] = number_of(write)
        return [int(number) for number in newest]


def outdated_tables(
    provenance: Provenance,
    tables: Sequence[TableSchema],
    source: TableSchema,
    *,
    windows: Mapping[date, date],
) -> dict[date, tuple[str, ...]]:
    """Return for each session the tables whose writer did not see the newest of the rows that they look back on.

    Parameters
    ----------
    provenance : Provenance
    tables : sequence of TableSchema
        Tables computed from `source`.
    source : TableSchema
        What they look back on.
    windows : mapping of date to date
        Each session, and the first session that its rows look back to.

    Returns
    -------
    dict of date to tuple of str
        Keys of the tables; sessions without any are absent.
    """
    sessions = list(windows)
    rested_on = provenance.newest_snapshots(source, [(windows[session], session) for session in sessions])
    found: dict[date, tuple[str, ...]] = {}
    for table in tables:
        read = provenance.read_at(table, [(session, session) for session in sessions])
        for session, own, bars in zip(sessions, read, rested_on, strict=True):
            if own < bars:
                found[session] = (*found.get(session, ()), table.key)
    return found
