"""What bars may hold: every price, volume and time is looked at once, in compiled code.

Belongs here: the checks that :class:`aegis.backtesting.bars.Bars` makes of its own columns, and what they say. A check
counts what is wrong without branching, so that the processor looks at several bars at once, and only then looks where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bar_times import IntColumn, instant
from aegis.backtesting.compilation import compiled
from aegis.errors import MalformedData
from aegis.instruments import require_symbol

FloatColumn = NDArray[np.float64]
SymbolColumn = NDArray[np.int32]
FiveColumns = tuple[FloatColumn, FloatColumn, FloatColumn, FloatColumn, FloatColumn]


@compiled
def count_impossible_bars(
    opens: FloatColumn, highs: FloatColumn, lows: FloatColumn, closes: FloatColumn, volumes: FloatColumn
) -> int:
    """Return how many rows are neither a possible bar nor a missing one.

    Notes
    -----
    Possible: 0 < low <= open, close <= high < infinity, 0 <= volume < infinity. Missing: all four prices are NaN and
    the volume is NaN or 0.
    """
    count = 0
    for row in range(len(closes)):
        o, h, l, c, v = opens[row], highs[row], lows[row], closes[row], volumes[row]  # noqa: E741 - a bar's letters
        possible = (l > 0) & (l <= o) & (l <= c) & (h >= o) & (h >= c) & (h < np.inf) & (v >= 0) & (v < np.inf)
        missing = (o != o) & (h != h) & (l != l) & (c != c) & ((v != v) | (v == 0))  # noqa: PLR0124 - true for NaN
        count += not (possible | missing)
    return count


@compiled
def count_missing_bars(closes: FloatColumn) -> int:
    """Return how many closes are NaN."""
    count = 0
    for row in range(len(closes)):
        count += closes[row] != closes[row]
    return count


@compiled
def smallest_step(values: IntColumn) -> int:
    """Return the smallest difference between neighbours; the largest int64 for fewer than two values."""
    smallest = np.iinfo(np.int64).max
    for position in range(1, len(values)):
        smallest = min(smallest, values[position] - values[position - 1])
    return int(smallest)


def refuse_bad_symbols(symbols: Sequence[str]) -> None:
    """Refuse names that are not symbols, given twice, or none at all.

    Raises
    ------
    MalformedData
    """
    if isinstance(symbols, str) or not symbols:
        raise MalformedData(f"symbols must be a sequence of at least one name, found {symbols!r}; name each column")
    names: Sequence[object] = symbols
    for name in names:
        if not isinstance(name, str):
            require_symbol(name)
    _refuse_bad_names(tuple(symbols))


@lru_cache(maxsize=16)
def _refuse_bad_names(symbols: tuple[str, ...]) -> None:
    """Look at the same names once, however many chunks of bars they come with."""
    seen: set[str] = set()
    for symbol in symbols:
        if require_symbol(symbol) in seen:
            raise MalformedData(f"symbol {symbol} is given twice; keep one column for each symbol")
        seen.add(symbol)


def refuse_bad_times(closes_at: IntColumn) -> None:
    """Refuse closing instants that do not strictly increase, or none at all.

    Raises
    ------
    MalformedData
    """
    if not len(closes_at):
        raise MalformedData("there are no bars; give at least one step")
    if smallest_step(closes_at) > 0:
        return
    step = int(np.argmax(np.diff(closes_at) <= 0)) + 1
    problem = "is given twice" if closes_at[step] == closes_at[step - 1] else "follows a later one"
    raise MalformedData(
        f"closing time {instant(closes_at[step])} at position {step} {problem} ({instant(closes_at[step - 1])}); "
        "sort the bars by time and keep one for each instant"
    )


def refuse_impossible_bars(
    columns: FiveColumns,
    *,
    missing_allowed: bool,
    where: Callable[[int], tuple[str, int]],
) -> None:
    """Refuse bars that no trading could have made.

    Parameters
    ----------
    columns : tuple of ndarray of float64, shape (n_rows,)
        Open, high, low, close, USD; volume, shares.
    missing_allowed : bool
        Whether a row may hold no bar.
    where : callable
        From a row to its symbol and closing instant, for the message.

    Raises
    ------
    MalformedData
        Of the first such row: symbol, time, what is wrong, the values and the remedy.
    """
    bad = count_impossible_bars(*columns) or (not missing_allowed and count_missing_bars(columns[3]))
    if not bad:
        return
    row = _first_impossible(columns, missing_allowed=missing_allowed)
    symbol, closes_at = where(row)
    values = [float(column[row]) for column in columns]
    found = ", ".join(f"{name} {value:.10g}" for name, value in zip(_NAMES, values, strict=True))
    raise MalformedData(
        f"{symbol} {instant(closes_at)}: {_problem(*values)} ({found}; {int(bad)} such row(s) in all); "
        "correct the bar, or leave it out"
    )


_NAMES = ("open", "high", "low", "close", "volume")


def _first_impossible(columns: tuple[FloatColumn, ...], *, missing_allowed: bool) -> int:
    """Return the first offending row; in blocks, so that a long history needs no long masks."""
    block = 65_536
    for begin in range(0, len(columns[0]), block):
        o, h, l, c, v = (column[begin : begin + block] for column in columns)  # noqa: E741 - a bar's letters
        possible = (l > 0) & (l <= np.minimum(o, c)) & (h >= np.maximum(o, c)) & np.isfinite(h)
        possible &= (v >= 0) & np.isfinite(v)
        missing = np.isnan(o) & np.isnan(h) & np.isnan(l) & np.isnan(c) & (np.isnan(v) | (v == 0))
        good = possible | (missing & missing_allowed)
        if not good.all():
            return begin + int(np.argmin(good))
    raise AssertionError("the compiled check and its explanation disagree")


def _problem(opened: float, high: float, low: float, close: float, volume: float) -> str:
    prices = np.array([opened, high, low, close])
    if np.isnan(prices).all():
        return "no bar" if not volume > 0 else "a volume without prices"
    if not np.isfinite(prices).all():
        return "a price is not a finite number"
    if (prices <= 0).any():
        return "a price is not positive"
    if high < max(opened, close):
        return "the high is below the open or the close"
    if low > min(opened, close):
        return "the low is above the open or the close"
    return "the volume is missing" if np.isnan(volume) else "the volume is negative or infinite"
