"""What the gateway tells: late, twice, out of turn, in part, or not at all, over connections that break."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta

import numpy as np
import pytest

from aegis.clock import SimulatedClock
from aegis.execution.order_states import OrderState
from tests.integration.vendors.tws.faults import Altered
from tests.integration.vendors.tws.wire import Fields, ToClient, ToGateway, error
from tests.integration.venues.interactive_brokers.venue import AFTER_THE_CLOSE

PATIENCE = 10.0


def _kinds(broker) -> list[str]:
    return [str(item.event.kind) for item in broker.events_since(0)]


def _until(broker, events: int) -> list:
    told = broker.wait_for_events(events - 1, timeout_seconds=PATIENCE)
    assert told, f"fewer than {events} events came"
    return [item.event for item in broker.events_since(0)]


def _fills(broker) -> list[tuple[float, float, float]]:
    fills = [item.event.fill for item in broker.events_since(0) if item.event.fill is not None]
    return [(fill.quantity_shares, fill.price_usd, fill.commission_usd) for fill in fills]


@pytest.fixture
def order(venue, broker, order_of):
    """Submit 100 ABC, and return the order as the venue has it."""
    broker.submit(order_of())
    return venue.desk.order_of("order-ABC")


def test_what_the_events_tell_needs_no_question(venue, broker, order):
    asked = len(venue.gateway.requests)
    venue.desk.commission_usd = 0.35
    venue.tell(*venue.desk.fill(order, 60, 10.0))
    venue.tell(*venue.desk.fill(order, 40, 10.5))
    _until(broker, 3)
    assert _kinds(broker) == ["accepted", "partially filled", "filled"]
    assert _fills(broker) == [(60.0, 10.0, 0.35), (40.0, 10.5, 0.35)]
    assert len(venue.gateway.requests) == asked


def test_events_told_twice_happened_once(venue, broker, order):
    events = venue.desk.fill(order, 100, 10.0)
    venue.tell(*events, *events)
    _until(broker, 2)
    broker.catch_up()
    assert (_kinds(broker), broker.contradictions()) == (["accepted", "filled"], ())


@pytest.mark.parametrize(
    "first", [pytest.param(number, marks=() if number in (0, 1, 4) else pytest.mark.long) for number in range(8)]
)
def test_the_events_of_two_fills_in_any_turn_end_in_the_same_place(venue, broker, order, first):
    venue.desk.commission_usd = 0.5
    events = [*venue.desk.fill(order, 50, 10.0), *venue.desk.fill(order, 50, 10.2)]
    stale = events[3]  # 'Submitted, 50 filled', told after the order was filled
    venue.tell(*events[first:], *reversed(events[:first]), stale)
    _until(broker, 3)
    broker.catch_up()
    assert broker.find_order("order-ABC").state is OrderState.FILLED
    assert sorted(_fills(broker)) == [(50.0, 10.0, 0.5), (50.0, 10.2, 0.5)]
    assert broker.contradictions() == ()


def test_a_fill_that_was_not_told_is_asked_for_as_soon_as_a_status_counts_it(venue, broker, order):
    *_, status = venue.desk.fill(order, 60, 10.0)
    venue.tell(status)
    _until(broker, 2)
    assert _fills(broker) == [(60.0, 10.0, 0.0)]


def test_a_fill_that_happens_while_the_venue_answers_is_no_contradiction(venue, broker, order):
    def filled_meanwhile(answer: list[Fields]) -> list[Fields]:
        *_, status = venue.desk.fill(order, 60, 10.0)
        return [*answer[:-1], status, answer[-1]]

    venue.gateway.script(ToGateway.EXECUTIONS, Altered(filled_meanwhile))
    broker.catch_up()
    assert broker.contradictions() == ()
    broker.catch_up()
    assert (_fills(broker), broker.contradictions()) == ([(60.0, 10.0, 0.0)], ())


def test_shares_that_no_execution_explains_are_named_until_one_does(venue, broker, order):
    venue.gateway.always(ToGateway.EXECUTIONS, Altered(lambda answer: answer[-1:]))
    *_, status = venue.desk.fill(order, 60, 10.0)
    venue.tell(status)
    broker.clock_skew_seconds()
    broker.catch_up()
    (said,) = broker.contradictions()
    assert "counts 60 shares filled and tells executions of 0" in said
    assert (_fills(broker), broker.find_order("order-ABC").is_final) == ([], False)
    venue.gateway.heal()
    broker.catch_up()
    assert (_fills(broker), broker.contradictions()) == ([(60.0, 10.0, 0.0)], ())


def test_events_that_were_lost_are_found_when_somebody_asks(venue, broker, order):
    venue.desk.fill(order, 100, 10.0)
    assert broker.open_orders() == ()
    assert _kinds(broker) == ["accepted", "filled"]


def test_an_end_waits_for_the_fills_that_the_venue_counts(venue, broker, order):
    fill = venue.desk.fill(order, 60, 10.0)
    venue.tell(*venue.desk.cancel(order))
    _until(broker, 3)
    venue.tell(*fill)
    broker.catch_up()
    assert _kinds(broker)[:2] == ["accepted", "partially filled"]
    assert broker.find_order("order-ABC").filled_shares == 60.0
    assert (_kinds(broker)[2:], broker.contradictions()) == (["cancelled"], ())


def test_a_fill_waits_for_its_commission_and_is_told_with_it(venue, broker_of, order_of):
    broker = broker_of(commission_wait_seconds=60.0)
    broker.submit(order_of())
    venue.desk.commission_usd = 1.25
    execution, commission, opened, status = venue.desk.fill(venue.desk.order_of("order-ABC"), 100, 10.0)
    venue.tell(execution, opened, status)
    broker.clock_skew_seconds()  # what came before it has been taken
    assert _kinds(broker) == ["accepted"]
    venue.tell(commission)
    _until(broker, 2)
    assert (_fills(broker), broker.fees(AFTER_THE_CLOSE.date())) == ([(100.0, 10.0, 1.25)], ())


def test_a_commission_that_comes_after_its_fill_was_told_is_a_fee_of_the_account(venue, broker, order):
    venue.desk.commission_usd = 1.25
    venue.gateway.always(ToGateway.EXECUTIONS, Altered(_without_commissions))
    execution, commission, *_ = venue.desk.fill(order, 100, 10.0)
    venue.tell(execution)
    _until(broker, 2)
    assert _fills(broker) == [(100.0, 10.0, 0.0)]
    venue.tell(commission, commission)
    broker.clock_skew_seconds()
    (fee,) = broker.fees(AFTER_THE_CLOSE.date())
    assert (fee.amount_usd, fee.fee_id) == (1.25, order.executions[0].execution_id)


def test_a_commission_that_an_earlier_process_did_not_live_to_see_is_a_fee(venue, broker, broker_of, order, order_of):
    venue.gateway.always(ToGateway.EXECUTIONS, Altered(_without_commissions))
    venue.desk.commission_usd = 1.25
    venue.tell(venue.desk.fill(order, 100, 10.0)[0])
    recorded = _until(broker, 2)
    broker.close()
    venue.gateway.heal()
    later = broker_of(connects=False)
    later.adopt(order_of(), recorded)
    later.connect()
    assert [fee.amount_usd for fee in later.fees(AFTER_THE_CLOSE.date())] == [1.25]
    assert (later.events_since(0), later.contradictions()) == ((), ())


def test_a_correction_of_an_execution_is_kept_for_a_person_and_books_nothing(venue, broker, order):
    execution, commission, *_ = venue.desk.fill(order, 100, 10.0)
    venue.tell(execution, commission)
    _until(broker, 2)
    corrected = tuple(field.replace(".01.01", ".01.02") for field in execution)
    venue.tell(corrected)
    broker.clock_skew_seconds()
    assert _fills(broker) == [(100.0, 10.0, 0.0)]
    assert "corrected execution" in broker.contradictions()[0]


def test_after_a_partial_fill_and_a_disconnection_the_rest_is_caught_up_by_itself(venue, broker, order):
    venue.tell(*venue.desk.fill(order, 60, 10.0))
    _until(broker, 2)
    venue.gateway.drop_all()
    venue.desk.fill(order, 40, 10.5)
    _until(broker, 3)
    assert _fills(broker) == [(60.0, 10.0, 0.0), (40.0, 10.5, 0.0)]


def test_a_gateway_that_lost_interactive_brokers_is_asked_when_it_is_back(venue, broker, order):
    venue.tell(error(-1, 1100, "Connectivity between IB and TWS has been lost"))
    venue.desk.fill(order, 100, 10.0)
    venue.tell(error(-1, 1101, "Connectivity between IB and TWS has been restored- data lost."))
    _until(broker, 2)
    assert _fills(broker) == [(100.0, 10.0, 0.0)]


@pytest.mark.usefixtures("order")
def test_notices_of_connections_that_are_well_change_nothing(venue, broker):
    venue.tell(*(error(-1, code, "OK") for code in (2104, 2106, 2107, 2108, 2119, 2158)))
    broker.clock_skew_seconds()
    assert (_kinds(broker), broker.stream_health().is_connected) == (["accepted"], True)


def test_a_restarted_process_tells_nothing_that_is_recorded_already(venue, broker, broker_of, order, order_of):
    venue.tell(*venue.desk.fill(order, 30, 10.0))
    recorded = _until(broker, 2)
    broker.close()
    venue.desk.fill(order, 70, 10.5)
    later = broker_of(connects=False)
    later.adopt(order_of(), recorded)
    later.connect()
    assert _fills(later) == [(70.0, 10.5, 0.0)]
    assert later.find_order("order-ABC").filled_shares == 100.0


def test_a_restarted_process_without_records_finds_everything_of_today(venue, broker, broker_of, order, order_of):
    venue.desk.fill(order, 30, 10.0)
    venue.desk.cancel(order)
    broker.close()
    later = broker_of(connects=False)
    later.adopt(order_of())
    later.connect()
    assert _kinds(later) == ["accepted", "partially filled", "cancelled"]


def test_times_are_the_venues_and_the_difference_of_the_clocks_is_told(venue, broker_of, order_of):
    venue.desk.move_to(AFTER_THE_CLOSE + timedelta(hours=2))
    broker = broker_of(clock=SimulatedClock(AFTER_THE_CLOSE))
    assert broker.clock_skew_seconds() == 7200.0
    broker.submit(order_of())
    venue.tell(*venue.desk.fill(venue.desk.order_of("order-ABC"), 60, 10.0))
    venue.tell(*venue.desk.cancel(venue.desk.order_of("order-ABC")))
    _until(broker, 3)
    assert {item.event.at_utc.hour for item in broker.events_since(0)} == {22}
    assert broker.contradictions() == ()


def test_an_execution_dated_after_the_end_that_was_told_before_it_is_no_contradiction(venue, broker, order):
    """The clocks differ by half a minute, and the gateway tells whole seconds."""
    venue.desk.now += timedelta(seconds=30)
    fill = venue.desk.fill(order, 60, 10.0)
    venue.tell(*venue.desk.cancel(order))
    venue.tell(*fill)
    _until(broker, 3)
    assert (_kinds(broker), broker.contradictions()) == (["accepted", "partially filled", "cancelled"], ())


@pytest.mark.usefixtures("order")
def test_an_order_that_the_venue_tells_of_no_more_is_named(venue, broker):
    venue.desk.orders.clear()
    assert broker.open_orders() == ()
    assert "acknowledged it and tells of it no more" in broker.contradictions()[0]


def test_an_order_that_somebody_changed_by_hand_is_named(broker, order):
    order.shares = 70.0
    broker.catch_up()
    assert "holds 70 ABC" in broker.contradictions()[0]
    assert "somebody else changed it" in broker.contradictions()[0]


def test_two_orders_of_one_reference_are_named(venue, broker, order):
    venue.desk.orders.append(type(order)(**{**vars(order), "order_id": 900, "permanent_id": 777, "executions": []}))
    broker.catch_up()
    assert "two orders of this reference" in broker.contradictions()[0]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_cancel_ends_every_order_of_one_reference(venue, broker, broker_of, order, order_of, restarts) -> None:
    twins = [
        type(order)(**{**vars(order), "order_id": order.order_id + n, "permanent_id": 777 + n, "executions": []})
        for n in (50, 51)
    ]
    venue.desk.orders.extend(twins)
    if restarts:
        broker.close()
        broker = broker_of()
        broker.adopt(order_of(client_order_id=order.reference))
    broker.catch_up()
    asked = len(venue.gateway.received(ToGateway.CANCEL_ORDER))
    assert broker.cancel(order.reference).state is OrderState.CANCELLED
    assert [known.status for known in venue.desk.orders] == ["Cancelled"] * 3
    assert len(venue.gateway.received(ToGateway.CANCEL_ORDER)) - asked == 3


def test_an_order_is_over_once_every_order_of_its_reference_is(venue, broker, order) -> None:
    twin = type(order)(**{**vars(order), "order_id": order.order_id + 50, "permanent_id": 777, "executions": []})
    venue.desk.orders.append(twin)
    broker.catch_up()
    for ended, state in ((twin, OrderState.ACCEPTED), (order, OrderState.CANCELLED)):
        venue.tell(*venue.desk.cancel(ended))
        broker.catch_up()
        assert broker.find_order(order.reference).state is state


def test_a_second_order_of_a_reference_can_be_ended_after_the_first_has_filled(venue, broker, order) -> None:
    twin = type(order)(**{**vars(order), "order_id": order.order_id + 50, "permanent_id": 777, "executions": []})
    venue.desk.orders.append(twin)
    venue.tell(*venue.desk.fill(order, order.shares, 5.0))
    broker.catch_up()
    (status,) = broker.known_open()
    assert (status.order.client_order_id, status.state) == (order.reference, OrderState.FILLED)
    assert broker.cancel(order.reference).state is OrderState.FILLED
    assert (twin.status, broker.known_open()) == ("Cancelled", ())
    asked = len(venue.gateway.received(ToGateway.CANCEL_ORDER))
    assert broker.cancel(order.reference).state is OrderState.FILLED
    assert len(venue.gateway.received(ToGateway.CANCEL_ORDER)) == asked


def test_a_trade_by_hand_shows_in_the_positions_and_in_no_order(venue, broker):
    venue.desk.positions[1002] = (7.0, 20.0)
    (position,) = broker.positions()
    assert (position.symbol, position.quantity_shares, position.average_cost_usd) == ("DEF", 7.0, 20.0)
    assert broker.events_since(0) == ()


def test_a_foreign_order_is_named_and_is_not_ours(broker, broker_of, order_of):
    other = broker_of(client_id=9)
    other.submit(order_of(symbol="DEF", client_order_id="who"))
    assert broker.open_orders() == ()
    assert [order.reference for order in broker.foreign_orders()] == ["who"]
    other.cancel("who")
    broker.catch_up()
    assert (broker.foreign_orders(), broker.events_since(0)) == ((), ())


def _without_commissions(answer):
    return [fields for fields in answer if fields[0] != str(ToClient.COMMISSION_REPORT)]


def _random_stream(venue, broker_of, order_of, *, seed: int) -> None:
    """Fill three orders in parts while events are lost, doubled and shuffled, and connections break."""
    generator = np.random.default_rng(seed)
    venue.begin_again()
    venue.desk.commission_usd = 0.25
    broker = broker_of()
    orders = [order_of(client_order_id=f"order-{number}", quantity_shares=30.0) for number in range(3)]
    for order in orders:
        broker.submit(order)
    waiting: list = []
    for step in itertools.count():
        alive = [order for order in venue.desk.orders if order.is_open]
        if not alive or step > 40:
            break
        order = alive[int(generator.integers(len(alive)))]
        if generator.random() < 0.15:
            waiting += venue.desk.cancel(order)
        else:
            shares = float(min(order.remaining, generator.integers(1, 16)))
            waiting += venue.desk.fill(order, shares, 10.0 + step / 100)
        if generator.random() < 0.5:
            generator.shuffle(waiting)
            for event in waiting:
                times = int(generator.choice([0, 1, 1, 1, 2]))
                venue.tell(*[tuple(str(field) for field in event)] * times)
            waiting = []
        if generator.random() < 0.2:
            venue.gateway.drop_all()
    broker.catch_up()
    truth = {order.reference: order.filled for order in venue.desk.orders}
    _settle(broker, sum(len(order.executions) for order in venue.desk.orders))
    assert {name: broker.find_order(name).filled_shares for name in truth} == truth, seed
    assert sum(filled for filled, _, _ in _fills(broker)) == venue.desk.positions.get(1001, (0.0, 0.0))[0], seed
    charged = sum(commission for *_, commission in _fills(broker))
    charged += sum(fee.amount_usd for fee in broker.fees(AFTER_THE_CLOSE.date()))
    assert charged == 0.25 * sum(len(order.executions) for order in venue.desk.orders), seed
    ends = {order.reference: order.status for order in venue.desk.orders}
    states = {name: broker.find_order(name).state for name in truth}
    assert states == {
        name: {"Filled": OrderState.FILLED, "Cancelled": OrderState.CANCELLED}.get(status, states[name])
        for name, status in ends.items()
    }, seed
    assert broker.contradictions() == (), seed
    broker.close()


def _settle(broker, executions: int) -> None:
    """Wait until fills that wait for their commission have been told."""
    waiting = threading.Event()
    for _ in range(400):
        if len(_fills(broker)) >= executions:
            return
        waiting.wait(0.01)


@pytest.mark.parametrize("seed", range(3))
def test_random_losses_doubles_and_disconnections_lose_no_fill(venue, broker_of, order_of, seed):
    _random_stream(venue, broker_of, order_of, seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 220))
def test_a_hundred_and_twenty_random_streams_lose_no_fill(venue, broker_of, order_of, seed):
    _random_stream(venue, broker_of, order_of, seed=seed)
