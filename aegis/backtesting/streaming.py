"""Histories longer than memory, as one chunk of whole sessions after another.

Belongs here: where chunks come from (Parquet files, the lake, or bars in memory) and reading one ahead. The simulation
goes through chunk after chunk; what must survive stays in its records, only the bar columns change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aegis.backtesting.bar_checks import SymbolColumn, refuse_bad_symbols, smallest_step
from aegis.backtesting.bar_layout import BAR_COLUMNS
from aegis.backtesting.bar_rows import Layout, assemble, bars_from_daily_bars
from aegis.backtesting.bar_times import IntColumn, instant, session_closes
from aegis.backtesting.bars import Bars, PriceMode
from aegis.calendars import TradingCalendar
from aegis.errors import MalformedData
from aegis.lake.lake import Lake
from aegis.lake.tables import DAILY_BARS, LISTINGS

_BATCH_ROWS: Final = 262_144
_COLUMNS: Final = ("time", "symbol", *BAR_COLUMNS)
_Rows = tuple[NDArray[Any], ...]
"""Rows of a file, in the order of `_COLUMNS`; a symbol is its position."""


class BarSource(Protocol):
    """Bars in chunks; :class:`aegis.backtesting.bars.Bars` is one too."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of every chunk, in the same order."""
        ...

    def chunks(self, sessions_per_chunk: int) -> Iterator[Bars]:
        """Yield chunks of at most so many whole sessions, in the order of time."""
        ...


