"""Every fault at every request that changes something: the venue's own count of accepted orders is never above one."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from aegis.errors import BrokerUnavailable, SubmissionUnknown
from aegis.execution.order_states import OrderState
from tests.integration.vendors.vendor_server import Hang, Reset, Status
from tests.integration.venues.alpaca.faults import FAULTS, MOMENTS
from tests.integration.venues.alpaca.rest import After, Before

EVERY = sorted(FAULTS)
IMPATIENT = {"read_timeout_seconds": 0.4}
ALWAYS = 50


@pytest.fixture(
    params=[
        pytest.param(False, id="a venue that would take duplicates"),
        pytest.param(True, id="a venue that refuses duplicates", marks=pytest.mark.long),
    ]
)
def strict_or_not(request, venue):
    """The venue; where it would take a duplicate, only the broker keeps an order from being accepted twice."""
    venue.book.refuses_duplicates = request.param
    return venue


@pytest.mark.parametrize("moment", sorted(MOMENTS))
@pytest.mark.parametrize("fault", EVERY)
def test_an_order_whose_submission_meets_a_fault_is_accepted_once(strict_or_not, broker_of, order_of, fault, moment):
    venue, broker = strict_or_not, broker_of(**IMPATIENT)
    venue.rest.script("POST", MOMENTS[moment](FAULTS[fault]))
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert venue.book.accepted == {"order-ABC": 1}
    assert [str(item.event.kind) for item in broker.events_since(0)] == ["accepted"]


@pytest.mark.parametrize("moment", sorted(MOMENTS))
@pytest.mark.parametrize("fault", EVERY)
def test_a_cancellation_that_meets_a_fault_ends_the_order(venue, broker_of, order_of, fault, moment):
    broker = broker_of(**IMPATIENT)
    broker.submit(order_of())
    venue.rest.script("DELETE", MOMENTS[moment](FAULTS[fault]))
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    assert venue.book.named("order-ABC")["status"] == "canceled"
    assert [str(item.event.kind) for item in broker.events_since(0)] == ["accepted", "cancelled"]


@pytest.mark.parametrize("moment", sorted(MOMENTS))
@pytest.mark.parametrize("fault", EVERY)
def test_a_replacement_that_meets_a_fault_is_made_once(strict_or_not, broker_of, order_of, fault, moment):
    venue, broker = strict_or_not, broker_of(**IMPATIENT)
    venue.book.is_open = True
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    venue.rest.script("PATCH", MOMENTS[moment](FAULTS[fault]))
    asked = replace(order, quantity_shares=50.0, limit_price_usd=9.5)
    assert broker.replace(asked, revision=1).order == asked
    assert venue.book.accepted == {"order-ABC": 1, "order-ABC.r1": 1}
    made = venue.book.named("order-ABC.r1")
    assert (made["qty"], made["limit_price"], made["status"]) == ("50", "9.5", "new")
    assert len(broker.open_orders()) == 1


def test_while_nobody_knows_whether_an_order_arrived_no_other_is_sent(venue, broker_of, order_of):
    broker = broker_of(attempts=2, **IMPATIENT)
    venue.rest.script("POST", After(Hang()))
    venue.rest.script("GET", *[Before(Status(500))] * ALWAYS)
    with pytest.raises(SubmissionUnknown, match=r"order-ABC.*100 ABC"):
        broker.submit(order_of())
    assert broker.unknown_orders() == ("order-ABC",)
    with pytest.raises(SubmissionUnknown, match=r"order-DEF was not sent.*order-ABC"):
        broker.submit(order_of(symbol="DEF"))
    assert venue.rest.count("POST") == 1
    venue.rest.heal()
    assert broker.submit(order_of(symbol="DEF")).state is OrderState.ACCEPTED
    assert broker.find_order("order-ABC").state is OrderState.ACCEPTED
    assert venue.book.accepted == {"order-ABC": 1, "order-DEF": 1}
    assert broker.unknown_orders() == ()


def test_an_empty_answer_does_not_say_that_an_order_never_arrived(venue, broker_of, order_of):
    venue.book.refuses_duplicates = False
    broker = broker_of(attempts=2, **IMPATIENT)
    venue.rest.script("POST", After(Reset()))
    venue.rest.script("GET", *[Before(Status(200, body=None))] * ALWAYS)
    with pytest.raises(SubmissionUnknown, match=r"order-ABC.*an empty answer"):
        broker.submit(order_of())
    assert (venue.book.accepted, venue.rest.count("POST")) == ({"order-ABC": 1}, 1)
    venue.rest.heal()
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert venue.book.accepted == {"order-ABC": 1}


def test_an_order_that_never_arrived_is_sent_when_it_is_submitted_again(venue, broker_of, order_of):
    broker = broker_of(attempts=2, **IMPATIENT)
    venue.rest.script("POST", *[Before(Reset())] * 2)
    with pytest.raises(SubmissionUnknown, match="Alpaca knows no such order yet"):
        broker.submit(order_of())
    with pytest.raises(SubmissionUnknown, match="order-DEF was not sent"):
        broker.submit(order_of(symbol="DEF"))
    assert [status.order.client_order_id for status in broker.open_orders()] == ["order-ABC"]
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert broker.submit(order_of(symbol="DEF")).state is OrderState.ACCEPTED
    assert venue.book.accepted == {"order-ABC": 1, "order-DEF": 1}


def test_a_duplicate_that_the_venue_refuses_is_the_order_itself(venue, broker_of, order_of):
    broker_of().submit(order_of())
    assert broker_of().submit(order_of()).state is OrderState.ACCEPTED
    assert venue.book.accepted == {"order-ABC": 1}


def test_an_order_of_an_earlier_process_is_looked_up_before_anything_is_sent(venue, broker_of, order_of):
    venue.book.refuses_duplicates = False
    broker_of().submit(order_of())
    later = broker_of()
    later.adopt(order_of())
    assert later.submit(order_of()).state is OrderState.ACCEPTED
    assert (venue.book.accepted, venue.rest.count("POST")) == ({"order-ABC": 1}, 1)


def test_a_cancellation_does_not_wait_for_a_submission_that_hangs(venue, broker_of, order_of):
    broker = broker_of(read_timeout_seconds=20.0)
    broker.submit(order_of())
    venue.rest.script("POST", Before(Hang()))
    hanging = threading.Thread(target=broker.submit, args=(order_of(symbol="DEF"),))
    hanging.start()
    venue.rest.wait_for("POST", 2)
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    assert hanging.is_alive()
    venue.rest.let_go()
    hanging.join()
    assert venue.book.accepted == {"order-ABC": 1, "order-DEF": 1}


def test_a_cancellation_reaches_a_replacement_of_which_nobody_had_heard(venue, broker_of, order_of):
    venue.book.is_open = True
    broker = broker_of(attempts=2, **IMPATIENT)
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    venue.rest.script("PATCH", After(Reset()))
    venue.rest.script("GET", None, *[Before(Status(500))] * ALWAYS)
    with pytest.raises(SubmissionUnknown, match=r"order-ABC\.r1"):
        broker.replace(replace(order, limit_price_usd=9.5), revision=1)
    venue.rest.heal()
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    assert venue.book.named("order-ABC.r1")["status"] == "canceled"


def test_an_order_whose_replacement_is_unknown_is_still_found(venue, broker_of, order_of):
    venue.book.is_open = True
    broker = broker_of(attempts=2, **IMPATIENT)
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    asked = replace(order, limit_price_usd=9.5)
    venue.rest.script("PATCH", *[Before(Reset())] * 2)
    with pytest.raises(SubmissionUnknown, match=r"order-ABC\.r1"):
        broker.replace(asked, revision=1)
    assert broker.submit(order).order == order
    with pytest.raises(SubmissionUnknown, match="order-DEF was not sent"):
        broker.submit(order_of(symbol="DEF"))
    assert broker.replace(asked, revision=1).order == asked
    assert broker.submit(order_of(symbol="DEF")).state is OrderState.SUBMITTED  # pending, and no stream told of it yet
    assert venue.book.accepted == {"order-ABC": 1, "order-ABC.r1": 1, "order-DEF": 1}


def test_threads_that_submit_one_order_at_once_send_it_once(venue, broker_of, order_of):
    venue.book.refuses_duplicates = False
    broker, start = broker_of(), threading.Barrier(6)

    def submit() -> None:
        start.wait()
        broker.submit(order_of())

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert venue.book.accepted == {"order-ABC": 1}


def _rebalance_under_faults(venue, broker_of, order_of, *, seed: int) -> None:
    """Submit, replace and cancel under a random pair of faults, then let the venue heal and compare with its truth."""
    generator = np.random.default_rng(seed)
    venue.begin_again()
    venue.book.is_open = True
    venue.book.refuses_duplicates = bool(generator.integers(2))
    broker = broker_of(attempts=2, **IMPATIENT)
    for method in generator.choice(["POST", "PATCH", "DELETE", "GET"], size=2):
        moment = MOMENTS[str(generator.choice(sorted(MOMENTS)))]
        skipped = [None] * int(generator.integers(3))
        venue.rest.script(str(method), *skipped, moment(FAULTS[str(generator.choice(EVERY))]))
    orders = [
        order_of(client_order_id=f"order-{number}", order_type="limit", limit_price_usd=9.0, quantity_shares=10.0)
        for number in range(3)
    ]
    changed = replace(orders[1], limit_price_usd=9.5)

    def rebalance() -> None:
        for order in orders:
            broker.submit(order)
        broker.replace(changed, revision=1)
        broker.cancel("order-2")

    try:
        rebalance()
    except (SubmissionUnknown, BrokerUnavailable):
        venue.rest.heal()
        rebalance()
    venue.rest.heal()
    broker.catch_up()
    names = [f"order-{number}" for number in range(3)]
    assert venue.book.accepted == Counter([*names, "order-1.r1"]), seed
    assert {name: broker.find_order(name).state for name in names} == {
        "order-0": OrderState.ACCEPTED,
        "order-1": OrderState.ACCEPTED,
        "order-2": OrderState.CANCELLED,
    }, seed
    assert broker.find_order("order-1").order == changed, seed
    assert (broker.unknown_orders(), broker.contradictions()) == ((), ()), seed
    broker.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_random_pair_of_faults_leaves_one_order_each(venue, broker_of, order_of, seed):
    _rebalance_under_faults(venue, broker_of, order_of, seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_a_hundred_and_twenty_random_pairs_of_faults_leave_one_order_each(venue, broker_of, order_of, block):
    for seed in itertools.islice(itertools.count(1000 + 12 * block), 12):
        _rebalance_under_faults(venue, broker_of, order_of, seed=seed)
