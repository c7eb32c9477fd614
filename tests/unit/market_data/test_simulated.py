from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import SimulatedMarketSettings
from aegis.errors import CalendarError, ConfigurationError, SourceUnavailable
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS
from aegis.market_data.sources.simulated import SimulatedSource

XNYS = trading_calendar("XNYS")
FIRST, LAST = date(2014, 1, 2), date(2025, 12, 31)
SESSIONS = XNYS.sessions(FIRST, LAST)
DELAY = timedelta(minutes=15)
FAR_AHEAD = date(2030, 1, 1)
DEFAULT_SEED = 20140102
SEEDS = (DEFAULT_SEED, 1, 2)
LOW_PRICED = "DRZQ"


@lru_cache
def market(last: date = LAST, seed: int = DEFAULT_SEED) -> SimulatedSource:
    return SimulatedSource(SimulatedMarketSettings(seed=seed), XNYS, last_session=last, vendor_delay=DELAY)


@lru_cache
def all_bars(seed: int = DEFAULT_SEED) -> pd.DataFrame:
    return market(seed=seed).bars(FIRST, LAST)


def actions(kind: str, seed: int = DEFAULT_SEED) -> pd.DataFrame:
    frame = market(seed=seed).corporate_actions(FIRST, LAST)
    return frame[frame["action"] == kind]


@lru_cache
def bars_by_key() -> pd.DataFrame:
    return all_bars().set_index(["symbol", "session"]).sort_index()


def bar(symbol: str, session: pd.Timestamp) -> pd.Series:
    return bars_by_key().loc[(symbol, session)]


def next_session(session: pd.Timestamp, count: int = 1) -> pd.Timestamp:
    return pd.Timestamp(XNYS.offset(session.date(), count))


def test_thirty_companies_in_six_or_more_sectors_and_one_untradable_benchmark():
    listings = market().listings()
    companies = listings[listings["tradable"]]
    benchmark = listings[~listings["tradable"]]
    assert companies["symbol"].nunique() == 30
    assert companies["sector"].nunique() >= 6
    assert benchmark[["symbol", "sector"]].to_numpy().tolist() == [["SIMX", "Benchmark"]]
    assert market().benchmark_symbol == "SIMX"
    assert market().is_simulated
    assert market().name == "simulated"


def test_frames_fit_their_tables_exactly():
    pd.testing.assert_frame_equal(RAW_BARS.conform(all_bars()), all_bars())
    found = market().corporate_actions(FIRST, LAST)
    pd.testing.assert_frame_equal(CORPORATE_ACTIONS.conform(found), found)
    pd.testing.assert_frame_equal(LISTINGS.conform(market().listings()), market().listings())


