"""Parent orders in a backtest: the execution algorithms on intraday bars, in the hands of a Python strategy.

Belongs here: bars as observations of a market, and the kernel's orders as children. What is decided is
:mod:`aegis.execution.algorithms`, the same objects that trade live.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from aegis.backtesting.desk import Desk
from aegis.calendars import TradingCalendar
from aegis.config_eval import ExecutionEval
from aegis.errors import StrategyFailed
from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.parent_desk import ParentDesk
from aegis.execution.algorithms.parent_records import WorkingAlgorithm
from aegis.execution.algorithms.parent_state import ParentState
from aegis.execution.algorithms.planning import PastMarket, plan
from aegis.execution.algorithms.schedule import ScheduledFraction
from aegis.execution.order_ids import client_order_id, decision_id
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Algorithm, Order

_ACCOUNT, _BOOK, _KIND = "backtest", "main", "worked"


class WorkedOrders:
    """Works parent orders on the bars of a backtest.

    Parameters
    ----------
    desk : Desk
        The strategy's.
    calendar : TradingCalendar
        Of the bars.
    settings : ExecutionEval
        ``eval.execution``.

    Notes
    -----
    Make it in ``on_start`` and call :meth:`on_bar` at every bar. The clock is the close of the bar: what is decided
    then fills from the next bar on, within the participation that all orders of the bar share. The volume known is that
    of the session's bars so far. A bar has no spread: its close is bid and ask, so that pegs follow the last price.
    """

    def __init__(self, desk: Desk, *, calendar: TradingCalendar, settings: ExecutionEval) -> None:
        self._desk = desk
        self._calendar = calendar
        self._settings = settings
        self._venue = _KernelVenue(desk)
        self._parents = ParentDesk(self._venue, _NotKept(), clock=_BarClock(desk), observe=self._observe)
        self._session: date | None = None
        self._volumes: dict[str, tuple[float, datetime]] = {}
        self._counts: dict[tuple[date, str], int] = {}
        self._ended: dict[str, ParentState] = {}

    def work(
        self,
        symbol: str,
        quantity_shares: float,
        *,
        algorithm: Algorithm | None = None,
        limit_usd: float | None = None,
        past: PastMarket | None = None,
        steps: Sequence[ScheduledFraction] = (),
    ) -> str:
        """Begin to work an order in this session, or in the next one at a session's last bar; return its id.

        Parameters
        ----------
        symbol : str
            Permanent symbol.
        quantity_shares : float
            Bought positive, sold negative.
        algorithm : str, optional
            By default ``default_algorithm`` of the settings.
        limit_usd : float, optional
            The worst price of every child.
        past : PastMarket, optional
            What the strategy knows of past sessions: volume curve, daily volume, impact.
        steps : sequence of ScheduledFraction
            For algorithm 'schedule'.

        Raises
        ------
        ExecutionError
            It cannot be an order, or cannot be worked in the session.
        StrategyFailed
            The symbol does not exist, or has no price yet.
        """
        desk = self._desk
        price = desk.price(symbol)
        if not price > 0:
            raise StrategyFailed(f"{symbol} has no bar at {desk.now_utc}; work an order when there is a price")
        session = self._calendar.next(desk.session) if desk.closes_session else desk.session
        number = self._counts[session, symbol] = self._counts.get((session, symbol), 0) + 1
        decided = self._calendar.previous(session)
        decision = decision_id(_ACCOUNT, _BOOK, session=decided, kind=_KIND, number=number)
        order = Order(
            client_order_id=client_order_id(_ACCOUNT, decision, symbol=symbol),
            decision_id=decision,
            account=_ACCOUNT,
            session=decided,
            execution_session=session,
            symbol=symbol,
            ticker=symbol,
            quantity_shares=quantity_shares,
            algorithm=self._settings.default_algorithm if algorithm is None else algorithm,
            time_in_force="DAY",
            arrival_price_usd=price,
            target_weight=0.0,
            is_reducing=False,
            reason="worked by a strategy",
            order_type="market" if limit_usd is None else "limit",
            limit_price_usd=limit_usd,
        )
        planned = plan(
            ParentState(order=order),
            settings=self._settings,
            calendar=self._calendar,
            past=PastMarket() if past is None else past,
            released_at_utc=desk.now_utc,
            steps=steps,
        )
        self._parents.take(planned.state, planned.algorithm)
        return order.client_order_id

    def on_bar(self) -> None:
        """Take note of the bar that closes, and let every parent decide."""
        desk = self._desk
        if desk.session != self._session:
            self._session = desk.session
            self._volumes = {}
            for state in self._parents.states():
                if state.has_ended:
                    name = state.order.client_order_id
                    self._ended[name] = self._parents.release(name)
                    self._venue.forget(child.status.order.client_order_id for child in state.children)
        for symbol in desk.symbols:
            volume = desk.price(symbol, "volume")
            if not math.isnan(volume):
                before = self._volumes.get(symbol, (0.0, desk.now_utc))[0]
                self._volumes[symbol] = before + volume, desk.now_utc
        self._parents.on_clock()

    def cancel(self, parent_id: str, *, reason: str) -> None:
        """End a parent order and its children; see :meth:`ParentDesk.cancel`."""
        self._parents.cancel(parent_id, reason=reason)

    def states(self) -> tuple[ParentState, ...]:
        """Return where the parents stand, sorted by id."""
        states = {state.order.client_order_id: state for state in self._parents.states()} | self._ended
        return tuple(states[name] for name in sorted(states))

    def _observe(self, symbol: str) -> MarketObservation:
        volume, until = self._volumes.get(symbol, (None, None))
        close = self._desk.price(symbol)
        quoted = (None, None, None) if math.isnan(close) else (close, close, self._desk.now_utc)
        return MarketObservation(
            bid_usd=quoted[0],
            ask_usd=quoted[1],
            quoted_at_utc=quoted[2],
            volume_shares=volume,
            volume_at_utc=until,
        )


class _BarClock:
    """The close of the current bar."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def now_utc(self) -> datetime:
        return self._desk.now_utc


