"""What the stream loses, doubles and shuffles: the broker tells each thing once and ends where the venue is."""

from __future__ import annotations

import itertools
from datetime import timedelta

import numpy as np
import pytest

from aegis.execution.order_book import OrderBook
from aegis.execution.order_states import OrderState, OrderStatus, apply_event

WAIT_SECONDS = 20.0


@pytest.fixture
def broker(venue, broker_of):
    made = broker_of()
    made.connect()
    venue.stream.wait_for_listener()
    venue.book.is_open = True
    return made


def _kinds(broker) -> list[str]:
    return [str(item.event.kind) for item in broker.events_since(0)]


def _fills(broker) -> list[tuple[float, float]]:
    fills = [item.event.fill for item in broker.events_since(0)]
    return sorted((fill.quantity_shares, fill.price_usd) for fill in fills if fill is not None)


def _until(broker, count: int) -> list[str]:
    """Return the kinds of the events once there are so many; each waits for the broker, none for the clock."""
    while len(broker.events_since(0)) < count:
        assert broker.wait_for_events(len(broker.events_since(0)), timeout_seconds=WAIT_SECONDS), _kinds(broker)
    return _kinds(broker)


def _require_legal(broker, order) -> None:
    """The events can be followed one by one, are numbered without gaps, and give the status that the broker states."""
    items = broker.events_since(0)
    assert [item.sequence for item in items] == list(range(1, len(items) + 1))
    status, book = OrderStatus(order, OrderState.SUBMITTED), OrderBook()
    book.add(order)
    for item in items:
        status = apply_event(status, item.event)
        book.apply(item.event)
    assert status == broker.find_order(order.client_order_id) == book.status(order.client_order_id)
    assert book.breaks() == ()


def test_what_the_stream_tells_needs_no_question(venue, broker, order_of):
    broker.submit(order_of())
    _until(broker, 1)
    asked = venue.rest.count("GET")
    venue.book.fill("order-ABC", "30", "10")
    venue.book.fill("order-ABC", "70", "10.5")
    assert _until(broker, 3) == ["accepted", "partially filled", "filled"]
    assert venue.rest.count("GET") == asked
    assert _fills(broker) == [(30.0, 10.0), (70.0, 10.5)]
    _require_legal(broker, order_of())


def test_what_comes_late_of_an_order_that_was_let_go_is_told_as_if_it_had_stayed(venue, broker, order_of):
    order, asked = order_of(), []
    broker.submit(order)
    filled = venue.book.fill("order-ABC", "30", "10")
    venue.book.end("order-ABC", "canceled")
    assert _until(broker, 3) == ["accepted", "partially filled", "cancelled"]
    told = tuple(item.event for item in broker.events_since(0))

    def recall(name):
        asked.append(name)
        return order, told

    broker.let_go(["order-ABC"], heard=3, recall=recall)
    assert broker.open_orders() == ()
    assert broker.events_since(3) == ()
    venue.book.named("order-ABC")["status"] = "canceled"
    venue.stream.send(filled)  # once more: nothing new, and nobody's order but ours
    venue.book.fill("order-ABC", "20", "10.5")
    (late,) = broker.wait_for_events(3, timeout_seconds=WAIT_SECONDS)
    assert (late.sequence, late.event.kind, late.event.fill.quantity_shares) == (4, "partially filled", 20.0)
    assert (asked, broker.foreign_orders()) == (["order-ABC"], ())
    assert broker.find_order("order-ABC").filled_shares == 50.0
    broker.submit(order)
    assert venue.book.accepted == {"order-ABC": 1}


def test_an_order_that_is_pending_is_submitted_until_the_venue_says_new(venue, broker, order_of):
    venue.stream.holds = True
    assert broker.submit(order_of()).state is OrderState.SUBMITTED
    venue.stream.send(*venue.stream.held)
    assert _until(broker, 1) == ["accepted"]


def test_events_that_the_stream_lost_are_found_when_somebody_asks(venue, broker, order_of):
    broker.submit(order_of())
    _until(broker, 1)
    venue.stream.holds = True
    venue.book.fill("order-ABC", "30", "10")
    venue.book.end("order-ABC", "canceled")
    broker.catch_up()
    assert _kinds(broker) == ["accepted", "partially filled", "cancelled"]
    _require_legal(broker, order_of())


def test_a_lost_fill_is_asked_for_as_soon_as_a_later_one_shows_it(venue, broker, order_of):
    broker.submit(order_of())
    _until(broker, 1)
    venue.stream.holds = True
    venue.book.fill("order-ABC", "30", "10")
    venue.stream.holds = False
    venue.book.fill("order-ABC", "70", "10.5")
    _until(broker, 3)
    assert _fills(broker) == [(30.0, 10.0), (70.0, 10.5)]
    _require_legal(broker, order_of())


