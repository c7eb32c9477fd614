"""A session of an account on the matching kernel, with its orders: opened, traded bar by bar, and closed.

Belongs here: the order of the steps of a session, and telling what each of them did to the orders. Fills and bookings
are the kernel's (:mod:`aegis.execution.brokers.kernel_account`); what is asked between the bars, and what is kept of
it, is the broker's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from aegis.backtesting.bar_times import instant_nanoseconds
from aegis.backtesting.costs import CostModel
from aegis.backtesting.kernel import codes
from aegis.backtesting.kernel.order_book import close_order
from aegis.backtesting.kernel.records import NEVER
from aegis.backtesting.kernel.vocabulary import REASONS, order_type_code, time_in_force_code
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import SessionMarket
from aegis.errors import StrategyFailed
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.kernel_account import KernelAccount
from aegis.execution.brokers.kernel_events import SessionTeller
from aegis.execution.brokers.kernel_orders import LoadedOrders
from aegis.execution.brokers.order_progress import traded_progress
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order, OrderEvent

_NAN = math.nan


class KernelSession:
    """One session that is trading.

    Parameters
    ----------
    state : AccountState
        After the session before.
    market : SessionMarket
        The session's bars, or its first ones; its corporate actions.
    statuses : mapping of str to OrderStatus
        Where all orders stand, by client order id; `tell` keeps it up to date.
    open_ids : sequence of str
        The orders that take part in it.
    tell : callable
        Is told each event, and applies it before it returns.
    rules, costs : TradingRules, CostModel
        The venue's and the account's.
    others : sequence of str
        Symbols that orders may be placed in while it trades.
    closes_session : bool
        Whether `market` has all of its bars.

    Raises
    ------
    ConfigurationError
        The costs need more than the session's bars.
    """

    def __init__(
        self,
        state: AccountState,
        market: SessionMarket,
        *,
        statuses: Mapping[str, OrderStatus],
        open_ids: Sequence[str],
        tell: Callable[[OrderEvent], object],
        rules: TradingRules,
        costs: CostModel,
        others: Sequence[str] = (),
        closes_session: bool = True,
    ) -> None:
        self.market = market
        self._before = state
        self._statuses = statuses
        self._tell_one = tell
        self._orders = LoadedOrders(
            [statuses[name] for name in open_ids],
            {progress.client_order_id: progress for progress in state.order_progress},
            session=market.session,
        )
        self._kernel = KernelAccount(
            state,
            market,
            orders=self._orders,
            others=others,
            closes_session=closes_session,
            rules=rules,
            costs=costs,
        )
        self._teller = SessionTeller(self._kernel, self._orders, market)

    def open(self) -> None:
        """Book what the session brings before it trades, and end the orders whose one session was skipped."""
        for index in self._orders.never_traded():
            self._teller.note_never_traded(index)
            self._close(index, codes.State.EXPIRED, codes.Reason.END_OF_SESSION)
        self._kernel.open()
        self._tell()

    @property
    def has_opened_with_bookings(self) -> bool:
        """Whether the opening changed the account."""
        return self._kernel.has_opened_with_bookings

    def go_on(self, market: SessionMarket, *, closes_session: bool) -> None:
        """Turn to later bars of the session."""
        self.market = market
        self._kernel.next_bars(market, closes_session=closes_session)
        self._teller.go_on(market)
        self._kernel.open()

    def trade(self) -> None:
        """Match the orders with the bars, and mark the account at their closes."""
        for name in self._orders.index_of:
            if self._statuses[name].is_final:
                self.cancel(name)
        self._kernel.execute()
        self._tell()
        self._kernel.value()
        self._tell()

    def has(self, client_order_id: str) -> bool:
        """Return whether an order takes part in the session."""
        return client_order_id in self._orders.index_of

    def hold_back(self, client_order_id: str, given_at_utc: datetime) -> None:
        """Keep an order out of bars that opened before it was given."""
        index = self._orders.index_of[client_order_id]
        orders = self._kernel.simulation.orders
        orders["active_from"][index] = max(int(orders["active_from"][index]), instant_nanoseconds(given_at_utc))

    def place(self, order: Order, *, given_at_utc: datetime, last_usd: float | None = None) -> str:
        """Give an order to the venue between two bars; return why it is rejected, empty if it is not.

        Parameters
        ----------
        order : Order
            Of this session.
        given_at_utc : datetime
            It takes part in the bars that open then or later.
        last_usd : float, optional
            What its symbol traded at last, USD a share, where the session's bars so far were without it. A symbol that
            has not traded is worth what the order says that it was at the decision.
        """
        kernel, name = self._kernel, order.client_order_id
        number = kernel.number(order.symbol)
        if number is None:
            return reason_text(OrderReason.NO_PRICE, f"{order.symbol} is not traded here in {self.market.session}")
        simulation = kernel.simulation
        if last_usd is not None:
            simulation.positions["mark"][number] = last_usd
        elif math.isnan(simulation.positions["mark"][number]):
            simulation.positions["mark"][number] = order.arrival_price_usd
        is_fraction = order.trail_fraction is not None
        trail = order.trail_fraction if is_fraction else order.trail_usd
        try:
            index = simulation.place(
                number,
                order.quantity_shares,
                order_type=order_type_code(order),
                time_in_force=time_in_force_code(order.time_in_force),
                limit_usd=_NAN if order.limit_price_usd is None else order.limit_price_usd,
                stop_usd=_NAN if order.stop_price_usd is None else order.stop_price_usd,
                trail=_NAN if trail is None else trail,
                trail_is_fraction=is_fraction,
                expires_ns=NEVER if order.expires_at_utc is None else instant_nanoseconds(order.expires_at_utc),
            )
        except StrategyFailed as error:  # the kernel takes it for no order at all
            return reason_text(OrderReason.VENUE, str(error))
        self._orders.join(self._statuses[name])
        reason = codes.Reason(int(simulation.orders["reason"][index]))
        if reason is not codes.Reason.NONE:
            return reason_text(REASONS[reason])
        self.hold_back(name, given_at_utc)
        return ""

    def cancel(self, client_order_id: str) -> None:
        """Take an order that was cancelled from the venue, if it is there."""
        index = self._orders.index_of.get(client_order_id)
        if index is not None and self._kernel.is_open(index):
            self._close(index, codes.State.CANCELLED, codes.Reason.BY_STRATEGY)

    def replace(self, order: Order) -> bool:
        """Give an order other terms between two bars; false if the venue does not take them."""
        index = self._orders.index_of[order.client_order_id]
        is_taken = self._kernel.simulation.replace(
            index,
            quantity=order.quantity_shares,
            limit_usd=_NAN if order.limit_price_usd is None else order.limit_price_usd,
            stop_usd=_NAN if order.stop_price_usd is None else order.stop_price_usd,
        )
        self._teller.pass_over_changes()
        return is_taken

    def account(self) -> AccountState:
        """Return the account as it stands in the session: cash, positions and receivables."""
        kernel = self._kernel
        return replace(
            self._before, cash_usd=kernel.cash_usd, positions=kernel.positions(), receivables=kernel.receivables()
        )

    def closed_account(self) -> AccountState:
        """Return the account after the session, with what its open orders carry on."""
        account = self.account()
        before = account.order_progress
        if not before and all(status.is_final for status in map(self._statuses.__getitem__, self._orders.names)):
            return account
        progress = traded_progress(
            self._kernel, self._orders, self._teller.changes, self._statuses, before, session=self.market.session
        )
        return replace(account, order_progress=progress)

    def _tell(self) -> None:
        """Tell what happened to the orders, in the order in which it is told."""
        fills = []
        for event in self._teller.tell(self._statuses):
            self._tell_one(event)
            if event.fill is not None:
                fills.append(event.fill)
        for fill in fills:
            self._kernel.note_fill(fill)

    def _close(self, index: int, state: codes.State, reason: codes.Reason) -> None:
        close_order(self._kernel.simulation.handle, index, int(state), int(reason))
