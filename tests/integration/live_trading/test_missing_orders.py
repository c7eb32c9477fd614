"""Orders that a venue acknowledged, or may have, and tells of no more: not sent again, and not called 'never sent'."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from aegis.clock import SimulatedClock
from aegis.errors import BrokerUnavailable, ExecutionError, SubmissionUnknown
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from aegis.execution.order_states import OrderState
from aegis.live_trading import concurrent_cancels
from aegis.live_trading.ended_by_word import StatedFill, Word, end_by_word
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.flattening import flatten_progress
from aegis.live_trading.held_positions import journalled_positions
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.stopping import stop_account
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, IN_SESSION, config_in
from tests.integration.vendors.tws.faults import Reset, Silence
from tests.integration.vendors.tws.wire import ToGateway
from tests.integration.venues.interactive_brokers.venue import InteractiveBrokersVenue, interactive_brokers_settings

MONDAY = CALENDAR.open_utc(CALENDAR.next(IN_SESSION.date())) + timedelta(minutes=5)


@pytest.fixture
def begin(gateway: InteractiveBrokersVenue, tmp_path) -> Iterator[Callable[..., ExecutionSystem]]:
    """Begin a life of the process at Interactive Brokers, after the one before has ended."""
    gateway.begin_again()
    with ExitStack() as living:

        def begun(at_utc: datetime = IN_SESSION, **settings) -> ExecutionSystem:
            living.close()
            gateway.desk.move_to(at_utc)
            clock = SimulatedClock(at_utc)
            settings = interactive_brokers_settings(gateway, **settings)
            broker = InteractiveBrokersBroker(settings, account=ACCOUNT, calendar=CALENDAR, clock=clock)
            living.enter_context(broker)
            system = ExecutionSystem(broker, config_in(tmp_path, clock))
            living.callback(system.close)
            return system

        yield begun


def limit(system: ExecutionSystem, name: str, *, symbol: str = "ABC", **terms):
    price = 5.0
    return system.order(
        symbol, 10, name=name, arrival_price_usd=price, order_type="limit", limit_price_usd=price, **terms
    )


def test_an_order_that_filled_while_nobody_listened_is_not_called_never_sent_after_a_weekend(begin, gateway) -> None:
    system = begin()
    filled, resting = limit(system, "filled"), limit(system, "resting", symbol="DEF", time_in_force="GTC")
    for order in (filled, resting):
        assert system.submit_order(order).state is OrderState.ACCEPTED
    system.close()
    gateway.desk.fill(gateway.desk.order_of(filled.client_order_id), 10, 5.0)  # while nobody listens
    forgotten = gateway.desk.orders.pop(0)  # TWS tells of today's only
    system = begin(MONDAY)
    system.step()
    assert system.door.status(filled.client_order_id).state is OrderState.ACCEPTED
    assert system.door.doubtful() == system.door.missing() == (filled.client_order_id,)
    (said,) = [said for said in system.breaks if filled.client_order_id in said]
    assert "look for its order reference in the broker's statement" in said
    assert f'`aegis positions end-order {filled.client_order_id} --reason "..."`' in said
    with pytest.raises(ExecutionError, match="was not sent"):
        system.submit_order(limit(system, "opens"))
    with pytest.raises(SubmissionUnknown, match="tells of it no more"):
        system.door.give_up(filled.client_order_id, "never sent: a guess")
    with pytest.raises(SubmissionUnknown, match="tells of it no more"):
        system.door.submit(filled)

    gateway.desk.orders.insert(0, forgotten)  # as an older day's executions are told in TWS, on request
    system._config.clock.advance_to(MONDAY + timedelta(seconds=20))
    system.step()
    assert system.door.status(filled.client_order_id).state is OrderState.FILLED
    assert system.door.status(resting.client_order_id).state is OrderState.ACCEPTED
    assert journalled_positions(system.ledger.journal) == {"ABC": 10.0}
    system.reconcile()
    assert (system.breaks, system.door.doubtful()) == ((), ())


def test_an_order_that_may_have_arrived_before_the_weekend_stays_unknown_and_is_told(begin, gateway) -> None:
    system = begin(answer_timeout_seconds=0.3, attempts=1)
    order = limit(system, "perhaps")
    for request in (ToGateway.PLACE_ORDER, ToGateway.COMPLETED_ORDERS):
        gateway.gateway.always(request, Silence())
    with pytest.raises(SubmissionUnknown):
        system.submit_order(order)
    gateway.gateway.heal()
    gateway.desk.orders.clear()
    system = begin(MONDAY)
    system.step()
    assert system.door.status(order.client_order_id).state is OrderState.SUBMITTED
    (said,) = system.breaks
    assert "may have been sent in session 2014-06-06" in said


@pytest.mark.parametrize("at_utc", [IN_SESSION + timedelta(minutes=1), MONDAY])
def test_an_order_that_the_venue_acknowledged_and_denies_is_neither_sent_again_nor_ended(
    venue, start, at_utc: datetime
) -> None:
    process = start()
    order = limit(process.system, "denied")
    process.system.submit_order(order)
    process.broker.catch_up()
    process.system.step()
    assert process.system.door.status(order.client_order_id).state is OrderState.ACCEPTED
    process.close()
    venue.book.orders.clear()
    process = start(at_utc)
    for seconds in (0, 20):
        process.clock.advance_to(at_utc + timedelta(seconds=seconds))
        process.system.step()
    assert process.system.door.status(order.client_order_id).state is OrderState.ACCEPTED
    assert venue.book.accepted == {order.client_order_id: 1}
    (said,) = process.system.breaks
    assert "the broker acknowledged it and denies it now, and it may have filled" in said


def test_a_request_for_the_end_of_a_missing_order_fails_while_the_venue_says_nothing(begin, gateway) -> None:
    system = begin()
    order = limit(system, "filled")
    system.submit_order(order)
    system.close()
    gateway.desk.orders.clear()
    system = begin(MONDAY, attempts=1)
    assert system.cancel_order(order.client_order_id).state is OrderState.ACCEPTED, "there is nothing to end"
    gateway.gateway.always(ToGateway.CURRENT_TIME, Reset())
    with pytest.raises(BrokerUnavailable):
        system.cancel_order(order.client_order_id)


def test_a_stop_asks_once_in_a_while_for_an_order_that_the_venue_had_and_denies(
    venue, start, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(concurrent_cancels, "REST_SECONDS", 60.0)
    process = start()
    order = limit(process.system, "denied")
    process.system.submit_order(order)
    process.broker.catch_up()
    process.system.step()
    process.close()
    venue.book.orders.clear()
    process = start(IN_SESSION + timedelta(minutes=1))
    process.system.step()
    KillSwitch(tmp_path / "kill.json").engage("enough", actor="ada", at_utc=IN_SESSION)
    before = len(venue.rest.calls)
    for _ in range(10):
        process.system.cancel_all()
        assert "unknown to Alpaca" in process.system.last_failure
    assert len(venue.rest.calls) - before == 1


def test_a_person_ends_a_missing_order_with_the_fill_of_the_statement(begin, gateway) -> None:
    system = begin()
    order = limit(system, "filled")
    system.submit_order(order)
    fill = StatedFill(shares=4.0, price_usd=5.0, commission_usd=1.0, filled_at_utc=IN_SESSION + timedelta(hours=1))
    word = Word(reason="statement of 6 June, line 3", actor="ada", fill=fill)
    about = {"session_of": system.session_of, "now_utc": MONDAY}
    with pytest.raises(ExecutionError, match="none that the broker tells of no more"):
        end_by_word(system.door, order.client_order_id, word, **about)
    system.close()
    gateway.desk.commission_usd = 1.0
    gateway.desk.fill(gateway.desk.order_of(order.client_order_id), 4, 5.0)
    gateway.desk.orders.clear()
    system = begin(MONDAY)
    assert len(system.breaks) == 2  # the shares, and the order
    too_much = replace(word, fill=replace(fill, shares=11.0))
    with pytest.raises(ExecutionError, match=r"10\.0 shares remain"):
        end_by_word(system.door, order.client_order_id, too_much, **about)
    for at, why in (
        (IN_SESSION - timedelta(days=1), "it was sent at 2014-06-06 13:31:00"),
        (MONDAY - timedelta(seconds=1), "it was good for session 2014-06-06"),
        (MONDAY + timedelta(seconds=1), "it is 2014-06-09 13:35:00"),
    ):
        with pytest.raises(ExecutionError, match=why):
            end_by_word(
                system.door, order.client_order_id, replace(word, fill=replace(fill, filled_at_utc=at)), **about
            )
    status = end_by_word(system.door, order.client_order_id, word, **about)
    assert (status.state, status.filled_shares) == (OrderState.CANCELLED, 4.0)
    rows = system.ledger.journal.events(client_order_ids=[order.client_order_id])
    assert [(row.kind, row.session_date.isoformat()) for row in rows[-2:]] == [
        ("partially filled", "2014-06-06"),
        ("cancelled", "2014-06-09"),
    ]
    assert rows[-1].payload["reason"] == "person's word: statement of 6 June, line 3 (ada)"
    system = begin(MONDAY + timedelta(minutes=1))
    assert (system.breaks, system.door.doubtful()) == ((), ())
    assert journalled_positions(system.ledger.journal) == {"ABC": 4.0}


def test_a_venue_that_does_not_answer_is_told_also_at_the_cancel_of_a_missing_order(begin, gateway) -> None:
    system = begin()
    order = limit(system, "perhaps", time_in_force="GTC")
    system.submit_order(order)
    gateway.desk.orders.clear()
    system = begin(MONDAY, attempts=1)
    assert system.door.missing() == (order.client_order_id,)
    assert system.cancel_order(order.client_order_id).state is OrderState.ACCEPTED
    for question in (ToGateway.CURRENT_TIME, ToGateway.ALL_OPEN_ORDERS, ToGateway.COMPLETED_ORDERS):
        gateway.gateway.always(question, Reset())
    with pytest.raises(BrokerUnavailable):
        system.cancel_order(order.client_order_id)


def test_a_missing_order_keeps_no_position_from_being_closed(begin, gateway, tmp_path) -> None:
    system = begin()
    order = limit(system, "filled")
    system.submit_order(order)
    system.close()
    gateway.desk.fill(gateway.desk.order_of(order.client_order_id), 10, 5.0)
    gateway.desk.orders.clear()
    system = begin(MONDAY)
    stop_account(KillSwitch(tmp_path / "kill.json"), reason="enough", actor="ada", at_utc=MONDAY, flatten=True)
    system.step()
    system._config.clock.advance_to(MONDAY + timedelta(seconds=11))  # books and broker differ, and go on to
    system.step()
    (closing,) = gateway.desk.orders
    assert (closing.side, closing.shares, closing.order_type) == ("SELL", 10.0, "MKT")
    gateway.desk.fill(closing, 10, 5.0)
    system._broker.catch_up()
    system.step()
    assert flatten_progress(tmp_path / "kill.json").state == "flat"
