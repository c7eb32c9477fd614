"""What every broker must do. A new broker adds itself to BROKERS, and to the benches one that drives its venue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import partial

import pytest

from aegis.errors import ExecutionError, OrderRejected
from aegis.execution.brokers.broker import Broker
from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from tests.contract.benches import Bench, bench_of
from tests.integration.venues.alpaca.server import AlpacaVenue
from tests.integration.venues.interactive_brokers.venue import InteractiveBrokersVenue
from tests.integration.venues.small.venue import SmallVenue

FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
BROKERS = (
    "simulated",
    "paper",
    "alpaca",
    "interactive_brokers",
    "template",
    "several simulated",
    pytest.param("several venues", marks=pytest.mark.long),
)


@pytest.fixture(scope="module")
def alpaca() -> Iterator[AlpacaVenue]:
    with AlpacaVenue() as venue:
        yield venue


@pytest.fixture(scope="module")
def interactive_brokers() -> Iterator[InteractiveBrokersVenue]:
    with InteractiveBrokersVenue() as venue:
        yield venue


@pytest.fixture(scope="module")
def small_venue() -> Iterator[SmallVenue]:
    with SmallVenue() as venue:
        yield venue


@pytest.fixture(params=BROKERS)
def bench(request, market_of) -> Iterator[Bench]:
    made = bench_of(request.param, market_of, request.getfixturevalue)
    yield made
    made.close()


@pytest.fixture
def order_of(order_of):
    """Make orders that any venue takes as they are: 100 ABC at the market."""
    return partial(order_of, algorithm="market")


def _kinds(broker: Broker, sequence: int = 0) -> list[str]:
    return [str(item.event.kind) for item in broker.events_since(sequence)]


def test_a_new_account_holds_its_cash_and_nothing_else(bench):
    balance = bench.broker.account()
    assert (balance.account, balance.cash_usd, balance.equity_usd, balance.buying_power_usd) == (
        "simulated",
        10_000.0,
        10_000.0,
        10_000.0,
    )
    assert (bench.broker.positions(), bench.broker.open_orders(), bench.broker.events_since(0)) == ((), (), ())


def test_an_accepted_order_is_open_until_it_fills(bench, order_of):
    order = order_of()
    assert bench.broker.submit(order) == OrderStatus(order, OrderState.ACCEPTED)
    assert bench.broker.open_orders() == (OrderStatus(order, OrderState.ACCEPTED),)
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=1e6)
    assert bench.broker.open_orders() == ()
    assert bench.broker.find_order(order.client_order_id).state is OrderState.FILLED
    (position,) = bench.broker.positions()
    assert (position.symbol, position.quantity_shares, position.average_cost_usd) == ("ABC", 100.0, 10.0)
    assert bench.broker.account().cash_usd == 9_000.0
    assert bench.broker.account().equity_usd == 10_000.0


def test_events_are_numbered_without_gaps_and_can_be_read_from_any_number(bench, order_of):
    bench.broker.submit(order_of())
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=1e6)
    assert [item.sequence for item in bench.broker.events_since(0)] == [1, 2]
    assert _kinds(bench.broker) == ["accepted", "filled"]
    assert _kinds(bench.broker, 1) == ["filled"]
    assert _kinds(bench.broker, 2) == []


def test_submitting_again_after_a_lost_acknowledgement_finds_the_order(bench, order_of):
    first = bench.broker.submit(order_of())
    assert bench.broker.submit(order_of()) == first
    assert (len(bench.broker.open_orders()), _kinds(bench.broker)) == (1, ["accepted"])
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=1e6)
    assert bench.broker.submit(order_of()).state is OrderState.FILLED
    assert bench.broker.positions()[0].quantity_shares == 100.0


def test_another_quantity_or_side_under_a_known_id_is_never_another_order(bench, order_of):
    bench.broker.submit(order_of())
    for quantity in (101.0, -100.0):
        with pytest.raises(OrderRejected, match="order-ABC"):
            bench.broker.submit(order_of(quantity_shares=quantity))
    assert [status.order.quantity_shares for status in bench.broker.open_orders()] == [100.0]


def test_a_cancelled_order_does_not_fill(bench, order_of):
    bench.broker.submit(order_of())
    assert bench.broker.cancel("order-ABC").state is OrderState.CANCELLED
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=1e6)
    assert (bench.broker.positions(), _kinds(bench.broker)) == ((), ["accepted", "cancelled"])


def test_cancelling_a_filled_order_changes_nothing(bench, order_of):
    bench.broker.submit(order_of())
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=1e6)
    assert bench.broker.cancel("order-ABC").state is OrderState.FILLED
    assert _kinds(bench.broker) == ["accepted", "filled"]


def test_cancelling_an_unknown_order_is_an_error(bench):
    with pytest.raises(ExecutionError, match="nobody"):
        bench.broker.cancel("nobody")
    assert bench.broker.find_order("nobody") is None


def test_a_partly_filled_day_order_expires_at_the_close(bench, order_of):
    bench.broker.submit(order_of())
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=300.0)
    assert _kinds(bench.broker) == ["accepted", "partially filled", "expired"]
    status = bench.broker.find_order("order-ABC")
    assert (status.state, status.filled_shares) == (OrderState.EXPIRED, 30.0)
    bench.trade(MONDAY, price_usd=10.0, volume_shares=1e6)
    assert bench.broker.positions()[0].quantity_shares == 30.0


def test_an_order_in_a_halt_expires_without_a_fill(bench, order_of):
    bench.broker.submit(order_of())
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=0.0)
    assert (_kinds(bench.broker), bench.broker.positions()) == (["accepted", "expired"], ())


def test_selling_what_is_not_held_is_rejected_with_the_reason(bench, order_of):
    status = bench.broker.submit(order_of(quantity_shares=-1.0))
    (item,) = bench.broker.events_since(0)
    assert status.state is OrderState.REJECTED
    assert "short selling" in item.event.reason
    assert bench.broker.open_orders() == ()


def test_two_orders_together_cannot_sell_more_than_is_held(bench, order_of):
    bench.broker.submit(order_of())
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=1e6)
    sale = {"session": FRIDAY, "execution_session": MONDAY, "quantity_shares": -60.0}
    assert bench.broker.submit(order_of(client_order_id="s1", **sale)).state is OrderState.ACCEPTED
    assert bench.broker.submit(order_of(client_order_id="s2", **sale)).state is OrderState.REJECTED


def test_a_purchase_beyond_the_cash_ends_for_buying_power_and_overdraws_nothing(bench, order_of):
    bench.broker.submit(order_of(quantity_shares=1500.0))
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=1e6)
    (*_, last) = bench.broker.events_since(0)
    assert str(last.event.kind) in ("rejected", "cancelled")
    assert "buying power" in last.event.reason
    assert bench.broker.account().cash_usd >= 0.0
    assert bench.broker.open_orders() == ()


def test_a_purchase_that_cash_cannot_pay_one_share_of_is_rejected_for_buying_power(bench, order_of):
    bench.quote(10_001.0)
    bench.broker.submit(order_of(quantity_shares=1.0))
    bench.trade(FRIDAY, price_usd=10_001.0, volume_shares=1e6)
    (*_, last) = bench.broker.events_since(0)
    assert str(last.event.kind) == "rejected"
    assert "buying power" in last.event.reason
    assert bench.broker.positions() == ()


def test_replacing_an_unknown_order_is_an_error(bench, order_of):
    with pytest.raises(ExecutionError, match="nobody"):
        bench.broker.replace(order_of(client_order_id="nobody"), revision=1)


def test_a_final_order_stays_as_it_is_when_other_terms_are_asked_for(bench, order_of):
    order = order_of()
    bench.broker.submit(order)
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=1e6)
    assert bench.broker.replace(replace(order, quantity_shares=50.0), revision=1).state is OrderState.FILLED
    assert _kinds(bench.broker) == ["accepted", "filled"]


def test_terms_that_never_change_are_not_replaced_and_the_order_works_on(bench, order_of):
    order = order_of()
    bench.broker.submit(order)
    status = bench.broker.replace(replace(order, time_in_force="GTC"), revision=1)
    (*_, last) = bench.broker.events_since(0)
    assert (str(last.event.kind), last.event.revision) == ("replace rejected", 1)
    assert status == OrderStatus(order, OrderState.ACCEPTED)
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=1e6)
    assert bench.broker.positions()[0].quantity_shares == 100.0


def test_a_replaced_order_fills_by_its_new_terms(bench, order_of):
    order = order_of(time_in_force="GTC", order_type="limit", limit_price_usd=9.0)
    bench.broker.submit(order)
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=0.0)
    asked = replace(order, quantity_shares=60.0, limit_price_usd=10.5)
    status = bench.broker.replace(asked, revision=1)
    assert (status.order, status.is_final) == (asked, False)
    bench.trade(MONDAY, price_usd=10.0, volume_shares=1e6)
    assert _kinds(bench.broker) == ["accepted", "replaced", "filled"]
    assert bench.broker.positions()[0].quantity_shares == 60.0


def test_asking_twice_for_one_replacement_makes_one(bench, order_of):
    order = order_of(time_in_force="GTC", order_type="limit", limit_price_usd=9.0)
    bench.broker.submit(order)
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=0.0)
    asked = replace(order, limit_price_usd=8.0)
    for _ in range(2):
        assert bench.broker.replace(asked, revision=1).order == asked
    assert _kinds(bench.broker) == ["accepted", "replaced"]
    assert len(bench.broker.open_orders()) == 1


def test_closing_twice_does_nothing(bench):
    bench.broker.close()
    bench.broker.close()


def test_the_events_of_an_order_replay_to_the_state_that_the_broker_reports(bench, order_of):
    bench.broker.submit(order_of())
    bench.trade(FRIDAY, price_usd=10.0, volume_shares=300.0)
    status = OrderStatus(order_of(), OrderState.SUBMITTED)
    for item in bench.broker.events_since(0):
        status = apply_event(status, item.event)
    assert status == bench.broker.find_order("order-ABC")
