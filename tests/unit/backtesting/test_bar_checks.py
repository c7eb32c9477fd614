from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.backtesting.bar_checks import count_impossible_bars
from aegis.backtesting.bar_rows import bars_from_frame
from aegis.backtesting.bar_times import instant, utc_nanoseconds
from aegis.backtesting.bars import Bars
from aegis.errors import MalformedData

NAN, INFINITY = float("nan"), float("inf")
NOON = pd.Timestamp("2014-06-09T12:00Z").value
MINUTE = 60_000_000_000
GOOD = (10.0, 12.0, 9.0, 11.0, 100.0)


def two_symbols(cell=GOOD, **terms):
    """Three steps of AAA and BBB; `cell` is BBB's bar at 12:01."""
    table = np.tile(np.array(GOOD), (3, 2, 1))
    table[1, 1] = cell
    columns = [np.ascontiguousarray(table[:, :, position]) for position in range(5)]
    defaults = {"closes_at": NOON + MINUTE * np.arange(3), "symbols": ["AAA", "BBB"]}
    return Bars.from_arrays(*columns, **{**defaults, **terms})


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ((NAN, 12.0, 9.0, 11.0, 1.0), "a price is not a finite number"),
        ((10.0, NAN, 9.0, 11.0, 1.0), "a price is not a finite number"),
        ((10.0, 12.0, NAN, 11.0, 1.0), "a price is not a finite number"),
        ((10.0, 12.0, 9.0, NAN, 1.0), "a price is not a finite number"),
        ((10.0, INFINITY, 9.0, 11.0, 1.0), "a price is not a finite number"),
        ((10.0, 12.0, 0.0, 11.0, 1.0), "a price is not positive"),
        ((10.0, 12.0, -9.0, 11.0, 1.0), "a price is not positive"),
        ((10.0, 10.5, 9.0, 11.0, 1.0), "the high is below the open or the close"),
        ((12.5, 12.0, 9.0, 11.0, 1.0), "the high is below the open or the close"),
        ((10.0, 12.0, 10.5, 11.0, 1.0), "the low is above the open or the close"),
        ((10.0, 12.0, 9.5, 9.0, 1.0), "the low is above the open or the close"),
        ((10.0, 12.0, 9.0, 11.0, NAN), "the volume is missing"),
        ((10.0, 12.0, 9.0, 11.0, -1.0), "the volume is negative or infinite"),
        ((10.0, 12.0, 9.0, 11.0, INFINITY), "the volume is negative or infinite"),
        ((NAN, NAN, NAN, NAN, 1.0), "a volume without prices"),
    ],
)
def test_a_bar_that_cannot_be_is_refused_with_symbol_time_and_values(cell, problem):
    with pytest.raises(MalformedData) as refused:
        two_symbols(cell)
    message = str(refused.value)
    assert message.startswith(
        f"BBB 2014-06-09T12:01:00Z: {problem} (open {cell[0]:g}, high {cell[1]:g}, low {cell[2]:g}"
    )
    assert "1 such row(s) in all" in message
    assert "correct the bar, or leave it out" in message


@pytest.mark.parametrize("volume", [NAN, 0.0])
def test_a_missing_bar_is_allowed_beside_other_symbols_and_refused_alone(volume):
    assert np.isnan(two_symbols((NAN, NAN, NAN, NAN, volume)).close).sum() == 1
    alone = np.array([10.0, NAN])
    with pytest.raises(MalformedData, match=r"AAA 2014-06-09T12:01:00Z: no bar .*leave it out"):
        Bars.from_arrays(
            alone, alone, alone, alone, [1.0, volume], closes_at=NOON + MINUTE * np.arange(2), symbols=["AAA"]
        )


def test_a_bar_without_movement_or_volume_is_possible():
    assert two_symbols((10.0, 10.0, 10.0, 10.0, 0.0)).n_rows == 6


def test_the_first_of_many_bad_bars_is_found_beyond_the_first_block():
    prices = np.full(200_000, 10.0)
    closes = prices.copy()
    closes[[150_000, 199_999]] = 10.5
    times = MINUTE * np.arange(200_000)
    with pytest.raises(MalformedData, match=r"^AAA 1970-04-15T04:00:00Z: the high is below .* 2 such row") as refused:
        Bars.from_arrays(prices, prices, prices, closes, prices, closes_at=times, symbols=["AAA"])
    assert "close 10.5" in str(refused.value)


ANY_PRICE = st.sampled_from([NAN, INFINITY, -INFINITY, -1.0, 0.0, 1.0, 2.0, 3.0])


