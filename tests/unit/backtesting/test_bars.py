from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.backtesting.bar_rows import bars_from_daily_bars, bars_from_frame, bars_to_frame
from aegis.backtesting.bars import Bars
from aegis.backtesting.merged_bars import bars_from_trades, merge_bars
from aegis.calendars import trading_calendar
from aegis.errors import MalformedData

NEW_YORK = trading_calendar("XNYS")
SECOND = 1_000_000_000
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
NAN = float("nan")


def ns(text: str) -> int:
    return pd.Timestamp(text).value


def one_symbol(n=4, **terms):
    prices = np.linspace(10.0, 11.0, n)
    defaults = {"closes_at": (1 + np.arange(n)) * MINUTE, "symbols": ["AAA"]}
    return Bars.from_arrays(prices, prices + 1, prices - 1, prices, np.full(n, 100.0), **{**defaults, **terms})


def long_frame(rows):
    frame = pd.DataFrame(rows, columns=["time", "symbol", "open", "high", "low", "close", "volume"])
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    return frame


TWO_SYMBOLS = [
    ("2014-06-09T13:31Z", "BBB", 20.0, 22.0, 19.0, 21.0, 5.0),
    ("2014-06-09T13:31Z", "AAA", 1.0, 2.0, 0.5, 1.5, 7.0),
    ("2014-06-09T13:32Z", "BBB", 21.0, 21.0, 21.0, 21.0, 0.0),
    ("2014-06-09T13:33Z", "AAA", 1.5, 1.5, 1.25, 1.25, 9.0),
    ("2014-06-09T13:33Z", "BBB", 21.0, 23.0, 21.0, 22.0, 1.0),
]


def test_contiguous_columns_are_the_callers_own_memory():
    prices = np.full((3, 2), 5.0)
    volume = np.full((3, 2), 100.0)
    times = np.array([1, 2, 3]) * MINUTE
    bars = Bars.from_arrays(prices, prices, prices, prices, volume, closes_at=times, symbols=["AAA", "BBB"])
    assert all(np.shares_memory(column, prices) for column in bars.columns[:4])
    assert np.shares_memory(bars.volume, volume)
    assert np.shares_memory(bars.closes_at, times)


def test_columns_in_another_order_or_of_whole_numbers_are_copied_to_float():
    prices = np.asfortranarray([[5, 6], [7, 8], [9, 10]])
    bars = Bars.from_arrays(prices, prices, prices, prices, prices, closes_at=np.arange(3), symbols=["AAA", "BBB"])
    assert bars.close.tolist() == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    assert bars.close.dtype == np.float64


def test_a_bar_lasts_the_smallest_time_between_two_closes_unless_told():
    gaps = np.array([0, 60, 120, 4000]) * SECOND
    assert one_symbol(closes_at=gaps).bar_interval == 60 * SECOND
    assert one_symbol(closes_at=gaps, bar_interval=30 * SECOND).opens_at_of_row[-1] == 3970 * SECOND
    opens = one_symbol(closes_at=gaps, opens_at=gaps - SECOND)
    assert (opens.bar_interval, opens.opens_at_of_row[1]) == (0, 59 * SECOND)


def test_a_bar_that_closes_at_midnight_is_of_the_day_that_ends():
    midnight = ns("2014-06-10T00:00Z")
    bars = one_symbol(3, closes_at=np.array([midnight - MINUTE, midnight, midnight + MINUTE]))
    assert bars.sessions["first_step"].tolist() == [0, 2, 3]
    assert bars.session_days.astype(str).tolist() == ["2014-06-09", "2014-06-10"]


def test_sessions_of_an_exchange_end_at_its_closes_and_skip_its_holidays():
    # 2014-07-03 was a half day that closed at 13:00 in New York, and 2014-07-04 a holiday.
    times = ["2014-07-02T19:59Z", "2014-07-02T20:00Z", "2014-07-03T17:00Z", "2014-07-07T13:31Z"]
    bars = one_symbol(4, closes_at=pd.DatetimeIndex(times), sessions=NEW_YORK)
    assert bars.session_days.astype(str).tolist() == ["2014-07-02", "2014-07-03", "2014-07-07"]
    assert bars.sessions["first_step"].tolist() == [0, 2, 3, 4]


@pytest.mark.parametrize("time", ["2014-07-03T17:01Z", "2014-07-07T13:30Z", "2014-07-04T15:00Z", "1980-01-02T15:00Z"])
def test_a_bar_outside_trading_hours_is_refused_with_its_time(time):
    message = rf"{time[:16]}.* outside the trading hours of XNYS"
    with pytest.raises(MalformedData, match=message):
        one_symbol(2, closes_at=pd.DatetimeIndex(sorted(["2014-07-02T20:00Z", time])), sessions=NEW_YORK)


