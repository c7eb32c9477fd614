"""Several brokers at once, each for its own symbols, as one broker.

Belongs here: one stream of events of all, and totals. The rules are :mod:`aegis.execution.brokers.order_routes`, where
an order stays :mod:`aegis.execution.brokers.order_homes`. What one broker cannot do stops only what is routed to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.errors import BrokerUnavailable, ExecutionError, SubmissionUnknown
from aegis.execution.account_state import Position
from aegis.execution.brokers import broker_abilities as abilities
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.asked_brokers import DOWN, AskedBrokers, BrokerReport, skew_seconds
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.broker import AccountBalance, Broker, BrokerEvent
from aegis.execution.brokers.broker_book import BrokerBook
from aegis.execution.brokers.broker_totals import total_balance
from aegis.execution.brokers.holdings import Holdings, holdings_at, why_not_beside
from aegis.execution.brokers.order_homes import OrderHomes
from aegis.execution.brokers.order_routes import OrderRoutes
from aegis.execution.order_book import OrderBook
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import UNSENT, OrderState, OrderStatus
from aegis.execution.orders import Order, OrderEvent, OrderEventKind


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
    looked for at all of them before anything is done with it, because rules may have changed since. Totals are of all
    brokers or of none; :meth:`reports` tells what the others say while one is down.
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
        self._brokers = dict(sorted(brokers.items()))
        self._asked = AskedBrokers(self._brokers, patience_seconds=patience_seconds)
        self._reached = {n: found for n, found in self._brokers.items() if isinstance(found, abilities.ConnectedBroker)}
        self._routes = routes
        self._account = account
        self._clock = clock
        self._session_of = begun_sessions(calendar)
        self._lock = threading.RLock()
        self._homes = OrderHomes(self._brokers, routes, account=account, asked=self._asked)
        self._misplaced: frozenset[str] = frozenset()
        self._connected: set[str] = set()
        self._unrouted = BrokerBook(self._session_of)
        self._book = OrderBook()
        self._seen = dict.fromkeys(("", *self._brokers), 0)
        self._events: list[BrokerEvent] = []

    def connect(self) -> Mapping[str, str]:
        """Connect the brokers that are not connected, and return why some cannot be; call it again for these."""
        for name, reached in self._reached.items():
            if name not in self._connected:
                try:
                    self._asked.noting(name, reached.connect)
                except DOWN:
                    continue
                self._connected.add(name)
        return self.failures()

    def adopt(self, order: Order, answers: Iterable[OrderEvent] = ()) -> OrderStatus:
        """Make an order known that an earlier process may have sent, with what is recorded of it; nobody is asked yet.

        Raises
        ------
        OrderRejected
            The id belongs to an order with other terms.
        """
        told = tuple(answers)
        with self._lock:  # whoever submits it meanwhile must meet it as one of an earlier process
            if self._take(order):
                self._homes.note_earlier(order.client_order_id, told)
                for event in told:
                    self._book.apply(event)
        return self._status(order.client_order_id)

    def submit(self, order: Order) -> OrderStatus:
        """Hand an order to the broker that its symbol is routed to; see :meth:`Broker.submit`.

        Raises
        ------
        SubmissionUnknown
            As :meth:`Broker.submit`; or an earlier process may have sent it to a broker that does not say, or not any
            more.

        Notes
        -----
        Rejected: an order that no rule routes, and, where :meth:`holdings` last told of a misplaced position in its
        symbol, one that is not at its broker yet and does not only reduce what is held there.
        """
        is_new = self._take(order)
        name = order.client_order_id
        home = self._homes.of(name)
        if self._homes.is_sought(name):
            status = self._status(name)
            if status.is_final:
                return status
            try:
                found = self._homes.seek(name)
            except BrokerUnavailable as error:
                raise SubmissionUnknown(f"{error}; nothing was sent") from error
            if found is not None:
                return self._asked.one(found, lambda broker: broker.submit(order))
            self._homes.require_never_sent(name)
        if home is None:
            return self._reject(
                order, f"no rule of brokers.multi.routes takes {order.symbol}; add one, or leave the symbol out"
            )
        at_home = partial(self._asked.one, home)
        if order.symbol in self._misplaced and (is_new or at_home(lambda broker: broker.find_order(name)) is None):
            why = why_not_beside(order, home, at_home(lambda broker: broker.positions()))
            if why:
                return self._reject(order, why)
        status = self._asked.one(home, lambda broker: broker.submit(order))
        self._homes.settle(name, home)
        return status

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Ask for the rest of an order to be cancelled; see :meth:`Broker.cancel`."""
        home = self._reached_home(client_order_id)
        if home is None:
            return self._status(client_order_id)
        return self._asked.one(home, lambda broker: broker.cancel(client_order_id))

    def replace(self, order: Order, *, revision: int) -> OrderStatus:
        """Ask for other terms of an order; see :meth:`Broker.replace`."""
        home = self._reached_home(order.client_order_id)
        if home is None:
            return self._status(order.client_order_id)
        return self._asked.one(home, lambda broker: broker.replace(order, revision=revision))

    def find_order(self, client_order_id: str) -> OrderStatus | None:
        """Return where an order stands, or None if its broker does not know it, or none does.

        Raises
        ------
        SubmissionUnknown
            None tells of an order of an earlier process, and of one of them that proves nothing.
        BrokerUnavailable
            Its broker does not say; or one that may have an order of an earlier process, and no other has it.
        """
        name = client_order_id
        if not self._homes.knows(name):
            return None
        if self._homes.is_sought(name) and not self._status(name).is_final and self._homes.seek(name) is None:
            self._homes.require_never_sent(name)
            return None
        home = self._homes.of(name)
        if home is None or self._homes.is_sought(name):
            return self._status(name)
        return self._asked.one(home, lambda broker: broker.find_order(name))

    def open_orders(self) -> tuple[OrderStatus, ...]:
        """Return the orders that may still execute, sorted by id.

        Notes
        -----
        Those of a broker that gives no answer stand as its events last left them: they may execute all the same. So do
        those of an earlier process that were not found yet.
        """
        with suppress(BrokerUnavailable):  # who does not say is not waited for once for each order
            for name in self._homes.never_sought():
                if not self._status(name).is_final:
                    self._homes.seek(name)
        found = self._last_known(self._homes.perhaps_anywhere())
        for name, answer in self._asked.each(lambda broker: broker.open_orders()).items():
            found += self._last_known(self._homes.at(name)) if isinstance(answer, Exception) else answer
        return tuple(sorted(found, key=lambda status: status.order.client_order_id))

    def known_open(self) -> tuple[OrderStatus, ...]:
        """Return the orders that may execute as far as was told; nothing is asked."""
        names = {*self._homes.perhaps_anywhere(), *(name for each in self._brokers for name in self._homes.at(each))}
        knowing = [each for each in self._brokers.values() if isinstance(each, abilities.KnowsOpenOrders)]
        second = [status for each in knowing for status in each.known_open() if status.is_final]
        return (*self._last_known(sorted(names)), *second)

    def positions(self) -> tuple[Position, ...]:
        """Return what all brokers hold together, sorted by symbol; as :meth:`holdings`, of all or of none."""
        return self.holdings().positions

    def holdings(self) -> Holdings:
        """Return what all hold together, and what stands where an order to close it would not go.

        Raises
        ------
        BrokerUnavailable
            One of them does not say; see :meth:`reports`.
        """
        found = holdings_at(self._asked.all(lambda broker: broker.positions()), self._routes.broker_of)
        self._misplaced = found.misplaced_symbols
        return found

    def account(self) -> AccountBalance:
        """Return cash, equity and buying power of all brokers together; what each may spend is less.

        Raises
        ------
        BrokerUnavailable
            One of them does not say; see :meth:`reports`.
        """
        return total_balance(self._account, self._asked.all(lambda broker: broker.account()).values())

    def clock_skew_seconds(self) -> float:
        """Return by how much the clock that differs most is ahead of ours; 0 where no broker has one: they go by ours.

        Raises
        ------
        BrokerUnavailable
            None of those that have a clock says.
        """
        clocked = [name for name, broker in self._brokers.items() if isinstance(broker, abilities.ClockedBroker)]
        told = self._asked.each(skew_seconds, clocked)
        skews = [skew for skew in told.values() if not isinstance(skew, Exception)]
        if told and not skews:
            raise BrokerUnavailable("; ".join(f"{name!r}: {why}" for name, why in told.items()))
        return max(skews, key=abs, default=0.0)

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first, of all brokers as they arrived here."""
        with self._lock:
            self._pull()
            return tuple(self._events[max(sequence, 0) :])

    def reports(self) -> dict[str, BrokerReport]:
        """Return what each broker holds and is worth, or why it does not say."""
        answers = self._asked.each(lambda broker: BrokerReport(broker.positions(), broker.account(), ""))
        return {
            name: BrokerReport((), None, str(answer)) if isinstance(answer, Exception) else answer
            for name, answer in answers.items()
        }

    def failures(self) -> dict[str, str]:
        """Return why brokers gave no answer when they were last asked, by name; empty where all did."""
        return self._asked.failures()

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
                self._asked.noting(name, partial(broker.follow_actions, actions, session=session))

    def fees(self, since: date) -> tuple[AccountFee, ...]:
        """Return the fees that the brokers which state any charged since a day."""
        stating = ((name, broker) for name, broker in self._brokers.items() if isinstance(broker, abilities.StatesFees))
        return tuple(fee for name, broker in stating for fee in self._asked.noting(name, partial(broker.fees, since)))

    def broker_of(self, client_order_id: str) -> str | None:
        """Return the broker that an order was sent to, None where it is not known, or was routed or found nowhere."""
        if not self._homes.knows(client_order_id) or self._homes.is_sought(client_order_id):
            return None
        return self._homes.of(client_order_id)

    def close(self) -> None:
        """Let go of all brokers; orders stay as they are. All are closed, also where one cannot be."""
        errors: list[Exception] = []
        for broker in self._brokers.values():
            try:
                broker.close()
            except (ExecutionError, OSError) as error:
                errors.append(error)
        self._asked.close()
        if errors:
            raise errors[0]

    def _take(self, order: Order) -> bool:
        """Take note of an order, and return whether it is new."""
        with self._lock:
            is_new = self._homes.note(order)
            if is_new:
                self._book.add(order)
            return is_new

    def _reached_home(self, client_order_id: str) -> str | None:
        """Return the broker that has an order, None where it is over or was sent to nobody.

        Raises
        ------
        ExecutionError
            No broker has it.
        BrokerUnavailable
            One of them does not say, and no other has it.
        """
        home = self._homes.of(client_order_id)
        if not self._homes.is_sought(client_order_id):
            return home
        if self._status(client_order_id).is_final:
            return None
        found = self._homes.seek(client_order_id)
        if found is None:
            raise ExecutionError(
                f"order {client_order_id}: unknown to every broker ({', '.join(self._brokers)}); reconcile before it "
                "is cancelled or replaced again"
            )
        return found

    def _reject(self, order: Order, why: str) -> OrderStatus:
        """End an order that is sent to nobody, once, and return it."""
        name = order.client_order_id
        now = self._clock.now_utc()
        self._homes.settle(name, None)
        if self._unrouted.know(order):
            self._unrouted.tell(
                OrderEvent(
                    kind=OrderEventKind.REJECTED,
                    client_order_id=name,
                    session=self._session_of(now),
                    at_utc=now,
                    reason=reason_text(OrderReason.VENUE, why),
                )
            )
        return self._unrouted.status(name)

    def _last_known(self, names: Iterable[str]) -> list[OrderStatus]:
        """Return where those of some orders that are not at their end stand as far as was told; nothing is asked."""
        with self._lock:
            self._pull()
            told = [self._book.status(name) for name in names]
        return [_as_sent(status) for status in told if not status.is_final]

    def _status(self, client_order_id: str) -> OrderStatus:
        """Return where an order stands as far as was told; nothing is asked."""
        with self._lock:
            self._pull()
            return _as_sent(self._book.status(client_order_id))

    def _pull(self) -> None:
        """Take the brokers' new events into the one stream."""
        for name, seen in self._seen.items():
            source = self._brokers[name].events_since(seen) if name else self._unrouted.events_since(seen)
            for item in source:
                self._book.apply(item.event)
                self._events.append(BrokerEvent(len(self._events) + 1, item.event))
                self._seen[name] = item.sequence


def _as_sent(status: OrderStatus) -> OrderStatus:
    """Return where an order stands that was handed in: at least submitted."""
    return replace(status, state=OrderState.SUBMITTED) if status.state in UNSENT else status
