"""Two vendors in the asset graph: what is stored of both, what Dagster is shown, and what the gate blocks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.errors import SourceUnavailable
from aegis.lake import tables
from aegis.market_data.multi_source import MultiSource
from aegis.workspace import Workspace
from aegis_assets.market_data import GATED_TABLES, market_data_assets
from aegis_assets.partitions import session_partitions
from aegis_resources.market_data import Market
from aegis_sensors.definitions import lake_resource
from tests.scripted_vendor import CALENDAR, ScriptedVendor, steady

FIRST, THURSDAY, LAST = date(2014, 6, 2), date(2014, 6, 12), date(2014, 6, 13)
WHOLE = steady(("AAA", "BBB", "SPY"), FIRST, LAST)
CLOCK = FixedClock(datetime(2014, 6, 13, 20, 16, tzinfo=UTC))


class Desk:
    """A workspace whose market is two vendors."""

    def __init__(self, home: Path, one: ScriptedVendor, two: ScriptedVendor) -> None:
        self.config = AegisConfig(run={"home": home}, quality={"stale_repeat_sessions": 20})
        self.market = Market(self.config, CLOCK, MultiSource([one, two], CALENDAR, last_session=LAST))
        self.workspace = Workspace.of(self.config)
        self.lake = lake_resource(self.workspace)

    def materialize(self, *keys: str) -> dg.ExecuteInProcessResult:
        """Materialize assets for all sessions, without any error that is not Dagster's."""
        return dg.materialize(
            market_data_assets(session_partitions(CALENDAR, FIRST, LAST)),
            selection=[dg.AssetKey(key.split("/")) for key in keys],
            resources={"market": self.market, "lake": self.lake, "workspace": self.workspace},
            tags={
                ASSET_PARTITION_RANGE_START_TAG: FIRST.isoformat(),
                ASSET_PARTITION_RANGE_END_TAG: LAST.isoformat(),
            },
            raise_on_error=False,
        )

    def read(self, table: Any) -> pd.DataFrame:
        with self.lake.open() as store:
            return store.read(table)


VENDOR_DATA = ("market_data/raw_bars", "market_data/corporate_actions", "quality/source_agreement")


def shown(result: dg.ExecuteInProcessResult, key: str) -> dict[str, Any]:
    """Return the metadata of an asset's last event."""
    events = [
        event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(key.split("/"))
    ]
    return {name: value.value for name, value in events[-1].materialization.metadata.items()}


def test_a_disagreement_blocks_its_session_and_is_kept_with_both_values(tmp_path: Path) -> None:
    one = ScriptedVendor("one", WHOLE)
    two = ScriptedVendor("two", {**WHOLE, (THURSDAY, "BBB"): 104.0})
    desk = Desk(tmp_path, one, two)

    listed = dg.materialize(
        market_data_assets(session_partitions(CALENDAR, FIRST, LAST)),
        selection=[dg.AssetKey(["market_data", name]) for name in ("listings", "instruments")],
        resources={"market": desk.market, "lake": desk.lake, "workspace": desk.workspace},
    )
    assert listed.success
    result = desk.materialize(*VENDOR_DATA, *(table.key for table in GATED_TABLES))

    agreement = desk.read(tables.SOURCE_AGREEMENT)
    assert len(agreement) == len(WHOLE)
    apart = agreement[agreement["close_ratio"] != 1.0]
    columns = ["session", "symbol", "source", "other_source", "close_raw_usd", "other_close_raw_usd"]
    assert apart[columns].to_numpy().tolist() == [[pd.Timestamp(THURSDAY), "BBB", "one", "two", 100.0, 104.0]]
    checks = desk.read(tables.CHECK_RESULTS)
    judged = checks["check"].str.endswith("_agree_across_sources") & (checks["outcome"] == "block")
    (told,) = checks.loc[judged, ["session", "check", "detail"]].to_numpy().tolist()
    assert told[:2] == [pd.Timestamp(THURSDAY), "closes_agree_across_sources"]
    assert told[2].startswith("BBB 2014-06-12: close 100 USD from one and 104 USD from two, ratio 1.04;")
    assert pd.Timestamp(THURSDAY) not in set(desk.read(tables.DAILY_BARS)["session"])
    metadata = shown(result, "quality/source_agreement")
    assert (metadata["compared_bars"], metadata["bars"]) == (len(WHOLE), len(WHOLE))
    assert "- two: a second opinion about 30 of 30 bar(s)" in metadata["fetches"]


def test_what_was_tried_is_shown_with_the_bars(tmp_path: Path) -> None:
    one = ScriptedVendor("one", WHOLE, failure=SourceUnavailable("HTTP 503"))
    desk = Desk(tmp_path, one, ScriptedVendor("two", WHOLE))

    result = desk.materialize("market_data/raw_bars")

    assert result.success
    assert shown(result, "market_data/raw_bars")["fetches"].splitlines() == [
        "- one: SourceUnavailable: HTTP 503",
        "- two: 30 bar(s)",
    ]
    assert set(desk.read(tables.RAW_BARS)["source"]) == {"two"}