def test_the_day_of_each_step_may_be_given():
    days = [date(2014, 6, 9), date(2014, 6, 9), date(2014, 6, 11), date(2014, 6, 12)]
    bars = one_symbol(4, sessions=days)
    assert bars.sessions["first_step"].tolist() == [0, 2, 3, 4]
    assert bars.session_days.tolist() == sorted(set(days))
    with pytest.raises(MalformedData, match=r"2014-06-09, after a step of 2014-06-12"):
        one_symbol(4, sessions=[*days[:2], days[3], days[0]])
    with pytest.raises(MalformedData, match="day of each step"):
        one_symbol(4, sessions=days[:3])


def test_a_long_frame_becomes_dense_rows_with_missing_bars():
    bars = bars_from_frame(long_frame(TWO_SYMBOLS))
    assert bars.symbols == ("AAA", "BBB")
    assert bars.is_dense
    np.testing.assert_array_equal(bars.close, [1.5, 21.0, NAN, 21.0, 1.25, 22.0])
    np.testing.assert_array_equal(bars.volume, [7.0, 5.0, NAN, 0.0, 9.0, 1.0])
    assert bars.closes_at.tolist() == [ns(f"2014-06-09T13:{minute}Z") for minute in (31, 32, 33)]


def test_the_sparse_layout_has_no_row_for_a_missing_bar():
    bars = bars_from_frame(long_frame(TWO_SYMBOLS), layout="sparse", symbols=["BBB", "AAA"])
    assert bars.row_symbol.tolist() == [0, 1, 0, 0, 1]
    assert bars.first_row.tolist() == [0, 2, 3, 5]
    assert bars.close.tolist() == [21.0, 1.5, 21.0, 22.0, 1.25]


def test_the_rows_of_symbols_may_follow_each_other():
    by_symbol = sorted(TWO_SYMBOLS, key=lambda row: row[1])
    together, apart = bars_from_frame(long_frame(TWO_SYMBOLS)), bars_from_frame(long_frame(by_symbol))
    assert together.close.tobytes() == apart.close.tobytes()
    assert together.closes_at.tolist() == apart.closes_at.tolist()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([TWO_SYMBOLS[1], TWO_SYMBOLS[1]], r"AAA 2014-06-09T13:31:00Z: has two bars \(row 1\)"),
        ([TWO_SYMBOLS[3], TWO_SYMBOLS[1]], r"AAA 2014-06-09T13:31:00Z: comes after a later bar .* sort"),
        ([TWO_SYMBOLS[0], (TWO_SYMBOLS[0][0], "AAA", NAN, NAN, NAN, NAN, NAN)], r"AAA 2014-06-09T13:31:00Z: no bar"),
        ([TWO_SYMBOLS[0], (TWO_SYMBOLS[0][0], None, 1.0, 1.0, 1.0, 1.0, 1.0)], "row 1 has no symbol"),
        ([(TWO_SYMBOLS[0][0], "AAA", "x", 1.0, 1.0, 1.0, 1.0)], "must be numbers"),
        ([], "no bars"),
    ],
)
def test_rows_that_cannot_be_placed_are_refused(rows, message):
    with pytest.raises(MalformedData, match=message):
        bars_from_frame(long_frame(rows), symbols=["AAA", "BBB"])


def test_a_frame_without_a_column_or_with_another_symbol_is_refused():
    frame = long_frame(TWO_SYMBOLS)
    with pytest.raises(MalformedData, match=r"\['low'\] not among"):
        bars_from_frame(frame.drop(columns="low"))
    with pytest.raises(MalformedData, match="BBB: not among the 1 symbols"):
        bars_from_frame(frame, symbols=["AAA"])


@st.composite
def long_frames(draw):
    cells = draw(st.sets(st.tuples(st.integers(0, 2000), st.sampled_from(["AAA", "BBB", "C.D"])), min_size=1))
    price = st.floats(0.01, 1e6)
    rows = []
    for minute, symbol in sorted(cells):
        low, opened, close, high = sorted(draw(st.tuples(price, price, price, price)))
        time = pd.Timestamp("2014-06-09", tz="UTC") + pd.Timedelta(minutes=minute)
        rows.append((time, symbol, opened, high, low, close, draw(st.floats(0, 1e9))))
    return long_frame(rows)


@given(frame=long_frames(), layout=st.sampled_from(["dense", "sparse"]))
def test_a_frame_comes_back_to_the_bit(frame, layout):
    returned = bars_to_frame(bars_from_frame(frame, layout=layout))
    pd.testing.assert_frame_equal(returned, frame, check_exact=True)


