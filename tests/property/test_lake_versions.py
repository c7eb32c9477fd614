"""Whatever is written, corrected, merged and expired: a snapshot that can be read shows the bytes that it showed then.

Each seed makes a lake of three tables and does a dozen things to it at random. After each upkeep every snapshot is read
again and compared with what was read when it was made; comparisons of two snapshots are recomputed from those frames.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aegis.errors import SnapshotNotFound
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.compaction import merge_small_files, remove_unused_files
from aegis.lake.comparison import Comparison, changed_rows
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.marks import mark_snapshot
from aegis.lake.retention import expire, plan_expiry
from aegis.lake.schema import Column, TableSchema
from aegis.lake.versions import VersionHistory, row_counts
from tests.trial_tables import READINGS, readings

DAYS = [date(2014, 6, 2) + timedelta(days=n) for n in range(12)]
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
PILES = TableSchema(
    "trial",
    "piles",
    "May hold the same row twice.",
    ("session", "symbol"),
    (
        Column("session", "session", "Session."),
        Column("symbol", "text", "Symbol."),
        Column("size", "float", "Size.", "1", nullable=True),
    ),
    enforce_key=False,
)
NAMES = TableSchema(
    "trial",
    "names",
    "No sessions.",
    ("symbol",),
    (Column("symbol", "text", "Symbol."), Column("name", "text", "Name.", nullable=True)),
)
TABLES = (READINGS, PILES, NAMES)
MANY = 60
"""Rows of a session that reach a data file; a handful stays in the catalog."""


def fingerprint(frame: pd.DataFrame) -> str:
    text = frame.dtypes.to_string() + frame.to_csv(float_format="%.17g")
    return hashlib.sha256(text.encode()).hexdigest()


class RandomHistory:
    """One lake and what was read from it when each snapshot was made."""

    def __init__(self, lake: Lake, seed: int) -> None:
        self.lake = lake
        self.draw = np.random.default_rng(seed)
        self.then: dict[int, dict[str, pd.DataFrame]] = {}
        self.referenced: dict[int, str] = {}
        self.marked: set[int] = set()
        self.expired: set[int] = set()
        self.did: list[str] = []
        lake.create_tables(TABLES)
        self.remember()

    def remember(self) -> None:
        """Note the rows as they are now, for each snapshot made since the last time.

        An action that makes two changes rows in none of them: an expiry, which first makes the table of its record.
        """
        rows = {table.key: self.lake.read(table) for table in TABLES}
        newest = self.lake.snapshot_id()
        for number in range(max(self.then, default=newest - 1) + 1, newest + 1):
            self.then[number] = rows

    def step(self) -> None:
        actions: list[Callable[[], None]] = [
            *[self.write_readings] * 5,
            *[self.correct_a_reading] * 3,
            *[self.write_piles] * 2,
            self.write_names,
            self.empty_a_session,
            self.refer,
            self.mark,
            self.merge,
            self.clean,
            self.expire,
        ]
        action = actions[int(self.draw.integers(len(actions)))]
        self.did.append(action.__name__)
        action()
        self.remember()

    def commit(self, table: TableSchema, frame: pd.DataFrame, first: date | None, last: date | None) -> None:
        message = CommitMessage(table.key, f"{first}..{last}" if first else "", "run", "1", "by chance")
        self.lake.write([Replacement(table, frame, first, last)], message)

    def some_days(self) -> list[date]:
        start = int(self.draw.integers(len(DAYS)))
        return DAYS[start : start + 1 + int(self.draw.integers(4))]

    def symbols(self) -> tuple[str, ...]:
        count = MANY if self.draw.random() < 0.4 else int(self.draw.integers(1, 5))
        return tuple(f"S{number:02}" for number in range(count))

    def write_readings(self) -> None:
        days = self.some_days()
        frame = readings(*days, close_usd=float(self.draw.integers(1, 4)), symbols=self.symbols())
        self.commit(READINGS, frame, days[0], days[-1])

    def correct_a_reading(self) -> None:
        frame = self.lake.read(READINGS)
        if frame.empty:
            return
        row = int(self.draw.integers(len(frame)))
        day = frame.loc[row, "session"].date()
        frame.loc[row, "close_usd"] += float(self.draw.choice([0.0, 1e-12, 1.0]))
        own = frame[frame["session"] == pd.Timestamp(day)]
        self.commit(READINGS, own, day, day)

    def write_piles(self) -> None:
        days, symbols = self.some_days(), self.symbols()
        sizes = self.draw.choice([1.0, 2.0, np.nan], len(days) * len(symbols))
        rows = [(day, symbol) for day in days for symbol in symbols]
        frame = pd.DataFrame(rows, columns=["session", "symbol"]).assign(size=sizes)
        self.commit(PILES, pd.concat([frame, frame.head(3)], ignore_index=True), days[0], days[-1])

    def write_names(self) -> None:
        symbols = self.symbols()
        self.commit(
            NAMES, pd.DataFrame({"symbol": symbols, "name": [f"n{self.draw.integers(3)}"] * len(symbols)}), None, None
        )

    def empty_a_session(self) -> None:
        day = self.some_days()[0]
        self.commit(READINGS, READINGS.empty(), day, day)

    def refer(self) -> None:
        self.referenced[int(self.draw.choice(self.live()))] = "execution/orders"

    def mark(self) -> None:
        number = int(self.draw.choice(self.live()))
        mark_snapshot(self.lake, number, "keep", reason="for the audit", person="a person", at_utc=NOON)
        self.marked.add(number)

    def merge(self) -> None:
        merge_small_files(self.lake, CommitMessage("merge", "", "run", "1", "merge"))
        self.verify()

    def clean(self) -> None:
        remove_unused_files(self.lake, unused_for=timedelta(0))
        self.verify()

    def expire(self) -> None:
        history = VersionHistory.of(self.lake)
        made = [version.made_at_utc for version in history.versions]
        before = made[int(self.draw.integers(len(made)))]
        plan = plan_expiry(history, before=before, referenced=self.referenced)
        assert not {version.snapshot_id for version in plan.expiring} & {*self.referenced, *self.marked}
        message = CommitMessage("expire", "", "run", "1", "by chance")
        assert expire(self.lake, plan, message, at_utc=NOON) == len(plan.expiring)
        self.remember()
        self.expired |= {version.snapshot_id for version in plan.expiring}
        self.verify()

    def live(self) -> list[int]:
        return [number for number in self.then if number not in self.expired]

    def verify(self) -> None:
        for number in self.live():
            for table in TABLES:
                found = fingerprint(self.lake.read(table, snapshot_id=number))
                assert found == fingerprint(self.then[number][table.key]), (number, table.key, self.did)
        self.verify_expired()

    def verify_expired(self) -> None:
        """An expired snapshot is answered by one with the same rows, or not at all."""
        history = VersionHistory.of(self.lake)
        for number in self.expired & set(self.then):
            for table in TABLES:
                try:
                    other = history.find(str(number), table=table)
                except SnapshotNotFound:
                    continue
                assert fingerprint(self.then[other][table.key]) == fingerprint(self.then[number][table.key])
                assert other not in self.expired

    def verify_comparison(self) -> None:
        live = self.live()
        before, after = sorted(int(number) for number in self.draw.choice(live, 2))
        history = VersionHistory.of(self.lake)
        for table in (READINGS, NAMES):
            found = {
                tuple(change.key.values()): change
                for change in changed_rows(self.lake, Comparison(table, before, after), history)
            }
            expected = self._differing(table, before, after)
            assert {key: (c.kind, set(c.differing)) for key, c in found.items()} == expected, (before, after, self.did)
            if not self.expired:
                assert {key: c.snapshot_id for key, c in found.items()} == self._since(table, after, expected)

    def _rows(self, table: TableSchema, number: int) -> dict[tuple[object, ...], dict[str, str]]:
        frame = self.then[number][table.key]
        keys = [frame[name].dt.date if name == "session" else frame[name] for name in table.primary_key]
        values = frame.astype(object).map(repr).to_dict("records")
        return dict(zip(zip(*keys, strict=True), values, strict=True))

    def _differing(self, table: TableSchema, before: int, after: int) -> dict[tuple[object, ...], tuple[str, set[str]]]:
        old, new = self._rows(table, before), self._rows(table, after)
        found: dict[tuple[object, ...], tuple[str, set[str]]] = {
            key: ("added", set()) for key in new.keys() - old.keys()
        }
        found |= {key: ("removed", set()) for key in old.keys() - new.keys()}
        for key in old.keys() & new.keys():
            if columns := {name for name in old[key] if old[key][name] != new[key][name]}:
                found[key] = ("changed", columns)
        return found

    def _since(self, table: TableSchema, after: int, keys: object) -> dict[tuple[object, ...], int]:
        versions = [
            (number, self._rows(table, number)) for number in sorted(self.then, reverse=True) if number <= after
        ]
        found = {}
        for key in keys:  # type: ignore[attr-defined]
            final = versions[0][1].get(key)
            for number, rows in versions:
                if rows.get(key) != final:
                    break
                found[key] = number
        return found

    def verify_counts(self) -> None:
        """The change feed counts what the next snapshot has more and less, before anything was merged or expired."""
        history = VersionHistory.of(self.lake)
        sizes = {number: {key: len(frame) for key, frame in frames.items()} for number, frames in self.then.items()}
        for earlier, later in zip(sorted(sizes), sorted(sizes)[1:], strict=False):
            version = next(v for v in history.versions if v.snapshot_id == later)
            for key, counts in row_counts(self.lake, version, TABLES).items():
                assert counts.added - counts.removed == sizes[later][key] - sizes[earlier][key], (later, key)


def play(folder: Path, seed: int, steps: int) -> RandomHistory:
    with connect(LakeLocation(folder / f"lake{seed}")) as connection:
        history = RandomHistory(Lake(connection), seed)
        for _ in range(steps):
            history.step()
            if len(history.live()) > 1 and history.draw.random() < 0.3:
                history.verify_comparison()
        history.merge()
        history.clean()
        if not history.expired:
            history.verify_counts()
        return history


def test_every_readable_snapshot_shows_what_it_showed_when_it_was_made(tmp_path: Path) -> None:
    histories = [play(tmp_path, seed, 14) for seed in (1, 4)]
    assert any(history.expired for history in histories)
    assert any(history.did.count("merge") for history in histories)


def test_a_session_taken_from_a_file_that_had_lost_another_before_is_seen(tmp_path: Path) -> None:
    """Seed 1061 of the histories below: both deletions stand in one delete file, which began with the first."""
    with connect(LakeLocation(tmp_path / "lake")) as connection:
        history = RandomHistory(Lake(connection), 0)
        symbols = tuple(f"S{number:02}" for number in range(MANY))
        history.commit(READINGS, readings(*DAYS[:3], symbols=symbols), DAYS[0], DAYS[2])
        history.commit(READINGS, READINGS.empty(), DAYS[0], DAYS[0])
        before = history.lake.snapshot_id()
        history.commit(READINGS, READINGS.empty(), DAYS[1], DAYS[1])
        compared = Comparison(READINGS, before, history.lake.snapshot_id())
        found = list(changed_rows(history.lake, compared, VersionHistory.of(history.lake)))
    assert [(change.kind, change.key) for change in found] == [
        ("removed", {"session": DAYS[1], "symbol": symbol}) for symbol in symbols
    ]


@pytest.mark.long
def test_in_two_hundred_histories_every_readable_snapshot_shows_what_it_showed(tmp_path: Path) -> None:
    histories = [play(tmp_path, seed, 12) for seed in range(1_000, 1_200)]
    expired = sum(len(history.expired) for history in histories)
    kept = sum(len(history.live()) for history in histories)
    print(f"{len(histories)} histories, {kept} snapshots kept, {expired} expired")
    assert expired > len(histories)
