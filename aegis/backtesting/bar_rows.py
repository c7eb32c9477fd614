"""Bars from tables that hold one row for each time and symbol, and back.

Belongs here: the long form, in which data frames, Parquet files and the lake keep bars. The columns that come out are
:class:`aegis.backtesting.bars.Bars`, which also checks what the bars hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from aegis.backtesting.bar_checks import (
    FiveColumns,
    FloatColumn,
    SymbolColumn,
    count_missing_bars,
    refuse_bad_symbols,
    refuse_impossible_bars,
    smallest_step,
)
from aegis.backtesting.bar_layout import BAR_COLUMNS
from aegis.backtesting.bar_times import IntColumn, SessionRule, instant, session_table, trading_hours, utc_nanoseconds
from aegis.backtesting.bars import Bars, PriceMode
from aegis.backtesting.compilation import compiled
from aegis.calendars import TradingCalendar
from aegis.errors import MalformedData

Layout = Literal["dense", "sparse"]

_MINUTE_NANOSECONDS: Final = 60 * 10**9
_DAILY_COLUMNS: Final = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares")


def bars_from_frame(
    frame: pd.DataFrame,
    *,
    symbols: Sequence[str] | None = None,
    sessions: SessionRule = "utc_days",
    bar_interval: int | None = None,
    layout: Layout = "dense",
    price_mode: PriceMode = "raw",
) -> Bars:
    """Return bars from a long table.

    Parameters
    ----------
    frame : DataFrame
        Columns ``time`` (closing instants with a time zone), ``symbol``, ``open``, ``high``, ``low``, ``close`` (USD)
        and ``volume`` (shares). The rows of each symbol ascend in time; symbols may follow or alternate with each
        other. A frame with ``session`` (dates) in place of ``time`` holds one bar for each session, and needs
        `sessions` to be a TradingCalendar.
    symbols : sequence of str, optional
        Order of the symbols; default is alphabetical.
    sessions, bar_interval, price_mode
        See :meth:`aegis.backtesting.bars.Bars.from_arrays`.
    layout : {"dense", "sparse"}
        Dense is faster where most symbols have a bar in most steps.

    Raises
    ------
    MalformedData
        A column is missing, times have no time zone or do not ascend, a symbol has two bars at one time or is not
        among `symbols`, or a bar cannot be.
    """
    daily = "session" in frame and "time" not in frame
    _refuse_missing_columns(frame, ("session" if daily else "time", "symbol", *BAR_COLUMNS))
    if daily:
        if not isinstance(sessions, TradingCalendar):
            raise MalformedData("a frame with `session` and no `time` needs sessions=<TradingCalendar> for its hours")
        return _bars_of_sessions(frame, BAR_COLUMNS, sessions, symbols=symbols, layout=layout, price_mode=price_mode)
    names, codes = symbol_codes(frame["symbol"], symbols)
    return assemble(
        utc_nanoseconds(frame["time"]),
        codes,
        _columns_of(frame, BAR_COLUMNS),
        symbols=names,
        sessions=sessions,
        bar_interval=bar_interval,
        layout=layout,
        price_mode=price_mode,
    )


def bars_from_daily_bars(
    frame: pd.DataFrame, calendar: TradingCalendar, *, symbols: Sequence[str] | None = None, layout: Layout = "dense"
) -> Bars:
    """Return bars from rows of the lake, one step for each session.

    Parameters
    ----------
    frame : DataFrame
        :data:`aegis.lake.tables.DAILY_BARS`; more columns do no harm.
    calendar : TradingCalendar
        Says when a session opens and closes; half days close early.
    symbols, layout
        See :func:`bars_from_frame`.

    Raises
    ------
    MalformedData
        As :func:`bars_from_frame`, or a row is dated to a day that is no session.
    """
    _refuse_missing_columns(frame, ("session", "symbol", *_DAILY_COLUMNS))
    return _bars_of_sessions(frame, _DAILY_COLUMNS, calendar, symbols=symbols, layout=layout, price_mode="raw")


def bars_from_minute_bars(
    frame: pd.DataFrame,
    calendar: TradingCalendar,
    *,
    symbols: Sequence[str] | None = None,
    layout: Layout = "sparse",
) -> Bars:
    """Return bars from rows of the lake, one step for each minute in which something traded.

    Parameters
    ----------
    frame : DataFrame
        :data:`aegis.lake.tables.MINUTE_BARS`; more columns do no harm.
    calendar : TradingCalendar
        Says which steps belong to one session.
    symbols, layout
        See :func:`bars_from_frame`.

    Raises
    ------
    MalformedData
        As :func:`bars_from_frame`.
    """
    _refuse_missing_columns(frame, ("closes_at_utc", "symbol", *_DAILY_COLUMNS))
    names, codes = symbol_codes(frame["symbol"], symbols)
    return assemble(
        utc_nanoseconds(frame["closes_at_utc"]),
        codes,
        _columns_of(frame, _DAILY_COLUMNS),
        symbols=names,
        sessions=calendar,
        bar_interval=_MINUTE_NANOSECONDS,
        layout=layout,
        price_mode="raw",
    )


def bars_to_frame(bars: Bars) -> pd.DataFrame:
    """Return bars as the long table that :func:`bars_from_frame` reads; missing bars have no row."""
    present = ~np.isnan(bars.close)
    columns: dict[str, Any] = {
        "time": pd.to_datetime(bars.closes_at[bars.step_of_row[present]], utc=True),
        "symbol": np.array(bars.symbols, dtype=object)[bars.symbol_of_row[present]],
    }
    columns |= {name: column[present] for name, column in zip(BAR_COLUMNS, bars.columns, strict=True)}
    return pd.DataFrame(columns)


def symbol_codes(
    values: pd.Series | Sequence[str], symbols: Sequence[str] | None
) -> tuple[tuple[str, ...], SymbolColumn]:
    """Return the symbols in their order and the position of each row's among them.

    Raises
    ------
    MalformedData
        A row has no symbol, or one that is not among `symbols`.
    """
    codes, found = pd.factorize(np.asarray(values, dtype=object))
    if len(codes) and codes.min() < 0:
        raise MalformedData(f"row {int(np.argmin(codes))} has no symbol; name the instrument or drop the row")
    names = tuple(sorted(found)) if symbols is None else tuple(symbols)
    refuse_bad_symbols(names)
    positions = pd.Index(names, dtype=object).get_indexer(pd.Index(found, dtype=object))
    if (positions < 0).any():
        unknown = found[int(np.argmin(positions))]
        raise MalformedData(f"{unknown}: not among the {len(names)} symbols; add it to `symbols` or drop its rows")
    return names, positions[codes].astype(np.int32)


def assemble(
    times: IntColumn,
    codes: SymbolColumn,
    columns: FiveColumns,
    *,
    symbols: tuple[str, ...],
    sessions: SessionRule,
    bar_interval: int | None = None,
    opens_at: IntColumn | None = None,
    layout: Layout = "dense",
    price_mode: PriceMode = "raw",
) -> Bars:
    """Return bars from rows given as columns.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        Closing instants, ns; ascending for each symbol.
    codes : ndarray of int32, shape (n,)
        Positions in `symbols`.
    columns : tuple of ndarray of float64, shape (n,)
        Open, high, low, close, volume.
    opens_at : ndarray of int64, shape (n_steps,), optional
        When the bars of each distinct time open, by ascending time.

    Raises
    ------
    MalformedData
    """
    if not len(times):
        raise MalformedData("there are no bars; give at least one row")
    steps, closes_at = _steps_of(times)
    _refuse_unplaceable_rows(times, steps, codes, symbols)
    if count_missing_bars(columns[3]):  # a row promises a bar; only a row that is not there means a missing one
        refuse_impossible_bars(columns, missing_allowed=False, where=lambda row: (symbols[codes[row]], int(times[row])))
    if bar_interval is None:
        bar_interval = smallest_step(closes_at) if opens_at is None and len(closes_at) > 1 else 0
    terms: dict[str, Any] = {
        "symbols": symbols,
        "closes_at": closes_at,
        "sessions": session_table(closes_at, sessions),
        "opens_at": opens_at,
        "bar_interval": bar_interval,
        "price_mode": price_mode,
    }
    if layout == "dense":
        placed = [_spread(steps, codes, column, len(closes_at), len(symbols)) for column in columns]
    else:
        order = np.lexsort((codes, steps))
        placed = [column[order] for column in columns]
        terms["row_symbol"] = codes[order]
        terms["first_row"] = np.searchsorted(steps[order], np.arange(len(closes_at) + 1))
    return Bars(**terms | dict(zip(BAR_COLUMNS, placed, strict=True)))


def _bars_of_sessions(
    frame: pd.DataFrame,
    names: Sequence[str],
    calendar: TradingCalendar,
    *,
    symbols: Sequence[str] | None,
    layout: Layout,
    price_mode: PriceMode,
) -> Bars:
    days = frame["session"].to_numpy(dtype="datetime64[D]")
    all_days, opens, closes = trading_hours(calendar)
    positions = np.minimum(np.searchsorted(all_days, days), len(all_days) - 1)
    strange = all_days[positions] != days
    if strange.any():
        row = int(np.argmax(strange))
        raise MalformedData(
            f"{frame['symbol'].iloc[row]} {days[row]}: not a session of {calendar.name}; correct the date "
            "or drop the row"
        )
    known, codes = symbol_codes(frame["symbol"], symbols)
    held = np.unique(positions)
    return assemble(
        closes[positions],
        codes,
        _columns_of(frame, names),
        symbols=known,
        sessions=all_days[held],
        opens_at=opens[held],
        layout=layout,
        price_mode=price_mode,
    )


def _refuse_missing_columns(frame: pd.DataFrame, wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in frame]
    if missing:
        raise MalformedData(f"bars need the columns {list(wanted)}; {missing} not among {list(frame.columns)}: rename")


def _columns_of(frame: pd.DataFrame, names: Sequence[str]) -> FiveColumns:
    try:
        first, second, third, fourth, fifth = (
            np.ascontiguousarray(frame[name].to_numpy(dtype=np.float64)) for name in names
        )
    except (TypeError, ValueError) as error:
        raise MalformedData(f"prices and volumes must be numbers: {error}; convert the column first") from error
    return first, second, third, fourth, fifth


def _steps_of(times: IntColumn) -> tuple[IntColumn, IntColumn]:
    """Return the step of each row and the distinct times; without sorting where the rows are sorted by time."""
    if smallest_step(times) >= 0:
        begins = np.r_[True, times[1:] != times[:-1]]
        return np.cumsum(begins) - 1, times[begins]
    closes_at, steps = np.unique(times, return_inverse=True)
    return steps, closes_at


def _refuse_unplaceable_rows(times: IntColumn, steps: IntColumn, codes: SymbolColumn, symbols: tuple[str, ...]) -> None:
    row = _first_out_of_order(steps, codes, len(symbols))
    if row < 0:
        return
    symbol, time = symbols[codes[row]], times[row]
    twice = bool(((steps[:row] == steps[row]) & (codes[:row] == codes[row])).any())
    problem = "has two bars" if twice else "comes after a later bar of the symbol"
    raise MalformedData(
        f"{symbol} {instant(time)}: {problem} (row {row}); sort each symbol's rows by time and keep one for each time"
    )


@compiled
def _first_out_of_order(steps: IntColumn, codes: SymbolColumn, n_symbols: int) -> int:
    """Return the first row that is not after its symbol's last one, or -1."""
    last_step = np.full(n_symbols, -1)
    for row in range(len(steps)):
        if steps[row] <= last_step[codes[row]]:
            return row
        last_step[codes[row]] = steps[row]
    return -1


@compiled
def _spread(steps: IntColumn, codes: SymbolColumn, values: FloatColumn, n_steps: int, n_symbols: int) -> FloatColumn:
    """Return a dense column, NaN where no row has a value."""
    column = np.full(n_steps * n_symbols, np.nan)
    for row in range(len(values)):
        column[steps[row] * n_symbols + codes[row]] = values[row]
    return column