@given(frame=long_frames(), layout=st.sampled_from(["dense", "sparse"]), size=st.integers(1, 3))
def test_chunks_in_memory_joined_are_the_whole(frame, layout, size):
    whole = bars_from_frame(frame, layout=layout)
    chunks = list(whole.chunks(size))
    assert all(len(chunk.sessions) - 1 <= size for chunk in chunks)
    assert all(chunk.symbols == whole.symbols and chunk.bar_interval == whole.bar_interval for chunk in chunks)
    for name in ("open", "high", "low", "close", "volume", "closes_at"):
        joined = np.concatenate([getattr(chunk, name) for chunk in chunks])
        assert joined.tobytes() == getattr(whole, name).tobytes()
        assert all(np.shares_memory(getattr(chunk, name), getattr(whole, name)) for chunk in chunks)
    assert np.concatenate([chunk.session_days for chunk in chunks]).tolist() == whole.session_days.tolist()
    frames = [bars_to_frame(chunk) for chunk in chunks]
    pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), frame, check_exact=True)


def test_a_part_counts_its_steps_and_rows_from_zero():
    whole = bars_from_frame(
        long_frame([(f"2014-06-{day}T14:00Z", "AAA", 1.0, 1.0, 1.0, 1.0, 1.0) for day in ("09", "10", "12")]),
        layout="sparse",
    )
    part = whole.part(1, 3)
    assert part.sessions["first_step"].tolist() == [0, 1, 2]
    assert part.first_row.tolist() == [0, 1, 2]
    # 2014-06-09 is day 16,230: 44 years of 365 days, 11 leap days, 151 days to June and 8 more.
    assert whole.part(0, 2).sessions["day"].tolist() == [16_230, 16_231, 16_232]
    assert whole.sessions["day"].tolist() == [16_230, 16_231, 16_233, 16_234]
    with pytest.raises(MalformedData, match="sessions 2 to 4 are not a part of 3"):
        whole.part(2, 4)
    with pytest.raises(MalformedData, match="at least one session"):
        next(whole.chunks(0))


def daily_bars(**changes):
    frame = pd.DataFrame(
        {
            "session": pd.to_datetime(["2014-07-03", "2014-07-02", "2014-07-03"]),
            "symbol": ["BBB", "AAA", "AAA"],
            "open_raw_usd": [3.0, 20.0, 1.0],
            "high_raw_usd": [3.5, 22.0, 1.5],
            "low_raw_usd": [2.5, 19.0, 0.5],
            "close_raw_usd": [3.2, 21.0, 1.2],
            "volume_shares": [300.0, 0.0, 100.0],
        }
    )
    return frame.assign(**changes)


def test_daily_bars_of_the_lake_open_and_close_with_their_sessions():
    bars = bars_from_daily_bars(daily_bars(), NEW_YORK)
    assert bars.opens_at.tolist() == [ns("2014-07-02T13:30Z"), ns("2014-07-03T13:30Z")]
    assert bars.closes_at.tolist() == [ns("2014-07-02T20:00Z"), ns("2014-07-03T17:00Z")]
    assert bars.session_days.astype(str).tolist() == ["2014-07-02", "2014-07-03"]
    assert bars.sessions["first_step"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(bars.close, [21.0, NAN, 1.2, 3.2])
    assert bars.price_mode == "raw"


def test_a_daily_bar_on_a_holiday_is_refused():
    with pytest.raises(MalformedData, match=r"BBB 2014-07-04: not a session of XNYS"):
        bars_from_daily_bars(daily_bars(session=pd.to_datetime(["2014-07-04", "2014-07-02", "2014-07-03"])), NEW_YORK)


def test_a_frame_of_sessions_needs_a_calendar():
    frame = daily_bars().rename(columns=lambda name: name.replace("_raw_usd", "").replace("_shares", ""))
    assert bars_from_frame(frame, sessions=NEW_YORK).closes_at[1] == ns("2014-07-03T17:00Z")
    with pytest.raises(MalformedData, match="TradingCalendar"):
        bars_from_frame(frame)


def test_trades_of_one_instant_share_a_step_until_a_symbol_repeats():
    times = np.array([100, 100, 100, 100, 101, 500])
    bars = bars_from_trades(
        times,
        [10.0, 50.0, 11.0, 12.0, 51.0, 52.0],
        sizes=[1, 2, 3, 4, 5, 6],
        symbols=["AAA", "BBB", "AAA", "AAA", "BBB", "BBB"],
    )
    # 100: AAA and BBB; 101: AAA again; 102: AAA once more; what happened at 101 comes after that; 500 is 500.
    assert bars.closes_at.tolist() == [100, 101, 102, 103, 500]
    assert bars.first_row.tolist() == [0, 2, 3, 4, 5, 6]
    assert bars.close.tolist() == [10.0, 50.0, 11.0, 12.0, 51.0, 52.0]
    assert bars.open is bars.close
    assert bars.volume.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert bars.opens_at_of_row.tolist() == [100, 100, 101, 102, 103, 500]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["AAA", "BBB"])), min_size=1, max_size=40))
