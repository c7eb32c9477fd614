"""The simulated broker: the matching kernel behind the Broker protocol, stepped session by session.

Belongs here: what a venue and a custodian do, that is accept, reject, fill and expire orders, and book cash, shares and
corporate actions. Which price an order gets is :mod:`aegis.backtesting.matching`; conventions are in ``docs/fills.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from aegis.backtesting.costs import CostModel
from aegis.backtesting.matching import (
    ALGORITHM_CODES,
    BUYING_POWER,
    COMPLETE,
    NO_VOLUME,
    ORDER_DTYPE,
    VOLUME_CAP,
    match_session,
    rescale_for_split,
)
from aegis.backtesting.session_market import SessionMarket
from aegis.clock import Clock
from aegis.errors import ExecutionError, OrderRejected
from aegis.execution.account_state import AccountState, Position
from aegis.execution.brokers.broker import AccountBalance, BrokerEvent
from aegis.execution.brokers.custody import Custody
from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind

_UNFILLED_REASONS: Mapping[int, str] = {
    NO_VOLUME: "no volume: halted, or no trusted bar",
    VOLUME_CAP: "participation cap: the bar's volume was not enough",
    BUYING_POWER: "buying power: cash after the session's sales does not cover it",
}


class SimulatedBroker:
    """A cash account at an imaginary venue that trades on daily bars.

    Parameters
    ----------
    state : AccountState
        Where it begins: :meth:`AccountState.opening`, or what :meth:`end_session` returned before.
    costs : CostModel
        Slippage and commission.
    participation_rate : float
        Largest share of a bar's volume that this account takes.
    clock : Clock
        Dates what happens between sessions: acceptances and cancellations.
    allow_short : bool
        Whether an order may leave a negative position.

    Notes
    -----
    Orders are submitted after the close of their decision session and execute in their execution session, so that a
    split overnight rescales them. Fills appear when the session ends, because only then does the bar exist.
    """

    def __init__(
        self,
        state: AccountState,
        *,
        costs: CostModel,
        participation_rate: float,
        clock: Clock,
        allow_short: bool = False,
    ) -> None:
        self._account = state.account
        self._session = state.session
        self._market: SessionMarket | None = None
        self._custody = Custody(state)
        self._statuses = {status.order.client_order_id: status for status in state.open_orders}
        self._open = set(self._statuses)
        self._submitted = {name: status.order for name, status in self._statuses.items()}
        self._events: list[BrokerEvent] = []
        self._costs = costs
        self._participation_rate = participation_rate
        self._clock = clock
        self._allow_short = allow_short

    def submit(self, order: Order) -> OrderStatus:
        """Accept or reject an order; see :meth:`Broker.submit`."""
        name = order.client_order_id
        known = self._submitted.get(name)
        if known is not None:
            if known != order:
                raise OrderRejected(
                    f"order {name} ({order.symbol}): the id belongs to an order of {known.quantity_shares} "
                    f"{known.symbol} already, found {order.quantity_shares} {order.symbol}; a changed order needs a "
                    "new decision number or revision"
                )
            return self._statuses[name]
        refusal = self._why_not(order)
        self._submitted[name] = order
        self._statuses[name] = OrderStatus(order, OrderState.SUBMITTED)
        self._open.add(name)
        kind = OrderEventKind.REJECTED if refusal else OrderEventKind.ACCEPTED
        return self._emit(name, kind, at_utc=self._clock.now_utc(), reason=refusal)

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Cancel what is left of an order; see :meth:`Broker.cancel`."""
        status = self._statuses.get(client_order_id)
        if status is None:
            raise ExecutionError(
                f"order {client_order_id}: unknown to account {self._account}; reconcile before cancelling again"
            )
        if status.is_final:
            return status
        now = self._clock.now_utc()
        return self._emit(client_order_id, OrderEventKind.CANCELLED, at_utc=now, reason="cancelled on request")

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands; see :meth:`Broker.find_order`."""
        return self._statuses.get(client_order_id)

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return the orders that may still execute, sorted by id."""
        return tuple(self._statuses[name] for name in sorted(self._open))

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol."""
        return self._custody.positions()

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        cash = self._custody.cash_usd
        return AccountBalance(
            account=self._account,
            cash_usd=cash,
            equity_usd=self.state().equity_usd,
            buying_power_usd=max(cash, 0.0),
        )

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first."""
        return tuple(self._events[max(sequence, 0) :])

    def state(self) -> AccountState:
        """Return the account as a value; :class:`SimulatedBroker` can be made from it again between sessions."""
        return AccountState(
            account=self._account,
            session=self._session,
            cash_usd=self._custody.cash_usd,
            positions=self._custody.positions(),
            receivables=self._custody.receivables(),
            open_orders=self.open_orders(),
        )

    def begin_session(self, market: SessionMarket) -> None:
        """Open a session: pay what is due, then dividends, splits and renames of its ex-date.

        Raises
        ------
        ExecutionError
            A session is open already, or this one is not after the last.
        """
        self._open_session(market)
        for status in self.open_orders():
            if status.order.execution_session < market.session:
                reason = f"session {status.order.execution_session} was never traded"
                name = status.order.client_order_id
                self._emit(name, OrderEventKind.EXPIRED, at_utc=market.opens_at_utc, reason=reason)
            else:
                self._rescale(status.order, market)

    def end_session(self) -> AccountState:
        """Close the session: match, expire, mark, settle delistings; return the account.

        Raises
        ------
        ExecutionError
            No session is open.
        """
        market = self._market
        if market is None:
            raise ExecutionError(f"account {self._account}: no session is open; begin one before ending it")
        orders = [status.order for status in self.open_orders() if status.order.execution_session == market.session]
        if orders:
            self._match(orders, market)
        self._custody.close_session(market)
        self._market = None
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
        self._open_session(market)
        for event in events:
            if event.fill is not None:
                self._custody.book_fill(event.fill)
            self._apply(event)
        due = [s.order for s in self.open_orders() if s.order.execution_session <= market.session]
        if due:
            raise ExecutionError(
                f"account {self._account} {market.session}: order {due[0].client_order_id} ({due[0].symbol}) was due "
                "and has no recorded end; verify the journal before the session is booked again"
            )
        self._custody.close_session(market)
        self._market = None
        return self.state()

    def adopt(self, order: Order, answers: Sequence[OrderEvent]) -> OrderStatus:
        """Take an order as submitted, with the venue's recorded answers in place of a judgement of its own."""
        name = order.client_order_id
        self._submitted[name] = order
        self._statuses[name] = OrderStatus(order, OrderState.SUBMITTED)
        self._open.add(name)
        for event in answers:
            self._apply(event)
        return self._statuses[name]

    def _open_session(self, market: SessionMarket) -> None:
        if self._market is not None:
            raise ExecutionError(f"session {self._market.session} is still open; end it before {market.session} begins")
        if self._session is not None and market.session <= self._session:
            raise ExecutionError(
                f"session {market.session} cannot begin: account {self._account} is booked up to {self._session}; "
                "restore the state of the session before it"
            )
        self._market, self._session = market, market.session
        self._custody.open_session(market)

    def _why_not(self, order: Order) -> str:
        """Return why the venue rejects an order, empty if it does not."""
        if order.account != self._account:
            return f"wrong account: expected {self._account}, found {order.account}"
        if order.execution_session <= order.session:
            return f"look-ahead: decided after the close of {order.session}, it cannot execute on a bar of that session"
        if self._session is not None and order.session < self._session:
            return f"too late: decided after {order.session}, but session {self._session} has opened since"
        if order.quantity_shares < 0 and not self._allow_short:
            return self._why_not_sell(order)
        return ""

    def _why_not_sell(self, order: Order) -> str:
        held = self._custody.quantity_shares(order.symbol)
        selling = sum(
            min(status.remaining_shares, 0.0)
            for status in map(self._statuses.__getitem__, self._open)
            if status.order.symbol == order.symbol
        )
        if held + selling + order.quantity_shares >= 0:
            return ""
        return (
            f"short selling: {held:g} shares of {order.symbol} held and {-selling:g} on sale already, cannot sell "
            f"{-order.quantity_shares:g} more"
        )

    def _rescale(self, order: Order, market: SessionMarket) -> None:
        """Put an open order into the shares of after the session's split, if there is one."""
        ratio = market.split_ratio(order.symbol)
        if ratio == 1.0 or order.session >= market.session:
            return
        name, now = order.client_order_id, market.opens_at_utc
        rescaled = rescale_for_split(order, ratio)
        was = f"split {ratio:g}: {order.quantity_shares:g} shares"
        if rescaled is None:
            self._emit(name, OrderEventKind.CANCELLED, at_utc=now, reason=f"{was} leave no whole share")
            return
        reason = f"{was} become {rescaled.quantity_shares:g}"
        self._emit(name, OrderEventKind.RESCALED, at_utc=now, reason=reason, order=rescaled)

    def _match(self, orders: list[Order], market: SessionMarket) -> None:
        packed = np.array(
            [(market.rows.get(o.symbol, -1), o.quantity_shares, ALGORITHM_CODES[o.algorithm]) for o in orders],
            dtype=ORDER_DTYPE,
        )
        executions = match_session(
            packed,
            market.bars,
            self._costs,
            participation_rate=self._participation_rate,
            cash_usd=self._custody.cash_usd,
        )
        for order, execution in zip(orders, executions.tolist(), strict=True):
            quantity, *_, outcome = execution
            if quantity != 0:
                self._fill(order, execution, market)
            if outcome != COMPLETE:
                self._end_unfilled(order, outcome, market)

    def _fill(
        self, order: Order, execution: tuple[float, float, float, float, float, int], market: SessionMarket
    ) -> None:
        quantity, price, reference, commission, slippage, outcome = execution
        if not (price > 0 and reference > 0 and commission >= 0):
            raise ExecutionError(
                f"order {order.client_order_id}, {order.symbol} {market.session}: a fill at {price:.6g} USD (reference "
                f"{reference:.6g}) with a commission of {commission:.6g} USD; prices must be above 0 and commissions "
                "not below: correct the costs in eval.backtesting, or the bar"
            )
        fill = Fill(
            client_order_id=order.client_order_id,
            decision_id=order.decision_id,
            account=order.account,
            fill_number=1,
            session=market.session,
            symbol=order.symbol,
            ticker=market.new_ticker(order.symbol) or order.ticker,
            quantity_shares=quantity,
            price_usd=price,
            reference_price_usd=reference,
            commission_usd=commission,
            slippage_usd=slippage,
            arrival_price_usd=order.arrival_price_usd,
            filled_at_utc=market.opens_at_utc if order.algorithm == "market" else market.closes_at_utc,
        )
        self._custody.book_fill(fill)
        kind = OrderEventKind.FILLED if outcome == COMPLETE else OrderEventKind.PARTIALLY_FILLED
        self._emit(order.client_order_id, kind, at_utc=fill.filled_at_utc, fill=fill)

    def _end_unfilled(self, order: Order, outcome: int, market: SessionMarket) -> None:
        """Say why the rest of a DAY order is not filled: the cash ran out, or the session did."""
        name = order.client_order_id
        if outcome == BUYING_POWER:
            partly = self._statuses[name].state is OrderState.PARTIALLY_FILLED
            kind = OrderEventKind.CANCELLED if partly else OrderEventKind.REJECTED
            when = market.opens_at_utc if order.algorithm == "market" else market.closes_at_utc
        else:
            kind, when = OrderEventKind.EXPIRED, market.closes_at_utc
        self._emit(name, kind, at_utc=when, reason=_UNFILLED_REASONS[outcome])

    def _emit(
        self,
        client_order_id: str,
        kind: OrderEventKind,
        *,
        at_utc: datetime,
        reason: str = "",
        fill: Fill | None = None,
        order: Order | None = None,
    ) -> OrderStatus:
        """Tell what happens to an order now."""
        before = self._statuses[client_order_id]
        session = before.order.session if self._session is None else self._session
        return self._apply(
            OrderEvent(
                kind=kind,
                client_order_id=client_order_id,
                session=session,
                at_utc=at_utc,
                reason=reason,
                fill=fill,
                order=order,
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
