"""The broker Interactive Brokers, for US shares, through TWS or IB Gateway.

Belongs here: the broker as a whole: what it is asked, and when it catches up with what events have lost. Sending is
:mod:`aegis.execution.brokers.interactive_brokers_sending`, what comes back
:mod:`aegis.execution.brokers.interactive_brokers_intake`. How it behaves is written down in ``docs/brokers.md``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config_brokers import InteractiveBrokersBrokerSettings
from aegis.errors import BrokerUnavailable, ConfigurationError, ExecutionError
from aegis.execution.account_state import Position
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.broker import AccountBalance, BrokerEvent
from aegis.execution.brokers.broker_book import BrokerBook
from aegis.execution.brokers.followed_actions import FollowedActions
from aegis.execution.brokers.interactive_brokers_account import (
    chosen_account,
    require_allowed_account,
    require_allowed_port,
)
from aegis.execution.brokers.interactive_brokers_connection import InteractiveBrokersConnection
from aegis.execution.brokers.interactive_brokers_ends import LOST
from aegis.execution.brokers.interactive_brokers_intake import InteractiveBrokersIntake
from aegis.execution.brokers.interactive_brokers_reports import GatewayOrder
from aegis.execution.brokers.interactive_brokers_sending import InteractiveBrokersSending
from aegis.execution.brokers.interactive_brokers_statement import InteractiveBrokersStatement
from aegis.execution.brokers.interactive_brokers_terms import why_not
from aegis.execution.brokers.live_confirmation import LivePermission
from aegis.execution.brokers.live_orders import why_not_live
from aegis.execution.brokers.stream_health import StreamHealth
from aegis.execution.brokers.us_stock_terms import why_not_now
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Order, OrderEvent

_MOST_DOUBLINGS = 16


class InteractiveBrokersBroker:
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
        self._settings = settings
        self._account = account
        self._calendar = calendar
        self._clock = clock
        self._confirmation = confirmation
        self._zone = ZoneInfo(calendar.time_zone)
        self._skew = timedelta()
        session_of = begun_sessions(calendar)
        self._book = BrokerBook(session_of)
        self._wanted = threading.Event()
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
        self._sent: set[str] = set()
        self._catching = threading.Lock()
        self._closing = threading.Event()
        self._failure = ""
        self._poller = threading.Thread(target=self._poll, name="interactive-brokers-catch-up", daemon=True)

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

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Make an order known that an earlier process may have sent, with what is recorded of it.

        Raises
        ------
        OrderRejected
            The id belongs to an order with other terms.

        Notes
        -----
        What is recorded is not told again by :meth:`events_since`.
        """
        told = tuple(answers)
        if self._book.know(order, told):
            self._intake.recall(told)
        return self._book.status(order.client_order_id)

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
            return self.find_order(name) or status
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
        return status if status.is_final else self._sending.cancel(client_order_id)

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
        """Return where an order stands by Interactive Brokers' own word; see :meth:`Broker.find_order`."""
        if not self._book.knows(client_order_id):
            return None
        status = self._book.status(client_order_id)
        if status.is_final:
            return status
        return self._book.status(client_order_id) if self._sending.look_up(client_order_id) else None

    def has_order(self, client_order_id: str) -> bool:
        """Whether Interactive Brokers has, or had today, an order of this id, known to this process or not."""
        return self._sending.look_up(client_order_id)

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return our orders that may still execute, sorted by id, those included of which nobody knows."""
        absent = self.catch_up()
        return tuple(self._book.status(name) for name in self._book.open_ids() if name not in absent)

    def positions(self) -> tuple[Position, ...]:
        """Return the positions held, sorted by symbol, whoever traded them."""
        return self._statement.positions()

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power."""
        return self._statement.balance()

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first; nothing is asked of the gateway."""
        return self._book.events_since(sequence)

    def wait_for_events(self, sequence: int, *, timeout_seconds: float) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence` as soon as there are any, none after the timeout."""
        return self._book.wait_for_events(sequence, timeout_seconds=timeout_seconds)

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
                self._book.doubt(name, "lost", f"order {name}: {LOST}" if is_lost else "")
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

    def contradictions(self) -> tuple[str, ...]:
        """Return what the gateway told in two ways, corrected or lost; reconciliation decides."""
        return self._book.contradictions()

    def unknown_orders(self) -> tuple[str, ...]:
        """Return orders of which nobody knows whether they arrived; while there are any, nothing new is sent."""
        return self._sending.unknown_orders

    def clock_skew_seconds(self) -> float:
        """Return by how much the gateway's clock is ahead of ours; it tells whole seconds."""
        return self._statement.clock_skew_seconds()

    def stream_health(self) -> StreamHealth:
        """Return how the connection is; a gateway that has lost Interactive Brokers is not connected."""
        return self._connection.health()

    @property
    def account_code(self) -> str:
        """Interactive Brokers' name of the account; empty before the first logon."""
        return self._intake.account_code

    @property
    def last_failure(self) -> str:
        """Why the last catching up in the background failed; empty where it did not."""
        return self._failure

    def close(self) -> None:
        """Let go of the connection and the threads; orders at Interactive Brokers stay as they are."""
        self._closing.set()
        self._wanted.set()
        self._connection.close()
        if self._poller.is_alive():
            self._poller.join()

    def __enter__(self) -> Self:
        """Connect."""
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _admit(self, managed: Sequence[str]) -> None:
        code = chosen_account(self._settings, managed)
        if code != self._intake.account_code:  # what was admitted once can be cancelled and reduced after any new logon
            require_allowed_account(code, self._account, self._confirmation, self._clock.now_utc())
        self._intake.account_code = code

    def _why_not_live(self, order: Order) -> str:
        return why_not_live(
            order,
            require=self._require_allowed,
            positions=self._statement.positions,
            open_orders=[self._book.status(name) for name in self._book.open_ids()],
        )

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

    def _poll(self) -> None:
        """Catch up whenever it is wanted, and every so often."""
        failures = 0
        while not self._closing.is_set():
            self._wanted.wait(self._settings.poll_seconds)
            self._wanted.clear()
            if self._closing.is_set():
                return
            try:
                self.catch_up()
            except (BrokerUnavailable, ConfigurationError) as error:
                self._failure = str(error)
                pause = self._settings.reconnect_first_seconds * 2.0**failures
                self._closing.wait(min(pause, self._settings.reconnect_longest_seconds))
                failures = min(failures + 1, _MOST_DOUBLINGS)
                self._wanted.set()
            else:
                self._failure, failures = "", 0

    def _require_known(self, client_order_id: str) -> None:
        if not self._book.knows(client_order_id):
            raise ExecutionError(
                f"order {client_order_id}: unknown to account {self._account}; adopt it, or reconcile it as a foreign "
                "order"
            )

    def _take_time(self, told_utc: datetime) -> None:
        self._skew = told_utc - self._clock.now_utc()

    def _venue_now(self) -> datetime:
        return self._clock.now_utc() + self._skew

    def _venue_day(self) -> date:
        return self._venue_now().astimezone(self._zone).date()
