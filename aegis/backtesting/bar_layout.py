"""How the columns of a set of bars fit each other: shapes, sessions, and bars that do not overlap.

Belongs here: what :class:`aegis.backtesting.bars.Bars` checks of its layout. What a single bar may hold is
:mod:`aegis.backtesting.bar_checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from aegis.backtesting.bar_checks import SymbolColumn, smallest_step
from aegis.backtesting.bar_times import IntColumn, instant
from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.records import SESSION
from aegis.errors import MalformedData

if TYPE_CHECKING:
    from aegis.backtesting.bars import Bars

BAR_COLUMNS: Final = ("open", "high", "low", "close", "volume")


def refuse_bad_shapes(bars: Bars) -> None:
    """Refuse arrays of another dtype, length or memory order than the kernel reads.

    Raises
    ------
    MalformedData
    """
    rows, steps = len(bars.close), len(bars.closes_at)
    wanted: dict[str, tuple[Any, int]] = dict.fromkeys(BAR_COLUMNS, (np.float64, rows))
    wanted |= {"closes_at": (np.int64, steps), "opens_at": (np.int64, steps), "first_row": (np.int64, steps + 1)}
    wanted |= {"row_symbol": (np.int32, rows), "row_opens_at": (np.int64, rows)}
    wanted |= {"sessions": (SESSION, len(bars.sessions))}
    for name, (dtype, length) in wanted.items():
        column = getattr(bars, name)
        if column is None:
            continue
        if column.dtype != dtype or column.shape != (length,) or not column.flags.c_contiguous:
            raise MalformedData(
                f"{name} must be a contiguous array of {np.dtype(dtype).name} with {length} elements, found "
                f"{column.dtype} with shape {column.shape}; build bars with Bars.from_arrays"
            )
    if bars.price_mode not in ("raw", "adjusted"):
        raise MalformedData(f"price_mode is {bars.price_mode!r}; it is 'raw' or 'adjusted'")


def refuse_bad_layout(bars: Bars) -> None:
    """Refuse sessions that do not cover the steps, rows that are not where the layout has them, and overlapping bars.

    Raises
    ------
    MalformedData
    """
    firsts, days = bars.sessions["first_step"], bars.sessions["day"]
    covers = len(firsts) > 1 and firsts[0] == 0 and firsts[-1] == bars.n_steps
    if not (covers and (np.diff(firsts) > 0).all() and (np.diff(days) > 0).all()):
        raise MalformedData("sessions must begin at step 0, ascend, and end at n_steps; use session_table")
    if bars.bar_interval < 0:
        raise MalformedData(f"bar_interval is {bars.bar_interval} ns; a bar does not close before it opens")
    if bars.row_symbol is not None and bars.first_row is not None:
        _refuse_bad_sparse_layout(bars, bars.row_symbol, bars.first_row)
    elif bars.row_symbol is None and bars.first_row is None:
        _refuse_bad_dense_layout(bars)
    else:
        raise MalformedData("row_symbol and first_row describe the sparse layout together; give both or neither")


def _refuse_bad_dense_layout(bars: Bars) -> None:
    if bars.n_rows != bars.n_steps * len(bars.symbols):
        raise MalformedData(
            f"{bars.n_rows} rows for {bars.n_steps} steps of {len(bars.symbols)} symbols; give one row for each, NaN "
            "where a bar is missing"
        )
    if bars.row_opens_at is not None:
        raise MalformedData("row_opens_at belongs to the sparse layout; give opens_at for each step")
    if bars.opens_at is None:
        if smallest_step(bars.closes_at) >= bars.bar_interval:
            return
        opens_at = bars.closes_at - bars.bar_interval
    else:
        opens_at = bars.opens_at
    if count_overlaps(opens_at, bars.closes_at):
        early = np.r_[False, opens_at[1:] < bars.closes_at[:-1]]
        step = int(np.argmax(early | (opens_at > bars.closes_at)))
        raise MalformedData(
            f"{bars.symbols[0]}: the bar that closes at {instant(bars.closes_at[step])} opens at "
            f"{instant(opens_at[step])}, after its own close or before the bar before it closes; correct opens_at or "
            "bar_interval"
        )


def _refuse_bad_sparse_layout(bars: Bars, row_symbol: SymbolColumn, first_row: IntColumn) -> None:
    if first_row[0] != 0 or first_row[-1] != bars.n_rows or smallest_step(first_row) < 1:
        raise MalformedData(
            f"first_row must ascend from 0 to {bars.n_rows} with a row or more in each step; leave out empty steps"
        )
    opens_at = bars.opens_at_of_row
    row = first_misplaced_row(row_symbol, first_row, bars.closes_at, opens_at, len(bars.symbols))
    if row >= 0:
        symbol, closes_at = bars.place(row)
        raise MalformedData(
            f"{symbol} {instant(closes_at)}: the symbol is unknown, or comes twice or out of order in its step, or its "
            f"bar opens ({instant(opens_at[row])}) after its own close or before its last bar closed; correct row {row}"
        )


@compiled
def count_overlaps(opens_at: IntColumn, closes_at: IntColumn) -> int:
    """Return how many bars of one row of bars open after they close, or before the bar before them closes."""
    count = opens_at[0] > closes_at[0]
    for step in range(1, len(closes_at)):
        count += (opens_at[step] > closes_at[step]) | (opens_at[step] < closes_at[step - 1])
    return int(count)


@compiled
def first_misplaced_row(
    row_symbol: SymbolColumn, first_row: IntColumn, closes_at: IntColumn, row_opens_at: IntColumn, n_symbols: int
) -> int:
    """Return the first row of a sparse set whose symbol or opening cannot be, or -1.

    Notes
    -----
    Inside a step, symbols ascend. A bar opens no later than it closes and no earlier than its symbol's bar before it
    closed.
    """
    last_close = np.full(n_symbols, np.iinfo(np.int64).min)
    for step in range(len(closes_at)):
        previous = -1
        for row in range(first_row[step], first_row[step + 1]):
            symbol = row_symbol[row]
            if not previous < symbol < n_symbols:
                return row
            previous = symbol
            if not last_close[symbol] <= row_opens_at[row] <= closes_at[step]:
                return row
            last_close[symbol] = closes_at[step]
    return -1
