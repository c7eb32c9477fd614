"""DESIGN promise 6: a failed check lets nothing leave, a limit or breaker only what reduces, whatever else is true."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.execution.order_states import OrderState, OrderStatus
from aegis.execution.orders import Order
from aegis.risk.breakers import BreakerState
from aegis.risk.gate_inputs import CheckVerdict, GateInputs
from aegis.risk.limits import RiskLimits
from aegis.risk.pre_trade_gate import RULES, evaluate

SESSION = date(2014, 6, 5)
DECIDED = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)
SYMBOLS = ("A", "B", "C")
ARMED = BreakerState.opening(equity_usd=100_000.0)
TRIPPED = BreakerState(status="tripped: daily loss", reference_peak_usd=1e5, tripped_session=SESSION, trough_usd=9e4)

shares = st.integers(-300, 300).map(float)
orders_shares = st.lists(st.tuples(st.sampled_from(SYMBOLS), shares.filter(bool)), max_size=6)
positions = st.dictionaries(st.sampled_from(SYMBOLS), shares)
# What makes each rule fail, and what it lets leave; None leaves the rule alone.
REFUSING: tuple[dict[str, Any], ...] = (
    {"kill_switch_engaged": True},
    {"reconciliation_clean": False},
    {"check_results": ()},
    {"required_checks": {"c": "2"}},
    {"outdated_tables": ("market_data/universe",)},
    {"passed_by_session": date(2014, 6, 6)},
    {"check_results": (CheckVerdict("c", "1", "t", "block", True, "h", 1),)},
    {"pinned_content_hashes": {"t": "changed"}},
    {"input_session": date(2014, 6, 4)},
    {"clock_session": date(2014, 6, 6)},
    {"inputs_known_at_utc": datetime(2014, 6, 6, tzinfo=UTC)},
    {"equity_usd": math.nan},
    {"prices_usd": dict.fromkeys(SYMBOLS, math.nan), "positions_shares": {"A": 1.0}},
)
RESTRICTING: tuple[dict[str, Any], ...] = (
    {"breaker": TRIPPED},
    {"value_at_risk_95": 0.05},
    {"target_weights": {"A": 0.9}},
    {"target_weights": {"A": 0.6, "B": -0.6}},
    {"value_at_risk_95": math.nan},
)


@pytest.fixture(scope="module")
def inputs_of(order_of: Callable[..., Order]) -> Callable[..., GateInputs]:
    def make(ordered: Iterable[tuple[str, float]], at_work: Iterable[tuple[str, float]], **replaced: Any) -> GateInputs:
        decision = f"simulated/main/{SESSION}/rebalance/1"
        inputs: dict[str, Any] = {
            "session": SESSION,
            "account": "simulated",
            "decision_id": decision,
            "orders": tuple(
                order_of(symbol=symbol, quantity_shares=quantity, client_order_id=f"new-{k}")
                for k, (symbol, quantity) in enumerate(ordered)
            ),
            "equity_usd": 100_000.0,
            "positions_shares": {},
            "open_orders": tuple(
                OrderStatus(
                    order_of(symbol=symbol, quantity_shares=quantity, client_order_id=f"old-{k}"), OrderState.ACCEPTED
                )
                for k, (symbol, quantity) in enumerate(at_work)
            ),
            "prices_usd": dict.fromkeys(SYMBOLS, 10.0),
            "target_weights": {},
            "median_dollar_volume_usd": dict.fromkeys(SYMBOLS, 1e9),
            "value_at_risk_95": 0.01,
            "check_results": (CheckVerdict("c", "1", "t", "pass", True, "h", 1),),
            "required_checks": {"c": "1"},
            "pinned_content_hashes": {"t": "h"},
            "outdated_tables": (),
            "input_session": SESSION,
            "clock_session": SESSION,
            "inputs_known_at_utc": DECIDED,
            "decision_time_utc": DECIDED,
            "execution_opens_at_utc": datetime(2014, 6, 6, 13, 30, tzinfo=UTC),
            "passed_by_session": None,
            "kill_switch_engaged": False,
            "reconciliation_clean": True,
            "breaker": ARMED,
            "limits": RiskLimits(
                max_position_weight=0.5,
                max_gross_exposure=1.0,
                max_value_at_risk_95=0.04,
                max_participation_of_volume=0.1,
            ),
        }
        return GateInputs(**{**inputs, **replaced})

    return make


def merged(faults: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for fault in faults:
        found |= fault
    return found


@settings(max_examples=150, deadline=None)
@given(data=st.data(), ordered=orders_shares, at_work=orders_shares, held=positions)
def test_nothing_leaves_past_a_failed_check(inputs_of, data, ordered, at_work, held) -> None:
    fault = data.draw(st.sampled_from(REFUSING))
    others = data.draw(st.lists(st.sampled_from(RESTRICTING), max_size=2))
    inputs = inputs_of(ordered, at_work, **{"positions_shares": held, **merged(others), **fault})
    verdict = evaluate(inputs)
    assert verdict.approved == ()
    assert {refused.order for refused in verdict.refused} == set(inputs.orders)
    assert "refuse" in {row.outcome for row in verdict.rows}


@settings(max_examples=300, deadline=None)
@given(data=st.data(), ordered=orders_shares, at_work=orders_shares, held=positions)
def test_past_a_limit_or_breaker_no_way_of_filling_enlarges_or_turns_a_position(
    inputs_of, data, ordered, at_work, held
) -> None:
    faults = data.draw(st.lists(st.sampled_from(RESTRICTING), min_size=1, max_size=3))
    inputs = inputs_of(ordered, at_work, **{"positions_shares": held, **merged(faults)})
    verdict = evaluate(inputs)
    for symbol in SYMBOLS:
        position = held.get(symbol, 0.0)
        leaving = sum(order.quantity_shares for order in verdict.approved if order.symbol == symbol)
        against = sum(quantity for name, quantity in at_work if name == symbol and quantity * position < 0)
        if leaving == 0.0:
            assert all(order.symbol != symbol for order in verdict.approved)
            continue
        assert leaving * position < 0, "an order left that does not shrink the position"
        assert abs(leaving + against) <= abs(position), "with what is at work the position would cross zero"


@settings(max_examples=150, deadline=None)
@given(ordered=orders_shares, at_work=orders_shares, held=positions, tripped=st.booleans())
def test_every_order_is_approved_or_refused_once_and_every_rule_answers(
    inputs_of, ordered, at_work, held, tripped
) -> None:
    inputs = inputs_of(ordered, at_work, positions_shares=held, breaker=TRIPPED if tripped else ARMED)
    verdict = evaluate(inputs)
    answered = [order.client_order_id for order in verdict.approved]
    answered += [refused.order.client_order_id for refused in verdict.refused]
    assert sorted(answered) == sorted(order.client_order_id for order in inputs.orders)
    assert tuple(row.rule for row in verdict.rows) == RULES
    assert (not verdict.refused) or any(row.outcome != "pass" for row in verdict.rows)
    assert not any(math.isnan(row.observed) for row in verdict.rows)
