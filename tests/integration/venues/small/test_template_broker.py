"""The broker that users copy, under the faults of a venue that takes duplicates without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.errors import BrokerUnavailable, OrderRejected, SubmissionUnknown
from aegis.execution.brokers.template import TemplateBroker
from aegis.execution.order_states import OrderState
from tests.integration.venues.small.client import SmallVenueClient
from tests.integration.venues.small.venue import AFTER_THE_CLOSE, CUT_AFTER, CUT_BEFORE, FAULTS, SmallVenue


@pytest.fixture(scope="module")
def running() -> Iterator[SmallVenue]:
    with SmallVenue() as venue:
        yield venue


@pytest.fixture
def venue(running: SmallVenue) -> SmallVenue:
    running.begin_again()
    return running


@pytest.fixture
def order_of(order_of):
    return partial(order_of, algorithm="market", order_type="limit", limit_price_usd=9.0)


@pytest.fixture
def broker_of(venue: SmallVenue) -> Callable[..., TemplateBroker]:
    def make(*, attempts: int = 4) -> TemplateBroker:
        return TemplateBroker(
            SmallVenueClient(venue.port, account="simulated", timeout_seconds=0.1),
            account="simulated",
            calendar=trading_calendar("XNYS"),
            clock=SimulatedClock(AFTER_THE_CLOSE),
            attempts=attempts,
        )

    return make


def _kinds(broker) -> list[str]:
    return [str(item.event.kind) for item in broker.events_since(0)]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_request_that_meets_a_fault_is_done_once(venue, broker_of, order_of, fault):
    broker, order = broker_of(), order_of()
    venue.faults = [fault]
    assert broker.submit(order).state is OrderState.ACCEPTED
    venue.faults = [fault]
    asked = replace(order, quantity_shares=50.0, limit_price_usd=9.5)
    assert broker.replace(asked, revision=1).order == asked
    venue.faults = [fault]
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    assert (dict(venue.accepted), _kinds(broker)) == ({"order-ABC": 1}, ["accepted", "replaced", "cancelled"])
    assert (broker.unknown_orders(), broker.contradictions()) == ((), ())


def test_while_nobody_knows_whether_an_order_arrived_no_other_is_sent(venue, broker_of, order_of):
    broker, another = broker_of(attempts=2), order_of(symbol="DEF", quantity_shares=1.0)
    venue.faults, venue.questions_fail = [CUT_AFTER], True
    with pytest.raises(SubmissionUnknown, match="order-ABC"):
        broker.submit(order_of())
    with pytest.raises(SubmissionUnknown, match=r"order-DEF was not sent.*order-ABC"):
        broker.submit(another)
    with pytest.raises(BrokerUnavailable):
        broker.open_orders()
    venue.questions_fail = False
    assert broker.submit(another).state is OrderState.ACCEPTED
    assert (dict(venue.accepted), broker.unknown_orders()) == ({"order-ABC": 1, "order-DEF": 1}, ())


def test_an_order_that_never_arrived_is_sent_when_it_is_submitted_again(venue, broker_of, order_of):
    broker = broker_of(attempts=2)
    venue.faults = [CUT_BEFORE, CUT_BEFORE]
    with pytest.raises(SubmissionUnknown, match="nobody knows whether it arrived"):
        broker.submit(order_of())
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert dict(venue.accepted) == {"order-ABC": 1}


def test_a_restarted_process_sends_nothing_twice_and_tells_what_it_missed(venue, broker_of, order_of):
    first = broker_of()
    first.submit(order_of())
    venue.fill("order-ABC", 30.0, 9.0)
    first.catch_up()
    recorded = [item.event for item in first.events_since(0)]
    venue.fill("order-ABC", 70.0, 9.0)
    later = broker_of()
    later.adopt(order_of(), recorded)
    assert later.submit(order_of()).state is OrderState.FILLED
    assert [item.event.fill.quantity_shares for item in later.events_since(0)] == [70.0]
    assert dict(venue.accepted) == {"order-ABC": 1}


def test_an_order_of_other_terms_under_our_id_at_the_venue_is_refused(venue, broker_of, order_of):
    broker_of().submit(order_of(quantity_shares=50.0))
    later = broker_of()
    later.adopt(order_of())
    with pytest.raises(OrderRejected, match="an order of 50 ABC at the venue already, found 100"):
        later.submit(order_of())
    assert dict(venue.accepted) == {"order-ABC": 1}


def test_a_cancellation_that_nobody_answers_is_an_error_that_says_so(venue, broker_of, order_of):
    broker = broker_of(attempts=2)
    broker.submit(order_of())
    venue.faults = [CUT_BEFORE, CUT_BEFORE]
    with pytest.raises(BrokerUnavailable, match="cancel it again"):
        broker.cancel("order-ABC")


def test_a_foreign_order_is_named_and_is_not_ours(broker_of, order_of):
    broker_of().submit(order_of(client_order_id="who"))
    broker = broker_of()
    assert broker.open_orders() == ()
    assert [order.venue_id for order in broker.foreign_orders()] == ["who"]
    broker.adopt(order_of(client_order_id="who"))
    assert (len(broker.open_orders()), broker.foreign_orders()) == (1, ())