def test_events_told_twice_happened_once(venue, broker, order_of):
    venue.stream.holds = True
    broker.submit(order_of())
    venue.book.fill("order-ABC", "30", "10")
    venue.book.fill("order-ABC", "70", "10.5")
    venue.stream.send(*[message for message in venue.stream.held for _ in range(3)])
    _until(broker, 3)
    broker.catch_up()
    assert _kinds(broker) == ["accepted", "partially filled", "filled"]
    assert broker.contradictions() == ()


def test_a_fill_that_comes_before_new_proves_the_acknowledgement(venue, broker, order_of):
    venue.stream.holds = True
    broker.submit(order_of())
    filled = venue.book.fill("order-ABC", "100", "10")
    new = venue.stream.held[0]
    venue.stream.send(filled, new)
    assert _until(broker, 2) == ["accepted", "filled"]
    _require_legal(broker, order_of())


@pytest.mark.parametrize("turn", [(3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)])
def test_events_in_any_order_end_in_the_same_place(venue, broker, order_of, turn):
    _shuffled(venue, broker, order_of(), turn)


@pytest.mark.long
@pytest.mark.parametrize("first", range(4))
def test_events_in_every_order_end_in_the_same_place(venue, broker, order_of, first):
    for number, turn in enumerate(turn for turn in itertools.permutations(range(4)) if turn[0] == first):
        _shuffled(venue, broker, order_of(client_order_id=f"order-{number}"), turn)


def _shuffled(venue, broker, order, turn) -> None:
    venue.book.cash += 10_000
    name, before = order.client_order_id, len(broker.events_since(0))
    venue.stream.holds, venue.stream.held = True, []
    broker.submit(order)
    venue.book.fill(name, "30", "10")
    venue.book.fill(name, "50", "10.5")
    venue.book.end(name, "canceled")
    for number in turn:
        venue.stream.send(venue.stream.held[number])
    _until(broker, before + 4)
    broker.catch_up()
    told = [item.event for item in broker.events_since(before)]
    assert sorted(str(event.kind) for event in told) == [
        "accepted",
        "cancelled",
        "partially filled",
        "partially filled",
    ]
    assert str(told[-1].kind) == "cancelled"
    status = broker.find_order(name)
    assert (status.state, status.filled_shares) == (OrderState.CANCELLED, 80.0)


def test_an_end_waits_for_the_fills_that_the_venue_counts(venue, broker, order_of):
    broker.submit(order_of())
    _until(broker, 1)
    venue.stream.holds = True
    venue.book.fill("order-ABC", "30", "10")
    row = venue.book.activities.pop()
    ended = venue.book.end("order-ABC", "canceled")
    venue.stream.send(ended)
    broker.catch_up()
    assert _kinds(broker) == ["accepted"]
    assert [status.state for status in broker.open_orders()] == [OrderState.ACCEPTED]
    venue.book.activities.append(row)
    broker.catch_up()
    assert _kinds(broker) == ["accepted", "partially filled", "cancelled"]


def test_after_a_partial_fill_and_a_disconnection_the_rest_is_caught_up_by_itself(venue, broker, order_of):
    broker.submit(order_of())
    venue.book.fill("order-ABC", "30", "10")
    _until(broker, 2)
    venue.stream.holds = True  # nothing that happens from here on is ever told by the stream
    venue.stream.disconnect()
    venue.book.fill("order-ABC", "70", "10.5")
    assert _until(broker, 3) == ["accepted", "partially filled", "filled"]
    venue.stream.wait_for_listener(2)
    assert broker.stream_health().connections >= 2
    _require_legal(broker, order_of())


def test_a_frame_that_breaks_off_is_a_disconnection(venue, broker, order_of):
    broker.submit(order_of())
    _until(broker, 1)
    venue.stream.holds = True
    venue.stream.send_half(venue.book.fill("order-ABC", "100", "10"))
    assert _until(broker, 2) == ["accepted", "filled"]


def test_a_stream_whose_pings_stay_unanswered_is_opened_again(venue, broker_of, order_of):
    venue.stream.answers_pings = False
    broker = broker_of(heartbeat_seconds=0.1)
    broker.connect()
    venue.stream.wait_for_listener(2)
    assert broker.stream_health().connections >= 1
    assert broker.stream_health().silent_seconds is not None
    venue.stream.answers_pings = True
    assert broker.submit(order_of()).state is OrderState.ACCEPTED


def test_what_cannot_be_read_is_asked_for(venue, broker, order_of):
    broker.submit(order_of())
    _until(broker, 1)
    venue.stream.holds = True
    told = venue.book.fill("order-ABC", "100", "10")
    venue.stream.send({"stream": "trade_updates", "data": {**told["data"], "price": "ten"}})
    assert _until(broker, 2) == ["accepted", "filled"]


def test_a_restarted_venue_is_listened_to_again(venue, broker, order_of):
    venue.restart()
    venue.stream.wait_for_listener(2)
    broker.submit(order_of())
    venue.book.fill("order-ABC", "100", "10")
    assert _until(broker, 2) == ["accepted", "filled"]


