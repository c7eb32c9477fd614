from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import FaultSettings, SimulatedMarketSettings
from aegis.errors import ConfigurationError
from aegis.market_data.sources.faults import FaultySource
from aegis.market_data.sources.simulated import SimulatedSource

XNYS = trading_calendar("XNYS")
FIRST, LAST = date(2014, 1, 2), date(2014, 3, 31)
DAY = date(2014, 2, 12)
HEALTHY = SimulatedSource(SimulatedMarketSettings(), XNYS, last_session=LAST, vendor_delay=timedelta(minutes=15))


def with_faults(*kinds: str, symbol: str = "PHZQ", session: date = DAY) -> FaultySource:
    return FaultySource(HEALTHY, tuple(FaultSettings(symbol=symbol, session=session, kind=kind) for kind in kinds))


def hit(bars: pd.DataFrame) -> pd.Series:
    return (bars["symbol"] == "PHZQ") & (bars["session"] == pd.Timestamp(DAY))


@pytest.mark.parametrize("kind", ["negative_price", "duplicate_row", "high_below_low", "missing_bar"])
def test_a_fault_changes_its_own_bar_and_no_other(kind):
    healthy, faulty = HEALTHY.bars(FIRST, LAST), with_faults(kind).bars(FIRST, LAST)
    pd.testing.assert_frame_equal(
        faulty[~hit(faulty)].reset_index(drop=True), healthy[~hit(healthy)].reset_index(drop=True), check_exact=True
    )
    assert not faulty[hit(faulty)].reset_index(drop=True).equals(healthy[hit(healthy)].reset_index(drop=True))


def test_a_negative_price_is_the_only_thing_wrong_with_its_bar():
    row = with_faults("negative_price").bars(DAY, DAY).query("symbol == 'PHZQ'").iloc[0]
    assert row["low_raw_usd"] == -HEALTHY.bars(DAY, DAY).query("symbol == 'PHZQ'")["low_raw_usd"].iloc[0] < 0
    assert row["low_raw_usd"] < min(row["open_raw_usd"], row["close_raw_usd"])
    assert row["high_raw_usd"] >= max(row["open_raw_usd"], row["close_raw_usd"])


def test_a_duplicate_row_is_equal_to_the_first_and_follows_it():
    bars = with_faults("duplicate_row").bars(DAY, DAY)
    positions = np.flatnonzero(bars["symbol"] == "PHZQ")
    assert len(positions) == 2
    assert positions[1] == positions[0] + 1
    assert bars.iloc[positions[0]].equals(bars.iloc[positions[1]])


def test_a_high_falls_below_the_low():
    row = with_faults("high_below_low").bars(DAY, DAY).query("symbol == 'PHZQ'").iloc[0]
    assert 0 < row["high_raw_usd"] < row["low_raw_usd"]


def test_a_missing_bar_is_not_delivered():
    assert not hit(with_faults("missing_bar").bars(FIRST, LAST)).any()


def test_faults_of_one_bar_add_up():
    bars = with_faults("negative_price", "high_below_low", "duplicate_row").bars(DAY, DAY)
    both = bars[bars["symbol"] == "PHZQ"]
    assert len(both) == 2
    assert (both["low_raw_usd"] < 0).all()
    assert (both["high_raw_usd"] < both["low_raw_usd"]).all()


def test_sessions_without_a_fault_are_delivered_as_they_are():
    before = XNYS.previous(DAY)
    pd.testing.assert_frame_equal(with_faults("missing_bar").bars(FIRST, before), HEALTHY.bars(FIRST, before))


def test_everything_but_bars_is_the_wrapped_source():
    faulty = with_faults("missing_bar")
    assert (faulty.name, faulty.is_simulated, faulty.benchmark_symbol) == ("simulated", True, "SIMX")
    assert faulty.session_range() == (FIRST, LAST)
    pd.testing.assert_frame_equal(faulty.listings(), HEALTHY.listings())
    pd.testing.assert_frame_equal(faulty.corporate_actions(FIRST, LAST), HEALTHY.corporate_actions(FIRST, LAST))


def test_an_unknown_symbol_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigurationError, match="PHZZ is not a symbol of the source simulated; the nearest is PHZQ"):
        with_faults("missing_bar", symbol="PHZZ")


def test_a_session_outside_the_source_is_refused_with_its_range():
    with pytest.raises(ConfigurationError, match=r"2014-04-01 lies outside.*2014-01-02 to 2014-03-31"):
        with_faults("missing_bar", session=date(2014, 4, 1))


def test_a_fault_where_there_is_no_bar_is_refused():
    with pytest.raises(ConfigurationError, match="PHZQ 2014-02-15: there is no bar to plant it in"):
        with_faults("missing_bar", session=date(2014, 2, 15)).bars(FIRST, LAST)
