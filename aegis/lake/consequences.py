"""Which later rows and orders were computed from rows that a correction changed.

Belongs here: following changed rows through tables that look back on them. What looks back on what, and how far, is
given: :mod:`aegis.live_trading.decision_inputs` says it of our tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from aegis.lake.comparison import RowChange
from aegis.lake.provenance import Provenance
from aegis.lake.schema import TableSchema


@dataclass(frozen=True)
class Dependency:
    """A table whose rows of session D are computed from another's rows of sessions D - lookback to D.

    Parameters
    ----------
    table : TableSchema
        The computed one.
    source : TableSchema
        What it reads.
    lookback_sessions : int
        How far back.
    mixes_symbols : bool
        Whether one symbol's row reaches the rows of others: ranks, covariances, an optimizer.
    """

    table: TableSchema
    source: TableSchema
    lookback_sessions: int
    mixes_symbols: bool


@dataclass(frozen=True)
class Consequence:
    """Sessions of one table that rest on rows as they were before the change.

    Parameters
    ----------
    table : TableSchema
    sessions : tuple of date
        Ascending; those that the table has not computed again since.
    recomputed_sessions : int
        How many more it has computed again since.
    symbols : tuple of str or None
        Symbols concerned; None where the change reaches every symbol.
    """

    table: TableSchema
    sessions: tuple[date, ...]
    recomputed_sessions: int
    symbols: tuple[str, ...] | None


class ChangedSessions:
    """For each session the newest snapshot that changed rows of one table, and the symbols of those rows.

    Parameters
    ----------
    changes : iterable of RowChange
        Of one table. A change whose row has no session, as of a listing, counts for every session.
    sessions : sequence of date
        Ascending sessions of the decision calendar that are looked at.
    """

    def __init__(self, changes: Iterable[RowChange], sessions: Sequence[date]) -> None:
        self.sessions = tuple(sessions)
        self.newest = np.full(len(self.sessions), -1, dtype=np.int64)
        self._symbols: set[str] = set()
        places = {session: place for place, session in enumerate(self.sessions)}
        for change in changes:
            session = change.key.get("session")
            place = slice(None) if session is None else places.get(session)
            if place is None:
                continue
            self.newest[place] = np.maximum(self.newest[place], change.snapshot_id)
            if "symbol" in change.key:
                self._symbols.add(str(change.key["symbol"]))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the changed rows, by name."""
        return tuple(sorted(self._symbols))

    def reaching(self, lookback_sessions: int) -> np.ndarray:
        """Return for each session the newest change in its look-back, int64 of shape (sessions,); -1 without any."""
        reached = self.newest.copy()
        for place in np.flatnonzero(self.newest >= 0):
            until = slice(int(place), int(place) + lookback_sessions + 1)
            reached[until] = np.maximum(reached[until], self.newest[place])
        return reached


def reach(dependencies: Sequence[Dependency], source: TableSchema) -> dict[str, tuple[TableSchema, int, bool]]:
    """Return what is computed from `source`, directly or not: table, sessions looked back on, whether symbols mix.

    Parameters
    ----------
    dependencies : sequence of Dependency
        Without cycles, each table after what it reads.
    source : TableSchema

    Notes
    -----
    Along a path look-backs add up; of several paths the longest counts.
    """
    found: dict[str, tuple[TableSchema, int, bool]] = {source.key: (source, 0, False)}
    for step in dependencies:
        if step.source.key not in found:
            continue
        _, back, mixed = found[step.source.key]
        _, known_back, known_mixed = found.get(step.table.key, (step.table, 0, False))
        found[step.table.key] = (
            step.table,
            max(known_back, back + step.lookback_sessions),
            known_mixed or mixed or step.mixes_symbols,
        )
    del found[source.key]
    return found


def consequences(
    changed: ChangedSessions, dependencies: Sequence[Dependency], source: TableSchema, provenance: Provenance
) -> list[Consequence]:
    """Return the tables that were computed from the changed rows, in the order in which they are computed.

    Parameters
    ----------
    changed : ChangedSessions
        Of `source`.
    dependencies : sequence of Dependency
    source : TableSchema
    provenance : Provenance
        Says when each table's sessions were written.
    """
    found: list[Consequence] = []
    for table, lookback, mixes in reach(dependencies, source).values():
        reached = changed.reaching(lookback)
        written = provenance.newest_snapshots(table, [(session, session) for session in changed.sessions])
        old, again = [], 0
        for session, change, write in zip(changed.sessions, reached, written, strict=True):
            if change >= 0 and write >= 0:
                old += [session] if write < change else []
                again += int(write >= change)
        if old or again:
            found.append(Consequence(table, tuple(old), again, None if mixes else changed.symbols))
    return found


def orders_decided_before(changed: ChangedSessions, lookback_sessions: int, orders: pd.DataFrame) -> pd.DataFrame:
    """Return the orders whose decision read the changed rows as they were before.

    Parameters
    ----------
    changed : ChangedSessions
    lookback_sessions : int
        How far an order's decision looks back on the changed table.
    orders : DataFrame
        ``execution/orders``: ``session``, ``input_snapshot_id``, ``symbol``.

    Returns
    -------
    DataFrame
        Its rows, with ``is_of_changed_symbol``. A correction changes no order: what was committed stands.
    """
    newest: Mapping[date, int] = dict(zip(changed.sessions, changed.reaching(lookback_sessions).tolist(), strict=True))
    change = orders["session"].dt.date.map(newest).fillna(-1).astype(np.int64)
    found: pd.DataFrame = orders[orders["input_snapshot_id"] < change]
    return found.assign(is_of_changed_symbol=found["symbol"].isin(changed.symbols))
