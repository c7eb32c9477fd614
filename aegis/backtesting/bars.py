"""Bars of a market as the kernel reads them: plain columns, one row a bar.

Belongs here: what the columns are, and building them from arrays. From data frames: :mod:`aegis.backtesting.bar_rows`;
several frequencies in one set: :mod:`aegis.backtesting.merged_bars`; longer than memory:
:mod:`aegis.backtesting.streaming`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aegis.backtesting.bar_checks import (
    FloatColumn,
    SymbolColumn,
    refuse_bad_symbols,
    refuse_bad_times,
    refuse_impossible_bars,
    smallest_step,
)
from aegis.backtesting.bar_layout import refuse_bad_layout, refuse_bad_shapes
from aegis.backtesting.bar_times import Days, IntColumn, SessionRule, session_table, utc_nanoseconds
from aegis.errors import MalformedData

PriceMode = Literal["raw", "adjusted"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Bars in the order of their closing time, then symbol; whatever they are built from, they have been checked.

    Parameters
    ----------
    symbols : tuple of str
        Permanent symbols; their positions number the symbols everywhere else.
    open, high, low, close : ndarray of float64, shape (n_rows,)
        Prices, USD, C-contiguous. A missing bar is NaN in all four.
    volume : ndarray of float64, shape (n_rows,)
        Shares; NaN or 0 where the bar is missing.
    closes_at : ndarray of int64, shape (n_steps,)
        A step is an instant at which bars close: nanoseconds since 1970 in UTC, strictly increasing.
    sessions : ndarray of SESSION, shape (n_sessions + 1,)
        First step and day of each session; the last row ends the set.
    opens_at : ndarray of int64, shape (n_steps,), optional
        When the bars of each step open.
    bar_interval : int
        Without `opens_at`: nanoseconds from a bar's opening to its close; 0 for trades.
    row_symbol : ndarray of int32, shape (n_rows,), optional
        Sparse layout: the position of each row's symbol. Without it the layout is dense: every step has a row for each
        symbol, so ``row = step * n_symbols + symbol``.
    first_row : ndarray of int64, shape (n_steps + 1,), optional
        Sparse layout: where the rows of each step begin; the last is n_rows.
    row_opens_at : ndarray of int64, shape (n_rows,), optional
        Sparse layout: when each bar opens, where frequencies are mixed.
    price_mode : {"raw", "adjusted"}
        Prices as traded, or scaled for splits and dividends. Adjusted prices are never combined with the same actions
        as bookings (:func:`aegis.backtesting.corporate_events.refuse_double_counting`).

    Raises
    ------
    MalformedData
        A bar that cannot be, times that do not increase, bars of one symbol that overlap, or arrays that do not fit
        each other: with symbol, time, value and remedy.

    Notes
    -----
    Arrays are not copied: who changes them afterwards changes the market. A bar is known from its close on.
    """

    symbols: tuple[str, ...]
    open: FloatColumn
    high: FloatColumn
    low: FloatColumn
    close: FloatColumn
    volume: FloatColumn
    closes_at: IntColumn
    sessions: NDArray[np.void]
    opens_at: IntColumn | None = None
    bar_interval: int = 0
    row_symbol: SymbolColumn | None = None
    first_row: IntColumn | None = None
    row_opens_at: IntColumn | None = None
    price_mode: PriceMode = "raw"

    def __post_init__(self) -> None:
        refuse_bad_symbols(self.symbols)
        refuse_bad_shapes(self)
        refuse_bad_times(self.closes_at)
        refuse_bad_layout(self)
        missing_allowed = self.is_dense and len(self.symbols) > 1
        refuse_impossible_bars(self.columns, missing_allowed=missing_allowed, where=self.place)

    @classmethod
    def from_arrays(
        cls,
        open: ArrayLike,  # noqa: A002 - the field's word
        high: ArrayLike,
        low: ArrayLike,
        close: ArrayLike,
        volume: ArrayLike,
        *,
        closes_at: object,
        symbols: Sequence[str],
        sessions: SessionRule = "utc_days",
        opens_at: object | None = None,
        bar_interval: int | None = None,
        price_mode: PriceMode = "raw",
    ) -> Bars:
        """Return bars of one frequency.

        Parameters
        ----------
        open, high, low, close, volume : array_like of float64, shape (n_steps,) or (n_steps, n_symbols)
            One symbol's, or one column for each symbol. C-contiguous float64 arrays are not copied.
        closes_at : ndarray of int64, or aware times, shape (n_steps,)
            See :func:`aegis.backtesting.bar_times.utc_nanoseconds`.
        symbols : sequence of str
            One name for each column.
        sessions : TradingCalendar, "utc_days", or days of shape (n_steps,)
            See :func:`aegis.backtesting.bar_times.session_table`.
        opens_at : like `closes_at`, optional
            When the bars open.
        bar_interval : int, optional
            Nanoseconds that each bar lasts; default is the smallest time between two closes, so that no bar overlaps
            the one before it. Not together with `opens_at`.

        Raises
        ------
        MalformedData
        """
        instants = utc_nanoseconds(closes_at)
        refuse_bad_times(instants)
        if opens_at is not None and bar_interval is not None:
            raise MalformedData("opens_at and bar_interval both say when bars open; give one of them")
        if bar_interval is None:
            bar_interval = smallest_step(instants) if opens_at is None and len(instants) > 1 else 0
        names = tuple(symbols) if not isinstance(symbols, str) else symbols
        refuse_bad_symbols(names)
        shape = (len(instants), len(names))
        return cls(
            symbols=tuple(names),
            open=_column(open, "open", shape),
            high=_column(high, "high", shape),
            low=_column(low, "low", shape),
            close=_column(close, "close", shape),
            volume=_column(volume, "volume", shape),
            closes_at=instants,
            sessions=session_table(instants, sessions),
            opens_at=None if opens_at is None else utc_nanoseconds(opens_at),
            bar_interval=bar_interval,
            price_mode=price_mode,
        )

    @property
    def n_steps(self) -> int:
        """Number of instants at which bars close."""
        return len(self.closes_at)

    @property
    def n_rows(self) -> int:
        """Number of rows, missing bars of the dense layout included."""
        return len(self.close)

    @property
    def is_dense(self) -> bool:
        """Whether every step has a row for each symbol."""
        return self.row_symbol is None

    @property
    def columns(self) -> tuple[FloatColumn, FloatColumn, FloatColumn, FloatColumn, FloatColumn]:
        """Open, high, low, close, volume."""
        return self.open, self.high, self.low, self.close, self.volume

    @property
    def session_days(self) -> Days:
        """The sessions' days, ascending."""
        return self.sessions["day"][:-1].astype("datetime64[D]")

    @property
    def first_row_of_session(self) -> IntColumn:
        """The first row of each session, and the number of rows, computed anew."""
        steps = self.sessions["first_step"]
        return steps * len(self.symbols) if self.first_row is None else self.first_row[steps]

    @property
    def step_of_row(self) -> IntColumn:
        """The step of each row, computed anew."""
        rows_of_step = len(self.symbols) if self.first_row is None else np.diff(self.first_row)
        return np.repeat(np.arange(self.n_steps), rows_of_step)

    @property
    def symbol_of_row(self) -> SymbolColumn:
        """The position of each row's symbol; computed anew in the dense layout."""
        if self.row_symbol is not None:
            return self.row_symbol
        return np.tile(np.arange(len(self.symbols), dtype=np.int32), self.n_steps)

    @property
    def opens_at_of_row(self) -> IntColumn:
        """When the bar of each row opens, ns, computed anew."""
        if self.row_opens_at is not None:
            return self.row_opens_at
        opens_at = self.closes_at - self.bar_interval if self.opens_at is None else self.opens_at
        return opens_at[self.step_of_row]

    def place(self, row: int) -> tuple[str, int]:
        """Return the symbol of a row and the instant, ns, at which its bar closes."""
        if self.row_symbol is None or self.first_row is None:
            step, symbol = divmod(row, len(self.symbols))
            return self.symbols[symbol], int(self.closes_at[step])
        step = int(np.searchsorted(self.first_row, row, side="right")) - 1
        symbol = int(self.row_symbol[row])
        known = 0 <= symbol < len(self.symbols)
        return self.symbols[symbol] if known else f"symbol {symbol}", int(self.closes_at[step])

    def part(self, first_session: int, end_session: int) -> Bars:
        """Return sessions ``first_session`` to before ``end_session``, counted from 0, without copying their bars."""
        n_sessions = len(self.sessions) - 1
        if not 0 <= first_session < end_session <= n_sessions:
            raise MalformedData(f"sessions {first_session} to {end_session} are not a part of {n_sessions} sessions")
        sessions = self.sessions[first_session : end_session + 1].copy()
        first, end = int(sessions["first_step"][0]), int(sessions["first_step"][-1])
        sessions["first_step"] -= first
        sessions["day"][-1] = sessions["day"][-2] + 1  # as where the next session is not known
        begins = None if self.first_row is None else self.first_row[first : end + 1]
        row, end_row = (int(begins[0]), int(begins[-1])) if begins is not None else _dense_rows(self, first, end)
        rows = slice(row, end_row)
        return replace(
            self,
            open=self.open[rows],
            high=self.high[rows],
            low=self.low[rows],
            close=self.close[rows],
            volume=self.volume[rows],
            closes_at=self.closes_at[first:end],
            sessions=sessions,
            opens_at=None if self.opens_at is None else self.opens_at[first:end],
            row_symbol=None if self.row_symbol is None else self.row_symbol[rows],
            first_row=None if begins is None else begins - row,
            row_opens_at=None if self.row_opens_at is None else self.row_opens_at[rows],
        )

    def chunks(self, sessions_per_chunk: int) -> Iterator[Bars]:
        """Yield the bars in parts of at most so many sessions, without copying them."""
        if sessions_per_chunk < 1:
            raise MalformedData(f"sessions_per_chunk is {sessions_per_chunk}; a chunk holds at least one session")
        n_sessions = len(self.sessions) - 1
        for first in range(0, n_sessions, sessions_per_chunk):
            yield self.part(first, min(first + sessions_per_chunk, n_sessions))


def _dense_rows(bars: Bars, first_step: int, end_step: int) -> tuple[int, int]:
    return first_step * len(bars.symbols), end_step * len(bars.symbols)


def _column(values: ArrayLike, name: str, shape: tuple[int, int]) -> FloatColumn:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise MalformedData(f"{name} has dtype {array.dtype}; give numbers, with NaN in a missing bar")
    fits = array.shape == shape or (array.ndim == 1 and shape == (len(array), 1))
    if not fits:
        raise MalformedData(
            f"{name} has shape {array.shape}; expected {shape}, one row for each time and one column for each symbol"
        )
    return np.ascontiguousarray(array, dtype=np.float64).reshape(-1)
