"""Which orders of a journal were sent, when, and at which price they count after a restart.

Belongs here: reading orders and events as the exit door's memory of them. What they take is
:mod:`aegis.live_trading.order_reservations`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from aegis.execution.orders import Order, OrderEvent, OrderEventKind

_UNSENT = (OrderEventKind.APPROVED, OrderEventKind.REFUSED, OrderEventKind.ADJUSTED)
"""What happens to an order before it is sent."""


@dataclass(frozen=True, slots=True)
class RestoredOrder:
    """An order that was sent.

    Parameters
    ----------
    order : Order
        As it was sent.
    events : tuple of OrderEvent
        All that were told, oldest first.
    sent_at_utc : datetime
        When; the first word of it where 'submitted' was not written down.
    touch_usd : float
        Price that it took when it was let through, or a bound of it.
    """

    order: Order
    events: tuple[OrderEvent, ...]
    sent_at_utc: datetime
    touch_usd: float

    @property
    def replacements(self) -> tuple[tuple[Order, datetime], ...]:
        """New terms that were asked for, each with when."""
        return tuple(
            (event.order, event.at_utc)
            for event in self.events
            if event.kind is OrderEventKind.REPLACE_REQUESTED and event.order is not None
        )


def restored_orders(
    orders: Iterable[Order], events: Iterable[OrderEvent], *, touches_usd: Mapping[str, float], collar: float
) -> tuple[RestoredOrder, ...]:
    """Return the orders that were sent, oldest first.

    Parameters
    ----------
    orders : iterable of Order
        As they were committed.
    events : iterable of OrderEvent
        In any order; those of other orders are left out.
    touches_usd : mapping of str to float
        Price that each order took when it was let through, by client order id.
    collar : float
        Fraction by which the dearest price in an order's terms is raised where that is not known.
    """
    told: dict[str, list[OrderEvent]] = {}
    for event in events:
        told.setdefault(event.client_order_id, []).append(event)
    found = []
    for order in orders:
        own = sorted(told.get(order.client_order_id, ()), key=lambda event: event.at_utc)
        beyond = [event for event in own if event.kind not in _UNSENT]
        if not beyond:
            continue
        sent = next((event for event in beyond if event.kind is OrderEventKind.SUBMITTED), beyond[0])
        adjusted = [event for event in own if event.kind is OrderEventKind.ADJUSTED]
        sent_on = next((event.order for event in reversed(adjusted) if event.order is not None), order)
        told_since = tuple(event for event in own if event not in adjusted)
        touch = touches_usd.get(order.client_order_id, _dearest(sent_on) * (1.0 + collar))
        found.append(RestoredOrder(sent_on, told_since, sent.at_utc, touch))
    return tuple(sorted(found, key=lambda item: (item.sent_at_utc, item.order.client_order_id)))


def _dearest(order: Order) -> float:
    return max(order.arrival_price_usd, order.limit_price_usd or 0.0, order.stop_price_usd or 0.0)
