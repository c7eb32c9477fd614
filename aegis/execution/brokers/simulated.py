"""The simulated broker: the matching kernel behind the Broker protocol, stepped session by session.

Belongs here: what a venue does with orders between sessions, that is accept, reject, hold and cancel them, and in which
order a session goes. Fills and bookings are the kernel's, reached through
:mod:`aegis.execution.brokers.kernel_account`; conventions are in ``docs/fills.md``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import SessionMarket
from aegis.clock import Clock
from aegis.errors import ExecutionError
from aegis.execution.account_state import AccountState, Position
from aegis.execution.brokers.broker import AccountBalance, BrokerEvent
from aegis.execution.brokers.kernel_account import KernelAccount
from aegis.execution.brokers.kernel_orders import LoadedOrders
from aegis.execution.brokers.kernel_session import KernelSession
from aegis.execution.brokers.order_progress import recorded_progress
from aegis.execution.brokers.simulated_balance import balance
from aegis.execution.brokers.submission import why_not, why_not_replaced
from aegis.execution.brokers.venue_orders import VenueOrders
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind


class SimulatedBroker:
    """An account at an imaginary venue that trades on daily bars.

    Parameters
    ----------
    state : AccountState
        Where it begins: :meth:`AccountState.opening`, or what :meth:`end_session` returned before.
    costs : CostModel
        Slippage and commission.
    rules : TradingRules
        The venue's and the account's; a margin account may sell short.
    clock : Clock
        Dates what happens between sessions: acceptances and cancellations.

    Notes
    -----
    Orders are submitted after the close of their decision session and execute from their execution session on, so that
    a split overnight rescales them. Fills appear when the session ends, because only then does the bar exist. There are
    no margin calls: whoever sells short looks after it.
    """

    def __init__(
        self,
        state: AccountState,
        *,
        costs: CostModel,
        rules: TradingRules,
        clock: Clock,
    ) -> None:
        self._state = state
        self._session = state.session
        self._trading: KernelSession | None = None
        self._orders = VenueOrders(state.account, state.open_orders)
        self._cancelling = threading.Lock()
        self._costs = costs
        self._rules = rules
        self._clock = clock

    def submit(self, order: Order) -> OrderStatus:
        """Accept, hold or reject an order; see :meth:`Broker.submit`."""
        orders, now = self._orders, self._clock.now_utc()
        if orders.knows(order):
            return orders[order.client_order_id]
        refusal = why_not(
            order,
            account=self._state,
            session=self._session,
            now_utc=now,
            known=orders.statuses,
            waiting=orders.open(),
            rules=self._rules,
        )
        orders.take(order)
        return orders.answer(order, refusal, session=self._session_of(order), at_utc=now)

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Cancel what is left of an order, and the children that wait for it; see :meth:`Broker.cancel`."""
        with self._cancelling:  # a stop cancels in several threads
            status = self._orders.require(client_order_id)
            if status.is_final:
                return status
            session, now = self._session_of(status.order), self._clock.now_utc()
            return self._orders.end_on_request(client_order_id, session=session, at_utc=now)[0]

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Give an order other terms between sessions, unless it has them; see :meth:`Broker.replace`."""
        name, orders, now = order.client_order_id, self._orders, self._clock.now_utc()
        status = orders.require(name)
        if status.is_final or status.order == order:
            return status
        refusal = why_not_replaced(
            status,
            order,
            is_trading=self._trading is not None and self._trading.has(name),
            account=self._state,
            now_utc=now,
            known=orders.statuses,
            waiting=orders.others(name),
            rules=self._rules,
        )
        return orders.change(order, refusal, revision, session=self._session_of(status.order), at_utc=now)

    def close(self) -> None:
        """Do nothing: the account holds no connection."""

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands; see :meth:`Broker.find_order`."""
        return self._orders.statuses.get(client_order_id)

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return the orders that may still execute, sorted by id."""
        return self._orders.open()

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol."""
        return self._state.positions

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        return balance(self._state, self._rules)

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first."""
        return self._orders.events_since(sequence)

    def state(self) -> AccountState:
        """Return the account as a value; :class:`SimulatedBroker` can be made from it again between sessions."""
        return replace(self._state, session=self._session, interest_usd=0.0, open_orders=self.open_orders())

    def begin_session(self, market: SessionMarket) -> None:
        """Open a session: dividends, splits and renames of its ex-date, and what is due.

        Raises
        ------
        ExecutionError
            A session is open already, or this one is not after the last.
        ConfigurationError
            The costs need more than the session's bars.
        """
        self._require_next(market)
        self._session = market.session
        self._trading = KernelSession(
            self._state,
            market,
            statuses=self._orders.statuses,
            open_ids=self._orders.decided_before(market.session),
            tell=self._orders.apply,
            rules=self._rules,
            costs=self._costs,
        )
        self._trading.open()
        if self._trading.has_opened_with_bookings:
            self._state = self._trading.account()

    def end_session(self) -> AccountState:
        """Close the session: match, expire, mark, settle delistings; return the account.

        Raises
        ------
        ExecutionError
            No session is open.
        """
        if self._trading is None:
            raise ExecutionError(f"account {self._state.account}: no session is open; begin one before ending it")
        self._trading.trade()
        self._state, self._trading = self._trading.closed_account(), None
        return self.state()

    def replay_session(self, market: SessionMarket, events: Sequence[OrderEvent]) -> AccountState:
        """Book a session as it is recorded instead of trading it; return the account.

        Parameters
        ----------
        market : SessionMarket
            The session, as it is known now: corporate actions and closes for marks.
        events : sequence of OrderEvent
            What is recorded to have happened to the account's orders in it, oldest first.

        Raises
        ------
        ExecutionError
            An order was due in the session and has no recorded end.
        IllegalTransition
            The events cannot have followed each other.
        """
        self._require_next(market)
        none = LoadedOrders((), {}, session=market.session)
        fills = [event.fill for event in events if event.fill is not None]
        kernel = KernelAccount(self._state, market, orders=none, recorded=fills, rules=self._rules, costs=self._costs)
        self._session = market.session
        kernel.open()
        statuses = self._orders.statuses
        split_away: dict[str, float] = {}
        for event in events:
            if event.fill is not None:
                kernel.book_recorded(event.fill)
            name = event.client_order_id
            before = statuses.get(name)
            self._orders.apply(event)
            if event.kind is OrderEventKind.RESCALED and before is not None:
                taken = abs(before.filled_shares) - abs(statuses[name].filled_shares)
                split_away[name] = split_away.get(name, 0.0) + taken
        self._require_ends(market)
        kernel.value()
        progress = recorded_progress(
            events,
            market=market,
            statuses=statuses,
            before=self._state.order_progress,
            split_away=split_away,
        )
        self._state = replace(
            self._state,
            cash_usd=kernel.cash_usd,
            positions=kernel.positions(),
            receivables=kernel.receivables(),
            order_progress=progress,
        )
        return self.state()

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Take an order as submitted, with the venue's recorded answers in place of a judgement of its own.

        Notes
        -----
        One that came with the account's state stands as it does there; see :meth:`Broker.adopt`.
        """
        name = order.client_order_id
        if not self._orders.knows(order):
            self._orders.take(order)
            for event in answers:
                self._orders.apply(event)
        return self._orders[name]

    def _require_next(self, market: SessionMarket) -> None:
        if self._trading is not None:
            session = self._trading.market.session
            raise ExecutionError(f"session {session} is still open; end it before {market.session} begins")
        if self._session is not None and market.session <= self._session:
            raise ExecutionError(
                f"session {market.session} cannot begin: account {self._state.account} is booked up to "
                f"{self._session}; restore the state of the session before it"
            )

    def _require_ends(self, market: SessionMarket) -> None:
        """Refuse a session whose records leave an order open that could not outlive it."""
        for status in self.open_orders():
            order = status.order
            if order.execution_session <= market.session and order.time_in_force not in ("GTC", "GTD"):
                raise ExecutionError(
                    f"account {self._state.account} {market.session}: order {order.client_order_id} ({order.symbol}) "
                    "was due and has no recorded end; verify the journal before the session is booked again"
                )

    def _session_of(self, order: Order) -> date:
        """Return the session that what happens to an order between sessions is booked in."""
        return order.session if self._session is None else self._session
