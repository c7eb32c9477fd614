from datetime import date, timedelta
from functools import lru_cache

import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import SimulatedMarketSettings
from aegis.errors import SourceUnavailable
from aegis.market_data.sources.simulated import SimulatedSource
from aegis.market_data.sources.truncated import TruncatedSource

XNYS = trading_calendar("XNYS")
FIRST, LAST, FAR_AHEAD = date(2014, 1, 2), date(2020, 12, 31), date(2030, 1, 1)
RENAMED = date(2017, 8, 2)
LAST_BAR_OF_DELISTED = date(2020, 1, 3)


@lru_cache
def generated_until(last: date) -> SimulatedSource:
    return SimulatedSource(SimulatedMarketSettings(), XNYS, last_session=last, vendor_delay=timedelta(minutes=15))


@pytest.mark.parametrize(
    "cut",
    [
        FIRST,
        XNYS.previous(RENAMED),
        RENAMED,
        XNYS.offset(LAST_BAR_OF_DELISTED, -11),
        XNYS.offset(LAST_BAR_OF_DELISTED, -10),
        XNYS.previous(LAST_BAR_OF_DELISTED),
        LAST_BAR_OF_DELISTED,
        LAST,
    ],
)
def test_a_market_cut_off_is_the_market_that_was_generated_no_further(cut):
    truncated, generated = TruncatedSource(generated_until(LAST), cut), generated_until(cut)
    assert truncated.session_range() == generated.session_range()
    pd.testing.assert_frame_equal(truncated.listings(), generated.listings())
    pd.testing.assert_frame_equal(truncated.bars(FIRST, LAST), generated.bars(FIRST, cut), check_exact=True)
    pd.testing.assert_frame_equal(
        truncated.corporate_actions(FIRST, FAR_AHEAD), generated.corporate_actions(FIRST, FAR_AHEAD), check_exact=True
    )


def test_an_announced_delisting_stays_though_its_listing_looks_open():
    truncated = TruncatedSource(generated_until(LAST), XNYS.previous(LAST_BAR_OF_DELISTED))
    assert "delisting" in set(truncated.corporate_actions(FIRST, FAR_AHEAD)["action"])
    assert truncated.listings().set_index("symbol").loc["YQGZ", "last_session"] is pd.NaT


def test_name_and_benchmark_are_the_whole_source():
    truncated = TruncatedSource(generated_until(LAST), RENAMED)
    assert (truncated.name, truncated.is_simulated, truncated.benchmark_symbol) == ("simulated", True, "SIMX")


def test_nothing_is_known_after_the_cut():
    with pytest.raises(SourceUnavailable, match="nothing is known after 2017-08-02"):
        TruncatedSource(generated_until(LAST), RENAMED).bars(date(2017, 8, 3), date(2017, 8, 4))


def test_a_cut_outside_the_source_is_refused_with_its_range():
    with pytest.raises(SourceUnavailable, match="2014-01-02 to 2020-12-31; cut it off inside"):
        TruncatedSource(generated_until(LAST), date(2021, 1, 4))
