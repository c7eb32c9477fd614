"""An account at Alpaca and Interactive Brokers together, after the rules have changed: restart, stop and flattening."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aegis.clock import SimulatedClock
from aegis.errors import BrokerUnavailable, ExecutionError, SubmissionUnknown
from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.brokers.broker_abilities import ClockedBroker
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from aegis.execution.brokers.multi import MultiBroker
from aegis.execution.brokers.order_routes import OrderRoutes, Route
from aegis.execution.order_states import OrderState
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.flattening import flatten_progress
from aegis.live_trading.kill_switch import KillSwitch
from tests.contract.benches import MultiBench, SimulatedBench
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, IN_SESSION, config_in
from tests.integration.vendors.tws.faults import Reset
from tests.integration.vendors.tws.wire import ToGateway
from tests.integration.vendors.vendor_server import Status
from tests.integration.venues.alpaca.connections import alpaca_settings
from tests.integration.venues.alpaca.rest import Before
from tests.integration.venues.alpaca.server import AFTER_THE_CLOSE, AlpacaVenue
from tests.integration.venues.interactive_brokers.venue import InteractiveBrokersVenue, interactive_brokers_settings

ABC_TO_ALPACA = (Route((("alpaca", 1.0),), frozenset({"ABC"})), Route((("ib", 1.0),), frozenset({"DEF"})))
ALL_TO_IB = (Route((("ib", 1.0),)),)
ABC_NOWHERE = (Route((("ib", 1.0),), frozenset({"DEF"})),)
MONDAY = datetime(2014, 6, 9, 14, 30, tzinfo=UTC)
RESTS = {"arrival_price_usd": 5.0, "order_type": "limit", "limit_price_usd": 5.0, "time_in_force": "GTC"}
ABC_AT_IB, DEF_AT_IB = 1001, 1002


class Desk:
    """The account, in one life of a process after another."""

    def __init__(self, alpaca: AlpacaVenue, ib: InteractiveBrokersVenue, folder: Path) -> None:
        self.alpaca, self.ib, self._folder = alpaca, ib, folder
        self._life = ExitStack()

    def broker(self, routes: tuple[Route, ...], at_utc: datetime = AFTER_THE_CLOSE) -> MultiBroker:
        """Let the process before end, and connect another."""
        self._life.close()
        self.clock = SimulatedClock(at_utc)
        self.ib.desk.move_to(at_utc)
        self.alpaca.book.now_utc = at_utc
        same = {"account": ACCOUNT, "calendar": CALENDAR, "clock": self.clock}
        impatient = {"attempts": 2, "connect_timeout_seconds": 0.3, "answer_timeout_seconds": 0.3}
        brokers = {
            "alpaca": AlpacaBroker(alpaca_settings(self.alpaca, attempts=2), **same),
            "ib": InteractiveBrokersBroker(interactive_brokers_settings(self.ib, **impatient), **same),
        }
        made = MultiBroker(brokers, OrderRoutes(routes, brokers), patience_seconds=30.0, **same)
        self._life.callback(made.close)
        assert made.connect() == {}
        self.multi = made
        return made

    def system(self, routes: tuple[Route, ...], at_utc: datetime = AFTER_THE_CLOSE) -> ExecutionSystem:
        """Let another process trade the account."""
        broker = self.broker(routes, at_utc)
        self.config = config_in(self._folder, self.clock)
        system = ExecutionSystem(broker, self.config)
        self._life.callback(system.close)
        return system

    def stop(self, *, flatten: bool = False) -> None:
        """Engage the kill switch."""
        KillSwitch(self.config.kill_switch).engage("enough", actor="ada", at_utc=self.clock.now_utc(), flatten=flatten)

    @property
    def progress(self) -> tuple[str, dict[str, float], str]:
        found = flatten_progress(self.config.kill_switch)
        assert found is not None
        return found.state, dict(found.left), found.told

    def silence_alpaca(self) -> None:
        """Let Alpaca answer no question until it heals."""
        self.alpaca.rest.script("GET", *[Before(Status(500))] * 50)

    def close(self) -> None:
        """End the process."""
        self._life.close()


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[AlpacaVenue, InteractiveBrokersVenue]]:
    with AlpacaVenue() as alpaca, InteractiveBrokersVenue() as ib:
        yield alpaca, ib


@pytest.fixture
def desk(running, tmp_path: Path) -> Iterator[Desk]:
    for venue in running:
        venue.begin_again()
    found = Desk(*running, tmp_path)
    yield found
    found.close()


@pytest.fixture
def order_of(order_of) -> Callable:
    def made(**terms):
        given = {"account": ACCOUNT, "algorithm": "market", "order_type": "limit", "limit_price_usd": 5.0}
        return order_of(**{**given, "time_in_force": "GTC", **terms})

    return made


@pytest.mark.parametrize("routes", [ALL_TO_IB, ABC_NOWHERE], ids=["ib", "nowhere"])
def test_a_resting_order_is_found_after_its_session_and_ended_by_the_stop_whatever_the_rules_say_now(desk, routes):
    system = desk.system(ABC_TO_ALPACA)
    resting = system.order("ABC", 1, name="rests", **RESTS)
    assert system.submit_order(resting).state is OrderState.ACCEPTED
    later = desk.system(routes, MONDAY)
    later.step()
    name = resting.client_order_id
    assert (later.breaks, later.door.doubtful()) == ((), ())
    assert later.door.status(name).state is OrderState.ACCEPTED
    assert desk.multi.broker_of(name) == "alpaca"
    desk.stop()
    later.step()
    assert later.door.status(name).state is OrderState.CANCELLED
    assert desk.alpaca.book.named(name)["status"] == "canceled"
    assert (later.sent_orders(), dict(desk.alpaca.book.accepted), desk.ib.desk.accepted) == ((), {name: 1}, {})


@pytest.mark.parametrize(
    ("venue", "before", "after"), [("alpaca", ABC_TO_ALPACA, ALL_TO_IB), ("ib", ALL_TO_IB, ABC_TO_ALPACA)]
)
def test_fills_of_before_and_meanwhile_are_each_booked_once_when_the_order_is_found_elsewhere(
    desk, venue, before, after
):
    def fill(shares: int) -> None:
        if venue == "alpaca":
            desk.alpaca.book.fill(name, str(shares), "5")
        else:
            desk.ib.desk.fill(desk.ib.desk.order_of(name), shares, 5.0)

    system = desk.system(before)
    resting = system.order("ABC", 10, name="rests", **RESTS)
    name = resting.client_order_id
    system.submit_order(resting)
    fill(4)
    desk.multi.find_order(name)
    system.step()
    assert system.door.status(name).filled_shares == 4.0
    desk.multi.close()
    fill(3)
    later = desk.system(after)
    later.step()
    status = later.door.status(name)
    assert (status.filled_shares, status.fills, status.state) == (7.0, 2, OrderState.PARTIALLY_FILLED)
    (told,) = later.breaks
    assert f"ABC: 7 shares are held at '{venue}'" in told


def test_an_order_that_no_rule_takes_any_more_is_at_the_broker_that_does_not_say_perhaps(desk, order_of):
    order = order_of()
    desk.broker(ABC_TO_ALPACA).submit(order)
    later = desk.broker(ABC_NOWHERE)
    later.adopt(order)
    desk.silence_alpaca()
    told = r"order-ABC \(100 ABC\): an earlier process may have sent it to 'alpaca', which does not say"
    with pytest.raises(BrokerUnavailable, match=told):
        later.find_order("order-ABC")
    with pytest.raises(BrokerUnavailable, match=told):
        later.cancel("order-ABC")
    with pytest.raises(BrokerUnavailable, match=told):
        later.replace(order, revision=1)
    with pytest.raises(SubmissionUnknown, match=told):
        later.submit(order)
    assert [status.order.client_order_id for status in later.open_orders()] == ["order-ABC"]
    desk.alpaca.rest.heal()
    assert later.submit(order).state is OrderState.ACCEPTED
    assert later.cancel("order-ABC").state is OrderState.CANCELLED
    assert dict(desk.alpaca.book.accepted) == {"order-ABC": 1}


def test_an_order_is_found_at_one_broker_while_the_one_that_rules_name_today_is_down(desk, order_of):
    order = order_of()
    desk.broker(ABC_TO_ALPACA).submit(order)
    later = desk.broker(ALL_TO_IB)
    later.adopt(order)
    desk.ib.gateway.always(ToGateway.CURRENT_TIME, Reset())
    later.cancel("order-ABC")
    assert desk.alpaca.book.named("order-ABC")["status"] == "canceled"
    assert later.find_order("order-ABC").state is OrderState.CANCELLED


def test_a_broker_that_does_not_say_is_asked_as_often_for_many_orders_of_before_as_for_one(desk, order_of):
    asked = []
    for orders in (1, 5):
        later = desk.broker(ABC_TO_ALPACA)
        for number in range(orders):
            later.adopt(order_of(client_order_id=f"order-{number}"))
        desk.ib.gateway.always(ToGateway.CURRENT_TIME, Reset())
        before = len(desk.ib.gateway.received(ToGateway.CURRENT_TIME))
        assert len(later.open_orders()) == orders
        asked.append(len(desk.ib.gateway.received(ToGateway.CURRENT_TIME)) - before)
        desk.ib.gateway.heal()
    # The broker's own catching up asks beside it, sooner or later; a question an order would be five times as many.
    assert 0 < asked[1] < 2 * asked[0]


def test_other_terms_go_to_the_broker_that_has_the_order(desk, order_of):
    order = order_of()
    desk.broker(ALL_TO_IB).submit(order)
    later = desk.broker(ABC_TO_ALPACA)
    later.adopt(order)
    later.replace(replace(order, quantity_shares=50.0), revision=1)
    assert desk.ib.desk.order_of("order-ABC").shares == 50
    assert dict(desk.alpaca.book.accepted) == {}


def test_an_order_that_no_broker_has_is_not_found_and_goes_where_the_rules_say_now(desk, order_of):
    order = order_of()
    later = desk.broker(ALL_TO_IB)
    later.adopt(order)
    assert later.find_order("order-ABC") is None
    with pytest.raises(ExecutionError, match=r"order-ABC: unknown to every broker \(alpaca, ib\)"):
        later.cancel("order-ABC")
    assert later.submit(order).state is OrderState.ACCEPTED
    assert (dict(desk.alpaca.book.accepted), desk.ib.desk.accepted) == ({}, {"order-ABC": 1})
    assert later.cancel("order-ABC").state is OrderState.CANCELLED


@pytest.mark.parametrize("routes", [ALL_TO_IB, ABC_TO_ALPACA, ABC_NOWHERE], ids=["ib", "alpaca", "nowhere"])
def test_an_order_of_before_the_weekend_that_no_broker_tells_of_is_neither_sent_nor_called_never_sent(
    desk, order_of, routes
):
    order = order_of()
    sent = desk.broker(ALL_TO_IB).submit(order)  # and the process dies before it hears the answer
    desk.ib.desk.fill(desk.ib.desk.order_of("order-ABC"), 100, 5.0)
    desk.ib.desk.orders.clear()  # TWS tells of today's only
    later = desk.broker(routes, MONDAY)
    later.adopt(order)
    for ask in (later.find_order, lambda _: later.submit(order)):
        with pytest.raises(SubmissionUnknown, match=f"may have been sent in session {sent.order.execution_session}"):
            ask("order-ABC")
    assert (dict(desk.alpaca.book.accepted), desk.ib.desk.accepted) == ({}, {})


@pytest.mark.parametrize(("at_alpaca", "total"), [(0, 10.0), (-10, None), (10, 20.0)])
def test_shares_that_stand_where_no_order_to_close_them_would_go_are_a_break(desk, at_alpaca: int, total):
    desk.ib.desk.positions[ABC_AT_IB] = (10.0, 5.0)
    if at_alpaca:
        desk.alpaca.book.trade_by_hand("ABC", str(at_alpaca), "5")
    system = desk.system(ABC_TO_ALPACA)
    assert [held.quantity_shares for held in system.get_positions()] == ([] if total is None else [total])
    (told,) = system.breaks
    assert "ABC: 10 shares are held at 'ib'" in told
    assert f"goes to 'alpaca', which holds {at_alpaca}; close them at 'ib' by hand" in told
    with pytest.raises(ExecutionError, match="ABC: 10 shares are held at 'ib'"):
        system.submit_order(system.order("DEF", 1, name="new", **RESTS))
    closes = system.order("ABC", -20, name="closes", arrival_price_usd=5.0, is_reducing=True)
    assert system.submit_order(closes).state is OrderState.REJECTED
    undeclared = system.order("ABC", -15, name="undeclared", arrival_price_usd=5.0)
    assert desk.multi.submit(undeclared).state is OrderState.REJECTED
    assert (dict(desk.alpaca.book.accepted), desk.ib.desk.accepted) == ({}, {})


def test_an_order_that_is_at_its_venue_stays_one_when_shares_of_its_symbol_appear_elsewhere(desk, order_of):
    order, broker = order_of(), desk.broker(ABC_TO_ALPACA)
    assert broker.submit(order).state is OrderState.ACCEPTED
    desk.ib.desk.positions[ABC_AT_IB] = (10.0, 5.0)
    assert [each.broker for each in broker.holdings().misplaced] == ["ib"]
    assert broker.submit(order).state is OrderState.ACCEPTED
    assert broker.cancel("order-ABC").state is OrderState.CANCELLED
    assert dict(desk.alpaca.book.accepted) == {"order-ABC": 1}


def test_shares_of_a_symbol_that_no_rule_takes_are_a_break(desk):
    desk.alpaca.book.trade_by_hand("ABC", "10", "5")
    (told,) = desk.system(ABC_NOWHERE).breaks
    assert "ABC: 10 shares are held at 'alpaca'" in told
    assert "goes nowhere: no rule takes the symbol" in told


def test_an_order_that_takes_from_the_part_that_it_reaches_leaves(desk):
    desk.ib.desk.positions[ABC_AT_IB] = (10.0, 5.0)
    desk.alpaca.book.trade_by_hand("ABC", "10", "5")
    system = desk.system(ABC_TO_ALPACA)
    closes = system.order("ABC", -10, name="closes", arrival_price_usd=5.0, is_reducing=True)
    assert system.submit_order(closes).state is OrderState.ACCEPTED
    assert dict(desk.alpaca.book.accepted) == {closes.client_order_id: 1}


def test_a_flattening_closes_the_rest_and_is_not_done_while_a_venue_holds_shares(desk):
    desk.ib.desk.positions[ABC_AT_IB], desk.ib.desk.positions[DEF_AT_IB] = (10.0, 5.0), (5.0, 20.0)
    desk.alpaca.book.trade_by_hand("ABC", "-10", "5")
    desk.alpaca.book.is_open = True
    system = desk.system(ABC_TO_ALPACA, IN_SESSION)
    desk.stop(flatten=True)
    system.step()
    state, left, told = desk.progress
    assert (state, left) == ("waiting", {"ABC at alpaca": -10.0, "ABC at ib": 10.0, "DEF": 5.0})
    assert "close them at 'ib' by hand" in told
    (sale,) = desk.ib.desk.orders
    assert (sale.side, sale.shares, sale.contract.con_id) == ("SELL", 5, DEF_AT_IB)
    desk.ib.tell(*desk.ib.desk.fill(sale, 5, 20.0))
    desk.multi.open_orders()
    system.step()
    assert desk.progress[:2] == ("waiting", {"ABC at alpaca": -10.0, "ABC at ib": 10.0})
    assert desk.alpaca.book.orders == {}
    del desk.ib.desk.positions[ABC_AT_IB]  # somebody closes them there
    system.step()
    assert "our books say 0 shares, the broker -10" in desk.progress[2]
    desk.clock.advance_to(IN_SESSION + timedelta(seconds=11))
    system.step()
    (purchase,) = desk.alpaca.book.orders.values()
    assert (purchase["side"], Decimal(purchase["qty"])) == ("buy", 10)
    desk.alpaca.book.fill(purchase["client_order_id"], "10", "5")
    desk.multi.open_orders()
    system.step()
    assert desk.progress == ("flat", {}, "")
    assert len(desk.ib.desk.orders) == 1


def test_a_stop_ends_the_second_order_of_a_reference_after_the_first_has_filled(desk):
    system = desk.system(ALL_TO_IB)
    rests = system.order("ABC", 10, name="rests", **RESTS)
    system.submit_order(rests)
    first = desk.ib.desk.order_of(rests.client_order_id)
    second = type(first)(**{**vars(first), "order_id": first.order_id + 50, "permanent_id": 777, "executions": []})
    desk.ib.desk.orders.append(second)
    desk.ib.tell(*desk.ib.desk.fill(first, 10, 5.0))
    desk.multi.open_orders()
    system.step()
    assert system.door.status(rests.client_order_id).state is OrderState.FILLED
    desk.stop()
    system.step()
    assert (second.status, system.last_failure) == ("Cancelled", "")


@pytest.mark.parametrize("symbols", [("ABC", "DEF"), ("ABC",)])
def test_a_stop_ends_what_one_venue_has_when_a_process_cannot_begin_for_another(desk, symbols):
    system = desk.system(ABC_TO_ALPACA)
    made = [system.order(symbol, 1, name=f"rests {symbol}", **RESTS) for symbol in symbols]
    for order in made:
        system.submit_order(order)
    desk.close()
    broker = desk.broker(ABC_TO_ALPACA)
    for question in (ToGateway.CURRENT_TIME, ToGateway.POSITIONS, ToGateway.ALL_OPEN_ORDERS, ToGateway.ACCOUNT_UPDATES):
        desk.ib.gateway.always(question, Reset())
    with pytest.raises(BrokerUnavailable):
        ExecutionSystem(broker, desk.config)
    assert desk.alpaca.book.named(made[0].client_order_id)["status"] == "accepted"
    desk.stop()
    with pytest.raises(BrokerUnavailable):
        ExecutionSystem(broker, desk.config)
    assert desk.alpaca.book.named(made[0].client_order_id)["status"] == "canceled"


def test_brokers_without_a_clock_go_by_ours(market_of):
    assert MultiBench(one=SimulatedBench(market_of), other=SimulatedBench(market_of)).broker.clock_skew_seconds() == 0.0


def test_the_clock_is_compared_with_the_venue_that_differs_most(desk):
    broker = desk.broker(ABC_TO_ALPACA)
    assert isinstance(broker, ClockedBroker)
    desk.alpaca.book.now_utc += timedelta(seconds=3)
    desk.ib.desk.move_to(AFTER_THE_CLOSE - timedelta(seconds=60))
    assert broker.clock_skew_seconds() == -60.0
    desk.ib.gateway.always(ToGateway.CURRENT_TIME, Reset())
    assert broker.clock_skew_seconds() == pytest.approx(3.0, abs=0.01)
    desk.silence_alpaca()
    with pytest.raises(BrokerUnavailable, match=r"'alpaca': .*'ib': "):
        broker.clock_skew_seconds()