def test_a_restarted_process_tells_nothing_that_is_recorded_already(venue, broker, broker_of, order_of):
    broker.submit(order_of())
    venue.book.fill("order-ABC", "30", "10")
    _until(broker, 2)
    recorded = [item.event for item in broker.events_since(0)]
    broker.close()
    venue.book.fill("order-ABC", "70", "10.5")
    later = broker_of()
    later.adopt(order_of(), recorded)
    later.connect()
    (item,) = later.events_since(0)
    assert (str(item.event.kind), item.event.fill.quantity_shares, item.event.fill.fill_number) == ("filled", 70.0, 2)
    assert later.find_order("order-ABC").filled_shares == 100.0


def test_a_restarted_process_without_records_finds_everything(venue, broker, broker_of, order_of):
    broker.submit(order_of())
    venue.book.fill("order-ABC", "30", "10")
    recorded = [item.event for item in broker.events_since(0)] or _until(broker, 2)
    assert recorded
    later = broker_of()
    later.adopt(order_of())
    later.connect()
    assert _kinds(later) == ["accepted", "partially filled"]


def test_a_fill_that_both_channels_tell_has_one_execution_id(venue, broker, broker_of, order_of):
    broker.submit(order_of())
    venue.book.fill("order-ABC", "100", "10")
    _until(broker, 2)
    later = broker_of()
    later.adopt(order_of())
    later.catch_up()
    ids = {
        fill.execution_id for fill in (item.event.fill for b in (broker, later) for item in b.events_since(0)) if fill
    }
    assert len(ids) == 1


def test_times_are_the_venues_and_the_difference_of_the_clocks_is_told(venue, broker, order_of):
    venue.book.now_utc += timedelta(hours=2)
    assert broker.clock_skew_seconds() == pytest.approx(7200.0, abs=0.01)
    broker.submit(order_of())
    venue.book.fill("order-ABC", "100", "10")
    _until(broker, 2)
    assert {item.event.at_utc.hour for item in broker.events_since(0)} == {22}


def test_a_trade_by_hand_shows_in_the_positions_and_in_no_order(venue, broker):
    venue.book.trade_by_hand("DEF", "7", "20")
    (position,) = broker.positions()
    assert (position.symbol, position.quantity_shares, position.average_cost_usd) == ("DEF", 7.0, 20.0)
    assert broker.events_since(0) == ()


def test_a_foreign_order_is_named_and_is_not_ours(venue, broker):
    venue.book.submit(
        {"symbol": "DEF", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day", "client_order_id": "who"}
    )
    assert broker.open_orders() == ()
    assert [order.client_order_id for order in broker.foreign_orders()] == ["who"]
    venue.book.end("who", "canceled")
    broker.catch_up()
    assert (broker.foreign_orders(), broker.events_since(0)) == ((), ())


def test_an_execution_that_the_venue_takes_back_is_kept_for_a_person(venue, broker, order_of):
    broker.submit(order_of())
    venue.book.fill("order-ABC", "100", "10")
    _until(broker, 2)
    venue.book.tell("trade_bust", venue.book.named("order-ABC"), status="filled")
    venue.book.submit(
        {"symbol": "DEF", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day", "client_order_id": "x"}
    )
    broker.submit(order_of(symbol="DEF", quantity_shares=1.0))
    _until(broker, 3)  # the stream tells in order, so the bust has been told as well
    assert "took an execution back" in broker.contradictions()[0]


@pytest.mark.parametrize("seed", range(3))
def test_random_losses_doubles_and_disconnections_lose_no_fill(venue, broker, order_of, seed):
    _random_stream(venue, broker, order_of, seed=seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 200))
def test_a_hundred_random_streams_lose_no_fill(venue, broker, order_of, seed):
    _random_stream(venue, broker, order_of, seed=seed)


def _random_stream(venue, broker, order_of, *, seed: int) -> None:
    generator = np.random.default_rng(seed)
    venue.stream.holds = True
    orders = [order_of(client_order_id=f"order-{number}", quantity_shares=50.0) for number in range(4)]
    for order in orders:
        broker.submit(order)
        for shares in (10, 15, 25)[: int(generator.integers(4))]:
            venue.book.fill(order.client_order_id, str(shares), "10")
    messages = [message for message in venue.stream.held for _ in range(int(generator.integers(3)))]
    generator.shuffle(messages)
    cut = int(generator.integers(len(messages) + 1))
    venue.stream.send(*messages[:cut])
    venue.stream.disconnect()
    venue.stream.wait_for_listener(2)
    venue.stream.send(*messages[cut:])
    broker.catch_up()
    for order in orders:
        truth = venue.book.named(order.client_order_id)
        status = broker.find_order(order.client_order_id)
        assert status.filled_shares == float(truth["filled_qty"]), seed
        assert (status.state is OrderState.FILLED) is (truth["status"] == "filled"), seed
    fills = [item.event.fill for item in broker.events_since(0) if item.event.fill is not None]
    assert sum(fill.quantity_shares for fill in fills) == sum(float(row["qty"]) for row in venue.book.activities), seed
    assert len({fill.execution_id for fill in fills}) == len(fills) == len(venue.book.activities), seed
    assert broker.contradictions() == (), seed