def test_each_listed_session_has_one_bar_under_the_listed_ticker():
    expected = set()
    for row in market().listings().itertuples():
        end = LAST if pd.isna(row.last_session) else row.last_session.date()
        expected |= {(day, row.symbol, row.ticker) for day in XNYS.sessions(row.first_session.date(), end)}
    bars = all_bars()
    found = list(zip(bars["session"].dt.date, bars["symbol"], bars["ticker"], strict=True))
    assert len(found) == len(expected)
    assert set(found) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_open_and_close_lie_between_low_and_high_in_whole_cents(seed):
    bars = all_bars(seed)
    prices = bars[["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]].to_numpy()
    opens, highs, lows, closes = prices.T
    assert (lows > 0).all()
    assert (highs >= np.maximum(opens, closes)).all()
    assert (lows <= np.minimum(opens, closes)).all()
    np.testing.assert_array_equal(np.round(prices, 2), prices)
    volume = bars["volume_shares"].to_numpy()
    np.testing.assert_array_equal(np.round(volume), volume)


@pytest.mark.parametrize("seed", SEEDS)
def test_only_the_low_priced_company_ever_trades_below_three_dollars(seed):
    lowest = all_bars(seed).groupby("symbol")["low_raw_usd"].min()
    assert set(lowest[lowest < 3.0].index) <= {LOW_PRICED}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_move_is_large_enough_to_look_like_an_unrecorded_split(seed):
    closes = all_bars(seed).set_index(["symbol", "session"])["close_raw_usd"].sort_index()
    moves = np.log(closes).groupby("symbol").diff()
    splits = actions("split", seed).set_index(["symbol", "session"]).index
    assert moves.drop(splits).abs().max() < 0.45


def test_a_bar_is_known_at_its_close_plus_the_vendor_delay_also_on_a_half_day():
    day_after_thanksgiving = bar("SIMX", pd.Timestamp("2019-11-29"))
    assert day_after_thanksgiving["known_at_utc"] == pd.Timestamp("2019-11-29 18:15", tz="UTC")
    assert bar("SIMX", pd.Timestamp("2019-07-01"))["known_at_utc"] == pd.Timestamp("2019-07-01 20:15", tz="UTC")


CUTS = {
    "first session": 0,
    "end of the first block": 255,
    "start of the second block": 256,
    "before the rename": 901,
    "rename": 902,
    "delisting announced": 1501,
    "last bar": 1511,
    "delisted": 1512,
    "inside a block": 2222,
}


@pytest.mark.parametrize("number", CUTS.values(), ids=CUTS.keys())
def test_a_later_end_changes_no_earlier_row_to_the_bit(number):
    cut = SESSIONS[number]
    short = market(cut)
    whole_hashes = RAW_BARS.content_hashes(all_bars()[all_bars()["session"] <= pd.Timestamp(cut)])
    assert RAW_BARS.content_hashes(short.bars(FIRST, cut)) == whole_hashes

    earlier = short.corporate_actions(FIRST, FAR_AHEAD)
    whole = market().corporate_actions(FIRST, FAR_AHEAD)
    known = whole["known_at_utc"] <= XNYS.close_utc(cut) + DELAY
    pd.testing.assert_frame_equal(earlier, whole[known].reset_index(drop=True), check_exact=True)


@pytest.mark.parametrize("number", CUTS.values(), ids=CUTS.keys())
def test_a_later_end_only_closes_listings(number):
    cut = pd.Timestamp(SESSIONS[number])
    earlier = market(cut.date()).listings()
    whole = market().listings()
    whole = whole[whole["first_session"] <= cut].reset_index(drop=True)
    pd.testing.assert_frame_equal(earlier.drop(columns="last_session"), whole.drop(columns="last_session"))
    ended = whole["last_session"] <= cut
    assert (earlier.loc[ended, "last_session"] == whole.loc[ended, "last_session"]).all()
    assert earlier.loc[~ended, "last_session"].isna().all()


def test_another_seed_is_another_market_of_the_same_companies():
    columns = ["symbol", "name", "sector"]
    pd.testing.assert_frame_equal(market(seed=1).listings()[columns], market().listings()[columns])
    assert not np.isin(all_bars(1)["close_raw_usd"], all_bars()["close_raw_usd"].iloc[:1000]).all()


def test_the_benchmark_symbol_is_only_a_name():
    settings = SimulatedMarketSettings(benchmark_symbol="^SIM")
    renamed = SimulatedSource(settings, XNYS, last_session=SESSIONS[300], vendor_delay=DELAY)
    closes = renamed.bars(FIRST, SESSIONS[300]).query("symbol == '^SIM'")["close_raw_usd"]
    expected = all_bars().query("symbol == 'SIMX'")["close_raw_usd"].head(301)
    np.testing.assert_array_equal(closes, expected)


def test_part_of_the_sessions_is_the_same_as_all_of_them():
    first, last = SESSIONS[700], SESSIONS[720]
    bars = all_bars()
    inside = bars["session"].between(pd.Timestamp(first), pd.Timestamp(last))
    pd.testing.assert_frame_equal(market().bars(first, last), bars[inside].reset_index(drop=True))


def test_changing_a_returned_frame_changes_no_later_answer():
    day = SESSIONS[5]
    market().bars(day, day)["close_raw_usd"] = -1.0
    assert (market().bars(day, day)["close_raw_usd"] > 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_two_for_one_three_for_one_four_for_one_and_reverse_splits_happen(seed):
    assert {2.0, 3.0, 4.0, 0.125} <= set(actions("split", seed)["split_ratio"])


def test_a_split_divides_the_raw_price_on_its_ex_session():
    # AVQR 2:1, TVZQ 3:1, XOVZ 4:1 and DRZQ 1:8 are scripted for sessions 118, 246, 421 and 390.
    for symbol, number, ratio in (("AVQR", 118, 2), ("TVZQ", 246, 3), ("XOVZ", 421, 4), ("DRZQ", 390, 0.125)):
        row = actions("split").query("symbol == @symbol").iloc[0]
        assert (row["session"].date(), row["split_ratio"]) == (SESSIONS[number], ratio)
        before = bar(symbol, pd.Timestamp(SESSIONS[number - 1]))["close_raw_usd"]
        after = bar(symbol, row["session"])
        assert after["open_raw_usd"] * ratio / before == pytest.approx(1, abs=0.06)
        assert after["close_raw_usd"] * ratio / before == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_action_is_announced_sessions_before_its_ex_session(seed):
    frame = market(seed=seed).corporate_actions(FIRST, LAST)
    closes = pd.DatetimeIndex(XNYS.closes_utc(SESSIONS))
    for row in frame.itertuples():
        announced = closes.get_loc(row.known_at_utc - DELAY)
        notice = SESSIONS.index(row.session.date()) - announced
        assert notice >= {"rename": 5, "delisting": 10, "split": 10, "dividend": 10}[row.action], row


@pytest.mark.parametrize("seed", SEEDS)
def test_dividends_are_quarterly_and_paid_ten_to_fifteen_sessions_after_the_ex_session(seed):
    dividends = actions("dividend", seed)
    ex = np.array([SESSIONS.index(day) for day in dividends["session"].dt.date])
    inside = dividends["pay_session"].dt.date <= LAST
    paid = np.array([SESSIONS.index(day) for day in dividends.loc[inside, "pay_session"].dt.date])
    lags = paid - ex[inside.to_numpy()]
    assert (lags.min(), lags.max()) == (10, 15)
    assert dividends["symbol"].nunique() == 15
    for _, of_symbol in dividends.assign(number=ex).groupby("symbol"):
        assert set(np.diff(of_symbol["number"])) == {63}
    assert (dividends["dividend_usd"] >= 0.01).all()


def test_the_price_falls_by_the_dividend_on_its_ex_session():
    # The drop is hidden under one day's noise of about 1.5 %; over some 700 dividends of about 0.6 % it is not.
    dividends = actions("dividend")
    gaps, yields = [], []
    for row in dividends.itertuples():
        previous = bar(row.symbol, pd.Timestamp(XNYS.previous(row.session.date())))["close_raw_usd"]
        gaps.append(bar(row.symbol, row.session)["open_raw_usd"] / previous - 1)
        yields.append(row.dividend_usd / previous)
    error = np.std(gaps) / np.sqrt(len(gaps))
    assert np.mean(yields) == pytest.approx(0.006, abs=0.002)
    assert np.mean(gaps) == pytest.approx(-np.mean(yields), abs=3 * error)
    assert np.mean(gaps) < -5 * error


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dividend_announcement_and_its_ex_session_never_straddle_a_split(seed):
    splits = actions("split", seed).groupby("symbol")["session"].apply(list)
    for row in actions("dividend", seed).itertuples():
        announced = pd.Timestamp(row.known_at_utc.date())
        assert not any(announced < split <= row.session for split in splits.get(row.symbol, [])), row


def test_a_rename_ends_one_listing_and_opens_the_next():
    renames = actions("rename")
    assert renames[["symbol", "new_ticker"]].to_numpy().tolist() == [["WZLQ", "WZTQ"]]
    day = renames["session"].iloc[0]
    old, new = market().listings().query("symbol == 'WZLQ'").itertuples()
    assert (old.ticker, next_session(old.last_session), new.ticker, new.first_session) == ("WZLQ", day, "WZTQ", day)
    assert bar("WZLQ", old.last_session)["ticker"] == "WZLQ"
    assert bar("WZLQ", day)["ticker"] == "WZTQ"


def test_a_delisting_takes_effect_in_the_session_after_the_last_bar():
    row = actions("delisting").iloc[0]
    listing = market().listings().set_index("symbol").loc[row["symbol"]]
    last_bar = all_bars().query("symbol == @row.symbol")["session"].max()
    assert listing["last_session"] == last_bar
    assert row["session"] == next_session(last_bar)


def test_an_announced_delisting_is_found_before_it_happens():
    last_bar = actions("delisting")["session"].iloc[0]
    eve = XNYS.offset(last_bar.date(), -1)
    ahead = market(eve).corporate_actions(FIRST, FAR_AHEAD).query("action == 'delisting'")
    assert ahead["session"].tolist() == [last_bar]
    ten_earlier = XNYS.offset(eve, -11)
    assert market(ten_earlier).corporate_actions(FIRST, FAR_AHEAD).query("action == 'delisting'").empty


def test_at_least_three_companies_list_late():
    first = market().listings().groupby("symbol")["first_session"].min()
    assert (first > pd.Timestamp(FIRST)).sum() >= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_halted_session_repeats_the_previous_close_with_no_volume(seed):
    bars = all_bars(seed).sort_values(["symbol", "session"]).reset_index(drop=True)
    halts = bars.index[bars["volume_shares"] == 0]
    assert len(halts) >= 5
    assert (bars["symbol"].loc[halts].to_numpy() == bars["symbol"].loc[halts - 1].to_numpy()).all()
    previous = bars.loc[halts - 1, "close_raw_usd"].to_numpy()
    for column in ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"):
        np.testing.assert_array_equal(bars.loc[halts, column], previous)
    frozen = market(seed=seed).corporate_actions(FIRST, LAST).query("action in ('split', 'dividend')")
    on_ex = bars.loc[halts].merge(frozen, on=["session", "symbol"])
    assert on_ex.empty


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2013, 12, 31), date(2014, 1, 3)), (date(2025, 12, 30), date(2026, 1, 2)), (SESSIONS[9], SESSIONS[8])],
    ids=["before", "after", "reversed"],
)
def test_bars_outside_the_market_are_refused_with_its_range(first, last):
    with pytest.raises(SourceUnavailable, match=r"2014-01-02 to 2025-12-31; choose sessions"):
        market().bars(first, last)


def test_bars_of_a_weekend_are_refused_with_the_nearest_sessions():
    with pytest.raises(CalendarError, match=r"2014-01-04 \(Saturday\).*2014-01-03 and 2014-01-06"):
        market().bars(date(2014, 1, 4), date(2014, 1, 6))


def test_a_market_that_ends_before_it_begins_is_refused():
    with pytest.raises(
        ConfigurationError, match=r"market_data\.simulated\.first_session: 2014-01-02 is after 2013-12-31"
    ):
        market(date(2013, 12, 31))


def test_a_benchmark_called_like_a_company_is_refused():
    for taken in ("AVQR", "WZTQ"):
        settings = SimulatedMarketSettings(benchmark_symbol=taken)
        with pytest.raises(ConfigurationError, match=f"benchmark_symbol: {taken} is a company"):
            SimulatedSource(settings, XNYS, last_session=LAST, vendor_delay=DELAY)
