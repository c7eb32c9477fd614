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
    bars = fetch_raw_bars(market, [FRIDAY, MONDAY], last_complete=MONDAY)
    assert set(bars["session"].dt.date) == {FRIDAY, MONDAY}


def test_a_session_that_has_not_closed_is_refused_for_good(market: SimulatedSource) -> None:
    words = r"simulated 2014-01-06: .*last complete session is 2014-01-03"
    with pytest.raises(MarketDataError, match=words) as refusal:
        fetch_raw_bars(market, [FRIDAY, MONDAY], last_complete=FRIDAY)
    assert not isinstance(refusal.value, SourceUnavailable)


def test_sessions_outside_the_source_are_refused_with_its_range(market: SimulatedSource) -> None:
    tuesday = date(2014, 1, 7)
    with pytest.raises(MarketDataError, match=r"covers 2014-01-02\.\.2014-01-06"):
        fetch_raw_bars(market, [tuesday], last_complete=tuesday)


def test_an_empty_answer_is_a_failure_worth_another_try(market: SimulatedSource) -> None:
    with pytest.raises(SourceUnavailable, match="returned no bars"):
        fetch_raw_bars(Silent(market), [FRIDAY], last_complete=MONDAY)
