"""Alpaca and Interactive Brokers at once: routing, totals, and one of them down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.errors import BrokerUnavailable, ExecutionError, OrderRejected, SubmissionUnknown
from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from aegis.execution.brokers.multi import MultiBroker
from aegis.execution.brokers.order_routes import OrderRoutes, Route
from aegis.execution.order_states import OrderState
from aegis.live_trading.broker_account import review_account
from tests.integration.vendors.tws.faults import Reset as ResetConnection
from tests.integration.vendors.tws.faults import Silence
from tests.integration.vendors.tws.wire import ToGateway
from tests.integration.vendors.vendor_server import Status
from tests.integration.venues.alpaca.connections import alpaca_settings
from tests.integration.venues.alpaca.rest import Before
from tests.integration.venues.alpaca.server import AFTER_THE_CLOSE, AlpacaVenue
from tests.integration.venues.interactive_brokers.venue import InteractiveBrokersVenue, interactive_brokers_settings

XNYS = trading_calendar("XNYS")
ABC_TO_ALPACA = (Route((("alpaca", 1.0),), frozenset({"ABC"})), Route((("ib", 1.0),), frozenset({"DEF"})))
ABC_TO_IB = (Route((("ib", 1.0),)),)
ALWAYS = 50


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[AlpacaVenue, InteractiveBrokersVenue]]:
    with AlpacaVenue() as alpaca, InteractiveBrokersVenue() as ib:
        yield alpaca, ib


@pytest.fixture
def alpaca(running) -> AlpacaVenue:
    running[0].begin_again()
    return running[0]


@pytest.fixture
def ib(running) -> InteractiveBrokersVenue:
    running[1].begin_again()
    return running[1]


@pytest.fixture
def order_of(order_of):
    return partial(order_of, algorithm="market")


@pytest.fixture
def multi_of(alpaca, ib) -> Iterator[Callable[..., MultiBroker]]:
    """Make brokers over both venues, each in the place of the one before, as after a restart."""
    made: list[MultiBroker] = []

    def make(routes=ABC_TO_ALPACA, *, patience_seconds=30.0, answer_timeout_seconds=0.3) -> MultiBroker:
        for before in made:
            before.close()
        clock = SimulatedClock(AFTER_THE_CLOSE)
        same = {"account": "simulated", "calendar": XNYS, "clock": clock}
        impatient = {"attempts": 2, "connect_timeout_seconds": 0.3}
        brokers = {
            "alpaca": AlpacaBroker(alpaca_settings(alpaca, attempts=2), **same),
            "ib": InteractiveBrokersBroker(
                interactive_brokers_settings(ib, answer_timeout_seconds=answer_timeout_seconds, **impatient), **same
            ),
        }
        made.append(MultiBroker(brokers, OrderRoutes(routes, brokers), patience_seconds=patience_seconds, **same))
        made[-1].connect()
        return made[-1]

    yield make
    for broker in made:
        broker.close()


def test_each_order_goes_to_the_broker_of_its_symbol_and_nowhere_else(alpaca, ib, multi_of, order_of):
    broker = multi_of()
    assert broker.failures() == {}
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert broker.submit(order_of(symbol="DEF", quantity_shares=7.0)).state is OrderState.ACCEPTED
    assert (dict(alpaca.book.accepted), ib.desk.accepted) == ({"order-ABC": 1}, {"order-DEF": 1})
    assert [broker.broker_of(name) for name in ("order-ABC", "order-DEF")] == ["alpaca", "ib"]
    assert [status.order.client_order_id for status in broker.open_orders()] == ["order-ABC", "order-DEF"]
    assert broker.cancel("order-DEF").state is OrderState.CANCELLED
    assert ib.desk.order_of("order-DEF").status == "Cancelled"


def test_an_order_that_no_rule_takes_is_rejected_and_sent_to_nobody(alpaca, ib, multi_of, order_of):
    broker = multi_of()
    for _ in range(2):
        assert broker.submit(order_of(symbol="XYZ")).state is OrderState.REJECTED
    (item,) = broker.events_since(0)
    assert "no rule of brokers.multi.routes takes XYZ" in item.event.reason
    assert (dict(alpaca.book.accepted), ib.desk.accepted) == ({}, {})
    assert broker.find_order("order-XYZ").state is OrderState.REJECTED
    assert broker.cancel("order-XYZ").state is OrderState.REJECTED


@pytest.mark.long
def test_totals_are_the_sums_of_both(alpaca, ib, multi_of):
    alpaca.book.trade_by_hand("ABC", "30", "10")
    ib.desk.positions[1001] = (10.0, 14.0)
    ib.desk.positions[1002] = (5.0, 20.0)
    broker = multi_of()
    assert [(held.symbol, held.quantity_shares, held.average_cost_usd) for held in broker.positions()] == [
        ("ABC", 40.0, 11.0),
        ("DEF", 5.0, 20.0),
    ]
    each = [report.balance for report in broker.reports().values()]
    assert broker.account().cash_usd == sum(balance.cash_usd for balance in each) == 9_700.0 + 10_000.0
    assert broker.account().equity_usd == sum(balance.equity_usd for balance in each)


@pytest.mark.long
def test_events_of_both_are_one_stream_without_gaps(alpaca, ib, multi_of, order_of):
    broker = multi_of()
    broker.submit(order_of())
    broker.submit(order_of(symbol="DEF"))
    alpaca.book.fill("order-ABC", "100", "10")
    ib.desk.fill(ib.desk.order_of("order-DEF"), 100, 20.0)
    for name in ("order-ABC", "order-DEF"):
        assert broker.find_order(name).state is OrderState.FILLED
    told = broker.events_since(0)
    assert [item.sequence for item in told] == [1, 2, 3, 4]
    assert sorted(str(item.event.kind) for item in told) == ["accepted", "accepted", "filled", "filled"]
    assert broker.events_since(2) == told[2:]


def test_one_broker_down_stops_only_its_own_orders_and_is_said(alpaca, ib, multi_of, order_of):
    broker = multi_of()
    broker.submit(order_of(symbol="DEF"))
    ib.gateway.always(ToGateway.CURRENT_TIME, ResetConnection())
    ib.gateway.always(ToGateway.POSITIONS, ResetConnection())
    ib.gateway.always(ToGateway.PLACE_ORDER, ResetConnection())
    with pytest.raises(SubmissionUnknown):
        broker.submit(order_of(symbol="DEF", client_order_id="second"))
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    assert dict(alpaca.book.accepted) == {"order-ABC": 1}
    assert [status.order.client_order_id for status in broker.open_orders()] == ["order-ABC", "order-DEF", "second"]
    with pytest.raises(BrokerUnavailable, match="no total without every broker, and these do not say: 'ib'"):
        broker.positions()
    reports = broker.reports()
    assert (reports["alpaca"].failure, reports["alpaca"].balance.cash_usd) == ("", 10_000.0)
    assert list(broker.failures()) == ["ib"]
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    ib.gateway.heal()
    assert broker.submit(order_of(symbol="DEF", client_order_id="second")).state is OrderState.ACCEPTED
    assert (broker.failures(), ib.desk.accepted) == ({}, {"order-DEF": 1, "second": 1})


@pytest.mark.long
def test_a_broker_that_cannot_be_connected_is_named_and_connected_later(alpaca, ib, multi_of, order_of):
    ib.gateway.always(0, ResetConnection())
    broker = multi_of()
    assert list(broker.failures()) == ["ib"]
    assert broker.submit(order_of()).state is OrderState.ACCEPTED
    ib.gateway.heal()
    assert broker.connect() == {}
    assert broker.submit(order_of(symbol="DEF")).state is OrderState.ACCEPTED
    assert (dict(alpaca.book.accepted), ib.desk.accepted) == ({"order-ABC": 1}, {"order-DEF": 1})


def test_a_broker_that_hangs_keeps_nobody_waiting_for_the_others(alpaca, ib, multi_of, order_of):
    broker = multi_of(patience_seconds=0.2, answer_timeout_seconds=60.0)
    broker.submit(order_of())
    broker.submit(order_of(symbol="DEF"))
    ib.gateway.always(ToGateway.CURRENT_TIME, Silence())
    assert [status.order.client_order_id for status in broker.open_orders()] == ["order-ABC", "order-DEF"]
    assert "'ib' gave no answer within 0.2 s" in broker.failures()["ib"]
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    assert alpaca.book.named("order-ABC")["status"] == "canceled"


def test_what_others_trade_and_what_is_told_in_two_ways_is_reviewed_at_every_broker(ib, multi_of, order_of):
    multi_of().submit(order_of(symbol="DEF"))
    later = multi_of()
    review = review_account(later, {}, label="simulated")
    assert len(review.breaks) == 1
    assert "DEF: an open order of 100 shares (venue id 1000000) is not ours" in review.breaks[0]
    later.adopt(order_of(symbol="DEF"))
    ib.desk.order_of("order-DEF").shares = 70.0
    assert [status.order.client_order_id for status in later.open_orders()] == ["order-DEF"]
    (told,) = review_account(later, {}, label="simulated").breaks
    assert told.startswith("ib: order order-DEF (DEF): Interactive Brokers holds 70 DEF")


def test_another_order_under_a_known_id_is_refused_at_whichever_broker(alpaca, ib, multi_of, order_of):
    broker = multi_of()
    broker.submit(order_of(client_order_id="same"))
    with pytest.raises(OrderRejected, match="same"):
        broker.submit(order_of(client_order_id="same", symbol="DEF"))
    assert (dict(alpaca.book.accepted), ib.desk.accepted) == ({"same": 1}, {})
    with pytest.raises(ExecutionError, match="nobody"):
        broker.cancel("nobody")


def test_an_order_of_an_earlier_process_is_found_where_the_rules_of_then_sent_it(alpaca, ib, multi_of, order_of):
    multi_of().submit(order_of())
    later = multi_of(ABC_TO_IB)
    later.adopt(order_of())
    assert later.submit(order_of()).state is OrderState.ACCEPTED
    assert (dict(alpaca.book.accepted), ib.desk.accepted) == ({"order-ABC": 1}, {})
    assert later.broker_of("order-ABC") == "alpaca"
    assert later.cancel("order-ABC").state is OrderState.CANCELLED


@pytest.mark.long
def test_an_order_of_an_earlier_process_is_not_sent_while_the_other_broker_does_not_say(alpaca, ib, multi_of, order_of):
    multi_of().submit(order_of())
    later = multi_of(ABC_TO_IB)
    later.adopt(order_of())
    alpaca.rest.script("GET", *[Before(Status(500))] * ALWAYS)
    with pytest.raises(SubmissionUnknown, match=r"order-ABC.*an earlier process may have sent it to 'alpaca'"):
        later.submit(order_of())
    assert ib.gateway.received(ToGateway.PLACE_ORDER) == []


@pytest.mark.long
def test_a_position_at_a_broker_that_its_symbol_is_not_routed_to_is_named(alpaca, ib, multi_of):
    ib.desk.positions[1001] = (10.0, 14.0)
    alpaca.book.trade_by_hand("ABC", "30", "10")
    (found,) = multi_of().holdings().misplaced
    assert (found.broker, found.symbol, found.position.quantity_shares) == ("ib", "ABC", 10.0)
