"""A vendor that does not answer for a day: what it alone stated stays, and the session says that its bars are missing.

AAA and SPY are listed by both vendors, CCC by the second alone. The second falls silent on the last evening.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.errors import SourceUnavailable
from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.market_data.bar_evidence import JudgedSessions, expected_bars
from aegis.market_data.multi_source import MultiSource
from aegis.workspace import Workspace
from aegis_assets.market_data import market_data_assets
from aegis_assets.partitions import session_partitions
from aegis_resources.market_data import Market
from aegis_sensors.definitions import lake_resource
from tests.scripted_vendor import CALENDAR, ScriptedVendor, steady

FIRST, THURSDAY, LAST = date(2014, 6, 2), date(2014, 6, 12), date(2014, 6, 13)
SPLIT_DAY = date(2014, 6, 10)
LISTED = ("listings", "instruments")
DOWN = SourceUnavailable("HTTP 503")


class Evening:
    """A workspace as one process after another sees it."""

    def __init__(self, home: Path) -> None:
        self.config = AegisConfig(run={"home": home}, quality={"stale_repeat_sessions": 20})
        self.workspace = Workspace.of(self.config)
        self.lake = lake_resource(self.workspace)

    def run(self, last: date, *names: str, failing: str = "", first: date = LAST) -> dg.ExecuteInProcessResult:
        """Materialize assets with vendors opened anew, of which `failing` does not answer."""
        vendors = [
            ScriptedVendor(
                name,
                steady(symbols, FIRST, last),
                splits={key: 2.0 for key in splits if key[0] <= last},
                failure=DOWN if name == failing else None,
            )
            for name, symbols, splits in (
                ("one", ("AAA", "SPY"), {(SPLIT_DAY, "AAA"): 2.0}),
                ("two", ("AAA", "CCC", "SPY"), {(SPLIT_DAY, "CCC"): 2.0}),
            )
        ]
        clock = FixedClock(datetime(last.year, last.month, last.day, 20, 16, tzinfo=UTC))
        market = Market(self.config, clock, MultiSource(vendors, CALENDAR, last_session=last))
        return dg.materialize(
            market_data_assets(session_partitions(CALENDAR, FIRST, LAST)),
            selection=[dg.AssetKey(["market_data", name]) for name in names],
            resources={"market": market, "lake": self.lake, "workspace": self.workspace},
            tags={}
            if names == LISTED
            else {ASSET_PARTITION_RANGE_START_TAG: str(first), ASSET_PARTITION_RANGE_END_TAG: str(last)},
        )

    def read(self, table: TableSchema) -> pd.DataFrame:
        with self.lake.open() as store:
            return store.read(table)


@pytest.fixture
def evening(tmp_path: Path) -> Evening:
    """Everything up to Thursday, when both vendors answered."""
    begun = Evening(tmp_path)
    assert begun.run(THURSDAY, *LISTED).success
    assert begun.run(THURSDAY, "raw_bars", "corporate_actions", first=FIRST).success
    assert begun.read(tables.LISTINGS)["symbol"].tolist() == ["AAA", "CCC", "SPY"]
    return begun


@pytest.mark.parametrize("failing", ["one", "two"])
def test_what_a_silent_vendor_stated_stays(evening: Evening, failing: str) -> None:
    known = [evening.read(table) for table in (tables.LISTINGS, tables.INSTRUMENTS, tables.CORPORATE_ACTIONS)]
    assert evening.run(LAST, *LISTED, failing=failing).success
    assert evening.run(LAST, "corporate_actions", failing=failing).success
    for table, before in zip((tables.LISTINGS, tables.INSTRUMENTS, tables.CORPORATE_ACTIONS), known, strict=True):
        pd.testing.assert_frame_equal(evening.read(table), before)


def test_bars_that_only_the_silent_vendor_has_are_missed(evening: Evening) -> None:
    evening.run(LAST, *LISTED, failing="two")
    assert evening.run(LAST, "raw_bars", failing="two").success
    due = expected_bars(
        evening.read(tables.RAW_BARS),
        evening.read(tables.LISTINGS),
        sessions=JudgedSessions.between(LAST, LAST, CALENDAR),
    )
    missing = due[due["delivered_rows"].isna()]
    assert missing[["session", "symbol"]].to_numpy().tolist() == [[pd.Timestamp(LAST), "CCC"]]
