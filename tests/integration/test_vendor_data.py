"""What is stored of a source's answers: nothing later is lost to an earlier run, and corrections can be seen.

The embedded market of 2014 to 2017 renames a company in August 2017 (``docs/simulated_market.md``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from aegis.calendars import trading_calendar
from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Replacement
from aegis.lake.schema import TableSchema
from aegis.market_data.kept_corrections import CORRECTION_SOURCE, WRITTEN_BY
from aegis.market_data.sources.registry import open_source
from aegis.market_data.sources.source import MarketDataSource
from aegis.market_data.sources.truncated import TruncatedSource
from aegis.market_data.sources.wrapped import WrappedSource
from aegis.workspace import Workspace
from aegis_assets.partitions import session_partitions
from aegis_assets.vendor_data import vendor_data_assets
from aegis_resources.market_data import Market
from aegis_sensors.definitions import lake_resource

CALENDAR = trading_calendar("XNYS")
FIRST, CUT, LAST = date(2014, 1, 2), date(2016, 12, 30), date(2017, 12, 29)
CLOCK = FixedClock(datetime(2018, 1, 2, 12, tzinfo=UTC))


class Vendor:
    """A workspace and the three assets that ask the source."""

    def __init__(self, home: Path) -> None:
        self.config = AegisConfig(run={"home": home, "last_session": LAST})
        self.whole: MarketDataSource = open_source(self.config, CALENDAR, CLOCK)
        self.lake = lake_resource(Workspace.of(self.config))

    def fetch(self, source: MarketDataSource, name: str, first: date, last: date) -> dg.AssetMaterialization:
        """Materialize one asset, listings with instruments, and return what Dagster was told of its last session."""
        tags = {
            ASSET_PARTITION_RANGE_START_TAG: first.isoformat(),
            ASSET_PARTITION_RANGE_END_TAG: last.isoformat(),
        }
        names = ("listings", "instruments") if name == "listings" else (name,)
        result = dg.materialize(
            vendor_data_assets(session_partitions(CALENDAR, FIRST, LAST)),
            selection=[dg.AssetKey(["market_data", each]) for each in names],
            resources={"market": Market(self.config, CLOCK, source), "lake": self.lake},
            tags={} if name == "listings" else tags,
        )
        told = [event.materialization for event in result.get_asset_materialization_events()]
        return [event for event in told if event.asset_key.path[-1] == name][-1]

    def read(self, table: TableSchema) -> pd.DataFrame:
        with self.lake.open() as store:
            return store.read(table)


class Corrected(WrappedSource):
    """The source after its vendor has corrected what `change` changes."""

    def __init__(self, source: MarketDataSource, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        super().__init__(source)
        self._change = change

    def bars(self, first: date, last: date) -> pd.DataFrame:
        return self._change(super().bars(first, last))

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        return self._change(super().corporate_actions(first, last))


class Reclassified(WrappedSource):
    """The source after its vendor has moved one company to another sector."""

    def instruments(self) -> pd.DataFrame:
        stated = super().instruments()
        assert stated is not None
        return stated.assign(sector=stated["sector"].where(stated["symbol"] != "NZLO", "Media"))


class Remarked(WrappedSource):
    """The source with remarks about its coverage."""

    def __init__(self, source: MarketDataSource, notes: list[str]) -> None:
        super().__init__(source)
        self._notes = notes

    def coverage_notes(self) -> list[str]:
        return self._notes


class Forgetful(WrappedSource):
    """The source after its vendor has dropped one company, its past included."""

    def bars(self, first: date, last: date) -> pd.DataFrame:
        return super().bars(first, last).query("symbol != 'NZLO'")

    def listings(self) -> pd.DataFrame:
        return super().listings().query("symbol != 'NZLO'")

    def instruments(self) -> pd.DataFrame:
        stated = super().instruments()
        assert stated is not None
        return stated.query("symbol != 'NZLO'")

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        return super().corporate_actions(first, last).query("symbol != 'NZLO'")


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    return Vendor(tmp_path / "home")


def test_a_run_cut_off_earlier_takes_no_later_action_or_listing_away(vendor: Vendor) -> None:
    vendor.fetch(vendor.whole, "corporate_actions", FIRST, LAST)
    vendor.fetch(vendor.whole, "listings", FIRST, LAST)
    actions, listings = vendor.read(tables.CORPORATE_ACTIONS), vendor.read(tables.LISTINGS)
    later = actions[actions["known_at_utc"] > pd.Timestamp("2016-12-30 21:15", tz="UTC")]
    assert "rename" in set(later["action"])
    assert (listings["first_session"] > pd.Timestamp(CUT)).any()

    early = TruncatedSource(vendor.whole, CUT)
    vendor.fetch(early, "corporate_actions", CUT, CUT)
    vendor.fetch(early, "listings", CUT, CUT)
    pd.testing.assert_frame_equal(vendor.read(tables.CORPORATE_ACTIONS), actions)
    pd.testing.assert_frame_equal(vendor.read(tables.LISTINGS), listings)


def test_instruments_are_written_only_when_a_source_says_something_else(vendor: Vendor) -> None:
    def snapshots() -> int:
        with vendor.lake.open() as store:
            return int(store.snapshots()["commit_message"].str.contains(tables.INSTRUMENTS.key).sum())

    vendor.fetch(vendor.whole, "listings", FIRST, LAST)
    vendor.fetch(vendor.whole, "listings", FIRST, LAST)
    assert snapshots() == 1
    assert vendor.read(tables.INSTRUMENTS)["industry"].ne("Unclassified").all()
    stored = vendor.read(tables.INSTRUMENTS)
    vendor.fetch(TruncatedSource(vendor.whole, CUT), "listings", CUT, CUT)
    assert snapshots() == 1, "what is not known yet at the cut is no change"
    vendor.fetch(Reclassified(vendor.whole), "listings", FIRST, LAST)
    assert snapshots() == 2
    assert vendor.read(tables.INSTRUMENTS)["sector"].ne(stored["sector"]).sum() == 1


@pytest.mark.long
def test_year_by_year_stores_what_one_run_stores(vendor: Vendor, tmp_path: Path) -> None:
    whole = Vendor(tmp_path / "other")
    whole.fetch(whole.whole, "corporate_actions", FIRST, LAST)
    for year in (2014, 2015, 2016, 2017):
        sessions = CALENDAR.sessions(date(year, 1, 1), date(year, 12, 31))
        vendor.fetch(vendor.whole, "corporate_actions", sessions[0], sessions[-1])
        known = vendor.read(tables.CORPORATE_ACTIONS)["known_at_utc"].max()
        assert known <= pd.Timestamp(CALENDAR.close_utc(sessions[-1])) + pd.Timedelta(minutes=15)
    pd.testing.assert_frame_equal(vendor.read(tables.CORPORATE_ACTIONS), whole.read(tables.CORPORATE_ACTIONS))


def test_an_action_that_the_vendor_withdraws_is_gone_and_the_later_ones_stay(vendor: Vendor) -> None:
    vendor.fetch(vendor.whole, "corporate_actions", FIRST, LAST)
    before = vendor.read(tables.CORPORATE_ACTIONS)
    session = before.loc[(before["action"] == "dividend") & (before["session"] > "2016-06-01"), "session"].iloc[0]
    withdrawn = Corrected(vendor.whole, lambda rows: rows[rows["session"] != session])

    vendor.fetch(withdrawn, "corporate_actions", session.date(), session.date())
    expected = before[before["session"] != session].reset_index(drop=True)
    pd.testing.assert_frame_equal(vendor.read(tables.CORPORATE_ACTIONS), expected)


@pytest.mark.parametrize("name", ["raw_bars", "corporate_actions"])
def test_dagster_sees_a_correction_and_no_correction(vendor: Vendor, name: str) -> None:
    def version(source: MarketDataSource) -> str:
        return str(vendor.fetch(source, name, CUT, CUT).tags["dagster/data_version"])

    def correct(rows: pd.DataFrame) -> pd.DataFrame:
        column = "close_raw_usd" if name == "raw_bars" else "dividend_usd"
        return rows.assign(**{column: rows[column].where(rows.index != 0, rows[column] + 0.01)})

    first, again, corrected = (version(s) for s in (vendor.whole, vendor.whole, Corrected(vendor.whole, correct)))
    assert first == again
    assert corrected != first


def test_a_symbol_that_the_vendor_drops_keeps_its_past_and_ends_as_one_whose_bars_stop(vendor: Vendor) -> None:
    """The last stored bar is of 2016-12-30, a Friday; 2017-01-02 is a holiday, so the fifth session is 2017-01-09."""
    for name in ("raw_bars", "corporate_actions"):
        vendor.fetch(vendor.whole, name, CUT, CUT)
    vendor.fetch(vendor.whole, "listings", CUT, CUT)
    tables_before = [vendor.read(table) for table in (tables.LISTINGS, tables.INSTRUMENTS, tables.CORPORATE_ACTIONS)]
    dropped = Forgetful(vendor.whole)
    told = vendor.fetch(dropped, "listings", CUT, CUT)
    delisted = date(2017, 1, 10)
    vendor.fetch(dropped, "corporate_actions", CUT, delisted)

    listings, facts, actions = tables_before
    ended = listings["last_session"].mask(listings["symbol"] == "NZLO", pd.Timestamp(2017, 1, 9))
    pd.testing.assert_frame_equal(vendor.read(tables.LISTINGS), listings.assign(last_session=ended))
    pd.testing.assert_frame_equal(vendor.read(tables.INSTRUMENTS), facts)
    of_symbol = vendor.read(tables.CORPORATE_ACTIONS).query("symbol == 'NZLO'")
    new = of_symbol[of_symbol["action"] == "delisting"]
    assert new["session"].tolist() == [pd.Timestamp(delisted)]
    assert new["known_at_utc"].tolist() == [pd.Timestamp("2017-01-10 14:30", tz="UTC")]
    assert len(of_symbol) == len(actions.query("symbol == 'NZLO'")) + 1
    assert "NZLO: the source lists it no longer" in str(told.metadata["coverage_notes"].value)

    vendor.fetch(vendor.whole, "listings", CUT, CUT)
    vendor.fetch(vendor.whole, "corporate_actions", CUT, delisted)
    pd.testing.assert_frame_equal(vendor.read(tables.LISTINGS), listings)
    assert "delisting" not in set(vendor.read(tables.CORPORATE_ACTIONS).query("symbol == 'NZLO'")["action"])


def test_a_bar_that_a_person_corrected_stands_when_the_session_is_fetched_again(vendor: Vendor) -> None:
    vendor.fetch(vendor.whole, "raw_bars", CUT, CUT)
    rows = vendor.read(tables.RAW_BARS)
    chosen = rows["symbol"] == "NZLO"
    corrected = rows.assign(close_raw_usd=rows["close_raw_usd"].where(~chosen, 1.25))
    corrected["source"] = corrected["source"].where(~chosen, CORRECTION_SOURCE)
    message = CommitMessage(tables.RAW_BARS.key, f"{CUT}..{CUT}", f"{WRITTEN_BY} tester", "1", "looked up")
    with vendor.lake.open() as store:
        store.write([Replacement(tables.RAW_BARS, corrected, CUT, CUT)], message)
    again = vendor.fetch(vendor.whole, "raw_bars", CUT, CUT)
    assert again.metadata["corrected_bars"].value == 1
    pd.testing.assert_frame_equal(vendor.read(tables.RAW_BARS), corrected)


def test_what_the_source_says_about_its_coverage_is_shown_with_the_listings(vendor: Vendor) -> None:
    told = vendor.fetch(Remarked(vendor.whole, ["AAA: bars of another company", "BBB: a gap"]), "listings", FIRST, LAST)
    assert told.metadata["coverage_note_count"].value == 3
    notes = str(told.metadata["coverage_notes"].value).splitlines()
    assert notes[:2] == ["- AAA: bars of another company", "- BBB: a gap"]
    assert "survivors" in notes[2], "nobody ever left this market of years"
    many = vendor.fetch(Remarked(vendor.whole, [f"note {n}" for n in range(203)]), "listings", FIRST, LAST)
    shown = str(many.metadata["coverage_notes"].value).splitlines()
    assert (len(shown), shown[199]) == (201, "- note 199")
    assert shown[200].startswith("- and 4 more")
    silent = vendor.fetch(vendor.whole, "listings", FIRST, LAST)
    assert silent.metadata["coverage_notes"].value == notes[2]
