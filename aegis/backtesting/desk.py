"""What a Python strategy does.

Belongs here: the strategy's side of the kernel: its account, its orders, its timetable. What it sees of the market is
:mod:`aegis.backtesting.market_view`. The kernel is moved lazily: as long as no order is open and nobody asks
for the account, bars pass without it, which is what makes a callback for every bar cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bar_times import instant_nanoseconds
from aegis.backtesting.bars import Bars
from aegis.backtesting.kernel import sizing
from aegis.backtesting.kernel.codes import OrderType, State, TimeInForce
from aegis.backtesting.kernel.records import NEVER, NO_ORDER
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.kernel.vocabulary import ORDER_TYPE_WORDS, STATES, TIME_IN_FORCE_WORDS
from aegis.backtesting.market_view import MarketView
from aegis.backtesting.timetable import Moment, Period, Timer, Timetable
from aegis.errors import StrategyFailed
from aegis.execution.order_states import OrderState
from aegis.execution.order_terms import OrderType as OrderTypeName
from aegis.execution.order_terms import TimeInForce as TimeInForceWord

OrderTypeWord = OrderTypeName | Literal["vwap"]

ORDER_TYPES: Mapping[str, OrderType] = {
    "vwap" if algorithm == "vwap" else word: code for code, (algorithm, word) in ORDER_TYPE_WORDS.items()
}
TIMES_IN_FORCE: Mapping[str, TimeInForce] = {word: code for code, word in TIME_IN_FORCE_WORDS.items()}

_NAN = float("nan")
_NUMBERS = (int, float, np.integer, np.floating)


class Desk(MarketView):
    """A strategy's desk at the close of the current bar: all that it sees and does.

    Parameters
    ----------
    simulation : Simulation
        The account and its venue.
    """

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation.symbols)
        self._simulation = simulation
        self._timetable = Timetable()
        self._taken = -1
        self.due: dict[int, list[Timer]] = {}

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

    def order_state(self, order: int) -> OrderState:
        """Return where an order stands."""
        return STATES[State(int(self._order_record(order)["state"]))]

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
        expires_at_utc: datetime | date | None = None,
        sibling_of: int = NO_ORDER,
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
        limit_usd, stop_usd : float
            As the type needs them.
        trail_usd, trail_fraction : float
            One of them for a trailing stop: its distance from the best price, in USD or as a fraction between 0 and 1.
        expires_at_utc : datetime or date
            For GTD; aware. A date is the close of that session, which must be among the bars in memory.
        sibling_of : int
            An order of which this one is to be an alternative: what one of them fills is taken from the others. In a
            cash account both exits of a position are taken only so; linked afterwards, the second is a short sale.

        Raises
        ------
        StrategyFailed
            It cannot be an order. What the venue does not take is rejected with a reason instead.
        """
        trail, is_fraction = _number("trail_usd", trail_usd), trail_fraction == trail_fraction  # noqa: PLR0124 - a number
        if is_fraction:
            trail = _fraction(trail_fraction, trail)
        return self._account_now().place(
            self.number(symbol),
            _number("quantity_shares", quantity_shares),
            order_type=_order_type(order_type),
            time_in_force=_time_in_force(time_in_force),
            limit_usd=_number("limit_usd", limit_usd),
            stop_usd=_number("stop_usd", stop_usd),
            trail=trail,
            trail_is_fraction=is_fraction,
            expires_ns=NEVER if expires_at_utc is None else self._expiry(expires_at_utc),
            sibling_of=sibling_of,
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
            _number("quantity_shares", quantity_shares),
            stop_loss_usd=_number("stop_loss_usd", stop_loss_usd),
            take_profit_usd=_number("take_profit_usd", take_profit_usd),
            order_type=_order_type(order_type),
            time_in_force=_time_in_force(time_in_force),
            limit_usd=_number("limit_usd", limit_usd),
            stop_usd=_number("stop_usd", stop_usd),
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
            _number("quantity_shares", quantity_shares),
            order_type=_order_type(order_type),
            time_in_force=_time_in_force(time_in_force),
            limit_usd=_number("limit_usd", limit_usd),
            stop_usd=_number("stop_usd", stop_usd),
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
        return self._account_now().replace(
            order,
            quantity=_number("quantity_shares", quantity_shares),
            limit_usd=_number("limit_usd", limit_usd),
            stop_usd=_number("stop_usd", stop_usd),
        )

    # The timetable

    def schedule(self, callback: Timer, *, every: Period = "session", at: Moment = "close", bars: int = 0) -> None:
        """Call `callback` once in every session, or in the first session of every week or month.

        With ``every="month", at="close"`` that is the last bar of the month's *first* session.

        Parameters
        ----------
        callback : callable
            Takes the desk.
        every : {"session", "week", "month"}
            The period.
        at : {"open", "close"}
            At the close of the session's first bar, or of its last one.
        bars : int
            So many bars after the session's first, or before its last; a session that is too short is left out.

        Raises
        ------
        StrategyFailed
            A word is not one of these, or `bars` is negative.

        Notes
        -----
        There is no "last session of the month": which one it was is known only when the next month begins.
        """
        self._timetable.add(callback, every, at, bars)

    # How the runner moves it

    def begin_chunk(self, bars: Bars, indicators: Mapping[str, NDArray[np.float64]]) -> None:
        """Turn to the bars that the simulation has been fed."""
        cursor = self._simulation.cursor
        self._show(bars, indicators, int(cursor["steps_before"]))
        self._taken = int(cursor["step"])
        self.due = self._timetable.due(bars)

    def moved(self, step: int) -> None:
        """Say that the simulation has been moved through `step` of the chunk."""
        self._taken = step

    def _expiry(self, expires: datetime | date) -> int:
        """Return when an order expires, nanoseconds since 1970 in UTC."""
        if isinstance(expires, datetime):
            if expires.tzinfo is None:
                raise StrategyFailed(f"expires_at_utc {expires.isoformat()} has no time zone; pass an aware datetime")
            return instant_nanoseconds(expires)
        bars = self._market
        session = int(np.searchsorted(bars.session_days, np.datetime64(expires)))
        if session == len(bars.session_days) or bars.session_days[session] != np.datetime64(expires):
            days = bars.session_days
            raise StrategyFailed(
                f"expires_at_utc {expires} is no session of the bars in memory, {days[0]} to {days[-1]}; pass one of "
                "them, or an aware datetime"
            )
        return int(bars.closes_at[bars.sessions["first_step"][session + 1] - 1])

    def _order_record(self, order: int) -> np.void:
        orders = self._account_now().orders
        if not 0 <= order < len(orders):
            raise StrategyFailed(f"order {order} does not exist; use the number that placing it returned")
        record: np.void = orders[order]
        return record

    def _account_now(self) -> Simulation:
        """Return the simulation, moved to the current bar."""
        if self._taken < self._at:
            self._simulation.advance(self._at + 1)
            self._taken = self._at
        return self._simulation

    def _ordered(
        self, simulation: Simulation, entrance: Callable[..., int], symbol: str | int, target: float
    ) -> int | None:
        kind = int(simulation.rules.target_order_code)
        index = simulation.ask(entrance, self.number(symbol), _number("the target", target), kind, int(TimeInForce.DAY))
        return None if index == NO_ORDER else index


def _order_type(word: str) -> OrderType:
    if word not in ORDER_TYPES:
        raise StrategyFailed(f"order_type is {word!r} and must be one of {', '.join(ORDER_TYPES)}")
    return ORDER_TYPES[word]


def _time_in_force(word: str) -> TimeInForce:
    if word not in TIMES_IN_FORCE:
        raise StrategyFailed(f"time_in_force is {word!r} and must be one of {', '.join(TIMES_IN_FORCE)}")
    return TIMES_IN_FORCE[word]


def _number(name: str, value: float) -> float:
    """Return a float: for any other type the kernel would be compiled again, or not at all."""
    if type(value) is float:
        return value
    if isinstance(value, _NUMBERS) and not isinstance(value, bool):
        return float(value)
    raise StrategyFailed(f"{name} is {value!r} of type {type(value).__name__}; pass a number, or leave out a price")


def _fraction(fraction: float, trail_usd: float) -> float:
    """Return a trail that is a fraction of the best price."""
    if trail_usd == trail_usd:  # noqa: PLR0124 - a number
        raise StrategyFailed(f"trail_usd is {trail_usd:g} and trail_fraction {fraction!r}; give one of them")
    number = _number("trail_fraction", fraction)
    if not 0 < number < 1:
        raise StrategyFailed(f"trail_fraction is {number:g} and must lie between 0 and 1; 0.05 trails by five percent")
    return number
