"""What a venue tells of our orders, each thing once and numbered in the order of its arrival.

Belongs here: what every broker of a real venue needs, whatever its protocol: a venue repeats itself, tells late, and
tells through two channels at once. How a venue's words become events is its own broker's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from aegis.errors import OrderRejected
from aegis.execution.brokers.broker import BrokerEvent
from aegis.execution.forgotten_names import ForgottenNames
from aegis.execution.order_book import OrderBook
from aegis.execution.order_history import ENDS, order_history
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, TRANSITIONS, UNSENT, OrderState, OrderStatus
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind

Recall = Callable[[str], tuple[Order, tuple[OrderEvent, ...]] | None]
"""From an id to the order as it was committed and what is recorded of it; None where it was never committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Shares that changed hands, as a venue tells it.

    Parameters
    ----------
    client_order_id : str
        Ours.
    execution_id : str
        The venue's name of it, the same through whichever channel it is told.
    quantity_shares : float
        Bought positive, sold negative.
    price_usd : float
        Per share.
    commission_usd : float
        What the venue charged for it, where it says so with the execution.
    executed_at_utc : datetime
        By the venue's clock; aware.
    """

    client_order_id: str
    execution_id: str
    quantity_shares: float
    price_usd: float
    commission_usd: float
    executed_at_utc: datetime


@dataclass(slots=True)
class _Known:
    submitted: Order
    executions: dict[str, tuple[float, float]] = field(default_factory=dict)
    told: set[tuple[OrderEventKind, int]] = field(default_factory=set)
    waiting_end: tuple[OrderEvent, float] | None = None


class BrokerBook:
    """The orders of one account at one venue; safe to share between threads.

    Parameters
    ----------
    session_of : callable
        Which session an instant belongs to: the one that began last.

    Notes
    -----
    Events can be followed by the state machine as they are numbered, as far as the venue allows it: an acknowledgement
    that comes after a fill says nothing new and is left out; an order's end is held back until the executions that the
    venue counts have been told. Executions are never left out. An order that has ended can be let go, so that memory
    does not grow with every order; where the venue tells something of it later, it is recalled first.
    """

    def __init__(self, session_of: Callable[[datetime], date]) -> None:
        self._session_of = session_of
        self._changed = threading.Condition(threading.RLock())
        self._orders = OrderBook()
        self._known: dict[str, _Known] = {}
        self._events: list[BrokerEvent] = []
        self._dropped = 0
        self._open: set[str] = set()
        self._let_go = ForgottenNames()
        self._recall: Recall | None = None
        self._contradictions: list[str] = []
        self._doubts: dict[tuple[str, str], str] = {}

    def know(self, order: Order, told: Iterable[OrderEvent] = ()) -> bool:
        """Take note of an order of ours, with what is recorded of it, and return whether it is new.

        Raises
        ------
        OrderRejected
            The id belongs to an order with other terms.
        """
        name = order.client_order_id
        self._bring_back(name)
        with self._changed:
            known = self._known.get(name)
            if known is not None:
                if known.submitted != order:
                    raise OrderRejected(
                        f"order {name} ({order.symbol}): the id belongs to an order of "
                        f"{known.submitted.quantity_shares} {known.submitted.symbol} already, found "
                        f"{order.quantity_shares} {order.symbol}; a changed order needs a new decision number or "
                        "revision"
                    )
                return False
            self._enter(order, told)
            return True

    def knows(self, client_order_id: str) -> bool:
        """Whether an order is ours; one that was let go is recalled."""
        self._bring_back(client_order_id)
        with self._changed:
            return client_order_id in self._known

    def let_go(self, client_order_id: str, *, recall: Recall) -> bool:
        """Forget an order that has ended and is recorded elsewhere, and return whether it was.

        Parameters
        ----------
        client_order_id : str
            Ours.
        recall : callable
            Brings it back when a venue tells something of it: from its id to the order and what was told of it.

        Notes
        -----
        One that is open, that does not fit together or that is not known stays as it is.
        """
        with self._changed:
            known = self._known.get(client_order_id)
            if known is None or known.waiting_end is not None or not self.status(client_order_id).is_final:
                return False
            if self._orders.history(client_order_id).breaks:
                return False  # reconciliation shows them
            del self._known[client_order_id]
            self._orders.forget(client_order_id)
            self._open.discard(client_order_id)
            self._let_go.add(client_order_id)
            self._recall = recall
            return True

    def drop_events(self, sequence: int) -> None:
        """Forget the events up to a number: whoever takes them has written them down."""
        with self._changed:
            taken = max(0, min(sequence - self._dropped, len(self._events)))
            del self._events[:taken]
            self._dropped += taken

    def status(self, client_order_id: str) -> OrderStatus:
        """Return where an order of ours stands; at least submitted, as it is at the venue or on its way.

        Raises
        ------
        ExecutionError
            It is not one of ours.
        """
        with self._changed:
            status = self._orders.status(client_order_id)
        return replace(status, state=OrderState.SUBMITTED) if status.state in UNSENT else status

    def open_ids(self) -> tuple[str, ...]:
        """Return the orders that are not at their end, sorted."""
        with self._changed:
            self._open = {name for name in self._open if not self.status(name).is_final}
            return tuple(sorted(self._open))

    def awaits_executions(self, client_order_id: str) -> bool:
        """Whether the venue counts executions of an order that ended which it has not told."""
        with self._changed:
            known = self._known.get(client_order_id)
            return known is not None and known.waiting_end is not None

    def tell(self, event: OrderEvent) -> bool:
        """Take note of anything but an execution and return whether it says something new."""
        with self._changed:
            status, known = self.status(event.client_order_id), self._known[event.client_order_id]
            is_legal = event.kind in TRANSITIONS[status.state]
            identity = event.kind, event.revision
            if identity in known.told or not (is_legal or event.kind in ENDS):
                return False
            known.told.add(identity)
            self._orders.apply(event)
            self._append(event)
            if event.order is not None:  # what was doubted of the terms of before is looked at anew
                for doubt in [key for key in self._doubts if key[0] == event.client_order_id]:
                    del self._doubts[doubt]
            return True

    def tell_execution(self, execution: Execution) -> bool:
        """Take note of an execution and return whether it is new."""
        name = execution.client_order_id
        with self._changed:
            known, status = self._known[name], self.status(name)
            contents = execution.quantity_shares, execution.price_usd
            before = known.executions.get(execution.execution_id)
            if before is not None:
                if before != contents:
                    self.note(
                        f"order {name} ({status.order.symbol}): execution {execution.execution_id} was told as "
                        f"{before[0]:g} at {before[1]:g} and as {contents[0]:g} at {contents[1]:g}; ask the venue"
                    )
                return False
            known.executions[execution.execution_id] = contents
            completes = status.is_completed_by(execution.quantity_shares)
            fill = self._fill(status.order, execution, number=len(known.executions))
            event = OrderEvent(
                kind=OrderEventKind.FILLED if completes else OrderEventKind.PARTIALLY_FILLED,
                client_order_id=name,
                session=fill.session,
                at_utc=execution.executed_at_utc,
                fill=fill,
            )
            self._orders.apply(event)
            self._append(event)
            self._release_end(name)
            return True

    def tell_end(self, event: OrderEvent, *, filled_shares: float) -> bool:
        """Take note of an order's end once all executions that the venue counts are told; return whether that is now.

        Parameters
        ----------
        event : OrderEvent
            Cancelled, expired or rejected.
        filled_shares : float
            What the venue has filled of the order, unsigned.
        """
        with self._changed:
            known = self._known[event.client_order_id]
            if self.told_shares(event.client_order_id) < filled_shares - FILL_TOLERANCE_SHARES:
                known.waiting_end = (event, filled_shares)
                return False
            known.waiting_end = None
            return self.tell(event)

    def told_shares(self, client_order_id: str) -> float:
        """Return the unsigned shares of an order that executions were told of."""
        with self._changed:
            return abs(sum(quantity for quantity, _ in self._known[client_order_id].executions.values()))

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first."""
        with self._changed:
            return tuple(self._events[max(sequence - self._dropped, 0) :])

    def wait_for_events(self, sequence: int, *, timeout_seconds: float) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence` as soon as there are any, none after the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._dropped + len(self._events) > sequence, timeout_seconds)
            return self.events_since(sequence)

    def note(self, contradiction: str) -> None:
        """Keep something that a venue told and that no event can say, for reconciliation."""
        with self._changed:
            if contradiction not in self._contradictions:
                self._contradictions.append(contradiction)

    def doubt(self, client_order_id: str, about: str, said: str) -> None:
        """Keep in which way a venue holds an open order otherwise than we do; an empty text says that it does not.

        Parameters
        ----------
        client_order_id : str
            The order; with its end the doubt is over.
        about : str
            Which doubt of it.
        said : str
            For a person, with the remedy.
        """
        with self._changed:
            self._doubts.pop((client_order_id, about), None)
            if said:
                self._doubts[client_order_id, about] = said

    def was_told(self, client_order_id: str, kind: OrderEventKind, revision: int) -> bool:
        """Whether an event of an order of ours is known, from now or from what was recorded."""
        with self._changed:
            return (kind, revision) in self._known[client_order_id].told

    def acknowledged_at(self, client_order_id: str) -> datetime | None:
        """Return when the venue first said something of an order of ours, None before it does."""
        with self._changed:
            return min((event.at_utc for event in self._orders.history(client_order_id).events), default=None)

    def contradictions(self) -> tuple[str, ...]:
        """Return what was told in two ways, what does not fit an order's life, and what open orders are in doubt."""
        with self._changed:
            breaks = tuple(found.explanation for found in self._orders.breaks())
            open_ids = set(self.open_ids()) if self._doubts else set()
            doubts = tuple(said for (name, _), said in sorted(self._doubts.items()) if name in open_ids)
            return (*self._contradictions, *breaks, *doubts)

    def _bring_back(self, name: str) -> None:
        with (
            self._changed
        ):  # an order is known or let go at every instant, and between the two for whoever has the lock
            recall = self._recall
            if recall is None or name in self._known or not self._let_go.may_have(name):
                return
        found = recall(name)  # outside of the lock: it reads a file, and takes locks of the broker's own
        if found is None or not order_history(*found).status.is_final:
            return  # it was taken for one that was let go; those have ended
        with self._changed:
            if name not in self._known:
                self._enter(*found)

    def _enter(self, order: Order, told: Iterable[OrderEvent]) -> None:
        entry = self._known[order.client_order_id] = _Known(order)
        self._open.add(order.client_order_id)
        self._orders.add(order)
        for event in told:
            self._orders.apply(event)
            if event.fill is not None and event.fill.execution_id is not None:
                entry.executions[event.fill.execution_id] = (event.fill.quantity_shares, event.fill.price_usd)
            else:
                entry.told.add((event.kind, event.revision))

    def _release_end(self, name: str) -> None:
        waiting = self._known[name].waiting_end
        if waiting is not None:
            self.tell_end(waiting[0], filled_shares=waiting[1])

    def _append(self, event: OrderEvent) -> None:
        self._events.append(BrokerEvent(self._dropped + len(self._events) + 1, event))
        self._open.add(event.client_order_id)
        self._changed.notify_all()

    def _fill(self, order: Order, execution: Execution, *, number: int) -> Fill:
        session = self._session_of(execution.executed_at_utc)
        # A venue tells no price without slippage: what it was against the arrival price is computed from the fill.
        return Fill(
            fill_number=number,
            client_order_id=order.client_order_id,
            decision_id=order.decision_id,
            account=order.account,
            session=session,
            symbol=order.symbol,
            ticker=order.ticker,
            quantity_shares=execution.quantity_shares,
            price_usd=execution.price_usd,
            reference_price_usd=execution.price_usd,
            commission_usd=execution.commission_usd,
            slippage_usd=0.0,
            arrival_price_usd=order.arrival_price_usd,
            filled_at_utc=execution.executed_at_utc,
            execution_id=execution.execution_id,
        )