def read_ahead(chunks: Iterator[Bars]) -> Iterator[Bars]:
    """Yield the same chunks while the next one, and no more than that, is prepared in a thread.

    Notes
    -----
    Two chunks are alive at most, and the rows that the second is made from. An error of the source is raised where its
    chunk would have come.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="bars") as thread:
        upcoming = thread.submit(next, chunks, None)
        while (chunk := upcoming.result()) is not None:
            upcoming = thread.submit(next, chunks, None)
            yield chunk


class ParquetBars:
    """Bars in a Parquet file, or in a folder of them.

    Parameters
    ----------
    path : Path
        A file, or a folder whose ``*.parquet`` files follow each other in time when sorted by name. Columns: ``time``
        (closing instant with a time zone), ``symbol``, ``open``, ``high``, ``low``, ``close`` (USD), ``volume``
        (shares); others are not read. Rows ascend in time.
    sessions : TradingCalendar or "utc_days"
        See :func:`aegis.backtesting.bar_times.session_table`.
    bar_interval : int
        Nanoseconds that each bar lasts.
    symbols : sequence of str, optional
        All symbols of the files; default is to read that column once, which takes a small part of the whole time.
    layout : {"dense", "sparse"}
        Dense is faster where most symbols have a bar in most steps.
    price_mode : {"raw", "adjusted"}

    Raises
    ------
    MalformedData
        There is no file, a column is missing or of another kind, or times have no time zone. While reading: rows out
        of order, an unknown symbol, or a bar that cannot be.

    Notes
    -----
    Memory is bounded by two chunks and the rows that the second is made from; see :func:`read_ahead`.
    """

    def __init__(
        self,
        path: Path,
        *,
        sessions: TradingCalendar | Literal["utc_days"],
        bar_interval: int,
        symbols: Sequence[str] | None = None,
        layout: Layout = "dense",
        price_mode: PriceMode = "raw",
    ) -> None:
        self._files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not self._files or not self._files[0].is_file():
            raise MalformedData(f"{path} holds no Parquet file; name a file, or a folder with *.parquet in it")
        for file in self._files:
            _refuse_bad_schema(file)
        self._sessions: TradingCalendar | Literal["utc_days"] = sessions
        self._terms: dict[str, Any] = {"bar_interval": bar_interval, "layout": layout, "price_mode": price_mode}
        self._symbols = _symbols_of(self._files) if symbols is None else tuple(symbols)
        refuse_bad_symbols(self._symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of every chunk, in the same order."""
        return self._symbols

    def chunks(self, sessions_per_chunk: int) -> Iterator[Bars]:
        """Yield chunks of at most so many whole sessions, the next one read ahead."""
        _refuse_empty_chunks(sessions_per_chunk)
        return read_ahead(self._in_sequence(sessions_per_chunk))

    def _in_sequence(self, sessions_per_chunk: int) -> Iterator[Bars]:
        held: list[list[NDArray[Any]]] = [[] for _ in _COLUMNS]
        chunk_ends = 0
        last_time = np.iinfo(np.int64).min
        for rows in self._batches():
            times = rows[0]
            _refuse_unsorted(times, rows[1], last_time, self._symbols)
            last_time = int(times[-1])
            begin = 0
            while begin < len(times):
                if not held[0]:
                    chunk_ends = self._end_of_chunk(int(times[begin]), sessions_per_chunk)
                end = int(np.searchsorted(times, chunk_ends, side="right"))
                if end > begin:
                    for pieces, column in zip(held, rows, strict=True):
                        pieces.append(column[begin:end])
                if end < len(times):
                    yield self._chunk(held)
                begin = end
        if held[0]:
            yield self._chunk(held)

    def _end_of_chunk(self, first_time: int, sessions_per_chunk: int) -> int:
        """Return the close of the last session of a chunk that begins with the bar at `first_time`."""
        never = np.iinfo(np.int64).max // 2
        _, closes = session_closes(self._sessions, first_time, min(never, first_time + _longest(sessions_per_chunk)))
        return int(closes[min(sessions_per_chunk, len(closes)) - 1]) if len(closes) else never

    def _chunk(self, held: list[list[NDArray[Any]]]) -> Bars:
        """Return what is held as bars, and hold it no longer: column by column, so that little is there twice."""
        joined: list[NDArray[Any]] = []
        for pieces in held:
            joined.append(np.concatenate(pieces))
            pieces.clear()
        times, codes, opens, highs, lows, closes, volumes = joined
        return assemble(
            times,
            codes,
            (opens, highs, lows, closes, volumes),
            symbols=self._symbols,
            sessions=self._sessions,
            **self._terms,
        )

    def _batches(self) -> Iterator[_Rows]:
        positions = {symbol: position for position, symbol in enumerate(self._symbols)}
        for file in self._files:
            with pq.ParquetFile(file, read_dictionary=["symbol"]) as parquet:
                for batch in parquet.iter_batches(_BATCH_ROWS, columns=list(_COLUMNS)):
                    if batch.num_rows:
                        yield _rows_of(batch, positions, file)