@given(st.tuples(ANY_PRICE, ANY_PRICE, ANY_PRICE, ANY_PRICE, ANY_PRICE))
def test_the_compiled_check_agrees_with_the_definition(bar):
    opened, high, low, close, volume = bar
    finite = all(np.isfinite(value) for value in bar)
    possible = finite and 0 < low <= min(opened, close) and max(opened, close) <= high and volume >= 0
    missing = all(np.isnan(value) for value in bar[:4]) and (np.isnan(volume) or volume == 0)
    columns = [np.array([value]) for value in bar]
    assert count_impossible_bars(*columns) == (0 if possible or missing else 1)


@pytest.mark.parametrize(
    ("minutes", "message"),
    [
        ([0, 2, 1], r"2014-06-09T12:01:00Z at position 2 follows a later one \(2014-06-09T12:02:00Z\); sort"),
        ([0, 1, 1], r"2014-06-09T12:01:00Z at position 2 is given twice"),
    ],
)
def test_times_that_do_not_increase_are_refused(minutes, message):
    with pytest.raises(MalformedData, match=message):
        two_symbols(closes_at=NOON + MINUTE * np.array(minutes))


def test_no_bars_at_all_are_refused():
    empty = np.empty((0, 2))
    with pytest.raises(MalformedData, match="there are no bars"):
        Bars.from_arrays(
            empty, empty, empty, empty, empty, closes_at=np.empty(0, dtype=np.int64), symbols=["AAA", "BBB"]
        )


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2014-06-09 12:00", periods=3, freq="min"),
        pd.Series(pd.date_range("2014-06-09 12:00", periods=3, freq="min")),
        np.array(["2014-06-09T12:00", "2014-06-09T12:01", "2014-06-09T12:02"], dtype="datetime64[ns]"),
        [datetime(2014, 6, 9, 12, minute) for minute in range(3)],  # noqa: DTZ001 - what is refused
    ],
)
def test_times_without_a_time_zone_are_refused_with_the_remedy(times):
    with pytest.raises(MalformedData, match=r"no time zone, first 2014-06-09 12:00:00; .*tz_localize"):
        two_symbols(closes_at=times)


def test_a_naive_frame_is_refused():
    frame = pd.DataFrame(
        [(pd.Timestamp("2014-06-09T12:00"), "AAA", *GOOD)],
        columns=["time", "symbol", "open", "high", "low", "close", "volume"],
    )
    with pytest.raises(MalformedData, match="no time zone"):
        bars_from_frame(frame)


@pytest.mark.parametrize(
    "times",
    [
        pd.DatetimeIndex(["2014-06-09T08:00", "2014-06-09T08:01"]).tz_localize("America/New_York"),
        pd.DatetimeIndex(["2014-06-09T12:00Z", "2014-06-09T12:01Z"]).as_unit("s"),
        pd.Series(pd.DatetimeIndex(["2014-06-09T12:00Z", "2014-06-09T12:01Z"])),
        [datetime(2014, 6, 9, 12, 0, tzinfo=UTC), datetime(2014, 6, 9, 12, 1, tzinfo=UTC)],
        np.array([NOON, NOON + MINUTE]),
    ],
)
def test_aware_times_of_any_zone_and_unit_become_nanoseconds(times):
    assert utc_nanoseconds(times).tolist() == [NOON, NOON + MINUTE]


def test_times_that_are_no_times_are_refused():
    with pytest.raises(MalformedData, match="dtype float64"):
        utc_nanoseconds(np.array([1.0]))
    with pytest.raises(MalformedData, match="cannot be read"):
        utc_nanoseconds(["noon"])
    with pytest.raises(MalformedData, match="time 1 of 2 is missing"):
        utc_nanoseconds(pd.DatetimeIndex(["2014-06-09T12:00Z", None]))


def test_an_instant_is_written_with_its_fraction():
    assert [instant(NOON), instant(NOON + 1), instant(NOON + 500_000_000)] == [
        "2014-06-09T12:00:00Z",
        "2014-06-09T12:00:00.000000001Z",
        "2014-06-09T12:00:00.5Z",
    ]


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        (["AAA", "AAA"], "AAA is given twice"),
        (["AAA", "b c"], "'b c' is not a symbol"),
        ([], "at least one name"),
        ("AB", "sequence of at least one name"),
        (["AAA"], r"open has shape \(3, 2\); expected \(3, 1\)"),
        (["AAA", "BBB", "CCC"], r"open has shape \(3, 2\); expected \(3, 3\)"),
    ],
)
def test_symbols_that_do_not_name_the_columns_are_refused(symbols, message):
    with pytest.raises(MalformedData, match=message):
        two_symbols(symbols=symbols)


