"""A history longer than memory: 100 million minute bars of 512 symbols, written once and streamed.

Belongs here: making that history from a seed, and going through it with the time it takes and the most memory it held.

Usage::

    python -m benchmarks.long_history write <folder> [--bars 100000000] [--symbols 512]
    python -m benchmarks.long_history read <folder> [--sessions-per-chunk 5]
    python -m benchmarks.long_history run <folder> [--sessions-per-chunk 5]
    python -m benchmarks.long_history compare <folder> [--sessions-per-chunk 5]

`read` only streams. `run` simulates a strategy that trades every symbol once a day, from the files to the results.
`compare` runs it over the first file in chunks and as a whole, and fails unless orders, fills, equity and cash are
equal to the bit.

Bars are of the regular hours of New York from 2010 on, half days included. Each session is drawn from a stream of its
own, so that the first sessions of a long history are those of a short one.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bar_times import trading_hours
from aegis.backtesting.bars import Bars
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.jitted import (
    close,
    closes_session,
    jitted_strategy,
    keep,
    n_symbols,
    order_target_weight,
    recall,
)
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.streaming import ParquetBars
from aegis.calendars import trading_calendar

MINUTE = 60_000_000_000
FIRST_SESSION = date(2010, 1, 4)
SESSIONS_A_FILE = 20
SEED = 20260101
CALENDAR = "XNYS"

_SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("ns", tz="UTC")),
        ("symbol", pa.dictionary(pa.int32(), pa.string())),
        *((name, pa.float64()) for name in ("open", "high", "low", "close", "volume")),
    ]
)


@jitted_strategy
def follow_yesterday(market):
    """At the last bar of a session, hold for the next one what closed higher than the session before."""
    if closes_session(market):
        symbols = n_symbols(market)
        for symbol in range(symbols):
            last, now = recall(market, symbol), close(market, symbol, 0)
            if last > 0.0:
                order_target_weight(market, symbol, 0.9 / symbols if now > last else 0.0)
            keep(market, symbol, now)


def session_of_bars(number: int, closes_at: NDArray[np.int64], last: NDArray[np.float64]) -> dict[str, NDArray]:
    """Return one session's columns, rows by minute, then symbol.

    Parameters
    ----------
    number : int
        Of the session; names its stream of random numbers.
    closes_at : ndarray of int64, shape (minutes,)
    last : ndarray of float64, shape (symbols,)
        Prices at which the session before ended, USD.
    """
    random = np.random.default_rng([SEED, number])
    shape = (len(closes_at), len(last))
    # Cents; a price between 5 and 5,000 USD, so that rounding neither stops nor rules it.
    moves = random.standard_normal(shape, dtype=np.float32) * np.float32(0.0006)
    closes = np.round(np.clip(last * np.exp(np.cumsum(moves, axis=0, dtype=np.float64)), 5.0, 5000.0), 2)
    opens = np.vstack([last, closes[:-1]])
    reach = np.round(random.random(shape, dtype=np.float32) * np.float32(0.001) * closes, 2)
    return {
        "time": np.repeat(closes_at, len(last)),
        "open": opens.ravel(),
        "high": np.maximum(opens, closes).ravel() + reach.ravel(),
        "low": np.maximum(np.minimum(opens, closes) - reach, 0.01).ravel(),
        "close": closes.ravel(),
        "volume": random.integers(0, 20_000, shape, dtype=np.int32).ravel().astype(np.float64),
    }


def sessions_of_bars(bars: int, symbols: int) -> Iterator[dict[str, NDArray]]:
    """Yield whole sessions until there are at least so many bars."""
    days, opens, closes = trading_hours(trading_calendar(CALENDAR))
    first = int(np.searchsorted(days, np.datetime64(FIRST_SESSION)))
    last = np.round(np.random.default_rng(SEED).uniform(20.0, 200.0, symbols), 2)
    made = 0
    for number in range(first, len(days)):
        session = session_of_bars(number, np.arange(opens[number] + MINUTE, closes[number] + 1, MINUTE), last)
        yield session
        last = session["close"][-symbols:]
        made += len(session["close"])
        if made >= bars:
            return
    raise SystemExit(f"the calendar ends after {made:,} bars; take more symbols")


def write(folder: Path, bars: int, symbols: int) -> None:
    """Write the history as Parquet files of twenty sessions each; one session is a row group."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SystemExit(f"{folder} is not empty; name a new folder")
    names = pa.array([f"S{number:04d}" for number in range(symbols)])
    began, rows, size = time.perf_counter(), 0, 0
    writer: pq.ParquetWriter | None = None
    for number, session in enumerate(sessions_of_bars(bars, symbols)):
        if number % SESSIONS_A_FILE == 0:
            if writer is not None:
                writer.close()
            file = folder / f"bars-{number // SESSIONS_A_FILE:05d}.parquet"
            # Prices of a session are nearly all different, so a dictionary of them would only cost time.
            writer = pq.ParquetWriter(file, _SCHEMA, compression="lz4", use_dictionary=["symbol", "time"])
        codes = np.tile(np.arange(symbols, dtype=np.int32), len(session["close"]) // symbols)
        columns = {name: pa.array(values) for name, values in session.items() if name != "time"}
        columns["time"] = pa.array(session["time"]).cast(_SCHEMA.field("time").type)
        columns["symbol"] = pa.DictionaryArray.from_arrays(pa.array(codes), names)
        writer.write_table(pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA), row_group_size=1 << 20)
        rows += len(codes)
    if writer is not None:
        writer.close()
    size = sum(file.stat().st_size for file in folder.iterdir())
    seconds = time.perf_counter() - began
    print(f"wrote {rows:,} bars of {symbols} symbols: {size / 1e9:.2f} GB in {seconds:.1f} s; {_peak()}")


