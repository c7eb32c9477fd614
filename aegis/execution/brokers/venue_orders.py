"""The orders of a simulated venue: where each stands, which are open, and what was told of them.

Belongs here: the book-keeping of a broker over the matching kernel. What happens to an order is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from aegis.errors import ExecutionError, OrderRejected
from aegis.execution.brokers.broker import BrokerEvent
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from aegis.execution.orders import Order, OrderEvent, OrderEventKind


class VenueOrders:
    """The orders of one account at a simulated venue.

    Parameters
    ----------
    account : str
        For messages.
    carried : iterable of OrderStatus
        Open orders to begin with.
    """

    def __init__(self, account: str, carried: Iterable[OrderStatus] = ()) -> None:
        self._account = account
        self.statuses = {status.order.client_order_id: status for status in carried}
        self.open_ids = set(self.statuses)
        self._submitted = {name: status.order for name, status in self.statuses.items()}
        self._events: list[BrokerEvent] = []

    def __getitem__(self, client_order_id: str) -> OrderStatus:
        """Return where a known order stands."""
        return self.statuses[client_order_id]

    def knows(self, order: Order) -> bool:
        """Return whether an order was submitted already.

        Raises
        ------
        OrderRejected
            Its id belongs to an order with other terms.
        """
        known = self._submitted.get(order.client_order_id)
        if known is not None and known != order:
            raise OrderRejected(
                f"order {order.client_order_id} ({order.symbol}): the id belongs to an order of "
                f"{known.quantity_shares} {known.symbol} already, found {order.quantity_shares} {order.symbol}; a "
                "changed order needs a new decision number or revision"
            )
        return known is not None

    def require(self, client_order_id: str) -> OrderStatus:
        """Return where an order stands.

        Raises
        ------
        ExecutionError
            It is not known.
        """
        status = self.statuses.get(client_order_id)
        if status is None:
            raise ExecutionError(
                f"order {client_order_id}: unknown to account {self._account}; reconcile before asking for it again"
            )
        return status

    def take(self, order: Order) -> None:
        """Take note of an order that was submitted."""
        name = order.client_order_id
        self._submitted[name] = order
        self.statuses[name] = OrderStatus(order, OrderState.SUBMITTED)
        self.open_ids.add(name)

    def open(self) -> tuple[OrderStatus, ...]:
        """Return the orders that may still execute, sorted by id."""
        return tuple(self.statuses[name] for name in sorted(self.open_ids))

    def decided_before(self, session: date) -> tuple[str, ...]:
        """Return the open orders that were decided before a session, sorted."""
        return tuple(status.order.client_order_id for status in self.open() if status.order.session < session)

    def others(self, client_order_id: str) -> list[OrderStatus]:
        """Return the open orders but one."""
        return [status for status in self.open() if status.order.client_order_id != client_order_id]

    def answer(self, order: Order, refusal: str, *, session: date, at_utc: datetime) -> OrderStatus:
        """Tell that a submitted order is accepted, held for its parent, or rejected where `refusal` says why."""
        kind = OrderEventKind.REJECTED if refusal else OrderEventKind.ACCEPTED
        if not refusal and order.parent_id is not None and not self.statuses[order.parent_id].is_final:
            kind = OrderEventKind.HELD
        return self.emit(order.client_order_id, kind, session=session, at_utc=at_utc, reason=refusal)

    def end_on_request(self, client_order_id: str, *, session: date, at_utc: datetime) -> tuple[OrderStatus, ...]:
        """Tell that an order is cancelled, and those that were held for it; return them."""
        ended = [
            self.emit(
                client_order_id,
                OrderEventKind.CANCELLED,
                session=session,
                at_utc=at_utc,
                reason=str(OrderReason.BY_REQUEST),
            )
        ]
        for child in self.open():
            if child.order.parent_id == client_order_id and child.state is OrderState.HELD:
                name, reason = child.order.client_order_id, reason_text(OrderReason.PARENT_ENDED)
                kind = OrderEventKind.CANCELLED
                ended.append(self.emit(name, kind, session=session, at_utc=at_utc, reason=reason))
        return tuple(ended)

    def change(self, order: Order, refusal: str, revision: int, *, session: date, at_utc: datetime) -> OrderStatus:
        """Tell what became of a request for other terms; `refusal` says why the venue declines them."""
        name = order.client_order_id
        if refusal:
            kind = OrderEventKind.REPLACE_REJECTED
            return self.emit(name, kind, reason=refusal, revision=revision, session=session, at_utc=at_utc)
        if abs(order.quantity_shares) <= abs(self.statuses[name].filled_shares):
            reason = reason_text(OrderReason.REPLACED_TO_FILLED)
            return self.emit(name, OrderEventKind.CANCELLED, reason=reason, session=session, at_utc=at_utc)
        reason, kind = reason_text(OrderReason.REPLACED_ON_REQUEST), OrderEventKind.REPLACED
        return self.emit(name, kind, reason=reason, order=order, revision=revision, session=session, at_utc=at_utc)

    def emit(
        self,
        client_order_id: str,
        kind: OrderEventKind,
        *,
        session: date,
        at_utc: datetime,
        reason: str = "",
        order: Order | None = None,
        revision: int = 0,
    ) -> OrderStatus:
        """Tell what happens to an order now."""
        return self.apply(
            OrderEvent(
                kind=kind,
                client_order_id=client_order_id,
                session=session,
                at_utc=at_utc,
                reason=reason,
                order=order,
                revision=revision,
            )
        )

    def apply(self, event: OrderEvent) -> OrderStatus:
        """Apply an event to its order and append it to the stream."""
        name = event.client_order_id
        status = self.statuses[name] = apply_event(self.statuses[name], event)
        if status.is_final:
            self.open_ids.discard(name)
        self.tell(event)
        return status

    def tell(self, event: OrderEvent) -> None:
        """Append an event to the stream."""
        self._events.append(BrokerEvent(len(self._events) + 1, event))

    def forget_stream(self) -> list[OrderEvent]:
        """Return what was told, oldest first, and begin the stream anew."""
        told, self._events = [item.event for item in self._events], []
        return told

    def events_since(self, sequence: int) -> tuple[BrokerEvent, ...]:
        """Return the events after number `sequence`, oldest first."""
        return tuple(self._events[max(sequence, 0) :])