def test_arrays_of_another_shape_or_kind_are_refused_by_name():
    good, times = np.full(2, 10.0), np.array([0, MINUTE])
    with pytest.raises(MalformedData, match=r"low has shape \(3,\); expected \(2, 1\)"):
        Bars.from_arrays(good, good, np.full(3, 10.0), good, good, closes_at=times, symbols=["AAA"])
    with pytest.raises(MalformedData, match="volume has dtype <U1"):
        Bars.from_arrays(good, good, good, good, np.array(["1", "2"]), closes_at=times, symbols=["AAA"])
    bars = Bars.from_arrays(good, good, good, good, good, closes_at=times, symbols=["AAA"])
    with pytest.raises(MalformedData, match="volume must be a contiguous array of float64 with 2 elements"):
        replace(bars, volume=np.full(4, 10.0)[::2])
    with pytest.raises(
        MalformedData, match="open must be a contiguous array of float64 with 2 elements, found float32"
    ):
        replace(bars, open=good.astype(np.float32))
    with pytest.raises(MalformedData, match="'forward'"):
        replace(bars, price_mode="forward")


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"bar_interval": 2 * MINUTE}, "12:01:00Z opens at 2014-06-09T11:59:00Z, after its own close or before"),
        ({"bar_interval": -1}, "bar_interval is -1 ns"),
        ({"opens_at": NOON + MINUTE * np.array([0, 0, 0])}, "12:02:00Z opens at 2014-06-09T12:00:00Z"),
        ({"opens_at": NOON + MINUTE * np.array([0, 1, 3])}, "12:02:00Z opens at 2014-06-09T12:03:00Z"),
        ({"opens_at": NOON + MINUTE * np.arange(3), "bar_interval": 1}, "give one of them"),
        ({"opens_at": NOON + MINUTE * np.arange(2)}, "opens_at must be .* with 3 elements"),
        ({"sessions": "every_day"}, "'every_day' is not a rule"),
    ],
)
def test_bars_that_overlap_or_are_described_twice_are_refused(terms, message):
    with pytest.raises(MalformedData, match=message):
        two_symbols(**terms)


def sparse(**changes):
    bars = two_symbols()
    terms = {
        "row_symbol": np.array([0, 1, 0, 1, 0, 1], dtype=np.int32),
        "first_row": np.array([0, 2, 4, 6]),
        "row_opens_at": bars.opens_at_of_row,
    }
    return replace(bars, **terms | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_symbol": np.array([0, 1, 0, 2, 0, 1], dtype=np.int32)}, "symbol 2 2014-06-09T12:01:00Z: .*row 3"),
        ({"row_symbol": np.array([0, 1, 1, 0, 0, 1], dtype=np.int32)}, "AAA 2014-06-09T12:01:00Z: .*row 3"),
        ({"row_symbol": np.array([0, 1, 0, 1, 1, 1], dtype=np.int32)}, "BBB 2014-06-09T12:02:00Z: .*row 5"),
        ({"row_symbol": np.array([0, -1, 0, 1, 0, 1], dtype=np.int32)}, "symbol -1 2014-06-09T12:00:00Z: .*row 1"),
        ({"first_row": np.array([0, 2, 2, 6])}, "a row or more in each step"),
        ({"first_row": np.array([0, 2, 4, 5])}, "ascend from 0 to 6"),
        ({"first_row": None}, "give both or neither"),
        ({"row_symbol": None, "first_row": None}, "row_opens_at belongs to the sparse layout"),
        ({"row_opens_at": NOON + np.zeros(6, dtype=np.int64)}, r"AAA 2014-06-09T12:02:00Z: .*12:00:00Z.*row 4"),
    ],
)
def test_sparse_rows_that_are_not_where_they_should_be_are_refused(changes, message):
    assert sparse().n_rows == 6
    with pytest.raises(MalformedData, match=message):
        sparse(**changes)


@pytest.mark.parametrize("firsts", [[0, 2], [1, 3], [0, 0, 3], [3]])
def test_sessions_that_do_not_cover_the_steps_are_refused(firsts):
    bars = two_symbols()
    table = np.zeros(len(firsts), dtype=bars.sessions.dtype)
    table["first_step"], table["day"] = firsts, np.arange(len(firsts))
    with pytest.raises(MalformedData, match="begin at step 0"):
        replace(bars, sessions=table)
