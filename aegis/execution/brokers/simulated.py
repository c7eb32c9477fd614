"""The simulated broker: the matching kernel behind the Broker protocol, stepped session by session.

Belongs here: what a venue does with orders between sessions, that is accept, reject, hold and cancel them, and in which
order a session goes. Fills and bookings are the kernel's, reached through
:mod:`aegis.execution.brokers.kernel_account`; conventions are in ``docs/fills.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from aegis.backtesting.costs import CostModel
from aegis.backtesting.kernel.codes import Reason, State
from aegis.backtesting.kernel.order_book import close_order
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import SessionMarket
from aegis.clock import Clock
from aegis.errors import ExecutionError, OrderRejected
from aegis.execution.account_state import AccountState, Position
from aegis.execution.brokers.broker import AccountBalance, BrokerEvent
from aegis.execution.brokers.kernel_account import KernelAccount
from aegis.execution.brokers.kernel_events import SessionTeller
from aegis.execution.brokers.kernel_orders import LoadedOrders
from aegis.execution.brokers.order_progress import recorded_progress, traded_progress
from aegis.execution.brokers.submission import why_not, why_not_replaced
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind


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
        self._market: SessionMarket | None = None
        self._kernel: tuple[KernelAccount, LoadedOrders, SessionTeller] | None = None
        self._statuses = {status.order.client_order_id: status for status in state.open_orders}
        self._open = set(self._statuses)
        self._submitted = {name: status.order for name, status in self._statuses.items()}
        self._events: list[BrokerEvent] = []
        self._costs = costs
        self._rules = rules
        self._clock = clock

    def submit(self, order: Order) -> OrderStatus:
        """Accept, hold or reject an order; see :meth:`Broker.submit`."""
        name = order.client_order_id
        if self._knows(order):
            return self._statuses[name]
        waiting = [self._statuses[other] for other in self._open]
        now = self._clock.now_utc()
        refusal = why_not(
            order,
            account=self._state,
            session=self._session,
            now_utc=now,
            known=self._statuses,
            waiting=waiting,
            rules=self._rules,
        )
        self._submitted[name] = order
        self._statuses[name] = OrderStatus(order, OrderState.SUBMITTED)
        self._open.add(name)
        kind = OrderEventKind.REJECTED if refusal else OrderEventKind.ACCEPTED
        if not refusal and order.parent_id is not None and not self._statuses[order.parent_id].is_final:
            kind = OrderEventKind.HELD
        return self._emit(name, kind, at_utc=now, reason=refusal)

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Cancel what is left of an order, and the children that wait for it; see :meth:`Broker.cancel`."""
        status = self._statuses.get(client_order_id)
        if status is None:
            raise ExecutionError(
                f"order {client_order_id}: unknown to account {self._state.account}; reconcile before cancelling again"
            )
        if status.is_final:
            return status
        now = self._clock.now_utc()
        ended = self._emit(client_order_id, OrderEventKind.CANCELLED, at_utc=now, reason=str(OrderReason.BY_REQUEST))
        for child in self.open_orders():
            if child.order.parent_id == client_order_id and child.state is OrderState.HELD:
                reason = reason_text(OrderReason.PARENT_ENDED)
                self._emit(child.order.client_order_id, OrderEventKind.CANCELLED, at_utc=now, reason=reason)
        return ended

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Give an order other terms between sessions; see :meth:`Broker.replace`."""
        name = order.client_order_id
        status = self._statuses.get(name)
        if status is None:
            raise ExecutionError(f"order {name}: unknown to account {self._state.account}; submit it first")
        if status.is_final:
            return status
        now = self._clock.now_utc()
        refusal = why_not_replaced(
            status,
            order,
            is_trading=self._kernel is not None and name in self._kernel[1].index_of,
            account=self._state,
            now_utc=now,
            known=self._statuses,
            waiting=[self._statuses[other] for other in self._open if other != name],
            rules=self._rules,
        )
        if refusal:
            return self._emit(name, OrderEventKind.REPLACE_REJECTED, at_utc=now, reason=refusal, revision=revision)
        if abs(order.quantity_shares) <= abs(status.filled_shares):
            reason = reason_text(OrderReason.REPLACED_TO_FILLED)
            return self._emit(name, OrderEventKind.CANCELLED, at_utc=now, reason=reason)
        reason = reason_text(OrderReason.REPLACED_ON_REQUEST)
        return self._emit(name, OrderEventKind.REPLACED, at_utc=now, reason=reason, order=order, revision=revision)

    def close(self) -> None:
        """Do nothing: the account holds no connection."""

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands; see :meth:`Broker.find_order`."""
        return self._statuses.get(client_order_id)

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return the orders that may still execute, sorted by id."""
        return tuple(self._statuses[name] for name in sorted(self._open))

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol."""
        return self._state.positions

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        state = self._state
        return AccountBalance(
            account=state.account,
            cash_usd=state.cash_usd,
            equity_usd=state.equity_usd,
            buying_power_usd=_buying_power_usd(state, self._rules),
        )

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first."""
        return tuple(self._events[max(sequence, 0) :])

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
        taking_part = [self._statuses[name] for name in self._open]
        orders = LoadedOrders(
            [status for status in taking_part if status.order.session < market.session],
            {progress.client_order_id: progress for progress in self._state.order_progress},
            session=market.session,
        )
        kernel = KernelAccount(self._state, market, orders=orders, rules=self._rules, costs=self._costs)
        teller = SessionTeller(kernel, orders, market)
        self._market, self._session = market, market.session
        self._kernel = (kernel, orders, teller)
        for index in orders.never_traded():
            teller.note_never_traded(index)
            close_order(kernel.simulation.handle, index, int(State.EXPIRED), int(Reason.END_OF_SESSION))
        kernel.open()
        self._tell(teller)
        if kernel.has_opened_with_bookings:
            self._take_over(kernel, at_close=False)

    def end_session(self) -> AccountState:
        """Close the session: match, expire, mark, settle delistings; return the account.

        Raises
        ------
        ExecutionError
            No session is open.
        """
        if self._kernel is None or self._market is None:
            raise ExecutionError(f"account {self._state.account}: no session is open; begin one before ending it")
        kernel, orders, teller = self._kernel
        self._end_what_was_cancelled(kernel, orders)
        kernel.execute()
        for fill in self._tell(teller):
            kernel.note_fill(fill)
        kernel.value()
        self._tell(teller)
        self._take_over(kernel, at_close=True)
        before = self._state.order_progress
        if self._open or before:
            session = self._market.session
            progress = traded_progress(kernel, orders, teller.changes, self._statuses, before, session=session)
            self._state = replace(self._state, order_progress=progress)
        self._market = self._kernel = None
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
        split_away: dict[str, float] = {}
        for event in events:
            if event.fill is not None:
                kernel.book_recorded(event.fill)
            name = event.client_order_id
            before = self._statuses.get(name)
            self._apply(event)
            if event.kind is OrderEventKind.RESCALED and before is not None:
                taken = abs(before.filled_shares) - abs(self._statuses[name].filled_shares)
                split_away[name] = split_away.get(name, 0.0) + taken
        self._require_ends(market)
        kernel.value()
        self._take_over(kernel, at_close=True)
        progress = recorded_progress(
            events,
            market=market,
            statuses=self._statuses,
            before=self._state.order_progress,
            split_away=split_away,
        )
        self._state = replace(self._state, order_progress=progress)
        return self.state()

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Take an order as submitted, with the venue's recorded answers in place of a judgement of its own.

        Notes
        -----
        One that came with the account's state stands as it does there; see :meth:`Broker.adopt`.
        """
        name = order.client_order_id
        if self._knows(order):
            return self._statuses[name]
        self._submitted[name] = order
        self._statuses[name] = OrderStatus(order, OrderState.SUBMITTED)
        self._open.add(name)
        for event in answers:
            self._apply(event)
        return self._statuses[name]

    def _knows(self, order: Order) -> bool:
        """Return whether an order was submitted already; refuse other terms under its id."""
        known = self._submitted.get(order.client_order_id)
        if known is not None and known != order:
            raise OrderRejected(
                f"order {order.client_order_id} ({order.symbol}): the id belongs to an order of "
                f"{known.quantity_shares} {known.symbol} already, found {order.quantity_shares} {order.symbol}; a "
                "changed order needs a new decision number or revision"
            )
        return known is not None

    def _require_next(self, market: SessionMarket) -> None:
        if self._market is not None:
            raise ExecutionError(f"session {self._market.session} is still open; end it before {market.session} begins")
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

    def _end_what_was_cancelled(self, kernel: KernelAccount, orders: LoadedOrders) -> None:
        """Take orders that were cancelled since the session opened from the kernel."""
        for name, index in orders.index_of.items():
            if self._statuses[name].is_final and kernel.is_open(index):
                close_order(kernel.simulation.handle, index, int(State.CANCELLED), int(Reason.BY_STRATEGY))

    def _take_over(self, kernel: KernelAccount, *, at_close: bool) -> None:
        """Make the kernel's account this broker's."""
        self._state = replace(
            self._state,
            cash_usd=kernel.cash_usd,
            positions=kernel.positions(at_close=at_close),
            receivables=kernel.receivables(),
        )

    def _tell(self, teller: SessionTeller) -> list[Fill]:
        """Apply what happened in the kernel to the orders; return the fills, in the order in which they are told."""
        fills = []
        for event in teller.tell(self._statuses):
            self._apply(event)
            if event.fill is not None:
                fills.append(event.fill)
        return fills

    def _emit(
        self,
        client_order_id: str,
        kind: OrderEventKind,
        *,
        at_utc: datetime,
        reason: str = "",
        order: Order | None = None,
        revision: int = 0,
    ) -> OrderStatus:
        """Tell what happens to an order now."""
        before = self._statuses[client_order_id]
        return self._apply(
            OrderEvent(
                kind=kind,
                client_order_id=client_order_id,
                session=before.order.session if self._session is None else self._session,
                at_utc=at_utc,
                reason=reason,
                order=order,
                revision=revision,
            )
        )

    def _apply(self, event: OrderEvent) -> OrderStatus:
        """Apply an event to its order and append it to the stream."""
        name = event.client_order_id
        status = apply_event(self._statuses[name], event)
        self._statuses[name] = status
        self._events.append(BrokerEvent(len(self._events) + 1, event))
        if status.is_final:
            self._open.discard(name)
        return status


def _buying_power_usd(state: AccountState, rules: TradingRules) -> float:
    """Return what may still be bought, USD: cash, or what the free equity of a margin account carries."""
    if rules.account_type == "cash":
        return max(state.cash_usd, 0.0)
    gross = sum(abs(position.market_value_usd) for position in state.positions)
    carried = min(state.equity_usd / rules.initial_margin, state.equity_usd * rules.max_leverage)
    return max(carried - gross, 0.0)
