"""Every fault at every request that changes something: the venue's own count of accepted orders is never above one."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from aegis.clock import SimulatedClock
from aegis.errors import BrokerUnavailable, ExecutionError, SubmissionUnknown
from aegis.execution.order_states import OrderState
from tests.integration.vendors.tws.faults import Cut, Silence, Swallowed, Unreceived
from tests.integration.vendors.tws.wire import ToGateway, error
from tests.integration.venues.interactive_brokers.faults import FAULTS
from tests.integration.venues.interactive_brokers.venue import AFTER_THE_CLOSE

PLACE, CANCEL, OPEN, COMPLETED, EXECUTED = (
    ToGateway.PLACE_ORDER,
    ToGateway.CANCEL_ORDER,
    ToGateway.ALL_OPEN_ORDERS,
    ToGateway.COMPLETED_ORDERS,
    ToGateway.EXECUTIONS,
)
IMPATIENT = {"answer_timeout_seconds": 0.1}
EVERY = sorted(FAULTS)
QUICK = (
    "a connection that ends, before acceptance",
    "a connection that ends, after acceptance",
    "silence, after acceptance",
    "an error that is not true, after acceptance",
)


def _quick_or_long(names):
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in names]


def _kinds(broker) -> list[str]:
    return [str(item.event.kind) for item in broker.events_since(0)]


@pytest.mark.parametrize("fault", _quick_or_long(EVERY))
def test_an_order_whose_submission_meets_a_fault_is_accepted_once(venue, broker_of, order_of, fault):
    broker = broker_of(**IMPATIENT)
    venue.gateway.script(PLACE, FAULTS[fault])
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert venue.desk.accepted == {"order-ABC": 1}
    assert (_kinds(broker), broker.contradictions(), broker.unknown_orders()) == (["accepted"], (), ())


@pytest.mark.parametrize("fault", _quick_or_long(name for name in EVERY if "error" not in name))
def test_a_cancellation_that_meets_a_fault_ends_the_order(venue, broker_of, order_of, fault):
    broker = broker_of(**IMPATIENT)
    broker.submit(order_of())
    venue.gateway.script(CANCEL, FAULTS[fault])
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    assert venue.desk.order_of("order-ABC").status == "Cancelled"
    assert _kinds(broker) == ["accepted", "cancelled"]


@pytest.mark.parametrize("fault", _quick_or_long(EVERY))
def test_a_change_that_meets_a_fault_is_made_once(venue, broker_of, order_of, fault):
    broker = broker_of(**IMPATIENT)
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    venue.gateway.script(PLACE, FAULTS[fault])
    asked = replace(order, quantity_shares=50.0, limit_price_usd=9.5)
    assert broker.replace(asked, revision=1).order == asked
    held = venue.desk.order_of("order-ABC")
    assert (held.shares, held.limit_price, venue.desk.accepted) == (50.0, "9.5", {"order-ABC": 1})
    assert (_kinds(broker), broker.contradictions()) == (["accepted", "replaced"], ())


@pytest.mark.parametrize(
    "boundary", [0, 1, 2, 3, *(pytest.param(number, marks=pytest.mark.long) for number in range(4, 9))]
)
def test_a_connection_that_ends_at_any_message_of_an_order_leaves_one_order(venue, broker_of, order_of, boundary):
    broker = broker_of(**IMPATIENT)
    venue.gateway.end_after(boundary)
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    broker.catch_up()
    assert (venue.desk.accepted, _kinds(broker)) == ({"order-ABC": 1}, ["accepted"])


@pytest.mark.parametrize(
    "question",
    [OPEN, *(pytest.param(number, marks=pytest.mark.long) for number in (COMPLETED, EXECUTED, ToGateway.CURRENT_TIME))],
)
def test_an_answer_that_breaks_off_never_proves_that_an_order_is_not_there(venue, broker_of, order_of, question):
    broker = broker_of(**IMPATIENT)
    venue.gateway.script(PLACE, Cut(0))
    venue.gateway.script(question, Cut(0.5), Silence())
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert (venue.desk.accepted, len(venue.gateway.received(PLACE))) == ({"order-ABC": 1}, 1)


def test_while_nobody_knows_whether_an_order_arrived_no_other_is_sent(venue, broker_of, order_of):
    broker = broker_of(attempts=2, **IMPATIENT)
    venue.gateway.script(PLACE, Silence())
    venue.gateway.always(OPEN, Cut(0))
    with pytest.raises(SubmissionUnknown, match=r"order-ABC.*100 ABC"):
        broker.submit(order_of())
    assert broker.unknown_orders() == ("order-ABC",)
    with pytest.raises(SubmissionUnknown, match=r"order-DEF was not sent.*order-ABC"):
        broker.submit(order_of(symbol="DEF"))
    assert len(venue.gateway.received(PLACE)) == 1
    venue.gateway.heal()
    assert broker.submit(order_of(symbol="DEF")).state is OrderState.ACCEPTED
    assert broker.find_order("order-ABC").state is OrderState.ACCEPTED
    assert (venue.desk.accepted, broker.unknown_orders()) == ({"order-ABC": 1, "order-DEF": 1}, ())


def test_an_order_that_never_arrived_is_sent_when_it_is_submitted_again(venue, broker_of, order_of):
    broker = broker_of(attempts=2, **IMPATIENT)
    venue.gateway.script(PLACE, Swallowed(), Unreceived())
    with pytest.raises(SubmissionUnknown, match="order-ABC"):
        broker.submit(order_of())
    with pytest.raises(SubmissionUnknown, match="order-DEF was not sent"):
        broker.submit(order_of(symbol="DEF"))
    assert [status.order.client_order_id for status in broker.open_orders()] == ["order-ABC"]
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert broker.submit(order_of(symbol="DEF")).state is OrderState.ACCEPTED
    assert venue.desk.accepted == {"order-ABC": 1, "order-DEF": 1}


def test_an_order_of_an_earlier_process_is_looked_up_before_anything_is_sent(venue, broker_of, order_of):
    earlier = broker_of()
    earlier.submit(order_of())
    earlier.close()
    later = broker_of()
    later.adopt(order_of())
    assert later.submit(order_of()).state is OrderState.ACCEPTED
    assert (venue.desk.accepted, len(venue.gateway.received(PLACE))) == ({"order-ABC": 1}, 1)


def test_an_order_of_an_earlier_day_that_is_not_told_of_is_never_sent_again(venue, broker_of, order_of):
    """The venue tells of today's orders and executions only, so that it does not name one proves nothing."""
    venue.desk.move_to(AFTER_THE_CLOSE.replace(day=9))
    later = broker_of(clock=SimulatedClock(AFTER_THE_CLOSE.replace(day=9)))
    order = order_of(time_in_force="GTC")
    later.adopt(order)
    with pytest.raises(SubmissionUnknown, match=r"sent in session 2014-06-06.*today's executions only"):
        later.submit(order)
    another = order_of(symbol="DEF", session=date(2014, 6, 9), execution_session=date(2014, 6, 10))
    with pytest.raises(SubmissionUnknown, match="order-DEF was not sent"):
        later.submit(another)
    assert venue.gateway.received(PLACE) == []