def test_trades_of_a_symbol_keep_their_order_and_come_late_by_less_than_their_number(trades):
    trades = sorted(trades, key=lambda trade: trade[0])
    prices = 1.0 + np.arange(len(trades))
    times = np.array([time for time, _ in trades], dtype=np.int64)
    bars = bars_from_trades(times, prices, sizes=np.ones(len(trades)), symbols=[symbol for _, symbol in trades])
    for code, symbol in enumerate(bars.symbols):
        mine = [price for price, (_, name) in zip(prices, trades, strict=True) if name == symbol]
        assert bars.close[bars.row_symbol == code].tolist() == mine
    at = dict(zip(bars.close.tolist(), bars.closes_at[bars.step_of_row].tolist(), strict=True))
    late = [at[price] - time for price, time in zip(prices.tolist(), times.tolist(), strict=True)]
    assert min(late) >= 0
    assert max(late) < len(trades)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times": np.array([200, 100])}, "AAA 1970-01-01T00:00:00.0000001Z: the trade follows"),
        ({"prices": [10.0, NAN]}, r"AAA .*: a volume without prices \(open nan"),
        ({"sizes": [1.0, -1.0]}, "the volume is negative"),
        ({"sizes": [1.0]}, "one time, price, size and symbol each"),
        ({"symbols": ["AAA"]}, "one time, price, size and symbol each"),
    ],
)
def test_trades_that_cannot_be_are_refused(changes, message):
    terms = {"times": np.array([100, 200]), "prices": [10.0, 11.0], "sizes": [1.0, 1.0], "symbols": ["AAA", "AAA"]}
    terms |= changes
    with pytest.raises(MalformedData, match=message):
        bars_from_trades(terms["times"], terms["prices"], sizes=terms["sizes"], symbols=terms["symbols"])


def test_merged_frequencies_stand_in_the_order_of_their_closes():
    # Five-minute bars of BBB and one-minute bars of AAA, from 13:35 to 13:40.
    minutes = ns("2014-06-09T13:35Z") + MINUTE * np.arange(1, 6)
    fast = one_symbol(5, closes_at=minutes, sessions=NEW_YORK)
    slow = one_symbol(2, closes_at=minutes[-1] + MINUTE * np.array([-5, 0]), symbols=["BBB"], sessions=NEW_YORK)
    merged = merge_bars([slow, fast])
    assert merged.symbols == ("BBB", "AAA")
    assert merged.closes_at.tolist() == [minutes[0] - MINUTE, *minutes]
    assert merged.row_symbol.tolist() == [0, 1, 1, 1, 1, 0, 1]
    assert merged.first_row.tolist() == [0, 1, 2, 3, 4, 5, 7]
    assert (merged.closes_at[merged.step_of_row] - merged.row_opens_at).tolist() == [
        5 * MINUTE if symbol == 0 else MINUTE for symbol in merged.row_symbol
    ]
    assert merged.sessions["first_step"].tolist() == [0, 6]


def test_merging_leaves_missing_bars_out_and_changes_no_bar():
    frame = long_frame(TWO_SYMBOLS)
    parts = [bars_from_frame(frame[frame["symbol"] == symbol]) for symbol in ("AAA", "BBB")]
    merged = merge_bars([bars_from_frame(frame), one_symbol(2, symbols=["CCC"])])
    ordered = frame.sort_values(["time", "symbol"], ignore_index=True)
    pd.testing.assert_frame_equal(bars_to_frame(merge_bars(parts)), ordered)
    assert merged.n_rows == 7


def test_sets_that_cannot_be_merged_are_refused():
    with pytest.raises(MalformedData, match="AAA is given twice"):
        merge_bars([one_symbol(), one_symbol()])
    with pytest.raises(MalformedData, match="some prices are raw"):
        merge_bars([one_symbol(), one_symbol(symbols=["BBB"], price_mode="adjusted")])
    days = [date(1970, 1, 2)] * 4
    with pytest.raises(
        MalformedData, match=r"1970-01-01T00:01:00Z is of session 1970-01-01 in one set and of 1970-01-02"
    ):
        merge_bars([one_symbol(), one_symbol(symbols=["BBB"], sessions=days)])
    with pytest.raises(MalformedData, match="nothing to merge"):
        merge_bars([])
