"""What may be asked of a source, and which of its answers count."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import SimulatedMarketSettings
from aegis.errors import MarketDataError, SourceUnavailable
from aegis.market_data.ingestion import fetch_raw_bars
from aegis.market_data.sources.simulated import SimulatedSource

CALENDAR = trading_calendar("XNYS")
FRIDAY, MONDAY = date(2014, 1, 3), date(2014, 1, 6)


class Silent:
    """The embedded market on a day when the line is dead."""

    def __init__(self, source: SimulatedSource) -> None:
        self._source = source
        self.name = source.name
        self.session_range = source.session_range

    def bars(self, first: date, last: date) -> pd.DataFrame:
        return self._source.bars(first, last).iloc[:0]


@pytest.fixture
def market() -> SimulatedSource:
    return SimulatedSource(SimulatedMarketSettings(), CALENDAR, last_session=MONDAY, vendor_delay=timedelta(minutes=15))


def test_bars_of_complete_sessions_come_as_delivered(market: SimulatedSource) -> None:
    bars = fetch_raw_bars(market, [FRIDAY, MONDAY], last_complete=MONDAY, has_ended=False)
    assert set(bars["session"].dt.date) == {FRIDAY, MONDAY}


def test_a_session_that_has_not_closed_is_refused_for_good(market: SimulatedSource) -> None:
    words = r"simulated 2014-01-06: .*last complete session is 2014-01-03"
    with pytest.raises(MarketDataError, match=words) as refusal:
        fetch_raw_bars(market, [FRIDAY, MONDAY], last_complete=FRIDAY, has_ended=False)
    assert not isinstance(refusal.value, SourceUnavailable)


def test_sessions_outside_the_source_are_refused_with_its_range(market: SimulatedSource) -> None:
    for session in (date(2014, 1, 7), date(2013, 12, 31)):
        with pytest.raises(MarketDataError, match=r"covers 2014-01-02\.\.2014-01-06") as refusal:
            fetch_raw_bars(market, [session], last_complete=date(2014, 1, 7), has_ended=True)
        assert not isinstance(refusal.value, SourceUnavailable)


def test_a_vendor_that_is_late_is_worth_another_try(market: SimulatedSource) -> None:
    tuesday = date(2014, 1, 7)
    with pytest.raises(SourceUnavailable, match=r"2014-01-07: .*last is 2014-01-06; the vendor is late"):
        fetch_raw_bars(market, [MONDAY, tuesday], last_complete=tuesday, has_ended=False)


def test_a_session_before_the_source_began_is_refused_for_good(market: SimulatedSource) -> None:
    tuesday = date(2014, 1, 7)
    with pytest.raises(MarketDataError, match=r"covers 2014-01-02\.\.2014-01-06") as refusal:
        fetch_raw_bars(market, [date(2013, 12, 31), tuesday], last_complete=tuesday, has_ended=False)
    assert not isinstance(refusal.value, SourceUnavailable)


def test_an_empty_answer_is_a_failure_worth_another_try(market: SimulatedSource) -> None:
    with pytest.raises(SourceUnavailable, match="returned no bars"):
        fetch_raw_bars(Silent(market), [FRIDAY], last_complete=MONDAY, has_ended=False)
