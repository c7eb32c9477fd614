"""A venue for child orders that does what it is told: fills, rejects, answers late or not at all.

Belongs here: the venue and the store beside it. What it is told is each test's own.
"""

from __future__ import annotations

import json
from datetime import datetime

from aegis.clock import SimulatedClock
from aegis.execution.algorithms.parent_records import (
    WorkingAlgorithm,
    algorithm_from_record,
    algorithm_record,
    state_from_record,
    state_record,
)
from aegis.execution.algorithms.parent_state import ParentState
from aegis.execution.order_book import OrderBook
from aegis.execution.order_records import canonical_json
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind

K = OrderEventKind


class ChildVenue:
    """An order book that children are sent to; it knows every order that it was ever sent."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.book = OrderBook()
        self.sent: list[tuple[datetime, Order]] = []
        self.asked_to_end: list[str] = []
        self.asked_to_change: list[tuple[Order, int]] = []

    def submit(self, order: Order) -> None:
        """Take an order, the same one once."""
        if self.book.add(order):
            self.sent.append((self._clock.now_utc(), order))
            for kind in (K.APPROVED, K.SUBMITTED, K.ACCEPTED):
                self.tell(order.client_order_id, kind)

    def replace(self, order: Order, *, revision: int) -> None:
        """Change an order at once, unless it has ended."""
        self.asked_to_change.append((order, revision))
        if not self.book.status(order.client_order_id).is_final:
            self.tell(order.client_order_id, K.REPLACED, order=order, revision=revision)

    def cancel(self, client_order_id: str) -> None:
        """Remember that an order is to end; :meth:`answer_cancels` ends it."""
        self.asked_to_end.append(client_order_id)

    def statuses(self) -> dict[str, OrderStatus]:
        """Return where all orders stand."""
        return dict(self.book.statuses())

    def answer_cancels(self) -> None:
        """End what was asked to end."""
        for name in self.asked_to_end:
            if not self.book.status(name).is_final:
                self.tell(name, K.CANCELLED, reason="cancelled on request")
        self.asked_to_end.clear()

    def fill(self, client_order_id: str, shares: float, price_usd: float = 10.0) -> None:
        """Fill some of an order, signed like it."""
        status = self.book.status(client_order_id)
        order = status.order
        fill = Fill(
            client_order_id=client_order_id,
            decision_id=order.decision_id,
            account=order.account,
            fill_number=status.fills + 1,
            session=order.execution_session,
            symbol=order.symbol,
            ticker=order.ticker,
            quantity_shares=shares,
            price_usd=price_usd,
            reference_price_usd=price_usd,
            commission_usd=0.0,
            slippage_usd=0.0,
            arrival_price_usd=order.arrival_price_usd,
            filled_at_utc=self._clock.now_utc(),
        )
        kind = K.FILLED if status.is_completed_by(shares) else K.PARTIALLY_FILLED
        self.tell(client_order_id, kind, fill=fill)

    def tell(self, client_order_id: str, kind: OrderEventKind, **rest) -> None:
        """Let something happen to an order now."""
        order = self.book.status(client_order_id).order
        self.book.apply(
            OrderEvent(
                kind=kind,
                client_order_id=client_order_id,
                session=order.execution_session,
                at_utc=self._clock.now_utc(),
                **rest,
            )
        )


class TextStore:
    """Keeps parents as JSON text, the newest of each."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def keep(self, state: ParentState, algorithm: WorkingAlgorithm) -> None:
        """Write both down."""
        record = {"state": state_record(state), "algorithm": algorithm_record(algorithm)}
        self.texts[state.order.client_order_id] = canonical_json(record)

    def read(self, client_order_id: str) -> tuple[ParentState, WorkingAlgorithm]:
        """Return both as they were written."""
        record = json.loads(self.texts[client_order_id])
        return state_from_record(record["state"]), algorithm_from_record(record["algorithm"])
