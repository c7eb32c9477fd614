"""Chunks from Parquet files and from the lake: together they are the whole, byte for byte."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aegis.backtesting.bar_rows import bars_from_daily_bars, bars_from_frame
from aegis.backtesting.bars import Bars
from aegis.backtesting.streaming import BarSource, LakeBars, ParquetBars
from aegis.calendars import trading_calendar
from aegis.errors import MalformedData
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.tables import DAILY_BARS, LISTINGS

NEW_YORK = trading_calendar("XNYS")
MINUTE = 60_000_000_000
SYMBOLS = ("AAA", "BBB", "CCC")
FIRST, LAST = date(2014, 6, 30), date(2014, 7, 11)
SESSIONS = NEW_YORK.sessions(FIRST, LAST)
COLUMNS = ("open", "high", "low", "close", "volume")
MESSAGE = CommitMessage("trial/daily_bars", "2014", "run-1", "v1")


def _minutes() -> pd.DataFrame:
    """Twenty-minute bars of three symbols over nine sessions, a third of them missing."""
    random = np.random.default_rng(7)
    times: list[pd.Timestamp] = []
    for opened, closed in zip(NEW_YORK.opens_utc(SESSIONS), NEW_YORK.closes_utc(SESSIONS), strict=True):
        times += list(pd.date_range(opened, closed, freq="20min")[1:])
    frame = pd.DataFrame({"time": np.repeat(pd.DatetimeIndex(times), 3), "symbol": SYMBOLS * len(times)})
    low, opened, close, high = np.sort(random.uniform(1.0, 100.0, (4, len(frame))), axis=0)
    frame = frame.assign(
        open=opened, high=high, low=low, close=close, volume=random.integers(0, 1000, len(frame)) * 1.0
    )
    return frame[random.uniform(size=len(frame)) > 1 / 3].reset_index(drop=True)


FRAME = _minutes()


def _write(frame: pd.DataFrame, file: Path, *, rows_per_group: int = 50) -> Path:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file, row_group_size=rows_per_group)
    return file


def _same(left: Bars, right: Bars) -> bool:
    if left.sessions.tolist() != right.sessions.tolist():  # padding inside records has no value to compare
        return False
    names = [*COLUMNS, "closes_at", "opens_at", "row_symbol", "first_row", "row_opens_at"]
    pairs = [(getattr(left, name), getattr(right, name)) for name in names]
    same = [one is other is None or one.tobytes() == other.tobytes() for one, other in pairs]
    return all(same) and (left.symbols, left.bar_interval) == (right.symbols, right.bar_interval)


def _assert_chunks_are_the_whole(source: BarSource, whole: Bars, sessions: int) -> None:
    chunks = list(source.chunks(sessions))
    expected = list(whole.chunks(sessions))
    assert len(chunks) == len(expected) > 1
    assert all(_same(chunk, part) for chunk, part in zip(chunks, expected, strict=True))
    for name in (*COLUMNS, "closes_at"):
        joined = np.concatenate([getattr(chunk, name) for chunk in chunks])
        assert joined.tobytes() == getattr(whole, name).tobytes()


@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("sessions", [1, 2, 5])
def test_chunks_of_a_parquet_file_are_the_whole(tmp_path: Path, layout: str, sessions: int) -> None:
    file = _write(FRAME, tmp_path / "bars.parquet")
    source = ParquetBars(file, sessions=NEW_YORK, bar_interval=20 * MINUTE, layout=layout)  # type: ignore[arg-type]
    whole = bars_from_frame(FRAME, sessions=NEW_YORK, bar_interval=20 * MINUTE, layout=layout)  # type: ignore[arg-type]

    assert source.symbols == SYMBOLS
    _assert_chunks_are_the_whole(source, whole, sessions)


def test_chunks_of_a_folder_of_files_that_end_inside_a_session_are_the_whole(tmp_path: Path) -> None:
    cuts = [0, 100, 101, 300, len(FRAME)]
    for number, (begin, end) in enumerate(itertools.pairwise(cuts)):
        _write(FRAME.iloc[begin:end], tmp_path / f"part-{number}.parquet", rows_per_group=33)
    source = ParquetBars(tmp_path, sessions=NEW_YORK, bar_interval=20 * MINUTE)

    _assert_chunks_are_the_whole(source, bars_from_frame(FRAME, sessions=NEW_YORK, bar_interval=20 * MINUTE), 2)


def test_one_chunk_may_hold_everything(tmp_path: Path) -> None:
    source = ParquetBars(_write(FRAME, tmp_path / "bars.parquet"), sessions=NEW_YORK, bar_interval=20 * MINUTE)

    (chunk,) = source.chunks(2**31)

    assert _same(chunk, bars_from_frame(FRAME, sessions=NEW_YORK, bar_interval=20 * MINUTE))


def test_a_source_can_be_read_again_and_left_early(tmp_path: Path) -> None:
    source = ParquetBars(_write(FRAME, tmp_path / "bars.parquet"), sessions="utc_days", bar_interval=20 * MINUTE)

    first = next(iter(source.chunks(3)))
    again = next(iter(source.chunks(3)))

    assert _same(first, again)


def test_numbers_and_times_of_other_widths_are_read_and_other_columns_are_not(tmp_path: Path) -> None:
    narrow = FRAME.assign(
        time=FRAME["time"].dt.tz_convert("America/New_York").dt.as_unit("ms"),
        volume=FRAME["volume"].astype("int32"),
        symbol=FRAME["symbol"].astype("category"),
        note="unread",
    )
    source = ParquetBars(_write(narrow, tmp_path / "bars.parquet"), sessions=NEW_YORK, bar_interval=20 * MINUTE)

    _assert_chunks_are_the_whole(source, bars_from_frame(FRAME, sessions=NEW_YORK, bar_interval=20 * MINUTE), 5)


def test_symbols_without_a_bar_in_a_chunk_keep_their_place(tmp_path: Path) -> None:
    file = _write(FRAME[FRAME["symbol"] == "BBB"], tmp_path / "bars.parquet")
    chunk = next(ParquetBars(file, sessions=NEW_YORK, bar_interval=MINUTE, symbols=["CCC", "BBB"]).chunks(1))

    assert chunk.symbols == ("CCC", "BBB")
    assert np.isnan(chunk.close[0::2]).all()
    assert not np.isnan(chunk.close[1::2]).any()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.iloc[[0, 1, 200, 100]], r"2014-07-0\dT.*Z: follows a row of .*sort the rows of each file"),
        (FRAME.iloc[[0, 1, 1]], "has two bars"),
        (FRAME.iloc[:3].assign(symbol="ZZZ"), "ZZZ is not among the 3 symbols"),
        (FRAME.iloc[:3].assign(symbol=[None, "AAA", "BBB"]), r"\['symbol'\] are missing"),
        (FRAME.iloc[:3].assign(close=[np.nan, *FRAME["close"][1:3]]), "a price is not a finite number"),
        (FRAME.iloc[:3].assign(time=FRAME["time"].iloc[:3] + pd.Timedelta(hours=12)), "outside the trading hours"),
    ],
)
def test_rows_of_a_file_that_cannot_be_are_refused(tmp_path: Path, frame: pd.DataFrame, message: str) -> None:
    file = _write(frame, tmp_path / "bars.parquet", rows_per_group=1000)
    source = ParquetBars(file, sessions=NEW_YORK, bar_interval=MINUTE, symbols=SYMBOLS)
    with pytest.raises(MalformedData, match=message):
        list(source.chunks(2))


def test_files_whose_names_are_not_in_the_order_of_time_are_refused(tmp_path: Path) -> None:
    _write(FRAME.iloc[100:], tmp_path / "a.parquet")
    _write(FRAME.iloc[:100], tmp_path / "b.parquet")
    with pytest.raises(MalformedData, match="the files' names, by time"):
        list(ParquetBars(tmp_path, sessions=NEW_YORK, bar_interval=MINUTE).chunks(2))


def test_a_folder_that_cannot_be_read_as_bars_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedData, match="holds no Parquet file"):
        ParquetBars(tmp_path, sessions=NEW_YORK, bar_interval=MINUTE)
    with pytest.raises(MalformedData, match=r"columns \['low'\] are missing"):
        ParquetBars(_write(FRAME.drop(columns="low"), tmp_path / "a.parquet"), sessions=NEW_YORK, bar_interval=MINUTE)
    naive = FRAME.assign(time=FRAME["time"].dt.tz_localize(None))
    with pytest.raises(MalformedData, match=r"time is timestamp\[ns\]; store closing instants with a time zone"):
        ParquetBars(_write(naive, tmp_path / "b.parquet"), sessions=NEW_YORK, bar_interval=MINUTE)
    good = ParquetBars(_write(FRAME, tmp_path / "c.parquet"), sessions=NEW_YORK, bar_interval=MINUTE)
    with pytest.raises(MalformedData, match="at least one session"):
        good.chunks(0)


def _daily(scale: float = 1.0) -> pd.DataFrame:
    days = pd.to_datetime(SESSIONS)
    frame = pd.DataFrame({"session": np.repeat(days, 3), "symbol": SYMBOLS * len(days)})
    price = scale * (10.0 + np.arange(len(frame)))
    frame = frame.assign(
        ticker=frame["symbol"],
        open_raw_usd=price,
        high_raw_usd=price + 1,
        low_raw_usd=price - 1,
        close_raw_usd=price + 0.5,
        volume_shares=1000.0,
        source="trial",
        known_at_utc=pd.Timestamp("2014-07-31T20:00Z"),
    )
    return frame[(frame["symbol"] != "CCC") | (frame["session"] >= "2014-07-08")]


def _listings() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": [*SYMBOLS, "OLD"],
            "ticker": [*SYMBOLS, "OLD"],
            "first_session": pd.to_datetime(["2010-01-04"] * 4),
            "last_session": pd.to_datetime([None, None, None, "2013-12-31"]),
            "name": "Trial",
            "sector": "Trial",
            "tradable": True,
            "source": "trial",
        }
    )


@pytest.fixture
def lake(location: LakeLocation) -> Iterator[Lake]:
    with connect(location) as connection:
        store = Lake(connection)
        store.create_tables([DAILY_BARS, LISTINGS])
        store.write([Replacement(LISTINGS, _listings()), Replacement(DAILY_BARS, _daily(), FIRST, LAST)], MESSAGE)
        yield store


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_chunks_of_the_lake_are_the_whole(lake: Lake, layout: str) -> None:
    source = LakeBars(lake, NEW_YORK, first=FIRST, last=LAST, layout=layout)  # type: ignore[arg-type]
    whole = bars_from_daily_bars(_daily(), NEW_YORK, symbols=SYMBOLS, layout=layout)  # type: ignore[arg-type]

    assert source.symbols == SYMBOLS, "OLD was no longer listed"
    _assert_chunks_are_the_whole(source, whole, 2)


def test_a_source_sees_the_lake_as_it_was_when_it_was_made(lake: Lake) -> None:
    source = LakeBars(lake, NEW_YORK, first=FIRST, last=LAST)
    chunks = source.chunks(3)
    first = next(chunks)
    lake.write([Replacement(DAILY_BARS, _daily(scale=2.0), FIRST, LAST)], MESSAGE)

    closes = np.concatenate([first.close, *(chunk.close for chunk in chunks)])
    later = LakeBars(lake, NEW_YORK, first=FIRST, last=LAST)
    as_before = LakeBars(lake, NEW_YORK, first=FIRST, last=LAST, snapshot_id=source.snapshot_id)

    whole = bars_from_daily_bars(_daily(), NEW_YORK, symbols=SYMBOLS)
    assert closes.tobytes() == whole.close.tobytes()
    assert next(later.chunks(1)).close[0] == 20.5
    assert next(as_before.chunks(1)).close[0] == 10.5


def test_chosen_symbols_of_the_lake_and_ranges_without_a_session(lake: Lake) -> None:
    chunk = next(LakeBars(lake, NEW_YORK, first=FIRST, last=LAST, symbols=["CCC", "AAA"]).chunks(100))

    assert chunk.symbols == ("CCC", "AAA")
    assert np.isnan(chunk.close[0])
    with pytest.raises(MalformedData, match="no session from 2014-07-04 to 2014-07-06"):
        LakeBars(lake, NEW_YORK, first=date(2014, 7, 4), last=date(2014, 7, 6))
