"""The broker Interactive Brokers, for US shares, through TWS or IB Gateway.

Belongs here: the broker as a whole: what it is asked, and when it catches up with what events have lost. Sending is
:mod:`aegis.execution.brokers.interactive_brokers_sending`, what comes back
:mod:`aegis.execution.brokers.interactive_brokers_intake`. How it behaves is written down in ``docs/brokers.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config_brokers import InteractiveBrokersBrokerSettings
from aegis.errors import ExecutionError
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.broker_book import BrokerBook
from aegis.execution.brokers.followed_actions import FollowedActions
from aegis.execution.brokers.interactive_brokers_account import (
    chosen_account,
    require_allowed_account,
    require_allowed_port,
)
from aegis.execution.brokers.interactive_brokers_connection import InteractiveBrokersConnection
from aegis.execution.brokers.interactive_brokers_ends import lost, why_unproven
from aegis.execution.brokers.interactive_brokers_intake import InteractiveBrokersIntake
from aegis.execution.brokers.interactive_brokers_reports import GatewayOrder
from aegis.execution.brokers.interactive_brokers_sending import InteractiveBrokersSending
from aegis.execution.brokers.interactive_brokers_statement import InteractiveBrokersStatement
from aegis.execution.brokers.interactive_brokers_terms import why_not
from aegis.execution.brokers.listening_broker import ListeningBroker
from aegis.execution.brokers.live_confirmation import LivePermission
from aegis.execution.brokers.stream_health import StreamHealth
from aegis.execution.brokers.us_stock_terms import why_not_now
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Order


class InteractiveBrokersBroker(ListeningBroker):
    """One account at Interactive Brokers.

    Parameters
    ----------
    settings : InteractiveBrokersBrokerSettings
        Address, client id, timeouts and pauses.
    account : str
        Our name of the account; orders for another are rejected.
    calendar : TradingCalendar
        Tells the session of an instant.
    clock : Clock
        Ours; what happens at the venue is dated by the venue's.
    confirmation : LivePermission, optional
        Without one, only accounts for paper trading are traded. When it ends, only orders that reduce a position leave,
        and everything can be cancelled.
    symbols : mapping of str to str, optional
        Permanent symbols by the ticker of today, for positions that no order of ours names.
    pause : callable, optional
        Waits so many seconds between attempts.

    Raises
    ------
    ConfigurationError
        The port or the account trades real money, and no confirmation covers the account now.

    Notes
    -----
    Nothing is asked before :meth:`connect`. Orders sent by an earlier process are made known by :meth:`adopt`. Events
    tell first and may lose; the gateway is asked at every connection, every ``poll_seconds``, whenever it counts
    executions that were not told, and by :meth:`catch_up`.
    """

    _intake: InteractiveBrokersIntake
    _sending: InteractiveBrokersSending
    _statement: InteractiveBrokersStatement

    def __init__(
        self,
        settings: InteractiveBrokersBrokerSettings,
        *,
        account: str,
        calendar: TradingCalendar,
        clock: Clock,
        confirmation: LivePermission | None = None,
        symbols: Mapping[str, str] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        require_allowed_port(settings, account, confirmation, clock.now_utc())
        session_of = begun_sessions(calendar)
        super().__init__(settings, BrokerBook(session_of), account=account, venue="interactive-brokers")
        self._settings = settings
        self._calendar = calendar
        self._clock = clock
        self._confirmation = confirmation
        self._zone = ZoneInfo(calendar.time_zone)
        self._skew = timedelta()
        self._intake = InteractiveBrokersIntake(
            self._book,
            session_of,
            now=self._venue_now,
            closes=calendar.close_utc,
            client_id=settings.client_id,
            wants=self._wanted.set,
            waits=self._wait_for_commission,
            tells_time=self._take_time,
        )
        self._connection = InteractiveBrokersConnection(
            settings, sink=self._intake, admit=self._admit, on_connected=self._wanted.set, pause=pause
        )
        self._sending = InteractiveBrokersSending(
            self._connection, self._intake, self._book, settings=settings, today=self._venue_day
        )
        self._followed = FollowedActions(self._book, symbols or {}, calendar=calendar, now=self._venue_now)
        self._statement = InteractiveBrokersStatement(
            self._connection,
            account,
            account_code=lambda: self._intake.account_code,
            clock=clock,
            session_of=session_of,
            symbols=self._followed.tickers,
        )

    def connect(self) -> None:
        """Log on to the gateway, and catch up with what happened before.

        Raises
        ------
        BrokerUnavailable
            The gateway gives no usable answer. Close the broker, or connect it again: it goes on trying.
        ConfigurationError
            The gateway does not manage the account, or the account may not be traded.
        """
        if self._poller.ident is not None:
            raise ExecutionError(
                f"account {self._account}: connected to Interactive Brokers already; make another broker"
            )
        self._connection.start()
        self.catch_up()
        self._wanted.clear()
        self._poller.start()

    def submit(self, order: Order) -> OrderStatus:
        """Hand an order to Interactive Brokers, at most once; see :meth:`Broker.submit`.

        Raises
        ------
        BrokerUnavailable
            There is no connection; nothing was sent.

        Notes
        -----
        What TWS has no words for is rejected before anything is sent.
        """
        name = order.client_order_id
        is_new = self._book.know(order)
        status = self._book.status(name)
        if status.is_final:
            return status
        is_unknown = self._sending.is_unknown(name)
        if name in self._sent and not is_unknown:
            return super().find_order(name) or status
        if is_new or not (is_unknown or self._may_be_there(order)):
            refusal = why_not(order, account=self._account)
            refusal = refusal or why_not_now(order, clock=self._clock, calendar=self._calendar)
            if refusal:
                self._intake.reject(name, refusal)
                return self._book.status(name)
        refusal = self._why_not_live(order)
        if refusal and (is_new or not self._sending.look_up(name)):
            self._sending.forget(name)
            self._intake.reject(name, refusal)
            return self._book.status(name)
        status = self._sending.submit(order, is_retry=not is_new)
        self._sent.add(name)
        return status

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Ask for the rest of an order to be cancelled; see :meth:`Broker.cancel`."""
        self._require_known(client_order_id)
        status = self._book.status(client_order_id)
        is_over = status.is_final and not self._intake.awaiting_end(client_order_id)
        return status if is_over else self._sending.cancel(client_order_id)

    def known_open(self) -> tuple[OrderStatus, ...]:
        """Return our orders that may execute, sorted by id; one that ended too, while its second one is open."""
        names = sorted({*self._book.open_ids(), *self._intake.unended()})
        return tuple(self._book.status(name) for name in names)

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms; see :meth:`Broker.replace`. Only quantity and prices change."""
        self._require_known(order.client_order_id)
        status = self._book.status(order.client_order_id)
        if status.is_final:
            return status
        refusal = self._why_not_live(order)
        if refusal:
            self._intake.decline_replacement(order.client_order_id, revision, refusal)
            return self._book.status(order.client_order_id)
        return self._sending.replace(order, revision=revision)

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands by Interactive Brokers' own word, None where it has none and never had.

        Raises
        ------
        SubmissionUnknown
            It is not told of, and that proves nothing: it was acknowledged, or its session is over by the venue's day.
        BrokerUnavailable
            The gateway gives no usable answer.
        """
        found = super().find_order(client_order_id)
        if found is None and self._book.knows(client_order_id):
            self._sending.require_never_sent(client_order_id)
        return found

    def has_order(self, client_order_id: str) -> bool:
        """Whether Interactive Brokers has, or had today, an order of this id, known to this process or not."""
        return self._sending.look_up(client_order_id)

    def why_unproven(self, order: Order) -> str:
        """Return why it proves nothing that an order is not told of, else an empty text; see :class:`TellsOfToday`."""
        return why_unproven(order, today=self._venue_day())

    def catch_up(self) -> frozenset[str]:
        """Ask what became of our open orders, and return those that Interactive Brokers does not tell of.

        Raises
        ------
        BrokerUnavailable
            The gateway gives no usable answer.
        """
        with self._catching:
            self._intake.forget_foreign_orders()
            # What is submitted while the question is under way is not absent, though the answer may not name it.
            before = {name: self._book.status(name).state for name in self._book.open_ids()}
            absent = frozenset(before) - frozenset(self._sending.unknown_orders) - self._sending.sweep()
            absent &= frozenset(self._book.open_ids())
            for name, state in before.items():
                is_lost = name in absent and state is not OrderState.SUBMITTED
                self._book.doubt(name, "lost", lost(name) if is_lost else "")
            return absent

    def follow_actions(self, actions: Sequence[CorporateAction], *, session: date) -> None:
        """Find out what became of our open orders for corporate actions; see :class:`FollowsActions`."""
        self._followed.rename(actions)
        absent = self.catch_up()
        self._followed.follow(actions, session=session, held=self._intake.held_terms(), absent=absent)

    def foreign_orders(self) -> tuple[GatewayOrder, ...]:
        """Return open orders of the account that are not ours, as of the last catching up and since."""
        return self._intake.foreign_orders()

    def fees(self, since: date) -> tuple[AccountFee, ...]:
        """Return commissions that were told after their fills had been, since a day."""
        return tuple(fee for fee in self._intake.late_commissions() if fee.day >= since)

    def stream_health(self) -> StreamHealth:
        """Return how the connection is; a gateway that has lost Interactive Brokers is not connected."""
        return self._connection.health()

    @property
    def account_code(self) -> str:
        """Interactive Brokers' name of the account; empty before the first logon."""
        return self._intake.account_code

    def _stop_listening(self) -> None:
        self._connection.close()

    def _admit(self, managed: Sequence[str]) -> None:
        code = chosen_account(self._settings, managed)
        if code != self._intake.account_code:  # what was admitted once can be cancelled and reduced after any new logon
            require_allowed_account(code, self._account, self._confirmation, self._clock.now_utc())
        self._intake.account_code = code

    def _require_allowed(self) -> None:
        now = self._clock.now_utc()
        require_allowed_port(self._settings, self._account, self._confirmation, now)
        if self._intake.account_code:
            require_allowed_account(self._intake.account_code, self._account, self._confirmation, now)

    def _may_be_there(self, order: Order) -> bool:
        """Whether an order that an earlier process knew is there, or may have been on an earlier day."""
        return self._sending.look_up(order.client_order_id) or self._venue_day() > order.execution_session

    def _wait_for_commission(self, execution_id: str) -> None:
        self._connection.call_later(
            self._settings.commission_wait_seconds, lambda: self._intake.asks_for_commission(execution_id)
        )

    def _take_time(self, told_utc: datetime) -> None:
        self._skew = told_utc - self._clock.now_utc()

    def _venue_now(self) -> datetime:
        return self._clock.now_utc() + self._skew

    def _venue_day(self) -> date:
        return self._venue_now().astimezone(self._zone).date()
