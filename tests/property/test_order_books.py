"""Invariants of the simulated broker over random markets, corporate actions and orders."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.session_market import CorporateAction
from aegis.clock import SimulatedClock
from aegis.execution.account_state import AccountState
from aegis.execution.accounting import session_pnl
from aegis.execution.brokers.simulated import SimulatedBroker
from aegis.execution.order_records import canonical_json
from aegis.execution.order_states import OrderState, OrderStatus, apply_event

SYMBOLS = ("AAA", "BBB", "CCC")
START = date(2014, 6, 2)

prices = st.floats(1.0, 1000.0, allow_nan=False)


@st.composite
def bars(draw):
    low, opened, close, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
    if draw(st.booleans()):
        opened, close = close, opened
    return opened, high, low, close, draw(st.sampled_from([0.0, 7.0, 950.0, 1e5, 1e7]))


@st.composite
def actions(draw, symbol, day):
    found = []
    if draw(st.integers(0, 3)) == 0:
        ratio = draw(st.sampled_from([2.0, 1.5, 7.0, 0.1, 1 / 3, 1 / 49]))
        found.append(CorporateAction(action="split", symbol=symbol, split_ratio=ratio))
    if draw(st.integers(0, 3)) == 0:
        pay = draw(st.sampled_from([None, day, day + timedelta(days=2)]))
        amount = draw(st.floats(0.0, 5.0))
        found.append(CorporateAction(action="dividend", symbol=symbol, dividend_usd=amount, pay_session=pay))
    if draw(st.integers(0, 9)) == 0:
        found.append(CorporateAction(action="rename", symbol=symbol, new_ticker=f"{symbol}{day.day}"))
    if draw(st.integers(0, 9)) == 0:
        found.append(CorporateAction(action="delisting", symbol=symbol))
    return found


@st.composite
def sessions(draw):
    """One to eight sessions: bars (some missing), actions, and the orders sent before each."""
    found = []
    for number in range(draw(st.integers(1, 8))):
        day = START + timedelta(days=number + 1)
        found.append(
            {
                "session": day,
                "bars": {symbol: draw(bars()) for symbol in SYMBOLS if draw(st.integers(0, 5)) > 0},
                "actions": tuple(action for symbol in SYMBOLS for action in draw(actions(symbol, day))),
                "orders": draw(
                    st.lists(
                        st.tuples(
                            st.sampled_from(SYMBOLS),
                            st.integers(-3000, 3000).filter(bool),
                            st.sampled_from(["market", "vwap"]),
                        ),
                        max_size=6,
                    )
                ),
            }
        )
    return found


UNLEVERED = TradingRules(account_type="margin", initial_margin=1.0, maintenance_margin=0.0)


def _run(days, order_of, market_of, *, allow_short, restore):
    """Step a broker through the days; yield state before, state after, market, fills and the broker."""
    clock = SimulatedClock(datetime(2014, 6, 2, 20, 15, tzinfo=UTC))
    rules = UNLEVERED if allow_short else TradingRules()
    options = {"costs": CostModel(5.0, 1.0), "rules": rules, "clock": clock}
    broker = SimulatedBroker(AccountState.opening("simulated", cash_usd=1e6), **options)
    for day in days:
        before = broker.state()
        for number, (symbol, quantity, algorithm) in enumerate(day["orders"]):
            broker.submit(
                order_of(
                    client_order_id=f"{day['session']}-{number}",
                    symbol=symbol,
                    quantity_shares=float(quantity),
                    algorithm=algorithm,
                    session=day["session"] - timedelta(days=1),
                    execution_session=day["session"],
                )
            )
        if restore:
            text = canonical_json(broker.state().to_record())
            broker = SimulatedBroker(AccountState.from_record(json.loads(text)), **options)
        cursor = len(broker.events_since(0))
        market = market_of(day["session"], bars=day["bars"], actions=day["actions"])
        broker.begin_session(market)
        after = broker.end_session()
        fills = [item.event.fill for item in broker.events_since(cursor) if item.event.fill is not None]
        yield before, after, market, fills, broker


@settings(max_examples=150, deadline=None)
@given(days=sessions(), allow_short=st.booleans())
def test_every_session_explains_its_equity_change_to_a_millionth_of_a_dollar(days, allow_short, order_of, market_of):
    for before, after, market, fills, _ in _run(days, order_of, market_of, allow_short=allow_short, restore=False):
        if before.equity_usd <= 0:
            break  # short positions can ruin an account; a return of it does not exist
        scale = max(1.0, abs(before.equity_usd), abs(after.equity_usd)) / 1e6
        assert abs(session_pnl(before, after, market=market, fills=fills).residual_usd) <= 1e-6 * scale


@settings(max_examples=150, deadline=None)
@given(days=sessions(), allow_short=st.booleans())
def test_orders_never_fill_beyond_their_quantity_and_obey_the_state_machine(days, allow_short, order_of, market_of):
    *_, (_, last, _, _, broker) = _run(days, order_of, market_of, allow_short=allow_short, restore=False)
    statuses: dict[str, OrderStatus] = {}
    for item in broker.events_since(0):
        name = item.event.client_order_id
        known = broker.find_order(name)
        if name not in statuses:
            day, number = name.rsplit("-", 1)
            (wanted,) = [d for d in days if d["session"] == date.fromisoformat(day)]
            symbol, quantity, algorithm = wanted["orders"][int(number)]
            first = order_of(
                client_order_id=name,
                symbol=symbol,
                quantity_shares=float(quantity),
                algorithm=algorithm,
                session=wanted["session"] - timedelta(days=1),
                execution_session=wanted["session"],
            )
            statuses[name] = OrderStatus(first, OrderState.SUBMITTED)
        statuses[name] = apply_event(statuses[name], item.event)
        assert abs(statuses[name].filled_shares) <= abs(known.order.quantity_shares)
    assert all(status.is_final for status in statuses.values())
    assert all(broker.find_order(name) == status for name, status in statuses.items())
    assert len(statuses) == sum(len(day["orders"]) for day in days)
    assert last.open_orders == ()


@settings(max_examples=150, deadline=None)
@given(days=sessions())
def test_a_cash_account_never_owes_cash_or_shares_and_holds_whole_shares(days, order_of, market_of):
    for _, after, _, _, _ in _run(days, order_of, market_of, allow_short=False, restore=False):
        assert after.cash_usd >= -1e-6
        assert all(p.quantity_shares > 0 and p.quantity_shares.is_integer() for p in after.positions)


@settings(max_examples=150, deadline=None)
@given(days=sessions())
def test_fills_of_a_bar_stay_within_its_participation_and_its_range(days, order_of, market_of):
    for _, _, market, fills, _ in _run(days, order_of, market_of, allow_short=True, restore=False):
        for symbol in SYMBOLS:
            mine = [fill for fill in fills if fill.symbol == symbol]
            if symbol not in market.rows:
                assert mine == []
                continue
            _, high, low, _, volume = market.bars[market.rows[symbol]].item()
            assert math.fsum(abs(fill.quantity_shares) for fill in mine) <= 0.1 * volume + 1e-9
            assert all(low * (1 - 1e-12) <= fill.reference_price_usd <= high * (1 + 1e-12) for fill in mine)
            assert all(fill.slippage_usd >= 0 and fill.commission_usd >= 0 for fill in mine)


@settings(max_examples=60, deadline=None)
@given(days=sessions())
def test_a_broker_restored_every_session_books_the_same_to_the_bit(days, order_of, market_of):
    straight = [after for _, after, *_ in _run(days, order_of, market_of, allow_short=True, restore=False)]
    restored = [after for _, after, *_ in _run(days, order_of, market_of, allow_short=True, restore=True)]
    assert restored == straight
