"""The broker Alpaca, for US shares, through alpaca-py.

Belongs here: the broker as a whole: what it is asked, and when it catches up with what the stream has lost. Sending is
:mod:`aegis.execution.brokers.alpaca_sending`, what comes back :mod:`aegis.execution.brokers.alpaca_intake`. How it
behaves is written down in ``docs/brokers.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config_brokers import AlpacaBrokerSettings
from aegis.errors import BrokerUnavailable, ExecutionError
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.alpaca_hosts import require_allowed_host, require_allowed_number, stream_url
from aegis.execution.brokers.alpaca_intake import AlpacaIntake
from aegis.execution.brokers.alpaca_reports import VenueOrder, listed_execution, venue_order
from aegis.execution.brokers.alpaca_requests import AlpacaRequests
from aegis.execution.brokers.alpaca_sending import AlpacaSending
from aegis.execution.brokers.alpaca_statement import AlpacaStatement
from aegis.execution.brokers.alpaca_stream import AlpacaStream
from aegis.execution.brokers.alpaca_terms import why_not
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.broker_book import BrokerBook, Recall
from aegis.execution.brokers.followed_actions import FollowedActions
from aegis.execution.brokers.listening_broker import ListeningBroker
from aegis.execution.brokers.live_confirmation import LivePermission
from aegis.execution.brokers.stream_health import StreamHealth
from aegis.execution.brokers.us_stock_terms import why_not_now
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

_OVERLAP = timedelta(seconds=1)


class AlpacaBroker(ListeningBroker):
    """One account at Alpaca.

    Parameters
    ----------
    settings : AlpacaBrokerSettings
        Address, keys, timeouts and pauses.
    account : str
        Our name of the account; orders for another are rejected.
    calendar : TradingCalendar
        Tells the session of an instant.
    clock : Clock
        Dates what is refused on this side; what happens at Alpaca is dated by Alpaca.
    confirmation : LivePermission, optional
        Without one, only paper trading and this machine are reached. When it ends, only orders that reduce a position
        leave, and everything can be cancelled.
    symbols : mapping of str to str, optional
        Permanent symbols by the ticker of today, for positions that no order of ours names.
    pause : callable, optional
        Waits so many seconds between attempts.

    Raises
    ------
    ConfigurationError
        There are no keys, or the host trades real money and no confirmation covers the account now.

    Notes
    -----
    Nothing is asked before :meth:`connect`. Orders sent by an earlier process are made known by :meth:`adopt`. The
    stream tells first and may lose; REST is asked at every connection, every ``poll_seconds``, whenever Alpaca counts
    executions that were not told, and by :meth:`catch_up`.
    """

    _intake: AlpacaIntake
    _sending: AlpacaSending
    _statement: AlpacaStatement

    def __init__(
        self,
        settings: AlpacaBrokerSettings,
        *,
        account: str,
        calendar: TradingCalendar,
        clock: Clock,
        confirmation: LivePermission | None = None,
        symbols: Mapping[str, str] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        require_allowed_host(settings, account, confirmation, clock.now_utc())
        self._session_of = begun_sessions(calendar)
        super().__init__(settings, BrokerBook(self._session_of), account=account, venue="alpaca")
        self._settings = settings
        self._calendar = calendar
        self._clock = clock
        self._confirmation = confirmation
        self._intake = AlpacaIntake(self._book, self._session_of)
        self._requests = AlpacaRequests(settings, pause=pause)
        self._sending = AlpacaSending(
            self._requests,
            self._intake,
            self._book,
            attempts=settings.attempts,
            clock=clock,
            session_of=self._session_of,
            why_not_live=self._why_not_live,
        )
        self._followed = FollowedActions(self._book, symbols or {}, calendar=calendar, now=clock.now_utc)
        self._statement = AlpacaStatement(
            self._requests, account, clock=clock, session_of=self._session_of, symbols=self._followed.tickers
        )
        self._stream: AlpacaStream | None = None

    def connect(self) -> None:
        """Listen to trade updates, and catch up with what happened before.

        Raises
        ------
        BrokerUnavailable
            Alpaca gives no usable answer. Close the broker, or wait: the stream goes on trying.
        ConfigurationError
            Alpaca refuses the keys, or they belong to another account than the one that may be traded.
        """
        if self._stream is not None:
            raise ExecutionError(f"account {self._account}: connected to Alpaca already; make another broker")
        self.account()  # says at once when the keys are wrong; a stream would only try for ever
        self._require_allowed()
        stream = AlpacaStream(self._settings, on_update=self._take_update, on_connected=self._wanted.set)
        self._stream = stream
        limit = self._settings.connect_timeout_seconds + self._settings.read_timeout_seconds
        if not stream.start(timeout_seconds=limit):
            raise BrokerUnavailable(
                f"Alpaca's trade updates at {stream_url(self._settings)} did not begin within {limit:g} s; check the "
                "network and brokers.alpaca.stream_url"
            )
        self.catch_up()
        self._wanted.clear()
        self._poller.start()

    def submit(self, order: Order) -> OrderStatus:
        """Hand an order to Alpaca, at most once; see :meth:`Broker.submit`.

        Notes
        -----
        What Alpaca has no words for is rejected before anything is sent.
        """
        name = order.client_order_id
        is_new = self._book.know(order)
        if not is_new:  # nothing can have been told of a new one
            status = self._book.status(name)
            if status.is_final:
                return status
        is_unknown = self._sending.is_unknown(name)
        if name in self._sent and not is_unknown:
            return self.find_order(name) or self._book.status(name)
        if not is_unknown and (is_new or self._sending.look_up(name) is None):
            refusal = why_not(order, account=self._account)
            refusal = refusal or why_not_now(order, clock=self._clock, calendar=self._calendar)
            if refusal:
                return self._reject(order, refusal)
        status = self._sending.submit(order, is_retry=not is_new)
        self._sent.add(name)
        return status

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Ask for the rest of an order to be cancelled; see :meth:`Broker.cancel`."""
        self._require_known(client_order_id)
        status = self._book.status(client_order_id)
        if status.is_final:
            return status
        self._sending.cancel(client_order_id)
        return self._told_status(client_order_id)

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms; see :meth:`Broker.replace`. Only quantity and prices change."""
        self._require_known(order.client_order_id)
        status = self._book.status(order.client_order_id)
        if status.is_final:
            return status
        self._sending.replace(order, revision=revision)
        return self._told_status(order.client_order_id)

    def repeat_unless(self, is_stopped: Callable[[Order], bool]) -> None:
        """Send nothing once more where this says so; see :class:`RepeatingBroker`."""
        self._sending.is_stopped = is_stopped

    def let_go(self, client_order_ids: Iterable[str], *, heard: int, recall: Recall) -> None:
        """Forget orders that have ended; see :meth:`ForgettingBroker.let_go`."""
        self._book.drop_events(heard)
        for name in client_order_ids:
            if self._book.let_go(name, recall=partial(self._intake.bring_back, recall=recall)):
                self._intake.let_go(name)
                self._sending.let_go(name)
                self._sent.discard(name)

    def has_order(self, client_order_id: str) -> bool:
        """Whether Alpaca has an order of this id, known to this process or not."""
        return self._sending.look_up(client_order_id) is not None

    def catch_up(self) -> frozenset[str]:
        """Ask Alpaca what became of our open orders, and return those that it does not know.

        Raises
        ------
        BrokerUnavailable
            Alpaca gives no usable answer.
        """
        with self._catching:
            self._intake.forget_foreign_orders()
            listed = {self._intake.take_order(venue_order(row)) for row in self._requests.open_orders()}
            unlisted = [name for name in self._book.open_ids() if name not in listed]
            absent = frozenset(name for name in unlisted if self._sending.look_up(name) is None)
            self._sending.resolve()
            self._take_executions()
            return absent - frozenset(self._sending.unknown_orders)

    def foreign_orders(self) -> tuple[VenueOrder, ...]:
        """Return open orders of the account that are not ours, as of the last catching up and since."""
        return self._intake.foreign_orders()

    def fees(self, since: date) -> tuple[AccountFee, ...]:
        """Return the fees that Alpaca charged to the account since a day; it states none by execution."""
        return self._statement.fees(since)

    def follow_actions(self, actions: Sequence[CorporateAction], *, session: date) -> None:
        """Find out what Alpaca did to our open orders for corporate actions; see :class:`FollowsActions`."""
        self._followed.rename(actions)
        self.catch_up()
        self._followed.follow(actions, session=session, held=self._intake.held_terms())

    def stream_health(self) -> StreamHealth:
        """Return how the trade updates are."""
        if self._stream is None:
            return StreamHealth(is_connected=False, connections=0, silent_seconds=None)
        return self._stream.health()

    def _stop_listening(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _hang_up(self) -> None:
        self._requests.close()

    def _require_allowed(self) -> None:
        now = self._clock.now_utc()
        require_allowed_host(self._settings, self._account, self._confirmation, now)
        require_allowed_number(
            self._settings, self._statement.account_number, self._account, self._confirmation, now_utc=now
        )

    def _take_update(self, data: Mapping[str, Any]) -> None:
        try:
            self._intake.take_update(data)
        except BrokerUnavailable as error:
            self._failure = str(error)
            self._wanted.set()
            return
        if self._intake.lacks_since() is not None or str(data.get("event")) == "replaced":
            self._wanted.set()

    def _take_executions(self) -> None:
        since = self._intake.lacks_since()
        if since is not None:
            for row in self._requests.activities("FILL", after=since - _OVERLAP):
                self._intake.take_execution(listed_execution(row))

    def _told_status(self, client_order_id: str) -> OrderStatus:
        self._take_executions()
        return self._book.status(client_order_id)

    def _reject(self, order: Order, reason: str) -> OrderStatus:
        now = self._clock.now_utc()
        self._book.tell(
            OrderEvent(
                kind=OrderEventKind.REJECTED,
                client_order_id=order.client_order_id,
                session=self._session_of(now),
                at_utc=now,
                reason=reason,
            )
        )
        return self._book.status(order.client_order_id)