class LakeBars:
    """Daily bars of the lake, as they stood at one snapshot.

    Parameters
    ----------
    lake : Lake
    calendar : TradingCalendar
    first, last : date
        Sessions wanted, both included.
    symbols : sequence of str, optional
        Those wanted; default is every listing that overlaps the sessions.
    snapshot_id : int, optional
        Default is the newest now; rows written later are not seen, also not by later chunks.
    layout : {"dense", "sparse"}

    Notes
    -----
    A connection is not shared between threads, so chunks are not read ahead.
    """

    def __init__(
        self,
        lake: Lake,
        calendar: TradingCalendar,
        *,
        first: date,
        last: date,
        symbols: Sequence[str] | None = None,
        snapshot_id: int | None = None,
        layout: Layout = "dense",
    ) -> None:
        self._lake, self._calendar, self._layout = lake, calendar, layout
        self._days = calendar.sessions(first, last)
        if not self._days:
            raise MalformedData(f"{calendar.name} has no session from {first} to {last}; name a longer range")
        self.snapshot_id = lake.snapshot_id() if snapshot_id is None else snapshot_id
        self._symbols: tuple[str, ...] = self._listed() if symbols is None else tuple(symbols)
        refuse_bad_symbols(self._symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of every chunk, in the same order."""
        return self._symbols

    def chunks(self, sessions_per_chunk: int) -> Iterator[Bars]:
        """Yield chunks of at most so many sessions; sessions without a bar are left out."""
        _refuse_empty_chunks(sessions_per_chunk)
        for begin in range(0, len(self._days), sessions_per_chunk):
            days = self._days[begin : begin + sessions_per_chunk]
            frame = self._lake.read(DAILY_BARS, first=days[0], last=days[-1], snapshot_id=self.snapshot_id)
            frame = frame[frame["symbol"].isin(self._symbols)]
            if not frame.empty:
                yield bars_from_daily_bars(frame, self._calendar, symbols=self._symbols, layout=self._layout)

    def _listed(self) -> tuple[str, ...]:
        listings = self._lake.read(LISTINGS, snapshot_id=self.snapshot_id)
        first, last = (np.datetime64(day, "ns") for day in (self._days[0], self._days[-1]))
        ended = listings["last_session"].notna() & (listings["last_session"] < first)
        return tuple(sorted(listings.loc[(listings["first_session"] <= last) & ~ended, "symbol"].unique()))


def _longest(sessions: int) -> int:
    """Return a span, ns, that surely holds so many sessions: exchanges have closed for a fortnight at most."""
    return (3 * sessions + 30) * 86_400_000_000_000


def _refuse_empty_chunks(sessions_per_chunk: int) -> None:
    if sessions_per_chunk < 1:
        raise MalformedData(f"sessions_per_chunk is {sessions_per_chunk}; a chunk holds at least one session")


def _refuse_bad_schema(file: Path) -> None:
    schema = pq.read_schema(file)
    missing = [name for name in _COLUMNS if name not in schema.names]
    if missing:
        raise MalformedData(f"{file}: columns {missing} are missing among {schema.names}; rename them")
    kind = schema.field("time").type
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        raise MalformedData(
            f"{file}: time is {kind}; store closing instants with a time zone, for example timestamp[ns, tz=UTC]"
        )


def _symbols_of(files: Sequence[Path]) -> tuple[str, ...]:
    found: set[str] = set()
    for file in files:
        with pq.ParquetFile(file, read_dictionary=["symbol"]) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=["symbol"]):
                found.update(pc.unique(batch.column("symbol")).to_pylist())
    if None in found:
        raise MalformedData(f"{files[0].parent}: a row has no symbol; name the instrument or drop the row")
    return tuple(sorted(found))


def _rows_of(batch: pa.RecordBatch, positions: dict[str, int], file: Path) -> _Rows:
    nulls = [name for name in ("time", "symbol") if batch.column(name).null_count]
    if nulls:
        raise MalformedData(f"{file}: {nulls} are missing in some rows; fill them or drop the rows")
    symbol = batch.column("symbol")
    names = symbol.dictionary.to_pylist()
    known = np.array([positions.get(name, -1) for name in names], dtype=np.int32)
    codes = known[symbol.indices.to_numpy(zero_copy_only=False)]
    if (codes < 0).any():
        unknown = symbol[int(np.argmin(codes))].as_py()
        raise MalformedData(f"{file}: {unknown} is not among the {len(positions)} symbols; add it to `symbols`")
    times = batch.column("time").cast(pa.timestamp("ns", tz="UTC")).to_numpy(zero_copy_only=False).astype(np.int64)
    columns = (batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False) for name in BAR_COLUMNS)
    return times, codes, *columns


def _refuse_unsorted(times: IntColumn, codes: SymbolColumn, last_time: int, symbols: tuple[str, ...]) -> None:
    if times[0] >= last_time and smallest_step(times) >= 0:
        return
    row = 0 if times[0] < last_time else int(np.argmax(np.diff(times) < 0)) + 1
    before = last_time if row == 0 else int(times[row - 1])
    raise MalformedData(
        f"{symbols[codes[row]]} {instant(int(times[row]))}: follows a row of {instant(before)}; sort the "
        "rows of each file, and the files' names, by time"
    )
