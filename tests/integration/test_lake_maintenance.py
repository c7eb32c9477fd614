"""Merging the small files of daily runs: fewer files, and every snapshot reads as it did."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.lake.compaction import remove_unused_files
from aegis.lake.lake import CommitMessage, Replacement
from aegis.lake.schema import TableSchema
from aegis.workspace import Workspace
from aegis_assets.maintenance import maintenance_assets
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource
from aegis_sensors.definitions import lake_resource

SESSIONS = trading_calendar("XNYS").sessions(date(2014, 6, 2), date(2014, 6, 20))
CORRECTED = SESSIONS[5]
WRITTEN = (tables.DAILY_BARS, tables.BOOK_STATES)


def message(session: date) -> CommitMessage:
    return CommitMessage("by hand", str(session), "test", "1")


def bars(session: date, close: float) -> pd.DataFrame:
    symbols = [f"S{number:02}" for number in range(50)]
    prices = dict.fromkeys(("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"), close)
    frame = pd.DataFrame({"session": [session] * 50, "symbol": symbols, "ticker": symbols, **prices})
    known = pd.Timestamp(f"{session} 20:15", tz="UTC")
    return frame.assign(volume_shares=1e6, source="hand", known_at_utc=known)


class Daily:
    """A lake written one session at a time, with the rows that each snapshot had."""

    def __init__(self, home: Path) -> None:
        self.config = AegisConfig(run={"home": home})
        self.workspace = Workspace.of(self.config)
        self.resource: LakeResource = lake_resource(self.workspace)
        self.then: dict[int, dict[str, pd.DataFrame]] = {}
        for number, session in enumerate(SESSIONS):
            self.write(session, 100.0 + number)
        self.write(CORRECTED, 999.0)

    def write(self, session: date, close: float) -> None:
        state = pd.DataFrame(
            {"session": [session], "account": "simulated", "state_json": f'{{"cash": {close}}}', "state_hash": "h"}
        )
        with self.resource.open() as store:
            snapshot = store.write(
                [
                    Replacement(tables.DAILY_BARS, bars(session, close), session, session),
                    Replacement(tables.BOOK_STATES, self._complete(state), session, session, "simulated"),
                ],
                message(session),
            )
        self.then[snapshot] = self.read(snapshot)

    def _complete(self, state: pd.DataFrame) -> pd.DataFrame:
        lacking = [name for name in tables.BOOK_STATES.column_names if name not in state]
        return state.assign(**dict.fromkeys(lacking, "h"))

    def read(self, snapshot: int | None = None) -> dict[str, pd.DataFrame]:
        with self.resource.open() as store:
            return {table.key: store.read(table, snapshot_id=snapshot) for table in WRITTEN}

    def files_of(self, table: TableSchema) -> int:
        return len(list((self.workspace.lake.data_path / table.layer / table.name).rglob("*.parquet")))

    def maintain(self) -> dict[str, object]:
        result = dg.materialize(maintenance_assets(), resources={"lake": self.resource, "desk": Desk.of(self.config)})
        (event,) = result.asset_materializations_for_node("lake__stored_files")
        return {name: value.value for name, value in event.metadata.items()}


@pytest.fixture
def daily(tmp_path: Path) -> Daily:
    return Daily(tmp_path / "home")


def same(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    for key, frame in expected.items():
        pd.testing.assert_frame_equal(found[key], frame, check_exact=True)


def test_every_snapshot_reads_as_it_did_also_once_the_merged_files_are_gone(daily: Daily) -> None:
    before, written = daily.read(), daily.files_of(tables.DAILY_BARS)
    assert written > len(SESSIONS)

    told = daily.maintain()
    assert told["tables_merged"] == 1  # rows of the carried state are few enough to stand in the catalog itself
    assert told["files_merged"] >= len(SESSIONS)
    assert told["files_removed"] == 0
    assert told["files_before"] == written
    assert 1 <= told["files_after"] <= 5
    assert 0 < told["bytes_after"] < told["bytes_before"]
    assert told["snapshots_expired"] == 0
    assert daily.files_of(tables.DAILY_BARS) >= written  # for whoever still reads them
    same(daily.read(), before)

    with daily.resource.open() as store:
        assert remove_unused_files(store, unused_for=timedelta(days=7)) == 0
        assert remove_unused_files(store, unused_for=timedelta(0)) >= len(SESSIONS)
    assert daily.files_of(tables.DAILY_BARS) <= 5
    same(daily.read(), before)
    assert len(daily.then) == len(SESSIONS) + 1
    for snapshot, rows in daily.then.items():
        same(daily.read(snapshot), rows)
    corrected = daily.read(max(daily.then))[tables.DAILY_BARS.key]
    assert set(corrected.loc[corrected["session"] == pd.Timestamp(CORRECTED), "close_raw_usd"]) == {999.0}


def test_a_second_time_there_is_nothing_to_merge_and_writing_goes_on(daily: Daily) -> None:
    daily.maintain()
    with daily.resource.open() as store:
        snapshot = store.snapshot_id()
        said = store.snapshots().set_index("snapshot_id").loc[snapshot, "commit_message"]
    assert said == "maintain_lake"
    again = daily.maintain()
    assert (again["tables_merged"], again["files_merged"], again["files_removed"]) == (0, 0, 0)
    assert (again["files_before"], again["bytes_before"]) == (again["files_after"], again["bytes_after"])

    session = trading_calendar("XNYS").next(SESSIONS[-1])
    daily.write(session, 50.0)
    with daily.resource.open() as store:
        assert store.sessions(tables.DAILY_BARS) == [*SESSIONS, session]
    for snapshot, rows in daily.then.items():
        same(daily.read(snapshot), rows)