class _NotKept:
    """A backtest that dies begins again."""

    def keep(self, state: ParentState, algorithm: WorkingAlgorithm) -> None:
        pass


class _KernelVenue:
    """The strategy's desk as a venue of children."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sent: dict[str, tuple[int, Order]] = {}
        self._final: dict[str, OrderStatus] = {}

    def submit(self, order: Order) -> None:
        name = order.client_order_id
        if name in self._sent or name in self._final:
            return
        limit = math.nan if order.limit_price_usd is None else order.limit_price_usd
        number = self._desk.order(
            order.symbol,
            order.quantity_shares,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            limit_usd=limit,
        )
        self._sent[name] = number, order

    def replace(self, order: Order, *, revision: int) -> None:
        del revision  # the kernel answers at once
        if order.client_order_id not in self._sent:
            return
        number, _ = self._sent[order.client_order_id]
        limit = math.nan if order.limit_price_usd is None else order.limit_price_usd
        if self._desk.replace(number, limit_usd=limit):
            self._sent[order.client_order_id] = number, order

    def cancel(self, client_order_id: str) -> None:
        if client_order_id in self._sent:
            self._desk.cancel(self._sent[client_order_id][0])

    def forget(self, names: Iterable[str]) -> None:
        """Forget children of a parent that has ended: every bar after would look through them."""
        for name in names:
            self._final.pop(name, None)

    def statuses(self) -> dict[str, OrderStatus]:
        found = {}
        for name, (number, order) in self._sent.items():
            filled = self._desk.order_filled(number)
            state = self._desk.order_state(number)
            found[name] = OrderStatus(order, state, filled_shares=filled, fills=int(filled != 0))
        # What has ended in the kernel stays as it is; the bars after it need not ask again.
        for name in [name for name, status in found.items() if status.is_final]:
            self._final[name] = found[name]
            del self._sent[name]
        return self._final | found
