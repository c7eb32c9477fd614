"""Orders of the simulated broker that live longer than a session, or depend on each other."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from aegis.backtesting.commissions import PerShare
from aegis.backtesting.costs import CostModel
from aegis.backtesting.financing import Financing
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction
from aegis.clock import FixedClock
from aegis.errors import ConfigurationError
from aegis.execution.account_state import AccountState, OrderProgress, Position
from aegis.execution.brokers.simulated import SimulatedBroker
from aegis.execution.order_records import canonical_json
from aegis.execution.order_states import OrderState

THURSDAY, FRIDAY, MONDAY, TUESDAY = (date(2014, 6, day) for day in (5, 6, 9, 10))
FLAT = (10.0, 10.0, 10.0, 10.0, 1e6)
HELD = Position("ABC", "ABC", 100.0, 8.0, 10.0, THURSDAY)


def _state(*positions, cash=10_000.0):
    return AccountState(account="simulated", session=THURSDAY, cash_usd=cash, positions=positions)


def _broker(state, **options):
    clock = FixedClock(datetime(2014, 6, 5, 20, 15, tzinfo=UTC))
    return SimulatedBroker(state, **{"costs": CostModel(), "rules": TradingRules(), "clock": clock, **options})


def _restored(state, **options):
    return _broker(AccountState.from_record(json.loads(canonical_json(state.to_record()))), **options)


def _session(broker, market):
    broker.begin_session(market)
    return broker.end_session()


def _told(broker, after=0):
    return [(i.event.client_order_id, str(i.event.kind)) for i in broker.events_since(after)]


def _terms(**terms):
    return {"algorithm": "market", "time_in_force": "GTC", **terms}


def _bracket(order_of):
    exits = {"parent_id": "in", "oco_group": "exits", "quantity_shares": -100.0}
    return [
        order_of(client_order_id="in", **_terms(time_in_force="DAY")),
        order_of(client_order_id="loss", **_terms(order_type="stop", stop_price_usd=9.0, **exits)),
        order_of(client_order_id="profit", **_terms(order_type="limit", limit_price_usd=12.0, **exits)),
    ]


def test_a_trailing_stop_remembers_the_best_price_from_session_to_session(order_of, market_of):
    broker = _broker(_state(HELD))
    broker.submit(order_of(quantity_shares=-100.0, **_terms(order_type="trailing_stop", trail_usd=1.0)))
    friday = _session(broker, market_of(FRIDAY, bars={"ABC": (10.0, 14.0, 9.5, 14.0, 1e6)}))
    assert friday.order_progress == (OrderProgress("order-ABC", watermark_usd=14.0),)
    # 14 less 1 is 13: Monday opens above it and falls through it.
    broker = _restored(friday)
    monday = _session(broker, market_of(MONDAY, bars={"ABC": (13.5, 13.5, 12.0, 12.0, 1e6)}))
    assert _told(broker) == [("order-ABC", "triggered"), ("order-ABC", "filled")]
    assert (monday.cash_usd, monday.positions, monday.order_progress) == (11_300.0, (), ())


def test_a_split_rescales_what_a_trailing_stop_remembers(order_of, market_of):
    broker = _broker(_state(HELD))
    broker.submit(order_of(quantity_shares=-100.0, **_terms(order_type="trailing_stop", trail_usd=1.0)))
    friday = _session(broker, market_of(FRIDAY, bars={"ABC": (10.0, 14.0, 9.5, 14.0, 1e6)}))
    split = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
    monday = _session(_restored(friday), market_of(MONDAY, bars={"ABC": (7.0, 7.0, 6.9, 7.0, 1e6)}, actions=(split,)))
    (status,) = monday.open_orders
    assert (status.order.quantity_shares, status.order.trail_usd) == (-200.0, 0.5)
    assert monday.order_progress == (OrderProgress("order-ABC", watermark_usd=7.0, changes=1),)


def test_exits_are_held_then_act_and_end_each_other(order_of, market_of):
    broker = _broker(_state())
    assert [broker.submit(order).state for order in _bracket(order_of)] == [
        OrderState.ACCEPTED,
        OrderState.HELD,
        OrderState.HELD,
    ]
    friday = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}))
    assert _told(broker, 3) == [("in", "filled"), ("loss", "released"), ("profit", "released")]
    broker = _restored(friday)
    monday = _session(broker, market_of(MONDAY, bars={"ABC": (10.0, 13.0, 9.5, 13.0, 1e6)}))
    assert _told(broker) == [("profit", "filled"), ("loss", "cancelled")]
    assert (monday.cash_usd, monday.positions, monday.open_orders) == (10_200.0, (), ())


def test_cancelling_an_entry_cancels_what_waits_for_it(order_of, market_of):
    broker = _broker(_state())
    for order in _bracket(order_of):
        broker.submit(order)
    broker.begin_session(market_of(FRIDAY, bars={"ABC": FLAT}))
    broker.cancel("in")
    after = broker.end_session()
    assert _told(broker, 3) == [("in", "cancelled"), ("loss", "cancelled"), ("profit", "cancelled")]
    assert (after.cash_usd, after.open_orders) == (10_000.0, ())


def test_an_exit_whose_entry_is_not_known_is_rejected(order_of):
    broker = _broker(_state())
    _, loss, _ = _bracket(order_of)
    assert broker.submit(loss).state is OrderState.REJECTED


def test_fills_carry_the_name_of_after_a_rename(order_of, market_of):
    broker = _broker(_state())
    broker.submit(order_of(**_terms(order_type="limit", limit_price_usd=9.0)))
    rename = CorporateAction(action="rename", symbol="ABC", new_ticker="XYZ")
    friday = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}, actions=(rename,)))
    after = _session(_restored(friday), market_of(MONDAY, bars={"ABC": (9.0, 9.0, 8.5, 8.8, 1e6)}))
    assert [(p.symbol, p.ticker) for p in after.positions] == [("ABC", "XYZ")]


def test_a_minimum_commission_is_for_the_order_and_not_for_each_session(order_of, market_of):
    costs = CostModel(commission=PerShare(0.01, min_usd_per_order=1.0))
    broker = _broker(_state(), costs=costs)
    broker.submit(order_of(**_terms()))
    friday = _session(broker, market_of(FRIDAY, bars={"ABC": (10.0, 10.0, 10.0, 10.0, 600.0)}))
    assert friday.order_progress == (OrderProgress("order-ABC", commission_usd=1.0),)
    # 60 and 40 shares cost 1 USD together: that is the minimum, and 100 shares at 0.01.
    broker = _restored(friday, costs=costs)
    monday = _session(broker, market_of(MONDAY, bars={"ABC": FLAT}))
    assert monday.cash_usd == pytest.approx(10_000.0 - 1_000.0 - 1.0, abs=1e-9)


def test_a_session_booked_again_from_its_events_is_the_same_to_the_bit(order_of, market_of):
    costs = CostModel(5.0, 1.0)
    before = _state(HELD, Position("DEF", "DEF", 50.0, 1.0, 30.1, THURSDAY))
    sender = _broker(before, costs=costs)
    for name, symbol, quantity in (("c", "ABC", -70.0), ("a", "DEF", 33.0), ("b", "NEW", 7.0)):
        sender.submit(order_of(client_order_id=name, symbol=symbol, quantity_shares=quantity))
    waiting = sender.state()
    bars = {"ABC": (10.1, 10.7, 9.3, 10.3, 1e6), "DEF": (30.3, 31.7, 29.9, 30.7, 1e6), "NEW": (7.7, 7.9, 7.1, 7.3, 1e6)}
    dividend = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.13)
    market = market_of(FRIDAY, bars=bars, actions=(dividend,))
    broker = _broker(waiting, costs=costs)
    traded = _session(broker, market)
    assert _broker(waiting, costs=costs).replay_session(market, [i.event for i in broker.events_since(0)]) == traded


def test_a_session_booked_again_carries_on_what_its_orders_have_come_to(order_of, market_of):
    costs = CostModel(commission=PerShare(0.01, min_usd_per_order=1.0))
    sender = _broker(_state(), costs=costs)
    sender.submit(order_of(quantity_shares=100.0, **_terms()))
    waiting = sender.state()
    split = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
    rename = CorporateAction(action="rename", symbol="ABC", new_ticker="XYZ")
    market = market_of(FRIDAY, bars={"ABC": (5.0, 5.0, 5.0, 5.0, 600.0)}, actions=(split, rename))
    broker = _broker(waiting, costs=costs)
    traded = _session(broker, market)
    assert traded.order_progress == (OrderProgress("order-ABC", commission_usd=1.0, changes=1, ticker="XYZ"),)
    replayed = _broker(waiting, costs=costs).replay_session(market, [i.event for i in broker.events_since(0)])
    assert replayed == traded


def test_states_from_before_orders_had_progress_read_the_same(order_of):
    broker = _broker(_state(HELD))
    broker.submit(order_of())
    record = broker.state().to_record()
    assert "order_progress" not in record
    assert AccountState.from_record(record) == broker.state()


def test_costs_that_are_not_carried_from_session_to_session_are_refused(market_of):
    broker = _broker(_state(), costs=CostModel(financing=Financing(borrow_rate_per_year=0.02)))
    with pytest.raises(ConfigurationError, match="financing"):
        broker.begin_session(market_of(FRIDAY, bars={"ABC": FLAT}))


def test_an_exit_is_as_old_as_its_release(order_of, market_of):
    # The entry fills on Friday and releases its exits; the order of Friday's close is younger. Monday has room for one.
    broker = _broker(_state(HELD, cash=100_000.0), rules=TradingRules(participation_rate=1.0))
    for order in _bracket(order_of):
        broker.submit(order)
    friday = _session(broker, market_of(FRIDAY, bars={"ABC": FLAT}))
    assert {p.client_order_id: p.released for p in friday.order_progress} == {"loss": FRIDAY, "profit": FRIDAY}
    earlier = _terms(order_type="limit", limit_price_usd=12.0, quantity_shares=-50.0)
    broker = _restored(friday, rules=TradingRules(participation_rate=1.0))
    broker.submit(order_of(client_order_id="a-later", session=FRIDAY, execution_session=MONDAY, **earlier))
    broker = _restored(broker.state(), rules=TradingRules(participation_rate=1.0))

    monday = _session(broker, market_of(MONDAY, bars={"ABC": (12.0, 13.0, 12.0, 13.0, 60.0)}))

    assert [(s.order.client_order_id, s.filled_shares) for s in monday.open_orders] == [
        ("a-later", 0.0),
        ("loss", 0.0),
        ("profit", -60.0),
    ]


def test_a_session_booked_again_has_the_same_average_cost(order_of, market_of):
    # A limit sale of before fills inside the bar, after a purchase at its open: 10 at 100 and 10 at 120 cost 110 each.
    held = Position("ABC", "ABC", 10.0, 100.0, 100.0, THURSDAY)
    state = _state(held, cash=100_000.0)
    sale = _terms(order_type="limit", limit_price_usd=128.0, quantity_shares=-10.0)
    purchase = _terms(time_in_force="DAY", quantity_shares=10.0)
    orders = [order_of(client_order_id="a-sale", **sale), order_of(client_order_id="purchase", **purchase)]
    traded, again = _broker(state), _broker(state)
    for broker in (traded, again):
        for order in orders:
            broker.submit(order)
    cursor = len(traded.events_since(0))
    bars = market_of(FRIDAY, bars={"ABC": (120.0, 130.0, 119.0, 125.0, 1e6)})

    after = _session(traded, bars)

    assert [str(p.average_cost_usd) for p in after.positions] == ["110.0"]
    assert again.replay_session(bars, [item.event for item in traded.events_since(cursor)]) == after


def test_a_child_of_a_child_is_refused(order_of):
    broker = _broker(_state())
    for order in _bracket(order_of):
        broker.submit(order)

    refused = broker.submit(order_of(client_order_id="third", **_terms(parent_id="loss", quantity_shares=1.0)))

    assert refused.state is OrderState.REJECTED
    assert "order loss waits for a parent itself" in broker.events_since(0)[-1].event.reason