def read(folder: Path, sessions_per_chunk: int) -> None:
    """Stream the history chunk by chunk, checks included, and say how long that took and what memory it held."""
    before = _peak()
    began = time.perf_counter()
    source = _source(folder)
    rows = chunks = largest = 0
    for chunk in source.chunks(sessions_per_chunk):
        rows, chunks, largest = rows + chunk.n_rows, chunks + 1, max(largest, chunk.n_rows)
    seconds = time.perf_counter() - began
    print(
        f"read {rows:,} bars of {len(source.symbols)} symbols in {chunks} chunks of at most {largest:,}: "
        f"{seconds:.1f} s, {rows / seconds / 1e6:.1f} million bars/s; {_peak()}, {before} before"
    )


def run(folder: Path, sessions_per_chunk: int) -> None:
    """Simulate the strategy over the whole history, and say how long that took and what memory it held."""
    before = _peak()
    began = time.perf_counter()
    source = _source(folder)
    results = _simulate(source, sessions_per_chunk)
    seconds = time.perf_counter() - began
    bars = len(results.closes_at) * len(source.symbols)
    print(
        f"simulated {bars:,} bars of {len(source.symbols)} symbols, {len(results.order_records):,} orders and "
        f"{len(results.fill_records):,} fills: {seconds:.1f} s, {bars / seconds / 1e6:.1f} million bars/s, "
        f"final equity {results.equity_usd[-1]:,.2f} USD; {_peak()}, {before} before"
    )


def compare(folder: Path, sessions_per_chunk: int) -> None:
    """Simulate the first file's sessions in chunks and as a whole, and fail unless everything is equal to the bit."""
    source = _source(min(folder.glob("*.parquet")))
    (whole,) = source.chunks(SESSIONS_A_FILE)
    streamed, at_once = _simulate(source, sessions_per_chunk), _simulate(whole, None)
    for name in ("closes_at", "equity_usd", "cash_usd"):
        assert getattr(streamed, name).tobytes() == getattr(at_once, name).tobytes(), name
    frames, expected = streamed.to_frames(), at_once.to_frames()
    assert frames.keys() == expected.keys()
    for name, frame in frames.items():
        assert frame.equals(expected[name]), name
    print(
        f"chunks of {sessions_per_chunk} sessions and the whole agree to the bit: {whole.n_rows:,} bars, "
        f"{len(at_once.order_records):,} orders, {len(at_once.fill_records):,} fills"
    )


def _source(path: Path) -> ParquetBars:
    return ParquetBars(path, sessions=trading_calendar(CALENDAR), bar_interval=MINUTE)


def _simulate(source: Bars | ParquetBars, sessions_per_chunk: int | None) -> BacktestResults:
    strategy = follow_yesterday.using(memory_size=len(source.symbols))
    config = BacktestConfig(sessions_per_chunk=sessions_per_chunk, initial_cash_usd=100_000_000.0, is_simulated=True)
    return EventDrivenBacktest(strategy, source, config).run()


def _peak() -> str:
    """Return the most memory that this process has held."""
    return f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="make the history")
    writing.add_argument("folder", type=Path)
    writing.add_argument("--bars", type=int, default=100_000_000)
    writing.add_argument("--symbols", type=int, default=512)
    uses = {"read": read, "run": run, "compare": compare}
    for name, use in uses.items():
        using = commands.add_parser(name, help=str(use.__doc__).split(",", maxsplit=1)[0])
        using.add_argument("folder", type=Path)
        using.add_argument("--sessions-per-chunk", type=int, default=5)
    given = parser.parse_args()
    if given.command == "write":
        write(given.folder, given.bars, given.symbols)
    else:
        uses[given.command](given.folder, given.sessions_per_chunk)


if __name__ == "__main__":
    main()
