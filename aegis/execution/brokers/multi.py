"""Several brokers at once, each for its own symbols, as one broker.

Belongs here: where an order goes and stays, one stream of events of all, and totals. The rules are
:mod:`aegis.execution.brokers.order_routes`. What one broker cannot do stops only what is routed to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any, TypeVar

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.errors import BrokerUnavailable, ConfigurationError, ExecutionError, OrderRejected, SubmissionUnknown
from aegis.execution.account_state import Position
from aegis.execution.brokers import broker_abilities as abilities
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.broker import AccountBalance, Broker, BrokerEvent
from aegis.execution.brokers.broker_book import BrokerBook
from aegis.execution.brokers.broker_totals import total_balance, total_positions
from aegis.execution.brokers.concurrent_questions import ConcurrentQuestions
from aegis.execution.brokers.order_routes import OrderRoutes
from aegis.execution.order_book import OrderBook
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import UNSENT, OrderState, OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

Answer = TypeVar("Answer")
_DOWN = (BrokerUnavailable, SubmissionUnknown, ConfigurationError)


@dataclass(frozen=True, slots=True)
class BrokerReport:
    """What one of several brokers says; `failure` says why it says nothing, and is empty where it does."""

    positions: tuple[Position, ...]
    balance: AccountBalance | None
    failure: str


class MultiBroker:
    """Several brokers for one account of ours.

    Parameters
    ----------
    brokers : mapping of str to Broker
        By name; all made for the same `account`.
    routes : OrderRoutes
        Which of them takes a symbol.
    account : str
        Our name of the account.
    calendar : TradingCalendar
        Tells the session of an instant.
    clock : Clock
        Dates what no rule routes.
    patience_seconds : float, optional
        How long the slowest broker is waited for where all are asked; then it counts as one that gives no answer.

    Notes
    -----
    An order stays where it was sent: its id is known to one broker. An order that an earlier process may have sent is
    looked for at all of them before it is sent, because rules may have changed since. Totals are of all brokers or of
    none; :meth:`reports` tells what the others say while one is down.
    """

    def __init__(
        self,
        brokers: Mapping[str, Broker],
        routes: OrderRoutes,
        *,
        account: str,
        calendar: TradingCalendar,
        clock: Clock,
        patience_seconds: float = 5.0,
    ) -> None:
        self._questions = ConcurrentQuestions(brokers, patience_seconds=patience_seconds)
        self._brokers = dict(sorted(brokers.items()))
        self._reached = {n: found for n, found in self._brokers.items() if isinstance(found, abilities.ConnectedBroker)}
        self._routes = routes
        self._account = account
        self._clock = clock
        self._session_of = begun_sessions(calendar)
        self._lock = threading.RLock()
        self._homes: dict[str, str | None] = {}
        self._submitted: dict[str, Order] = {}
        self._adopted: set[str] = set()
        self._connected: set[str] = set()
        self._unrouted = BrokerBook(self._session_of)
        self._book = OrderBook()
        self._seen = dict.fromkeys(("", *self._brokers), 0)
        self._events: list[BrokerEvent] = []
        self._failures: dict[str, str] = {}

    def connect(self) -> Mapping[str, str]:
        """Connect the brokers that are not connected, and return why some cannot be; call it again for these."""
        for name, reached in self._reached.items():
            if name not in self._connected:
                try:
                    self._noting(name, reached.connect)
                except _DOWN:
                    continue
                self._connected.add(name)
        return self.failures()

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Make an order known that an earlier process may have sent, with what is recorded of it.

        Raises
        ------
        OrderRejected
            The id belongs to an order with other terms.
        """
        told = tuple(answers)
        home = self._home(order)
        with self._lock:
            self._adopted.add(order.client_order_id)
            for event in told:
                self._book.apply(event)
        reached = self._reached.get(home or "")
        if reached is not None:
            reached.adopt(order, told)
        return self._status(order.client_order_id)

    def submit(self, order: Order) -> OrderStatus:
        """Hand an order to the broker that its symbol is routed to; see :meth:`Broker.submit`.

        Notes
        -----
        An order that no rule routes is rejected.
        """
        name = order.client_order_id
        home = self._home(order)
        if home is None:
            return self._reject(order)
        if name in self._adopted:
            home = self._search(order, home)
        status = self._at(home, lambda broker: broker.submit(order))
        with self._lock:
            self._adopted.discard(name)
        return status

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Ask for the rest of an order to be cancelled; see :meth:`Broker.cancel`."""
        home = self._known_home(client_order_id)
        if home is None:
            return self._status(client_order_id)
        return self._at(home, lambda broker: broker.cancel(client_order_id))

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms of an order; see :meth:`Broker.replace`."""
        home = self._known_home(order.client_order_id)
        if home is None:
            return self._status(order.client_order_id)
        return self._at(home, lambda broker: broker.replace(order, revision=revision))

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands, or None if its broker does not know it."""
        with self._lock:
            if client_order_id not in self._homes:
                return None
            home = self._homes[client_order_id]
        if home is None:
            return self._status(client_order_id)
        return self._at(home, lambda broker: broker.find_order(client_order_id))

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return the orders that may still execute, sorted by id.

        Notes
        -----
        Those of a broker that gives no answer stand as its events last left them: they may execute all the same.
        """
        found: list[OrderStatus] = []
        for name, answer in self._ask_all(lambda broker: broker.open_orders()).items():
            found += self._last_known(name) if isinstance(answer, Exception) else answer
        return tuple(sorted(found, key=lambda status: status.order.client_order_id))

    def positions(self) -> tuple[Position, ...]:
        """Return what all brokers hold together, sorted by symbol.

        Raises
        ------
        BrokerUnavailable
            One of them does not say; see :meth:`reports`.
        """
        return total_positions({name: report.positions for name, report in self._all_reports().items()})

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power of all brokers together; what each may spend is less.

        Raises
        ------
        BrokerUnavailable
            One of them does not say; see :meth:`reports`.
        """
        balances = [report.balance for report in self._all_reports().values() if report.balance is not None]
        return total_balance(self._account, balances)

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first, of all brokers as they arrived here."""
        with self._lock:
            self._pull()
            return tuple(self._events[max(sequence, 0) :])

    def reports(self) -> dict[str, BrokerReport]:
        """Return what each broker holds and is worth, or why it does not say."""
        answers = self._ask_all(lambda broker: BrokerReport(broker.positions(), broker.account(), ""))
        return {
            name: BrokerReport((), None, str(answer)) if isinstance(answer, Exception) else answer
            for name, answer in answers.items()
        }

    def failures(self) -> dict[str, str]:
        """Return why brokers gave no answer when they were last asked, by name; empty where all did."""
        with self._lock:
            return dict(self._failures)

    def repeat_unless(self, is_stopped: Callable[[Order], bool]) -> None:
        """Let every broker that repeats requests ask this before."""
        for broker in self._brokers.values():
            if isinstance(broker, abilities.RepeatingBroker):
                broker.repeat_unless(is_stopped)

    def foreign_orders(self) -> tuple[Any, ...]:
        """Return open orders that are not ours, of all brokers; an order of ours at another broker than its own too."""
        shared = (broker for broker in self._brokers.values() if isinstance(broker, abilities.SharedBroker))
        return tuple(order for broker in shared for order in broker.foreign_orders())

    def contradictions(self) -> tuple[str, ...]:
        """Return what venues told in two ways, each with the broker's name."""
        return tuple(
            f"{name}: {told}"
            for name, broker in self._brokers.items()
            if isinstance(broker, abilities.SharedBroker)
            for told in broker.contradictions()
        )

    def follow_actions(self, actions: Sequence[CorporateAction], *, session: date) -> None:
        """Have each broker find out what its venue did for corporate actions; see :class:`FollowsActions`."""
        for name, broker in self._brokers.items():
            if isinstance(broker, abilities.FollowsActions):
                self._noting(name, partial(broker.follow_actions, actions, session=session))

    def fees(self, since: date) -> tuple[AccountFee, ...]:
        """Return the fees that the brokers which state any charged since a day."""
        stating = ((name, broker) for name, broker in self._brokers.items() if isinstance(broker, abilities.StatesFees))
        return tuple(fee for name, broker in stating for fee in self._noting(name, partial(broker.fees, since)))

    def broker_of(self, client_order_id: str) -> str | None:
        """Return the broker that an order was sent to, None where it is not known or was routed nowhere."""
        with self._lock:
            return self._homes.get(client_order_id)

    def misplaced_positions(self) -> tuple[tuple[str, Position], ...]:
        """Return positions at a broker that their symbol is not routed to: an order to close them would go elsewhere.

        Raises
        ------
        BrokerUnavailable
            A broker does not say.
        """
        return tuple(
            (name, held)
            for name, report in self._all_reports().items()
            for held in report.positions
            if self._routes.broker_of(held.symbol) != name
        )

    def close(self) -> None:
        """Let go of all brokers; orders stay as they are. All are closed, also where one cannot be."""
        errors: list[Exception] = []
        for broker in self._brokers.values():
            try:
                broker.close()
            except (ExecutionError, OSError) as error:
                errors.append(error)
        self._questions.close()
        if errors:
            raise errors[0]

    def _home(self, order: Order) -> str | None:
        """Return the broker of an order, the one that it was first routed to."""
        name = order.client_order_id
        with self._lock:
            known = self._submitted.setdefault(name, order)
            if known != order:
                raise OrderRejected(
                    f"order {name} ({order.symbol}): the id belongs to an order of {known.quantity_shares} "
                    f"{known.symbol} already, found {order.quantity_shares} {order.symbol}; a changed order needs a "
                    "new decision number or revision"
                )
            if name not in self._homes:
                self._homes[name] = self._routes.broker_of(order.symbol)
                self._book.add(order)
            return self._homes[name]

    def _known_home(self, client_order_id: str) -> str | None:
        with self._lock:
            if client_order_id not in self._homes:
                raise ExecutionError(
                    f"order {client_order_id}: unknown to account {self._account}; adopt it, or reconcile it as a "
                    "foreign order"
                )
            return self._homes[client_order_id]

    def _search(self, order: Order, home: str) -> str:
        """Return the broker that has an order of an earlier process, its own where none has it."""
        name = order.client_order_id
        for other, reached in self._reached.items():
            if other == home:
                continue
            try:
                is_there = self._noting(other, partial(reached.has_order, name))
            except _DOWN as error:
                raise SubmissionUnknown(
                    f"order {name} ({order.quantity_shares:g} {order.symbol}): an earlier process may have sent it to "
                    f"{other!r}, which does not say ({error}); submit it again when {other!r} answers"
                ) from error
            if is_there:
                reached.adopt(order)
                with self._lock:
                    self._homes[name] = other
                return other
        return home

    def _reject(self, order: Order) -> OrderStatus:
        name = order.client_order_id
        now = self._clock.now_utc()
        reason = reason_text(
            OrderReason.VENUE, f"no rule of brokers.multi.routes takes {order.symbol}; add one, or leave the symbol out"
        )
        if self._unrouted.know(order):
            self._unrouted.tell(
                OrderEvent(
                    kind=OrderEventKind.REJECTED,
                    client_order_id=name,
                    session=self._session_of(now),
                    at_utc=now,
                    reason=reason,
                )
            )
        return self._unrouted.status(name)

    def _at(self, name: str, act: Callable[[Broker], Answer]) -> Answer:
        return self._noting(name, lambda: act(self._brokers[name]))

    def _ask_all(self, act: Callable[[Broker], Answer]) -> dict[str, Answer | Exception]:
        """Return what each broker answers, or why it does not; all are asked at once."""
        answers = self._questions.ask(lambda name: self._at(name, act), failures=_DOWN)
        with self._lock:
            self._failures.update({name: str(why) for name, why in answers.items() if isinstance(why, Exception)})
        return answers

    def _noting(self, name: str, act: Callable[[], Answer]) -> Answer:
        """Return what a broker answers, and take note of whether it did."""
        try:
            answer = act()
        except _DOWN as error:
            with self._lock:
                self._failures[name] = str(error)
            raise
        with self._lock:
            self._failures.pop(name, None)
        return answer

    def _all_reports(self) -> dict[str, BrokerReport]:
        found = self.reports()
        down = {name: report.failure for name, report in found.items() if report.failure}
        if down:
            said = "; ".join(f"{name!r}: {why}" for name, why in down.items())
            raise BrokerUnavailable(f"no total without every broker, and these do not say: {said}")
        return found

    def _last_known(self, broker: str) -> list[OrderStatus]:
        with self._lock:
            self._pull()
            names = [name for name, home in self._homes.items() if home == broker]
            return [status for status in map(self._status, names) if not status.is_final]

    def _status(self, client_order_id: str) -> OrderStatus:
        with self._lock:
            self._pull()
            status = self._book.status(client_order_id)
        return replace(status, state=OrderState.SUBMITTED) if status.state in UNSENT else status

    def _pull(self) -> None:
        """Take the brokers' new events into the one stream."""
        for name, seen in self._seen.items():
            source = self._brokers[name].events_since(seen) if name else self._unrouted.events_since(seen)
            for item in source:
                self._book.apply(item.event)
                self._events.append(BrokerEvent(len(self._events) + 1, item.event))
                self._seen[name] = item.sequence
