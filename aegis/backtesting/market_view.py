"""What a Python strategy sees of the market.

Belongs here: prices, indicators and the clock, up to the current bar; nothing of a later one can be reached from here.
What it does, and its account, is :mod:`aegis.backtesting.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars
from aegis.backtesting.sparse_columns import SparseColumn
from aegis.errors import StrategyFailed

Field = Literal["open", "high", "low", "close", "volume"]

_FIELDS: Final = ("open", "high", "low", "close", "volume")
_NUMBERS = (int, np.integer)
_EPOCH_DAY = date(1970, 1, 1)


class MarketView:
    """The bars until the current one, which closes now.

    Parameters
    ----------
    symbols : tuple of str
        Permanent symbols; their positions are their numbers.
    """

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self.symbols = symbols
        self._number = {symbol: i for i, symbol in enumerate(symbols)}
        self._n = len(symbols)
        self._at = -1
        self._steps_before = 0
        self._bars: Bars | None = None
        self._columns: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._indicators: dict[str, Any] = {}
        self._session_starts: frozenset[int] = frozenset()

    @property
    def step(self) -> int:
        """How many steps came before this one, those of earlier chunks included; -1 before the first."""
        return self._steps_before + self._at

    @property
    def now_utc(self) -> datetime:
        """The close of the current bar."""
        nanoseconds = int(self._market.closes_at[self._at])
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)

    @property
    def session(self) -> date:
        """The current session."""
        sessions = self._market.sessions
        row = int(np.searchsorted(sessions["first_step"], self._at, side="right")) - 1
        return _EPOCH_DAY + timedelta(days=int(sessions["day"][row]))

    @property
    def closes_session(self) -> bool:
        """Whether this is the last bar of its session."""
        if not self._session_starts:
            raise _no_bar()
        return self._at + 1 in self._session_starts

    def price(self, symbol: str | int = 0, field: Field = "close") -> float:
        """Return a value of the current bar; NaN where the symbol has none.

        Parameters
        ----------
        symbol : str or int
            Permanent symbol, or its number.
        field : {"open", "high", "low", "close", "volume"}
            USD per share, or shares.

        Raises
        ------
        StrategyFailed
            The symbol or the field does not exist, or no bar is known yet.
        """
        try:
            return self._values[field][self._at * self._n + self.number(symbol)]  # type: ignore[no-any-return]
        except KeyError:
            raise self._unknown("field", field, _FIELDS) from None

    def history(self, symbol: str | int, field: Field, length: int) -> NDArray[np.float64]:
        """Return the last `length` values up to the current bar, oldest first, NaN for missing ones; read-only.

        Raises
        ------
        StrategyFailed
            There are fewer bars, `length` is not positive, or the symbol or the field does not exist.
        """
        first = self._at + 1 - length
        if first < 0 or length <= 0:
            raise self._short_history(symbol, length)
        try:
            return self._columns[field][first : self._at + 1, self.number(symbol)]  # type: ignore[no-any-return]
        except KeyError:
            raise self._unknown("field", field, _FIELDS) from None

    def indicator(self, name: str, symbol: str | int = 0) -> float:
        """Return an indicator's value at the current bar; see :meth:`Strategy.indicators`.

        Raises
        ------
        StrategyFailed
            The symbol or the indicator does not exist, or no bar is known yet.
        """
        try:
            return self._indicators[name][self._at * self._n + self.number(symbol)]  # type: ignore[no-any-return]
        except KeyError:
            raise self._unknown("indicator", name, tuple(self._indicators)) from None

    def number(self, symbol: str | int) -> int:
        """Return a symbol's number.

        Raises
        ------
        StrategyFailed
            The symbol does not exist.
        """
        if isinstance(symbol, _NUMBERS):
            if 0 <= symbol < self._n:
                return int(symbol)
        elif symbol in self._number:
            return self._number[symbol]
        raise StrategyFailed(f"symbol {symbol!r} does not exist; there are {', '.join(self.symbols[:8])}")

    def _show(self, bars: Bars, indicators: Mapping[str, NDArray[np.float64]], steps_before: int) -> None:
        """Turn to the next bars, of which none has closed yet."""
        self._bars, self._at, self._steps_before = bars, -1, steps_before
        shape = (len(bars.closes_at), self._n)
        for field in _FIELDS:
            column = getattr(bars, field)
            if bars.is_dense:
                self._values[field] = column.data
                table = column.reshape(shape)[:]
                table.flags.writeable = False
                self._columns[field] = table
            else:
                self._values[field] = self._columns[field] = SparseColumn(bars, column)
        self._indicators = {}
        for name, values in indicators.items():
            if values.size != bars.n_rows:
                raise StrategyFailed(
                    f"indicator {name!r} has the shape {values.shape}; return a value for each of {bars.n_rows} rows"
                )
            column = np.ascontiguousarray(values).reshape(-1)
            self._indicators[name] = column.data if bars.is_dense else SparseColumn(bars, column)
        self._session_starts = frozenset(bars.sessions["first_step"].tolist())

    @property
    def _market(self) -> Bars:
        if self._bars is None or self._at < 0:
            raise _no_bar()
        return self._bars

    def _unknown(self, what: str, name: object, known: tuple[str, ...]) -> StrategyFailed:
        """Return why a column cannot be read."""
        if self._bars is None:
            return _no_bar()
        if not known:
            return StrategyFailed(f"{what} {name!r} does not exist; return it from the strategy's method {what}s")
        return StrategyFailed(f"{what} {name!r} does not exist; there are {', '.join(known)}")

    def _short_history(self, symbol: str | int, length: int) -> StrategyFailed:
        """Return why there are not so many bars: they have not closed yet, or an earlier chunk had them."""
        asked = f"{self.symbols[self.number(symbol)]}: history of {length} bars"
        if 0 < length <= self.step + 1:
            return StrategyFailed(
                f"{asked} where {self._at + 1} of the {self.step + 1} that have closed are in memory; raise "
                "history_sessions, so that each chunk begins with the end of the one before"
            )
        return StrategyFailed(f"{asked} where {self.step + 1} are known; wait until enough bars have closed")


def _no_bar() -> StrategyFailed:
    return StrategyFailed("no bar is known yet; ask in on_bar, not in on_start")