def test_a_restarted_process_uses_no_number_twice(venue, broker_of, order_of):
    for number in range(3):
        broker = broker_of()
        broker.submit(order_of(client_order_id=f"order-{number}", quantity_shares=1.0))
        broker.close()
    assert [order.order_id for order in venue.desk.orders] == sorted({order.order_id for order in venue.desk.orders})


def test_a_gateway_that_forgot_its_numbers_makes_no_change_of_another_order(venue, broker_of, order_of):
    first = broker_of()
    first.submit(order_of(client_order_id="old", quantity_shares=1.0))
    first.submit(order_of(client_order_id="over", quantity_shares=2.0))
    first.cancel("over")
    first.close()
    venue.gateway.next_order_id = 1
    later = broker_of()
    assert later.submit(order_of(client_order_id="new", quantity_shares=3.0)).state is OrderState.ACCEPTED
    assert [(order.reference, order.shares, order.status) for order in venue.desk.orders] == [
        ("old", 1.0, "Submitted"),
        ("over", 2.0, "Cancelled"),
        ("new", 3.0, "Submitted"),
    ]


def test_a_gateway_that_has_lost_interactive_brokers_is_sent_nothing_until_it_is_back(venue, broker_of, order_of):
    broker = broker_of(attempts=1, **IMPATIENT)
    venue.tell(error(-1, 1100, "Connectivity between IB and TWS has been lost"))
    _until(lambda: not broker.stream_health().is_connected)
    with pytest.raises(BrokerUnavailable, match="error 1100"):
        broker.submit(order_of())
    assert (venue.gateway.received(PLACE), broker.unknown_orders()) == ([], ())
    venue.tell(error(-1, 1102, "Connectivity between IB and TWS has been restored- data maintained."))
    _until(lambda: broker.stream_health().is_connected)
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert venue.desk.accepted == {"order-ABC": 1}


