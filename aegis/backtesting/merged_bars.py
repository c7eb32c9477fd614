"""Bars of symbols that do not share their times: single trades, and several frequencies in one set.

Belongs here: the sparse layout, in which a step has a row only for the symbols that have a bar in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aegis.backtesting.bar_checks import SymbolColumn
from aegis.backtesting.bar_rows import symbol_codes
from aegis.backtesting.bar_times import Days, IntColumn, SessionRule, instant, session_table, utc_nanoseconds
from aegis.backtesting.bars import Bars
from aegis.backtesting.compilation import compiled
from aegis.calendars import TradingCalendar
from aegis.errors import MalformedData


def bars_from_trades(
    times: object,
    prices: ArrayLike,
    *,
    sizes: ArrayLike,
    symbols: Sequence[str],
    sessions: SessionRule = "utc_days",
) -> Bars:
    """Return single trades as bars that open and close at the same instant and price.

    Parameters
    ----------
    times : ndarray of int64 (ns), or aware times, shape (n,)
        In ascending order; those of one instant in the order in which they happened.
    prices, sizes : array_like of float64, shape (n,)
        USD and shares.
    symbols : sequence of str, shape (n,)
        Of each trade.
    sessions
        See :meth:`aegis.backtesting.bars.Bars.from_arrays`; days, if given, are those of the trades.

    Raises
    ------
    MalformedData
        Times go back, or a price or size cannot be.

    Notes
    -----
    Trades of different symbols at one instant share a step. Steps must strictly increase, so a second trade of a symbol
    at one instant begins another step one nanosecond later, and what comes after it is never earlier than that: the
    order of trades is kept, and a time is late by less than a microsecond for a thousand trades of one instant. An
    order decided on a trade may be filled by the next one, even of the same instant.
    """
    instants = utc_nanoseconds(times)
    columns = {"prices": _numbers(prices, "prices"), "sizes": _numbers(sizes, "sizes")}
    lengths = {"times": len(instants), "symbols": len(symbols)} | {name: len(c) for name, c in columns.items()}
    if len(set(lengths.values())) > 1:
        raise MalformedData(f"trades need one time, price, size and symbol each, found {lengths}")
    back = np.flatnonzero(np.diff(instants) < 0)
    if len(back):
        row = int(back[0]) + 1
        raise MalformedData(
            f"{symbols[row]} {instant(instants[row])}: the trade follows one of {instant(instants[row - 1])}; "
            "sort the trades by time"
        )
    names, codes = symbol_codes(symbols, None)
    steps, closes_at = _steps_of_trades(instants, codes, len(names))
    order = np.lexsort((codes, steps))
    first_row = np.searchsorted(steps[order], np.arange(len(closes_at) + 1))
    price = columns["prices"][order]
    if not isinstance(sessions, str | TradingCalendar) and len(sessions) == len(instants):
        sessions = np.asarray(sessions, dtype="datetime64[D]")[order][first_row[:-1]]
    return Bars(
        symbols=names,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=columns["sizes"][order],
        closes_at=closes_at,
        sessions=session_table(closes_at, sessions),
        row_symbol=codes[order],
        first_row=first_row,
    )


def merge_bars(sets: Sequence[Bars]) -> Bars:
    """Return bars of several frequencies, each of its own symbols, as one set in the order of their closes.

    Parameters
    ----------
    sets : sequence of Bars
        No symbol may be in two of them.

    Raises
    ------
    MalformedData
        A symbol is in two sets, prices are raw in one and adjusted in another, or one instant belongs to an earlier
        session in one set than an earlier instant in another.

    Notes
    -----
    Symbols keep their order, set by set. Bars that close at one instant share a step: when the minute 15:59 to 16:00
    and the day close together, a decision sees both.
    """
    if not sets:
        raise MalformedData("nothing to merge; give at least one set of bars")
    modes = {bars.price_mode for bars in sets}
    if len(modes) > 1:
        raise MalformedData("some prices are raw and some adjusted; give all of them in one mode")
    offsets = np.cumsum([0, *(len(bars.symbols) for bars in sets)])
    present = [~np.isnan(bars.close) for bars in sets]
    times = _joined([bars.closes_at[bars.step_of_row[held]] for bars, held in zip(sets, present, strict=True)])
    order = np.argsort(times, kind="stable")
    closes_at, first_row = np.unique(times[order], return_index=True)

    def joined(columns: list[Any]) -> Any:
        return _joined([column[held] for column, held in zip(columns, present, strict=True)])[order]

    codes = [bars.symbol_of_row + offset for bars, offset in zip(sets, offsets[:-1], strict=True)]
    days = joined([_days_of_steps(bars)[bars.step_of_row] for bars in sets])
    return Bars(
        symbols=tuple(symbol for bars in sets for symbol in bars.symbols),
        open=joined([bars.open for bars in sets]),
        high=joined([bars.high for bars in sets]),
        low=joined([bars.low for bars in sets]),
        close=joined([bars.close for bars in sets]),
        volume=joined([bars.volume for bars in sets]),
        closes_at=closes_at,
        sessions=session_table(closes_at, _one_day_a_step(days, first_row, closes_at)),
        row_symbol=joined(codes).astype(np.int32),
        first_row=np.r_[first_row, len(times)],
        row_opens_at=joined([bars.opens_at_of_row for bars in sets]),
        price_mode=modes.pop(),
    )


def _joined(parts: list[Any]) -> Any:
    return np.concatenate(parts)


def _days_of_steps(bars: Bars) -> Days:
    return np.repeat(bars.session_days, np.diff(bars.sessions["first_step"]))


def _one_day_a_step(days: Days, first_row: IntColumn, closes_at: IntColumn) -> Days:
    first, last = np.minimum.reduceat(days, first_row), np.maximum.reduceat(days, first_row)
    if (first != last).any():
        step = int(np.argmax(first != last))
        raise MalformedData(
            f"{instant(closes_at[step])} is of session {first[step]} in one set and of {last[step]} in another; "
            "build both with the same sessions"
        )
    return first


def _numbers(values: ArrayLike, name: str) -> Any:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.ndim != 1:
        raise MalformedData(f"{name} must be one row of numbers, found {array.dtype} with shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.float64)


@compiled
def _steps_of_trades(times: IntColumn, codes: SymbolColumn, n_symbols: int) -> tuple[IntColumn, IntColumn]:
    """Return the step of each trade and the steps' instants: a new step for a new time or a symbol that repeats."""
    steps, closes_at = np.empty(len(times), dtype=np.int64), np.empty(len(times), dtype=np.int64)
    last_step = np.full(n_symbols, -1)
    step = -1
    for row in range(len(times)):
        begins = row == 0 or times[row] != times[row - 1] or last_step[codes[row]] == step
        if begins:
            earliest = closes_at[step] + 1 if step >= 0 else times[row]
            step += 1
            closes_at[step] = max(times[row], earliest)
        steps[row] = step
        last_step[codes[row]] = step
    return steps, closes_at[: step + 1].copy()
