"""What every source over one delivery does, with a vendor that states three bars and a typing error now and then."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import FaultSettings
from aegis.errors import MalformedData, SourceUnavailable
from aegis.market_data.sources.delivered import DeliveredSource
from aegis.market_data.sources.delivery import ParsedFiles
from aegis.market_data.sources.faults import FaultySource
from aegis.market_data.sources.truncated import TruncatedSource

MONDAY, TUESDAY, WEDNESDAY = date(2014, 6, 2), date(2014, 6, 3), date(2014, 6, 4)


class Vendor(DeliveredSource):
    """States a bar of the benchmark for each of `days`; counts how often it is asked."""

    def __init__(self, *days: date) -> None:
        super().__init__(
            "by-hand", trading_calendar("XNYS"), benchmark_symbol="SPY", vendor_delay=timedelta(minutes=15)
        )
        self.days = days
        self.asked = 0

    def _ask(self) -> ParsedFiles:
        self.asked += 1
        bars = pd.DataFrame({"session": pd.to_datetime(list(self.days)), "symbol": "SPY", "ticker": "SPY"})
        prices = dict.fromkeys(("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"), 100.0)
        actions = pd.DataFrame(
            [(pd.Timestamp(TUESDAY), "SPY", "dividend", 1.0, 0.5)],
            columns=["session", "symbol", "action", "split_ratio", "dividend_usd"],
        )
        return ParsedFiles(bars.assign(**prices, volume_shares=1e6), actions, notes=("SPY: a remark",))


def test_the_vendor_is_asked_once_for_all_answers() -> None:
    vendor = Vendor(MONDAY, TUESDAY, WEDNESDAY)
    assert vendor.asked == 0
    assert vendor.session_range() == (MONDAY, WEDNESDAY)
    assert vendor.bars(TUESDAY, WEDNESDAY)["session"].tolist() == [pd.Timestamp(TUESDAY), pd.Timestamp(WEDNESDAY)]
    assert vendor.corporate_actions(MONDAY, WEDNESDAY)["dividend_usd"].tolist() == [0.5]
    assert vendor.listings()["symbol"].tolist() == ["SPY"]
    assert vendor.asked == 1


def test_each_row_names_the_source_and_is_known_after_the_vendors_delay() -> None:
    row = Vendor(MONDAY, TUESDAY, WEDNESDAY).bars(MONDAY, MONDAY).iloc[0]
    assert row["source"] == "by-hand"
    assert row["known_at_utc"] == datetime(2014, 6, 2, 20, 15, tzinfo=UTC)  # the close is 16:00 in New York


def test_a_refused_answer_is_not_kept() -> None:
    vendor = Vendor(date(2014, 6, 1))  # a Sunday
    with pytest.raises(MalformedData, match=r"SPY 2014-06-01 \(Sunday\): a bar on a day that is no session"):
        vendor.session_range()
    vendor.days = (MONDAY,)
    assert vendor.session_range() == (MONDAY, MONDAY)
    assert vendor.asked == 2


def test_sessions_without_a_bar_are_no_empty_answer() -> None:
    with pytest.raises(SourceUnavailable, match=r"no bars from 2014-06-05 to 2014-06-06: .* 2014-06-02 to 2014-06-04"):
        Vendor(MONDAY, TUESDAY, WEDNESDAY).bars(date(2014, 6, 5), date(2014, 6, 6))


def test_changing_the_listings_changes_no_later_answer() -> None:
    vendor = Vendor(MONDAY)
    given = vendor.listings()
    given["symbol"] = "AAA"
    assert vendor.listings()["symbol"].tolist() == ["SPY"]


def test_missing_bars_are_told_beside_the_vendors_own_remarks() -> None:
    notes = Vendor(MONDAY, WEDNESDAY).coverage_notes()
    assert notes == ["SPY: a remark", "SPY: 1 session(s) without a bar inside its listing, first 2014-06-03"]


def test_what_a_wrapper_does_not_change_is_the_wrapped_sources() -> None:
    vendor = Vendor(MONDAY, TUESDAY, WEDNESDAY)
    fault = FaultSettings(symbol="SPY", session=TUESDAY, kind="negative_price")
    for wrapped in (FaultySource(vendor, (fault,)), TruncatedSource(vendor, TUESDAY)):
        assert (wrapped.name, wrapped.is_simulated, wrapped.benchmark_symbol) == ("by-hand", False, "SPY")
        assert wrapped.coverage_notes() == ["SPY: a remark"]
        assert wrapped.corporate_actions(MONDAY, TUESDAY)["dividend_usd"].tolist() == [0.5]
        assert wrapped.bars(MONDAY, MONDAY)["low_raw_usd"].tolist() == [100.0]
    faulty, truncated = FaultySource(vendor, (fault,)), TruncatedSource(vendor, TUESDAY)
    assert faulty.session_range() == (MONDAY, WEDNESDAY)
    assert truncated.session_range() == (MONDAY, TUESDAY)
    assert faulty.bars(TUESDAY, TUESDAY)["low_raw_usd"].tolist() == [-100.0]