def test_a_cancellation_does_not_wait_for_a_submission_that_hangs(venue, broker_of, order_of):
    broker = broker_of(answer_timeout_seconds=20.0)
    broker.submit(order_of())
    venue.gateway.script(PLACE, Swallowed())
    hanging = threading.Thread(target=_submit_unknown, args=(broker, order_of(symbol="DEF")))
    hanging.start()
    _until(lambda: len(venue.gateway.received(PLACE)) == 2)
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    assert hanging.is_alive()
    broker.close()
    hanging.join()
    assert venue.desk.accepted == {"order-ABC": 1}


@pytest.mark.long
def test_a_cancellation_that_nobody_answers_is_an_error_that_says_so(venue, broker_of, order_of):
    broker = broker_of(attempts=2, **IMPATIENT)
    broker.submit(order_of())
    venue.gateway.always(CANCEL, Swallowed())
    with pytest.raises(BrokerUnavailable, match=r"order-ABC \(ABC\).*still open; cancel it again"):
        broker.cancel("order-ABC")


def test_an_order_of_another_client_is_not_ours_to_cancel(venue, broker_of, order_of):
    broker_of(client_id=5).submit(order_of())
    later = broker_of(client_id=6)
    later.adopt(order_of())
    with pytest.raises(ExecutionError, match=r"client 5 placed it.*client_id to 5"):
        later.cancel("order-ABC")
    assert venue.desk.order_of("order-ABC").is_open


def test_threads_that_submit_one_order_at_once_send_it_once(venue, broker, order_of):
    start = threading.Barrier(3)

    def submit() -> None:
        start.wait()
        broker.submit(order_of())

    threads = [threading.Thread(target=submit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert venue.desk.accepted == {"order-ABC": 1}


def _submit_unknown(broker, order) -> None:
    with pytest.raises((SubmissionUnknown, BrokerUnavailable)):
        broker.submit(order)


def _until(condition, seconds: float = 10.0) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError("it did not come about")


def _rebalance_under_faults(venue, broker_of, order_of, *, seed: int) -> None:
    """Submit, change and cancel under a random pair of faults, then let the venue heal and compare with its truth."""
    generator = np.random.default_rng(seed)
    venue.begin_again()
    broker = broker_of(attempts=2, **IMPATIENT)
    for number in generator.choice([PLACE, PLACE, CANCEL, OPEN, COMPLETED, EXECUTED], size=2):
        skipped = [None] * int(generator.integers(4))
        may_lie = number == PLACE
        names = [name for name in EVERY if may_lie or "error" not in name]
        venue.gateway.script(int(number), *skipped, FAULTS[str(generator.choice(names))])
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
        venue.gateway.heal()
        rebalance()
    venue.gateway.heal()
    broker.catch_up()
    names = [f"order-{number}" for number in range(3)]
    assert venue.desk.accepted == dict.fromkeys(names, 1), seed
    assert {name: broker.find_order(name).state for name in names} == {
        "order-0": OrderState.ACCEPTED,
        "order-1": OrderState.ACCEPTED,
        "order-2": OrderState.CANCELLED,
    }, seed
    assert broker.find_order("order-1").order == changed, seed
    assert venue.desk.order_of("order-1").limit_price == "9.5", seed
    assert (broker.unknown_orders(), broker.contradictions()) == ((), ()), seed
    broker.close()


@pytest.mark.parametrize("seed", range(2))
def test_a_random_pair_of_faults_leaves_one_order_each(venue, broker_of, order_of, seed):
    _rebalance_under_faults(venue, broker_of, order_of, seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_a_hundred_and_twenty_random_pairs_of_faults_leave_one_order_each(venue, broker_of, order_of, block):
    for seed in range(1000 + 12 * block, 1012 + 12 * block):
        _rebalance_under_faults(venue, broker_of, order_of, seed=seed)
