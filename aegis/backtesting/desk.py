"""What a Python strategy sees and does.

Belongs here: the strategy's side of the kernel: prices up to the current bar, its account, its orders, its timetable.
Nothing of a later bar can be reached from here. The kernel is moved lazily: as long as no order is open and nobody asks
for the account, bars pass without it, which is what makes a callback for every bar cheap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars
from aegis.backtesting.kernel import sizing
from aegis.backtesting.kernel.codes import OrderType, TimeInForce
from aegis.backtesting.kernel.records import NEVER, NO_ORDER
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.kernel.vocabulary import ORDER_TYPE_WORDS, TIME_IN_FORCE_WORDS
from aegis.backtesting.sparse_columns import SparseColumn
from aegis.backtesting.timetable import Moment, Period, Timer, Timetable
from aegis.errors import StrategyFailed
from aegis.execution.order_terms import OrderType as OrderTypeName
from aegis.execution.order_terms import TimeInForce as TimeInForceWord

OrderTypeWord = OrderTypeName | Literal["vwap"]
Field = Literal["open", "high", "low", "close", "volume"]

ORDER_TYPES: Mapping[str, OrderType] = {
    "vwap" if algorithm == "vwap" else word: code for code, (algorithm, word) in ORDER_TYPE_WORDS.items()
}
TIMES_IN_FORCE: Mapping[str, TimeInForce] = {word: code for code, word in TIME_IN_FORCE_WORDS.items()}

_NAN = float("nan")
_NUMBERS = (int, np.integer)
_EPOCH_DAY = date(1970, 1, 1)


class Desk:
    """A strategy's desk at the close of the current bar.

    Parameters
    ----------
    simulation : Simulation
        The account and its venue.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.symbols = simulation.symbols
        self.step = -1
        self._simulation = simulation
        self._number = {symbol: i for i, symbol in enumerate(simulation.symbols)}
        self._n = len(simulation.symbols)
        self._timetable = Timetable()
        self._taken = -1
        self._bars: Bars | None = None
        self._columns: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._indicators: dict[str, Any] = {}

    # What is known

    @property
    def now_utc(self) -> datetime:
        """The close of the current bar."""
        nanoseconds = int(self._market.closes_at[self.step])
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)

    @property
    def session(self) -> date:
        """The current session."""
        sessions = self._market.sessions
        row = int(np.searchsorted(sessions["first_step"], self.step, side="right")) - 1
        return _EPOCH_DAY + timedelta(days=int(sessions["day"][row]))

    @property
    def closes_session(self) -> bool:
        """Whether this is the last bar of its session."""
        return self.step + 1 in self._session_starts

    def price(self, symbol: str | int = 0, field: Field = "close") -> float:
        """Return a value of the current bar; NaN where the symbol has none.

        Parameters
        ----------
        symbol : str or int
            Permanent symbol, or its number.
        field : {"open", "high", "low", "close", "volume"}
            USD per share, or shares.
        """
        return self._values[field][self.step * self._n + self.number(symbol)]  # type: ignore[no-any-return]

    def history(self, symbol: str | int, field: Field, length: int) -> NDArray[np.float64]:
        """Return the last `length` values up to the current bar, oldest first, NaN for missing ones; read-only.

        Raises
        ------
        StrategyFailed
            There are fewer bars, or `length` is not positive.
        """
        first = self.step + 1 - length
        if first < 0 or length <= 0:
            raise StrategyFailed(
                f"{self.symbols[self.number(symbol)]}: history of {length} bars where {self.step + 1} are known; wait "
                "until enough bars have closed"
            )
        return self._columns[field][first : self.step + 1, self.number(symbol)]  # type: ignore[no-any-return]

    def indicator(self, name: str, symbol: str | int = 0) -> float:
        """Return an indicator's value at the current bar; see :meth:`Strategy.indicators`."""
        return self._indicators[name][self.step * self._n + self.number(symbol)]  # type: ignore[no-any-return]

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

    # The account

    @property
    def cash_usd(self) -> float:
        """Cash."""
        return float(self._account_now().account["cash"])

    @property
    def equity_usd(self) -> float:
        """Cash, receivables and positions at the current closes."""
        return float(self._account_now().account["equity_now"])

    def position(self, symbol: str | int = 0) -> float:
        """Return the signed shares held."""
        return float(self._account_now().positions["quantity"][self.number(symbol)])

    def average_cost_usd(self, symbol: str | int = 0) -> float:
        """Return the average price of the open quantity, before costs."""
        return float(self._account_now().positions["average_cost"][self.number(symbol)])

    def open_orders(self, symbol: str | int | None = None) -> tuple[int, ...]:
        """Return the orders to which something can still happen."""
        orders = self._account_now().orders
        is_open = orders["closed_step"] < 0
        if symbol is not None:
            is_open &= orders["symbol"] == self.number(symbol)
        return tuple(np.flatnonzero(is_open).tolist())

    def order_quantity(self, order: int) -> float:
        """Return the signed shares that an order is for, filled or not, as it stands now."""
        return float(self._order_record(order)["quantity"])

    def order_filled(self, order: int) -> float:
        """Return the signed shares that an order has filled."""
        return float(self._order_record(order)["filled"])

    # Orders

    def order(
        self,
        symbol: str | int,
        quantity_shares: float,
        *,
        order_type: OrderTypeWord = "market",
        time_in_force: TimeInForceWord = "DAY",
        limit_usd: float = _NAN,
        stop_usd: float = _NAN,
        trail_usd: float = _NAN,
        trail_fraction: float = _NAN,
        expires_at_utc: datetime | None = None,
    ) -> int:
        """Place an order and return its number.

        Parameters
        ----------
        symbol : str or int
            Permanent symbol, or its number.
        quantity_shares : float
            Bought positive, sold negative.
        order_type, time_in_force : str
            Words of ``docs/fills.md``.
        limit_usd, stop_usd, trail_usd, trail_fraction : float
            As the type needs them.
        expires_at_utc : datetime
            For GTD; aware.

        Raises
        ------
        StrategyFailed
            It cannot be an order. What the venue does not take is rejected with a reason instead.
        """
        is_fraction = not math.isnan(trail_fraction)
        return self._account_now().place(
            self.number(symbol),
            quantity_shares,
            order_type=_order_type(order_type),
            time_in_force=_time_in_force(time_in_force),
            limit_usd=limit_usd,
            stop_usd=stop_usd,
            trail=trail_fraction if is_fraction else trail_usd,
            trail_is_fraction=is_fraction,
            expires_ns=_nanoseconds(expires_at_utc),
        )

    def bracket(
        self,
        symbol: str | int,
        quantity_shares: float,
        *,
        stop_loss_usd: float = _NAN,
        take_profit_usd: float = _NAN,
        order_type: OrderTypeWord = "market",
        time_in_force: TimeInForceWord = "DAY",
        limit_usd: float = _NAN,
        stop_usd: float = _NAN,
    ) -> int:
        """Place an entry with a stop-loss and a take-profit; return the entry's number, the exits have the next two."""
        return self._account_now().place_bracket(
            self.number(symbol),
            quantity_shares,
            stop_loss_usd=stop_loss_usd,
            take_profit_usd=take_profit_usd,
            order_type=_order_type(order_type),
            time_in_force=_time_in_force(time_in_force),
            limit_usd=limit_usd,
            stop_usd=stop_usd,
        )

    def child(
        self,
        parent: int,
        symbol: str | int,
        quantity_shares: float,
        *,
        order_type: OrderTypeWord = "market",
        time_in_force: TimeInForceWord = "DAY",
        limit_usd: float = _NAN,
        stop_usd: float = _NAN,
    ) -> int:
        """Place an order that waits until its parent, placed directly before it, is filled; return its number."""
        return self._account_now().place_child(
            parent,
            self.number(symbol),
            quantity_shares,
            order_type=_order_type(order_type),
            time_in_force=_time_in_force(time_in_force),
            limit_usd=limit_usd,
            stop_usd=stop_usd,
        )

    def one_cancels_other(self, first: int, count: int = 2) -> None:
        """Make orders placed one after the other cancel one another: what one fills is taken from the rest."""
        self._account_now().link(first, count)

    def order_target_weight(self, symbol: str | int, weight: float) -> int | None:
        """Order what is missing to a weight of equity; None where nothing is."""
        simulation = self._account_now()
        return self._ordered(simulation, sizing.order_target_weight, symbol, weight)

    def order_target_shares(self, symbol: str | int, quantity_shares: float) -> int | None:
        """Order what is missing to a signed number of shares; None where nothing is."""
        simulation = self._account_now()
        return self._ordered(simulation, sizing.order_target_quantity, symbol, quantity_shares)

    def cancel(self, order: int) -> bool:
        """Cancel the rest of an order; false if it had ended."""
        return self._account_now().cancel(order)

    def replace(
        self, order: int, *, quantity_shares: float = _NAN, limit_usd: float = _NAN, stop_usd: float = _NAN
    ) -> bool:
        """Change an open order's total quantity and prices; false if it had ended or one is off its step."""
        return self._account_now().replace(order, quantity=quantity_shares, limit_usd=limit_usd, stop_usd=stop_usd)

    # The timetable

    def schedule(self, callback: Timer, *, every: Period = "session", at: Moment = "close", bars: int = 0) -> None:
        """Call `callback` once in every session, or in the first session of every week or month.

        Parameters
        ----------
        callback : callable
            Takes the desk.
        every : {"session", "week", "month"}
            The period.
        at : {"open", "close"}
            At the close of the session's first bar, or of its last one.
        bars : int
            So many bars later, or earlier.

        Notes
        -----
        There is no "last session of the month": which one it was is known only when the next month begins.
        """
        self._timetable.add(callback, every, at, bars)

    # How the runner moves it

    def begin_chunk(self, bars: Bars, indicators: Mapping[str, NDArray[np.float64]]) -> None:
        """Turn to the bars that the simulation has been fed."""
        self._bars = bars
        shape = (len(bars.closes_at), self._n)
        for field in ("open", "high", "low", "close", "volume"):
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
        self._taken = int(self._simulation.cursor["step"])
        self.due = self._timetable.due(bars)

    def moved(self, step: int) -> None:
        """Say that the simulation has been moved through `step`."""
        self._taken = step

    def _order_record(self, order: int) -> np.void:
        orders = self._account_now().orders
        if not 0 <= order < len(orders):
            raise StrategyFailed(f"order {order} does not exist; use the number that placing it returned")
        record: np.void = orders[order]
        return record

    def _account_now(self) -> Simulation:
        """Return the simulation, moved to the current bar."""
        if self._taken < self.step:
            self._simulation.advance(self.step + 1)
            self._taken = self.step
        return self._simulation

    @property
    def _market(self) -> Bars:
        if self._bars is None or self.step < 0:
            raise StrategyFailed("no bar is known yet; ask in on_bar, not in on_start")
        return self._bars

    def _ordered(
        self, simulation: Simulation, entrance: Callable[..., int], symbol: str | int, target: float
    ) -> int | None:
        kind = int(simulation.rules.target_order_code)
        index = simulation.ask(entrance, self.number(symbol), float(target), kind, int(TimeInForce.DAY))
        return None if index == NO_ORDER else index


def _order_type(word: str) -> OrderType:
    if word not in ORDER_TYPES:
        raise StrategyFailed(f"order_type is {word!r} and must be one of {', '.join(ORDER_TYPES)}")
    return ORDER_TYPES[word]


def _time_in_force(word: str) -> TimeInForce:
    if word not in TIMES_IN_FORCE:
        raise StrategyFailed(f"time_in_force is {word!r} and must be one of {', '.join(TIMES_IN_FORCE)}")
    return TIMES_IN_FORCE[word]


def _nanoseconds(instant: datetime | None) -> int:
    if instant is None:
        return NEVER
    if instant.tzinfo is None:
        raise StrategyFailed(f"expires_at_utc {instant.isoformat()} has no time zone; pass an aware datetime")
    return round(instant.timestamp() * 1_000_000) * 1000
