"""Worked limit orders by hand: a quote of 10.00 to 10.06, begun at 13:30 UTC and expiring at 14:30."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aegis.errors import ExecutionError
from aegis.execution.algorithms.actions import CancelChild, ReplaceChild, SubmitChild
from aegis.execution.algorithms.child_orders import told
from aegis.execution.algorithms.limit import Chase, WorkedLimit, collar_price
from aegis.execution.algorithms.observation import NOTHING_OBSERVED, MarketObservation
from aegis.execution.algorithms.parent_state import NoteKind, ParentPhase, ParentState
from aegis.execution.order_ids import client_order_id
from aegis.execution.order_states import OrderState

OPENS = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)
DECISION = "simulated/main/2014-06-05/rebalance/1"
LOW, HIGH = 9.0, 11.0


def _algorithm(worst: float, **rules) -> WorkedLimit:
    return WorkedLimit(
        **{
            "begins_utc": OPENS,
            "expires_utc": OPENS + timedelta(hours=1),
            "worst_price_usd": worst,
            "min_rest": timedelta(seconds=5),
            **rules,
        }
    )


def _now(second: float) -> datetime:
    return OPENS + timedelta(seconds=second)


def _quote(second: float, bid: float = 10.0, ask: float = 10.06) -> MarketObservation:
    return MarketObservation(bid_usd=bid, ask_usd=ask, quoted_at_utc=_now(second))


@pytest.fixture
def parent(order_of):
    def make(quantity: float, worst: float) -> ParentState:
        name = client_order_id("simulated", DECISION, symbol="ABC")
        return ParentState(
            order=order_of(
                client_order_id=name,
                decision_id=DECISION,
                quantity_shares=quantity,
                algorithm="limit",
                order_type="limit",
                limit_price_usd=worst,
            )
        )

    return make


def _hear(state: ParentState, stands: OrderState, **changes) -> ParentState:
    status = replace(state.children[-1].status, state=stands, **changes)
    return told(state, {status.order.client_order_id: status}, now_utc=OPENS)


def _price(step) -> float:
    (action,) = step.actions
    return action.order.limit_price_usd


@pytest.mark.parametrize(
    ("quantity", "worst", "rules", "price"),
    [
        (100.0, HIGH, {"reference": "bid"}, 10.0),
        (100.0, HIGH, {"reference": "mid"}, 10.03),
        (100.0, HIGH, {"reference": "ask"}, 10.06),
        (100.0, HIGH, {"reference": "bid", "improvement_usd": 0.02}, 9.98),
        (100.0, HIGH, {"reference": "bid", "improvement_usd": -0.01}, 10.01),
        (100.0, 10.02, {"reference": "ask"}, 10.02),  # the bound
        (100.0, 10.02, {}, 10.02),
        (100.0, 10.02, {"improvement_usd": 0.05}, 9.97),
        (-100.0, LOW, {"reference": "ask"}, 10.06),
        (-100.0, LOW, {"reference": "bid"}, 10.0),
        (-100.0, LOW, {"reference": "ask", "improvement_usd": 0.02}, 10.08),
        (-100.0, 10.05, {"reference": "bid"}, 10.05),
        (-100.0, 10.05, {"improvement_usd": 0.05}, 10.1),
        (100.0, HIGH, {"reference": "mid", "tick_usd": 0.05}, 10.0),  # a purchase rounds down
        (-100.0, LOW, {"reference": "mid", "tick_usd": 0.05}, 10.05),  # a sale up
    ],
)
def test_the_first_price_is_the_reference_improved_within_the_bound(parent, quantity, worst, rules, price):
    step = _algorithm(worst, **rules).on_clock(_now(1), _quote(1), state=parent(quantity, worst))
    assert isinstance(step.actions[0], SubmitChild)
    assert _price(step) == price
    assert step.actions[0].order.quantity_shares == quantity


def test_a_pegged_price_follows_the_market_both_ways_once_it_has_rested(parent):
    algorithm = _algorithm(HIGH, reference="bid")
    state = _hear(algorithm.on_clock(_now(0), _quote(0), state=parent(100.0, HIGH)).state, OrderState.ACCEPTED)
    assert algorithm.on_clock(_now(4), _quote(4, bid=10.03), state=state).actions == ()
    step = algorithm.on_clock(_now(5), _quote(5, bid=10.03), state=state)
    assert isinstance(step.actions[0], ReplaceChild)
    assert (_price(step), step.actions[0].revision) == (10.03, 1)
    state = _hear(step.state, OrderState.ACCEPTED, order=step.actions[0].order)
    assert algorithm.on_clock(_now(9), _quote(9, bid=9.95), state=state).actions == ()
    step = algorithm.on_clock(_now(10), _quote(10, bid=9.95), state=state)
    assert (_price(step), step.actions[0].revision) == (9.95, 2)


def test_while_a_change_is_asked_for_no_other_is(parent):
    algorithm = _algorithm(HIGH, reference="bid")
    state = algorithm.on_clock(_now(0), _quote(0), state=parent(100.0, HIGH)).state
    # The venue has not taken the child yet, then has not answered.
    assert algorithm.on_clock(_now(6), _quote(6, bid=10.03), state=state).actions == ()
    state = _hear(state, OrderState.ACCEPTED, is_replace_requested=True)
    assert algorithm.on_clock(_now(7), _quote(7, bid=10.03), state=state).actions == ()


def test_chasing_goes_step_by_step_and_stops_at_its_last_step(parent):
    algorithm = _algorithm(HIGH, reference="bid", chase=Chase(timedelta(seconds=10), 0.01, 3))
    state = _hear(algorithm.on_clock(_now(0), _quote(0), state=parent(100.0, HIGH)).state, OrderState.ACCEPTED)
    prices = []
    for second in range(10, 70, 10):
        step = algorithm.on_clock(_now(second), _quote(second), state=state)
        state = step.state
        for action in step.actions:
            prices.append(action.order.limit_price_usd)
            state = _hear(state, OrderState.ACCEPTED, order=action.order)
    assert prices == [10.01, 10.02, 10.03]


def test_chasing_never_passes_the_worst_price(parent):
    chase = Chase(timedelta(seconds=10), 0.04, 100)
    algorithm = _algorithm(9.93, reference="ask", improvement_usd=0.0, chase=chase)
    state = _hear(algorithm.on_clock(_now(0), _quote(0), state=parent(-100.0, 9.93)).state, OrderState.ACCEPTED)
    step = algorithm.on_clock(_now(50), _quote(50), state=state)
    assert _price(step) == 9.93


@pytest.mark.parametrize(
    "market", [NOTHING_OBSERVED, _quote(20), _quote(90, bid=10.1), replace(_quote(90), bid_usd=None)]
)
def test_a_peg_without_a_recent_sound_quote_leaves_the_market_and_says_so(parent, market):
    algorithm = _algorithm(HIGH, reference="mid")
    state = _hear(algorithm.on_clock(_now(0), _quote(0), state=parent(100.0, HIGH)).state, OrderState.ACCEPTED)
    step = algorithm.on_clock(_now(90), market, state=state)
    assert step.actions == (CancelChild(state.child_id(1)),)
    assert step.state.notes[0].kind is NoteKind.STALE_DATA
    # With a quote again, what is left goes out under a new id.
    state = _hear(step.state, OrderState.CANCELLED, filled_shares=30.0, fills=1)
    step = algorithm.on_clock(_now(100), _quote(100), state=state)
    assert step.actions[0].order.client_order_id == state.child_id(2)
    assert step.actions[0].order.quantity_shares == 70.0


def test_a_fixed_limit_needs_no_quote(parent):
    step = _algorithm(10.0).on_clock(_now(1), NOTHING_OBSERVED, state=parent(100.0, 10.0))
    assert _price(step) == 10.0


def test_it_expires_with_its_child(parent):
    algorithm = _algorithm(10.0)
    state = _hear(algorithm.on_clock(_now(0), NOTHING_OBSERVED, state=parent(100.0, 10.0)).state, OrderState.ACCEPTED)
    step = algorithm.on_clock(_now(3600), NOTHING_OBSERVED, state=state)
    assert step.actions == (CancelChild(state.child_id(1)),)
    step = algorithm.on_clock(_now(3601), NOTHING_OBSERVED, state=_hear(step.state, OrderState.CANCELLED))
    assert step.state.phase is ParentPhase.EXPIRED


def test_it_does_nothing_before_it_begins(parent):
    assert _algorithm(10.0).on_clock(_now(-1), _quote(-1), state=parent(100.0, 10.0)).actions == ()


@pytest.mark.parametrize(("quantity", "worst"), [(100.0, 50.25), (-100.0, 49.75)])
def test_a_collar_is_the_arrival_price_and_so_many_basis_points_against_the_order(quantity, worst):
    assert collar_price(50.0, quantity, collar_bps=50.0) == pytest.approx(worst, rel=1e-15)


@pytest.mark.parametrize("collar", [-1.0, 10_000.0, float("nan")])
def test_a_collar_that_is_none_is_refused(collar):
    with pytest.raises(ExecutionError, match="a collar of"):
        collar_price(50.0, 1.0, collar_bps=collar)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tick_usd": 0.0},
        {"worst_price_usd": -1.0},
        {"expires_utc": OPENS},
        {"improvement_usd": float("nan")},
        {"chase": Chase(timedelta(0), 0.01, 3)},
        {"chase": Chase(timedelta(seconds=1), 0.0, 3)},
        {"chase": Chase(timedelta(seconds=1), 0.01, 0)},
    ],
)
def test_rules_that_make_no_price_are_refused(wrong):
    with pytest.raises(ExecutionError, match="worked limit order"):
        _algorithm(10.0, **wrong)
