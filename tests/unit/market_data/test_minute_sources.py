"""Sources of minute bars: generated within daily bars, and read from a user's files."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import AegisConfig, MinuteBarsSettings, SimulatedMarketSettings
from aegis.errors import ConfigurationError, MalformedData, SourceUnavailable
from aegis.market_data.sources.file_minutes import FileMinutes
from aegis.market_data.sources.minute_source import open_minute_source
from aegis.market_data.sources.simulated import SimulatedSource
from aegis.market_data.sources.simulated_minutes import SimulatedMinutes

CALENDAR = trading_calendar("XNYS")
DELAY = timedelta(minutes=15)
# Six weeks around Thanksgiving's half day, in the first year of the market.
FIRST, LAST, HALF_DAY = date(2014, 11, 3), date(2014, 12, 12), date(2014, 11, 28)
SESSIONS = CALENDAR.sessions(FIRST, LAST)
PRICES = ["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]


@cache
def market() -> SimulatedSource:
    return SimulatedSource(SimulatedMarketSettings(), CALENDAR, last_session=LAST, vendor_delay=DELAY)


def simulated(sessions: list[date], symbols: tuple[str, ...]) -> pd.DataFrame:
    return SimulatedMinutes(market(), CALENDAR, seed=7, vendor_delay=DELAY).minute_bars(sessions, symbols)


@cache
def all_minutes() -> pd.DataFrame:
    return simulated(SESSIONS, tuple(market().bars(FIRST, LAST)["symbol"].unique()))


def test_simulated_minutes_add_up_to_the_daily_bars_exactly() -> None:
    daily = market().bars(FIRST, LAST).query("volume_shares > 0").set_index(["session", "symbol"])
    added = (
        all_minutes()
        .groupby(["session", "symbol"])
        .agg({"open_raw_usd": "first", "high_raw_usd": "max", "low_raw_usd": "min", "close_raw_usd": "last",
              "volume_shares": "sum"})
    )  # fmt: skip

    assert len(added) == len(daily)
    pd.testing.assert_frame_equal(added, daily.loc[added.index, added.columns], check_exact=True)


def test_simulated_minutes_follow_each_other_within_the_session_s_hours() -> None:
    rows = all_minutes()
    opens, closes = CALENDAR.opens_utc(SESSIONS), CALENDAR.closes_utc(SESSIONS)
    place = pd.DatetimeIndex(SESSIONS).get_indexer(pd.DatetimeIndex(rows["session"]))
    ends = pd.DatetimeIndex(rows["closes_at_utc"])

    assert ((ends > opens[place]) & (ends <= closes[place])).all()
    assert not rows.duplicated(["symbol", "closes_at_utc"]).any()
    assert rows.groupby(["session", "symbol"]).size().max() == 390
    assert rows[rows["session"] == pd.Timestamp(HALF_DAY)].groupby("symbol").size().max() == 210
    assert (rows["low_raw_usd"] <= rows[["open_raw_usd", "close_raw_usd"]].min(axis=1)).all()
    assert (rows["high_raw_usd"] >= rows[["open_raw_usd", "close_raw_usd"]].max(axis=1)).all()
    assert (rows["known_at_utc"] - rows["closes_at_utc"] == DELAY).all()


def test_a_simulated_session_has_the_same_minutes_alone_and_among_others() -> None:
    symbol = str(all_minutes()["symbol"].iloc[0])

    alone = simulated([HALF_DAY], (symbol,))

    among = all_minutes().query("session == @HALF_DAY and symbol == @symbol").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, among, check_exact=True)


def test_the_middle_of_a_simulated_day_moves_and_trades_less_than_its_ends() -> None:
    whole = all_minutes().query("session != @HALF_DAY")
    number = whole.groupby(["session", "symbol"]).cumcount()
    moves = np.log(whole["close_raw_usd"] / whole["open_raw_usd"]).groupby(number).std()
    shares = whole.groupby(number)["volume_shares"].sum()

    assert moves.iloc[150:240].mean() < 0.8 * moves.iloc[:45].mean()
    assert shares.iloc[150:240].mean() < 0.6 * shares.iloc[:45].mean()


def test_symbols_that_do_not_trade_are_no_answer() -> None:
    with pytest.raises(SourceUnavailable, match="none of NOSUCH traded"):
        simulated([HALF_DAY], ("NOSUCH",))


@pytest.mark.parametrize("name", ["yahoo", "interactive_brokers", "crypto", "multi"])
def test_a_source_without_minute_bars_is_refused_with_those_that_have_them(name: str) -> None:
    config = AegisConfig(run={"source": name}, market_data={"minute_bars": {"symbols": ["SPY"]}})

    with pytest.raises(ConfigurationError, match=f"'{name}' has no minute bars; 'simulated', 'files' and 'alpaca'"):
        open_minute_source(config, CALENDAR, market())


def read(folder: Path, *sessions: date, **settings: object) -> pd.DataFrame:
    given = MinuteBarsSettings.model_validate({"symbols": ["AAA", "BBB"], "folder": folder, **settings})
    return FileMinutes(given, CALENDAR, vendor_delay=DELAY).minute_bars(list(sessions), given.symbols)


def write(folder: Path, name: str, *lines: str, heading: str = "time,open,high,low,close,volume") -> None:
    (folder / name).write_text("\n".join([heading, *lines]) + "\n", encoding="utf-8")


def test_a_file_s_local_times_are_dated_to_sessions_on_both_sides_of_daylight_saving(tmp_path: Path) -> None:
    before, after = date(2024, 3, 8), date(2024, 3, 11)
    write(tmp_path, "AAA.csv", "2024-03-08T09:30:00-05:00,10,11,9,10.5,100", "2024-03-11T09:30:00-04:00,10,11,9,10,200")

    rows = read(tmp_path, before, after)

    assert rows["session"].tolist() == [pd.Timestamp(before), pd.Timestamp(after)]
    assert rows["closes_at_utc"].tolist() == [
        pd.Timestamp("2024-03-08 14:31", tz="UTC"),
        pd.Timestamp("2024-03-11 13:31", tz="UTC"),
    ]
    assert rows["known_at_utc"].iloc[0] == pd.Timestamp("2024-03-08 14:46", tz="UTC")
    assert rows[[*PRICES, "volume_shares"]].iloc[0].tolist() == [10.0, 11.0, 9.0, 10.5, 100.0]


def test_columns_are_mapped_and_a_column_of_symbols_chooses_rows(tmp_path: Path) -> None:
    write(
        tmp_path,
        "all.csv",
        "CCC,2024-03-11T20:00:00Z,1,1,1,1,5",
        "BBB,2024-03-11T20:00:00Z,1,1,1,1,7",
        heading="name,stamp,open,high,low,close,volume",
    )

    rows = read(tmp_path, date(2024, 3, 11), columns={"symbol": "name", "time": "stamp"}, time_is="closing")

    assert rows[["symbol", "volume_shares"]].to_numpy().tolist() == [["BBB", 7.0]]
    assert rows["closes_at_utc"].iloc[0] == pd.Timestamp("2024-03-11 20:00", tz="UTC")


def test_rows_outside_trading_hours_stay_for_the_checks_or_are_left_out_as_configured(tmp_path: Path) -> None:
    write(
        tmp_path,
        "AAA.csv",
        "2024-03-11T12:00:00Z,1,1,1,1,5",
        "2024-03-11T13:30:00Z,1,1,1,1,6",
        "2024-03-11T20:00:00Z,1,1,1,1,7",
    )

    kept = read(tmp_path, date(2024, 3, 11))
    left_out = read(tmp_path, date(2024, 3, 11), outside_hours="leave_out")

    assert kept["volume_shares"].tolist() == [5.0, 6.0, 7.0]
    assert left_out["volume_shares"].tolist() == [6.0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["2024-03-11 09:30:00,1,1,1,1,5"], "an instant with its time zone"),
        (["2024-03-11T13:31:00Z,1,1,1,1,5", "2024-03-11T13:30:00Z,1,1,1,1,5"], "AAA .* comes after a later minute"),
        ([",1,1,1,1,5"], "no time"),
        (["2024-03-11T13:31:00Z,1,1,1,x,5"], "a finite number"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(tmp_path: Path, lines: list[str], message: str) -> None:
    write(tmp_path, "AAA.csv", *lines)

    with pytest.raises(MalformedData, match=message):
        read(tmp_path, date(2024, 3, 11))


def test_a_folder_without_the_sessions_or_without_files_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no \.csv or \.parquet file"):
        read(tmp_path, date(2024, 3, 11))
    with pytest.raises(ConfigurationError, match="name the folder"):
        read(tmp_path / "missing", date(2024, 3, 11))
    write(tmp_path, "AAA.csv", "2024-03-11T13:31:00Z,1,1,1,1,5")
    with pytest.raises(SourceUnavailable, match="holds no minute bar of AAA, BBB"):
        read(tmp_path, date(2024, 3, 12))
