"""Open orders as the kernel's records: families, rings, and what of an order a session carries on to the next.

Belongs here: from the statuses of orders to rows of `ORDER`, in an order in which the kernel can follow what depends on
what. What an order may do is the kernel's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from aegis.backtesting.bar_times import instant_nanoseconds
from aegis.backtesting.kernel import codes
from aegis.backtesting.kernel.records import NEVER, NO_ORDER
from aegis.backtesting.kernel.vocabulary import order_type_code, time_in_force_code
from aegis.execution.account_state import OrderProgress
from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Order

_AUCTIONS: Final[Mapping[codes.OrderType, codes.TimeInForce]] = {
    codes.OrderType.MARKET_ON_OPEN: codes.TimeInForce.OPG,
    codes.OrderType.LIMIT_ON_OPEN: codes.TimeInForce.OPG,
    codes.OrderType.MARKET_ON_CLOSE: codes.TimeInForce.CLS,
    codes.OrderType.LIMIT_ON_CLOSE: codes.TimeInForce.CLS,
}
_STATES: Final[Mapping[OrderState, codes.State]] = {
    OrderState.HELD: codes.State.HELD,
    OrderState.SUBMITTED: codes.State.WORKING,
    OrderState.ACCEPTED: codes.State.WORKING,
    OrderState.PARTIALLY_FILLED: codes.State.PARTIALLY_FILLED,
}
_LATER_SESSION = 1
_NO_AMENDMENT = -1
_NAN = math.nan

TOMBSTONE: Final = 0
"""Index of an order that has ended: the parent of exits whose entry is history."""

_ENDED: Final[tuple[Any, ...]] = (
    *(0.0, 0.0, _NAN, _NAN, _NAN, _NAN, 0.0, 0.0, 0.0),
    *(NEVER, NEVER, 0, -1, 0, 0, 0, NO_ORDER, NO_ORDER, NO_ORDER, NO_ORDER, NO_ORDER, _NO_AMENDMENT),
    *(0, codes.OrderType.MARKET, codes.TimeInForce.DAY, codes.State.FILLED, 0, 0, 0, 0),
)


class LoadedOrders:
    """The open orders that take part in a session, in the order in which the kernel has them.

    Parameters
    ----------
    statuses : sequence of OrderStatus
        Open orders that were decided before the session.
    progress : mapping of str to OrderProgress
        What was carried on, by client order id; nothing for most orders.
    session : date
        The session.

    Notes
    -----
    Time priority is the decision session, then the client order id; an order that waited for its parent is as old as
    its release, which comes before the decisions of that session. Orders that depend on each other form a family and
    stand together: an order's children directly behind one another, as the kernel wants them. `families` numbers the
    family of each order, from 0.
    """

    def __init__(
        self, statuses: Sequence[OrderStatus], progress: Mapping[str, OrderProgress], *, session: date
    ) -> None:
        self._session = session
        by_id = {status.order.client_order_id: status for status in statuses}
        self.progress = {name: progress.get(name) or OrderProgress(name) for name in by_id}
        self._by_id = dict(sorted(by_id.items(), key=lambda item: _priority(item[1].order, self.progress[item[0]])))
        self._children: dict[str, list[str]] = {}
        self._rings: dict[str, list[str]] = {}
        for name, status in self._by_id.items():
            if status.order.parent_id in self._by_id:
                self._children.setdefault(str(status.order.parent_id), []).append(name)
            if status.order.oco_group is not None:
                self._rings.setdefault(status.order.oco_group, []).append(name)
        self.names: list[str] = []
        self.families: list[int] = []
        if self._children or self._rings:
            self._lay_out()
        else:
            self.names, self.families = list(self._by_id), list(range(len(self._by_id)))
        self.index_of = {name: index for index, name in enumerate(self.names, start=TOMBSTONE + 1)}
        self.statuses = [self._by_id[name] for name in self.names]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the orders, in the order of the orders."""
        return tuple(dict.fromkeys(status.order.symbol for status in self.statuses))

    def join(self, status: OrderStatus) -> None:
        """Take in an order that was placed while the session trades; the kernel gave it the next index."""
        name = status.order.client_order_id
        self._by_id[name] = status
        self.progress[name] = OrderProgress(name)
        self.names.append(name)
        self.families.append(self.families[-1] + 1 if self.families else 0)
        self.statuses.append(status)
        self.index_of[name] = len(self.names) + TOMBSTONE

    def working(self) -> list[int]:
        """Return the indices of the orders that are at the venue, in time priority."""
        return [self.index_of[name] for name, status in self._by_id.items() if status.state is not OrderState.HELD]

    def never_traded(self) -> list[int]:
        """Return the indices of orders whose one session was skipped."""
        return [
            index
            for index, status in enumerate(self.statuses, start=TOMBSTONE + 1)
            if status.order.time_in_force not in ("GTC", "GTD")
            and status.state is not OrderState.HELD
            and status.order.parent_id is None
            and status.order.execution_session < self._session
        ]

    def rows(self, numbers: Mapping[str, int]) -> list[tuple[Any, ...]]:
        """Return the fields of each `ORDER`, the tombstone first."""
        return [_ENDED, *(self._row(name, numbers) for name in self.names)]

    def _row(self, name: str, numbers: Mapping[str, int]) -> tuple[Any, ...]:
        status, progress = self._by_id[name], self.progress[name]
        order = status.order
        kind = order_type_code(order)
        due = order.execution_session <= self._session
        trail = order.trail_fraction if order.trail_fraction is not None else order.trail_usd
        watermark = progress.watermark_usd
        first_child = self._children.get(name)
        return (
            order.quantity_shares,
            status.filled_shares,
            _price(order.limit_price_usd),
            _price(order.stop_price_usd),
            _price(trail),
            # The best price since the order began is, at first, the close of its decision.
            order.arrival_price_usd if watermark is None else watermark,
            progress.commission_usd,
            0.0,
            progress.split_away_shares,
            0 if due else NEVER,
            NEVER if order.expires_at_utc is None else instant_nanoseconds(order.expires_at_utc),
            0,
            0 if status.is_triggered else -1,
            -1,
            0 if due else _LATER_SESSION,
            numbers[order.symbol],
            NO_ORDER,
            NO_ORDER,
            self._parent(name),
            self._sibling(name),
            NO_ORDER if first_child is None else self.index_of[first_child[0]],
            _NO_AMENDMENT,
            status.fills,
            kind,
            _AUCTIONS.get(kind, time_in_force_code(order.time_in_force)),
            _STATES[status.state],
            0,
            order.trail_fraction is not None,
            0,
            is_exit(order),
        )

    def _parent(self, name: str) -> int:
        parent = self._by_id[name].order.parent_id
        if parent is None:
            return NO_ORDER
        return self.index_of.get(parent, TOMBSTONE)

    def _sibling(self, name: str) -> int:
        group = self._by_id[name].order.oco_group
        ring = [] if group is None else sorted(self._rings[group], key=self.index_of.__getitem__)
        if len(ring) <= 1:
            return NO_ORDER
        return self.index_of[ring[(ring.index(name) + 1) % len(ring)]]

    def _lay_out(self) -> None:
        """Put the orders in a row, family by family."""
        seen: set[str] = set()
        for name in self._by_id:
            if name in seen:
                continue
            family = self._family(name)
            seen |= family
            number = self.families[-1] + 1 if self.families else 0
            row = [other for other in self._by_id if other in family and self._is_root(other)]
            for other in row:  # grows while it is read: children stand behind all that came before
                row.extend(self._children.get(other, ()))
            self.names += row
            self.families += [number] * len(row)

    def _is_root(self, name: str) -> bool:
        return self._by_id[name].order.parent_id not in self._by_id

    def _family(self, name: str) -> set[str]:
        """Return the orders that depend on an order, on which it depends, and so on; itself alone for most."""
        family, waiting = {name}, [name]
        while waiting:
            current = waiting.pop()
            order = self._by_id[current].order
            near = [*self._children.get(current, ()), *self._rings.get(order.oco_group or "", ())]
            if order.parent_id in self._by_id:
                near.append(str(order.parent_id))
            fresh = [other for other in near if other not in family]
            family.update(fresh)
            waiting += fresh
        return family


def is_exit(order: Order) -> bool:
    """Whether an order closes what its parent opens: one of a bracket's, which have a parent and a group."""
    return order.parent_id is not None and order.oco_group is not None


def _priority(order: Order, progress: OrderProgress) -> tuple[date, bool, str]:
    released = progress.released
    return released or order.session, released is None, order.client_order_id


def _price(value: float | None) -> float:
    return _NAN if value is None else value
