"""Which snapshot, and which run, wrote a table's rows of a session.

Belongs here: reading the commit messages that every write leaves (:class:`aegis.lake.lake.CommitMessage`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

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
    """

    snapshot_id: int
    run_id: str
    first: date
    last: date


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
            write = TableWrite(int(number), message["run_id"], date.fromisoformat(first), date.fromisoformat(last))
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
        writes = self._writes.get(table.key, [])
        lows = np.array([low for low, _ in spans], dtype="datetime64[D]")
        highs = np.array([high for _, high in spans], dtype="datetime64[D]")
        newest = np.full(len(spans), -1, dtype=np.int64)
        for write in writes:
            newest[(lows <= np.datetime64(write.last)) & (highs >= np.datetime64(write.first))] = write.snapshot_id
        return [int(number) for number in newest]


def outdated_tables(
    provenance: Provenance,
    tables: Sequence[TableSchema],
    source: TableSchema,
    *,
    windows: Mapping[date, date],
) -> dict[date, tuple[str, ...]]:
    """Return for each session the tables that were not written since the rows that they were computed from.

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
        written = provenance.newest_snapshots(table, [(session, session) for session in sessions])
        for session, own, bars in zip(sessions, written, rested_on, strict=True):
            if own <= bars:
                found[session] = (*found.get(session, ()), table.key)
    return found
