"""Which of several brokers has an order: the one that the rules sent it to, whatever they say today.

Belongs here: where orders went, and looking for those that an earlier process may have sent. What is done with them
there is :mod:`aegis.execution.brokers.multi`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from aegis.errors import BrokerUnavailable, ExecutionError, OrderRejected, SubmissionUnknown
from aegis.execution.brokers.asked_brokers import AskedBrokers
from aegis.execution.brokers.broker import Broker
from aegis.execution.brokers.broker_abilities import ConnectedBroker, TellsOfToday
from aegis.execution.brokers.order_routes import OrderRoutes
from aegis.execution.orders import Order, OrderEvent


@dataclass(slots=True)
class _Earlier:
    """An order of an earlier process that was not found yet.

    Parameters
    ----------
    told : tuple of OrderEvent
        What is recorded of it.
    is_asked : bool
        Whether any broker was asked for it.
    is_nowhere : bool
        Whether all said that they do not have it.
    """

    told: tuple[OrderEvent, ...]
    is_asked: bool = False
    is_nowhere: bool = False


class OrderHomes:
    """The brokers of one account's orders; safe to share between threads.

    Parameters
    ----------
    brokers : mapping of str to Broker
        By name.
    routes : OrderRoutes
        Where a new order goes.
    account : str
        Named in messages.
    asked : AskedBrokers
        The same brokers, to be asked.

    Notes
    -----
    Rules may have changed since an earlier process sent an order, so it is found at any broker, and stays there. The
    one that today's rules name is asked first, the others where it does not have it.
    """

    def __init__(
        self, brokers: Mapping[str, Broker], routes: OrderRoutes, *, account: str, asked: AskedBrokers
    ) -> None:
        self._brokers, self._routes, self._account, self._asked = brokers, routes, account, asked
        self._lock = threading.Lock()
        self._orders: dict[str, Order] = {}
        self._homes: dict[str, str | None] = {}
        self._earlier: dict[str, _Earlier] = {}

    def note(self, order: Order) -> bool:
        """Take note of an order, and return whether it is new.

        Raises
        ------
        OrderRejected
            The id belongs to an order with other terms.
        """
        name = order.client_order_id
        with self._lock:
            known = self._orders.setdefault(name, order)
            if known != order:
                raise OrderRejected(
                    f"order {name} ({order.symbol}): the id belongs to an order of {known.quantity_shares} "
                    f"{known.symbol} already, found {order.quantity_shares} {order.symbol}; a changed order needs a "
                    "new decision number or revision"
                )
            is_new = name not in self._homes
            if is_new:
                self._homes[name] = self._routes.broker_of(order.symbol)
            return is_new

    def note_earlier(self, client_order_id: str, told: tuple[OrderEvent, ...]) -> None:
        """Take note that an earlier process may have sent an order, with what is recorded of it."""
        with self._lock:
            self._earlier.setdefault(client_order_id, _Earlier(told))

    def knows(self, client_order_id: str) -> bool:
        """Whether an order was noted."""
        with self._lock:
            return client_order_id in self._homes

    def is_sought(self, client_order_id: str) -> bool:
        """Whether an order is of an earlier process and was found at no broker yet."""
        with self._lock:
            return client_order_id in self._earlier

    def never_sought(self) -> tuple[str, ...]:
        """Return orders of an earlier process that no broker was asked for, sorted."""
        with self._lock:
            return tuple(sorted(name for name, earlier in self._earlier.items() if not earlier.is_asked))

    def perhaps_anywhere(self) -> tuple[str, ...]:
        """Return orders of an earlier process that may be at some broker that did not say, sorted."""
        with self._lock:
            return tuple(sorted(name for name, earlier in self._earlier.items() if not earlier.is_nowhere))

    def at(self, broker: str) -> tuple[str, ...]:
        """Return the orders that went to a broker, or that no broker has and would go to it, as they were noted."""
        with self._lock:
            unfound = {name for name, earlier in self._earlier.items() if not earlier.is_nowhere}
            return tuple(name for name, home in self._homes.items() if home == broker and name not in unfound)

    def of(self, client_order_id: str) -> str | None:
        """Return the broker of an order, None where no rule takes it.

        Raises
        ------
        ExecutionError
            The order was never noted.
        """
        with self._lock:
            if client_order_id not in self._homes:
                raise ExecutionError(
                    f"order {client_order_id}: unknown to account {self._account}; adopt it, or reconcile it as a "
                    "foreign order"
                )
            return self._homes[client_order_id]

    def settle(self, client_order_id: str, home: str | None) -> None:
        """Take note of where an order is from now on; None where it was sent to nobody."""
        with self._lock:
            self._homes[client_order_id] = home
            self._earlier.pop(client_order_id, None)

    def seek(self, client_order_id: str) -> str | None:
        """Ask for an order of an earlier process, and return the broker that has it; None where none has.

        Raises
        ------
        BrokerUnavailable
            One of them does not say, and no other has it.
        OrderRejected
            The id belongs to an order with other terms there.
        """
        name = client_order_id
        with self._lock:
            order, home, earlier = self._orders[name], self._homes[name], self._earlier.get(name)
            if earlier is None:  # found by another thread
                return home
            earlier.is_asked = True
        silent: dict[str, Exception] = {}
        for names in ([each for each in self._brokers if (each == home) is first] for first in (True, False)):
            for broker, answer in self._asked.each(lambda found: _has(found, name), names).items():
                if isinstance(answer, Exception):
                    silent[broker] = answer
                elif answer:
                    self._brokers[broker].adopt(order, earlier.told)
                    self.settle(name, broker)
                    return broker
        if silent:
            said = "; ".join(f"{broker!r}, which does not say ({why})" for broker, why in silent.items())
            raise BrokerUnavailable(
                f"order {name} ({order.quantity_shares:g} {order.symbol}): an earlier process may have sent it to "
                f"{said}; ask again when {', '.join(map(repr, silent))} answers"
            )
        if home is not None and isinstance(self._brokers[home], ConnectedBroker):
            self._brokers[home].adopt(order, earlier.told)  # so that it looks once more before it sends
        with self._lock:
            earlier.is_nowhere = True
        return None

    def require_never_sent(self, client_order_id: str) -> None:
        """Refuse to take an order that no broker tells of for one that was never sent, where that proves nothing.

        Raises
        ------
        SubmissionUnknown
            One of them tells of today's orders only, and the rules may have sent it there on an earlier day.
        """
        with self._lock:
            order = self._orders[client_order_id]
        for broker in self._brokers.values():
            if isinstance(broker, TellsOfToday) and (why := broker.why_unproven(order)):
                raise SubmissionUnknown(why)


def _has(broker: Broker, client_order_id: str) -> bool:
    """Whether a broker has an order, by its venue's word where it has one beyond this process."""
    if isinstance(broker, ConnectedBroker):
        return broker.has_order(client_order_id)
    return broker.find_order(client_order_id) is not None
