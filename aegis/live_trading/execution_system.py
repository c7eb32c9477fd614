"""The way to trade one account: submit, replace and cancel orders, ask for positions, and be stopped.

Belongs here: an account at work as a whole: lease, recovery, reconciliation, the stop. One order's way out is
:mod:`aegis.live_trading.exit_door`; parent orders and the clock are :mod:`aegis.live_trading.live_trader`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from types import TracebackType
from typing import Self

from aegis.backtesting.session_market import CorporateAction
from aegis.errors import AegisError, AnchorUnavailable, ExecutionError
from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance, Broker
from aegis.execution.journal import Journal
from aegis.execution.order_ids import client_order_id, decision_id
from aegis.execution.order_projections import recorded_fills
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.order_terms import OrderType, TimeInForce
from aegis.execution.orders import Fill, Order, OrderEvent
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.agreement import Agreement
from aegis.live_trading.anchoring import Anchoring
from aegis.live_trading.broker_account import AccountReview
from aegis.live_trading.execution_config import ExecutionConfig
from aegis.live_trading.exit_door import ExitDoor
from aegis.live_trading.exit_permits import FlattenPermit
from aegis.live_trading.flattening import Flattening
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.lease import Lease
from aegis.live_trading.sending_lock import SendingLock
from aegis.live_trading.session_clock import SessionClock
from aegis.live_trading.stop_watch import StopWatch

_ASKED = "asked"


class ExecutionSystem:
    """One account at one broker, open for orders once the books agree.

    Parameters
    ----------
    broker : Broker
        Connected; it stays the caller's and is not closed here.
    config : ExecutionConfig
        Where the account lives and what keeps it in bounds.

    Raises
    ------
    ExecutionError
        Another process trades the account.
    JournalError
        The journal cannot be opened, was tampered with, or is not what its anchor says; or the anchor does not answer.
    BrokerUnavailable
        The broker does not say what became of earlier orders. Nothing was sent.

    Notes
    -----
    Safe to share between threads. It is a context manager; while it is open, a thread of its own writes down what the
    broker tells, obeys the kill switch and reconciles.

    Examples
    --------
    >>> with ExecutionSystem(broker, config) as system:  # doctest: +SKIP
    ...     status = system.submit_order(system.order("SPY", 100, arrival_price_usd=450.0, name="hedge-1"))
    """

    def __init__(self, broker: Broker, config: ExecutionConfig) -> None:
        self._broker = broker
        self._config = config
        self._sessions = SessionClock(config.calendar)
        self._switch = KillSwitch(config.kill_switch)
        self._failure = ""
        self._deaf = ""
        self._stepping = threading.RLock()
        self._closing = threading.Event()
        now = config.clock.now_utc()
        with ExitStack() as opened:
            self._lease = opened.enter_context(Lease(config.lease, account=config.account, since_utc=now))
            self._journal = opened.enter_context(Journal.open(config.journal, account=config.account))
            self._journal.verify()
            self._anchoring = Anchoring(config.anchor, self._journal)
            opened.callback(self._anchoring.close)
            self._anchoring.begin(session=self._sessions.session_of(now), at_utc=now)
            self._ledger = WorkedLedger(self._journal, first=self._sessions.first_session(now))
            rules = config.rules(self._journal)
            permit = FlattenPermit(
                broker, self._switch, account=config.account, clock=config.clock, sessions=self._sessions
            )
            self.door = ExitDoor(
                broker,
                self._ledger,
                rules=rules,
                switch=self._switch,
                sending=SendingLock.beside(config.kill_switch),
                clock=config.clock,
                session_of=self.session_of,
                made_by=config.made_by,
                flatten=permit,
                anchoring=self._anchoring,
            )
            self._flattening = Flattening(
                self.door, broker, self._journal, permit=permit, config=config, sessions=self._sessions
            )
            self._watch = StopWatch(broker, self._switch, pause_seconds=config.poll_seconds)
            with self._watch.ends_on_failure():  # one venue of several that does not answer keeps no other from it
                self.door.recover()
                self._agreement = Agreement(broker, self._journal, self.door, rules, config, session_of=self.session_of)
                self.reconcile()
            self._opened = opened.pop_all()
        self._pump = threading.Thread(target=self._run, name=f"execution-{config.account}", daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen to the broker in the background."""
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    @property
    def ledger(self) -> WorkedLedger:
        """The account's page of the journal, for what else this process writes; the door is its only other writer."""
        return self._ledger

    @property
    def breaks(self) -> tuple[str, ...]:
        """What differs from the broker, or holds the account back; while anything does, only reducing orders leave.

        Notes
        -----
        While the journal's head cannot be anchored, these do not leave either.
        """
        held_back = (self._deaf, self._anchoring.failure, self._config.why_only_reducing())
        return (*filter(None, held_back), *self._agreement.breaks)

    @property
    def last_review(self) -> tuple[AccountReview | None, datetime | None]:
        """What the last comparison with the broker found, and when the broker was asked."""
        return self._agreement.review, self._agreement.asked_at

    @property
    def stopped(self) -> str:
        """Why the kill switch lets nothing leave; empty while orders may."""
        return self._switch.status().told

    @property
    def last_failure(self) -> str:
        """What went wrong in the background last; empty where nothing did."""
        return self._failure

    def order(
        self,
        symbol: str,
        quantity_shares: float,
        *,
        name: str,
        arrival_price_usd: float,
        order_type: OrderType = "market",
        time_in_force: TimeInForce = "DAY",
        limit_price_usd: float | None = None,
        stop_price_usd: float | None = None,
        ticker: str | None = None,
        is_reducing: bool = False,
        reason: str = "asked by a person or a program",
    ) -> Order:
        """Return an order of the session that is open, or of the next one.

        Parameters
        ----------
        symbol : str
            Permanent symbol; `ticker` where it trades under another one.
        quantity_shares : float
            Bought positive, sold negative.
        name : str
            What makes it the same order: the same name in the same session is submitted once, whatever happens.
        arrival_price_usd : float
            Price at the decision, USD a share; slippage is measured against it.
        order_type, time_in_force, limit_price_usd, stop_price_usd, is_reducing, reason
            As in :class:`aegis.execution.orders.Order`.

        Raises
        ------
        ExecutionError
            The terms do not go together.
        """
        config = self._config
        now = config.clock.now_utc()
        execution_session = self._sessions.execution_session(now)
        session = config.calendar.previous(execution_session)
        decision = decision_id(config.account, config.book, session=session, kind=f"{_ASKED}:{name}", number=1)
        return Order(
            client_order_id=client_order_id(config.account, decision, symbol=symbol),
            decision_id=decision,
            account=config.account,
            session=session,
            execution_session=execution_session,
            symbol=symbol,
            ticker=ticker or symbol,
            quantity_shares=quantity_shares,
            algorithm="market",
            time_in_force=time_in_force,
            arrival_price_usd=arrival_price_usd,
            target_weight=0.0,
            is_reducing=is_reducing,
            reason=reason,
            order_type=order_type,
            limit_price_usd=limit_price_usd,
            stop_price_usd=stop_price_usd,
        )

    def submit_order(self, order: Order) -> OrderStatus:
        """Let an order out, at most once, and return where it stands; see :meth:`ExitDoor.submit`.

        Raises
        ------
        ExecutionError
            The books differ from the broker's and the order does not reduce a position. Nothing was sent or written.
        """
        self.require_agreement(order)
        return self.door.submit(order)

    def cancel_order(self, order_id: str) -> OrderStatus:
        """Ask for the end of an order and return where it stands."""
        return self.door.cancel(order_id)

    def replace_order(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms of an open order, under the id that it has, and return where it stands."""
        self.require_agreement(order)
        return self.door.replace(order, revision=revision)

    def get_positions(self) -> tuple[Position, ...]:
        """Return what the broker says the account holds, sorted by symbol."""
        return self._broker.positions()

    @property
    def held_symbols(self) -> tuple[str, ...]:
        """Permanent symbols that the broker held at the last look, sorted."""
        review = self._agreement.review
        return () if review is None else tuple(sorted(position.symbol for position in review.positions))

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return the orders that are not at their end by the journal, sorted by id."""
        found = (self.door.status(name) for name in self.door.open_ids())
        return tuple(status for status in found if status is not None and not status.is_final)

    def fills(self, first: date, last: date) -> list[Fill]:
        """Return the fills of the sessions in ``[first, last]`` in the order in which they were recorded."""
        return recorded_fills(self._journal, first=first, last=last)

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power as the broker tells them."""
        return self._broker.account()

    def require_agreement(self, order: Order) -> None:
        """Refuse an order that opens something while the books differ from the broker's, or the account is held back.

        Raises
        ------
        ExecutionError
            They differ, or it is; the message says why.
        AnchorUnavailable
            The journal's head cannot be anchored: no order leaves, whatever it does.
        """
        if self._anchoring.failure:
            raise AnchorUnavailable(
                f"{self._anchoring.failure}. Order {order.client_order_id} ({order.symbol} {order.quantity_shares:g}) "
                "was not sent"
            )
        breaks = self.breaks
        if breaks and not order.is_reducing:
            more = f", and {len(breaks) - 1} more" if len(breaks) > 1 else ""
            stands = "may only reduce positions" if self._config.why_only_reducing() else "differs from the broker"
            raise ExecutionError(
                f"order {order.client_order_id} ({order.symbol} {order.quantity_shares:g}) was not sent: account "
                f"{self._config.account} {stands}: {breaks[0]}{more}"
            )

    def reconcile(self) -> AccountReview:
        """Compare the journal with the broker; what differs blocks whatever does not reduce a position.

        Raises
        ------
        BrokerUnavailable
            The broker gives no usable answer; what was known stays.
        """
        with self._stepping:
            return self._agreement.look()

    def take_over_positions(self, *, reason: str, actor: str) -> AccountReview:
        """Take the broker's word for what the account holds, on a person's word, and reconcile.

        Raises
        ------
        ExecutionError
            Reason or actor is empty.
        """
        with self._stepping:
            self._agreement.take_over(reason, actor)
            return self._agreement.look()

    def unbooked_sessions(self) -> tuple[date, ...]:
        """Return the sessions whose actions :meth:`book_actions` was not given, and the one that began last."""
        return self._agreement.unbooked_sessions(self.session_of(self._config.clock.now_utc()))

    def book_actions(
        self, actions: Sequence[CorporateAction], *, session: date, closes_usd: Mapping[str, float] | None = None
    ) -> None:
        """Write down what the opening of a session did to what is held, once, and reconcile if it did anything.

        Parameters
        ----------
        actions : sequence of CorporateAction
            All of the session.
        session : date
            Their ex-date.
        closes_usd : mapping of str to float, optional
            Raw closes of the session before, by permanent symbol: what a fraction of a share is about worth.
        """
        with self._stepping:
            if self._agreement.book_actions(actions, session=session, closes_usd=closes_usd or {}):
                self._agreement.look()

    def listen(self) -> None:
        """Begin to listen to the broker in the background; where nobody does, whoever holds the system steps it."""
        self._pump.start()
        self._watch.start()

    def cancel_all(self, *, while_stopped: bool = False) -> tuple[OrderStatus, ...]:
        """Ask for the end of every order that was sent; return those that are still open.

        Parameters
        ----------
        while_stopped : bool
            Whether nothing is asked for where the kill switch is not, or no longer, engaged.

        Notes
        -----
        One that cannot be cancelled keeps no other from it; whoever calls, calls again until none is left.
        Orders that were committed and not sent yet stay as they are: nothing sends them while the switch is engaged.
        """
        failures = self._watch.cancel_all(self.sent_orders, while_stopped=while_stopped)
        try:
            self.door.take_events()
        except AegisError as error:
            failures += (str(error),)
        self._failure = "; ".join(dict.fromkeys(failures))
        return self.sent_orders()

    def sent_orders(self) -> tuple[OrderStatus, ...]:
        """Return the open orders that are at the venue or on their way, sorted by id."""
        return tuple(status for status in self.open_orders() if status.state is not OrderState.APPROVED)

    def step(self) -> tuple[OrderEvent, ...]:
        """Look at everything once: events, the kill switch, the schedule of reconciliation; return the events."""
        with self._stepping:
            stopped = self._lease.stop_if_lost(self._switch, self._config.clock.now_utc())
            if stopped.is_engaged:  # before anything that may fail: a stop waits for no journal and no broker's word
                self.cancel_all(while_stopped=True)
            events = self.door.take_events()
            if stopped.is_engaged:
                kept = self._flattening.step(stopped.flatten)  # also beside an order that could not be cancelled
                self._failure = "; ".join(filter(None, (self._failure, kept)))
            else:
                self._failure = ""
            self._anchoring.follow()
            self.door.settle_doubts()
            if self._agreement.is_due(self._config.clock.now_utc()):
                self._agreement.look()
            self._journal.checkpoint()
            return events

    def session_of(self, instant_utc: datetime) -> date:
        """Return the session that had begun last."""
        return self._sessions.session_of(instant_utc)

    def close(self) -> None:
        """Stop listening and give the lease back; orders stay as they are. Closing again does nothing."""
        self._closing.set()
        self._watch.close()  # lets the other thread wait for no answer either
        if self._pump.is_alive():
            self._pump.join()
        self._opened.close()

    def _run(self) -> None:
        while not self._closing.wait(self._config.poll_seconds):
            try:
                self.step()
            except AegisError as error:
                self._failure = str(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, a thread that has ended would obey no stop
                self._deaf = f"listening to the broker met {error!r}; close the system and start it again"
