"""A venue's book of our orders that forgets those that have ended, and remembers them when the venue speaks again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from aegis.errors import OrderRejected
from aegis.execution.brokers.broker_book import BrokerBook, Execution
from aegis.execution.order_states import OrderState
from aegis.execution.orders import OrderEvent, OrderEventKind

FRIDAY = date(2014, 6, 6)
OPENS = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)


class Recorded:
    """A book whose events are written down by a test, as a trading process does."""

    def __init__(self, order) -> None:
        self.order = order
        self.book = BrokerBook(lambda _: FRIDAY)
        self.written: list[OrderEvent] = []
        self.heard = 0
        self.recalled = 0

    def take(self) -> list[OrderEventKind]:
        told = self.book.events_since(self.heard)
        assert [item.sequence for item in told] == list(range(self.heard + 1, self.heard + 1 + len(told)))
        self.heard += len(told)
        self.written += [item.event for item in told]
        return [item.event.kind for item in told]

    def recall(self, name: str):
        assert name == self.order.client_order_id
        self.recalled += 1
        return self.order, tuple(self.written)

    def let_go(self) -> bool:
        self.book.drop_events(self.heard)
        return self.book.let_go(self.order.client_order_id, recall=self.recall)

    def tell(self, kind: OrderEventKind) -> bool:
        return self.book.tell(
            OrderEvent(
                kind=kind,
                client_order_id=self.order.client_order_id,
                session=FRIDAY,
                at_utc=OPENS + timedelta(minutes=kind is OrderEventKind.CANCELLED),
            )
        )

    def execute(self, number: int, shares: float) -> bool:
        name = self.order.client_order_id
        if not self.book.knows(name):
            return False
        at = OPENS + timedelta(seconds=number)
        return self.book.tell_execution(
            Execution(
                client_order_id=name,
                execution_id=f"x{number}",
                quantity_shares=shares,
                price_usd=10.0,
                commission_usd=0.0,
                executed_at_utc=at,
            )
        )


@pytest.fixture
def recorded(order_of) -> Recorded:
    """An order for 100 ABC that the venue has taken, and filled 40 of."""
    made = Recorded(order_of(quantity_shares=100.0))
    made.book.know(made.order)
    made.tell(OrderEventKind.ACCEPTED)
    made.execute(1, 40.0)
    return made


def test_an_open_order_is_not_let_go(recorded: Recorded) -> None:
    recorded.take()
    assert not recorded.let_go()
    assert recorded.book.open_ids() == (recorded.order.client_order_id,)


def test_what_a_venue_repeats_of_an_order_that_was_let_go_says_nothing_new(recorded: Recorded) -> None:
    recorded.execute(2, 60.0)
    assert recorded.take()[-1] is OrderEventKind.FILLED
    assert recorded.let_go()
    assert recorded.book.open_ids() == ()
    assert not recorded.execute(2, 60.0)
    assert not recorded.tell(OrderEventKind.ACCEPTED)
    assert recorded.take() == []
    assert (recorded.book.status(recorded.order.client_order_id).state, recorded.recalled) == (OrderState.FILLED, 1)


def test_shares_that_change_hands_after_the_end_are_told_of_an_order_that_was_let_go(recorded: Recorded) -> None:
    recorded.tell(OrderEventKind.CANCELLED)
    recorded.take()
    assert recorded.let_go()
    assert recorded.execute(2, 10.0)
    assert recorded.take() == [OrderEventKind.PARTIALLY_FILLED]
    assert recorded.book.told_shares(recorded.order.client_order_id) == 50.0


def test_an_order_that_was_let_go_is_known_when_it_is_submitted_again_and_keeps_its_terms(recorded: Recorded) -> None:
    recorded.execute(2, 60.0)
    recorded.take()
    assert recorded.let_go()
    assert not recorded.book.know(recorded.order)
    assert recorded.let_go()
    with pytest.raises(OrderRejected, match="the id belongs to an order of"):
        recorded.book.know(replace(recorded.order, quantity_shares=70.0))
