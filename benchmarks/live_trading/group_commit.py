"""How many events a durable commit carries: one, ten, a hundred or a thousand, beside the disk and a plain table.

Belongs here: the paired measurement. In turns, each in one durable commit: a raw write with fsync of as many bytes, the
same rows into a plain SQLite table with the journal's settings, and into the journal with its chain.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aegis.execution.journal import Journal
from aegis.execution.journal_chain import JournalRow
from benchmarks.live_trading.durable_commits import committed, write_and_sync
from benchmarks.live_trading.market import ACCOUNT

COMMITS = {1: 200, 10: 100, 100: 40, 1_000: 15}
"""How often each size is committed."""
RAW, PLAIN, JOURNAL = "raw write and fsync", "plain SQLite table", "journal"
_COLUMNS = len(JournalRow._fields)


@dataclass
class GroupCommit:
    """Seconds of each commit by what was done, for one size.

    Parameters
    ----------
    events : int
        In one commit.
    row_bytes : int
        Of its rows together.
    seconds : dict of str to list of float
        By peer.
    """

    events: int
    row_bytes: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: {RAW: [], PLAIN: [], JOURNAL: []})


def measure(folder: Path, source: Path, *, share: float = 1.0) -> list[GroupCommit]:
    """Commit rows that another journal holds, in groups of each size.

    Parameters
    ----------
    folder : Path
        On the disk that is measured.
    source : Path
        A journal with rows of orders.
    share : float
        Of the commits of :data:`COMMITS`.
    """
    with Journal.open(source, account=ACCOUNT) as journal:
        rows = [row for row in journal.events() if row.client_order_id is not None][: max(COMMITS)]
    found = []
    with (
        (folder / "raw").open("ab", buffering=0) as raw,
        closing(_plain_table(folder / "plain.sqlite")) as plain,
        Journal.open(folder / "groups.sqlite", account=ACCOUNT) as journal,
    ):
        for size, commits in COMMITS.items():
            group = rows[:size]
            measured = GroupCommit(size, sum(len(str(value)) for row in group for value in row))
            block = os.urandom(measured.row_bytes)
            for number in range(max(3, round(commits * share)) + 1):
                given = f"{size}-{number}"
                steps: list[tuple[str, Callable[[], None]]] = [
                    (RAW, partial(write_and_sync, raw.fileno(), block)),
                    (PLAIN, _inserted(plain, group, given)),
                    (JOURNAL, committed(journal, group, given=given)),
                ]
                turn = number % len(steps)
                for peer, step in (*steps[turn:], *steps[:turn]):
                    began = time.perf_counter()
                    step()
                    if number:  # the first warms up
                        measured.seconds[peer].append(time.perf_counter() - began)
            found.append(measured)
    return found


def _plain_table(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    names = ", ".join(JournalRow._fields)
    connection.execute(f"CREATE TABLE events ({names}, PRIMARY KEY (account, sequence))")
    return connection


def _inserted(connection: sqlite3.Connection, group: Sequence[JournalRow], given: str) -> Callable[[], None]:
    """Return what inserts rows into the plain table under new keys."""
    rows = [row._replace(sequence=f"{given}-{row.sequence}") for row in group]  # type: ignore[arg-type] # only a key here
    places = ", ".join("?" * _COLUMNS)

    def insert() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO events VALUES ({places})", rows)  # noqa: S608 - only question marks
        connection.execute("COMMIT")

    return insert
