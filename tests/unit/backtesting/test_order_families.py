"""Children in the kernel: whom they may wait for, splits and delistings while they wait, and what the venue refuses."""

from __future__ import annotations

import pytest

from aegis.backtesting.kernel.codes import ActionKind, OrderType, Reason, State, TimeInForce
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.rules import TradingRules
from aegis.errors import StrategyFailed
from tests.unit.backtesting.small_market import CASH, MARGIN, actions, ends, fills, market

FLAT = [100.0, 100.0, 100.0]
LIMIT_GTC = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}


def family(simulation: Simulation, *, symbol: int = 1, quantity: float = 10.0, limit_usd: float = 1.0) -> None:
    """Place a purchase of AAA far below the market, and a child that waits for it."""
    simulation.place(0, 10.0, limit_usd=50.0, **LIMIT_GTC)  # type: ignore[arg-type]
    simulation.place_child(0, symbol, quantity, limit_usd=limit_usd, **LIMIT_GTC)  # type: ignore[arg-type]


def test_split_of_the_parent_leaves_a_child_of_another_symbol_as_it_is():
    split = actions((ActionKind.SPLIT, 0, 1, 3.0, 0.0))
    found = market({"AAA": FLAT, "BBB": [2.0] * 3}, actions=split)
    family(found)
    found.advance()
    parent, child = found.orders[0], found.orders[1]
    assert (parent["quantity"], parent["limit"]) == (30.0, 50.0 / 3)
    assert (child["quantity"], child["limit"]) == (10.0, 1.0)


def test_split_of_a_held_child_rescales_it():
    split = actions((ActionKind.SPLIT, 1, 1, 2.0, 0.0))
    found = market({"AAA": FLAT, "BBB": [2.0, 1.0, 1.0]}, actions=split)
    family(found)
    found.advance()
    parent, child = found.orders[0], found.orders[1]
    assert (parent["quantity"], parent["limit"]) == (10.0, 50.0)
    assert (child["quantity"], child["limit"]) == (20.0, 0.5)


def test_split_that_leaves_nothing_of_a_held_child_ends_it():
    split = actions((ActionKind.SPLIT, 1, 1, 0.01, 0.0))
    found = market({"AAA": FLAT, "BBB": [2.0, 200.0, 200.0]}, actions=split)
    family(found)
    found.advance()
    assert ends(found) == [(State.WORKING, Reason.NONE), (State.CANCELLED, Reason.SPLIT_LEAVES_NOTHING)]


def test_child_of_a_child_is_a_fault():
    found = market({"AAA": FLAT, "BBB": [2.0] * 3})
    family(found)
    with pytest.raises(StrategyFailed, match="order 1 is a child itself and can have no children; make it wait for"):
        found.place_child(1, 0, -10.0, limit_usd=110.0, **LIMIT_GTC)  # type: ignore[arg-type]
    assert len(found.orders) == 2


def test_exit_of_a_bracket_has_no_children():
    found = market({"AAA": FLAT})
    found.place_bracket(0, 10.0, stop_loss_usd=90.0)
    with pytest.raises(StrategyFailed, match="order 1 is a child itself"):
        found.place_child(1, 0, 10.0)


def test_child_that_does_not_follow_its_parent_is_a_fault():
    found = market({"AAA": FLAT})
    found.place(0, 1.0)
    found.place(0, 2.0)
    with pytest.raises(StrategyFailed, match="order 0 cannot be the parent of this one; place children directly after"):
        found.place_child(0, 0, -1.0)
    with pytest.raises(StrategyFailed, match="order 7 does not exist"):
        found.place_child(7, 0, -1.0)


@pytest.mark.parametrize("kind", [ActionKind.DELISTING, ActionKind.CASH_MERGER])
def test_held_child_ends_when_its_symbol_leaves(kind):
    found = market({"AAA": FLAT, "BBB": [2.0] * 3}, actions=actions((kind, 1, 1, 1.0, 2.0)))
    family(found)
    found.advance(2)
    assert ends(found) == [(State.WORKING, Reason.NONE), (State.CANCELLED, Reason.DELISTED)]


def test_child_of_a_delisted_symbol_is_rejected_when_it_is_placed():
    found = market({"AAA": FLAT, "BBB": [2.0] * 3}, actions=actions((ActionKind.DELISTING, 1, 1, 1.0, 0.0)))
    found.advance(2)
    family(found)
    assert ends(found) == [(State.WORKING, Reason.NONE), (State.REJECTED, Reason.DELISTED)]


@pytest.mark.parametrize(
    ("terms", "reason"),
    [({"quantity": 2.5}, Reason.LOT_SIZE), ({"limit_usd": 90.12345}, Reason.TICK_SIZE)],
)
def test_terms_of_a_child_are_checked_when_it_is_placed(terms, reason):
    found = market({"AAA": FLAT, "BBB": [2.0] * 3}, tick_usd=0.01)
    family(found, **terms)
    assert ends(found) == [(State.WORKING, Reason.NONE), (State.REJECTED, reason)]


def test_child_of_a_symbol_without_a_price_is_rejected_when_it_is_placed():
    found = market({"AAA": FLAT, "BBB": [float("nan")] * 3})
    family(found)
    assert ends(found) == [(State.WORKING, Reason.NONE), (State.REJECTED, Reason.NO_PRICE)]


@pytest.mark.parametrize("exits", [{"stop_loss_usd": 90.12345}, {"stop_loss_usd": 90.0, "take_profit_usd": 110.001}])
def test_bracket_whose_exit_is_off_the_tick_is_rejected_as_a_whole(exits):
    found = market({"AAA": FLAT}, tick_usd=0.01)
    found.place_bracket(0, 10.0, **exits)
    found.advance()
    assert fills(found) == []
    assert ends(found)[0] == (State.REJECTED, Reason.TICK_SIZE)
    assert all(state in (State.REJECTED, State.CANCELLED) for state, _ in ends(found))


def test_exit_that_a_split_took_off_the_tick_still_protects():
    # 80.02 / 3 is no multiple of a cent; the entry fills after the split and its exit must work.
    split = actions((ActionKind.SPLIT, 0, 1, 3.0, 0.0))
    found = market({"AAA": [100.0, 30.0, 30.0]}, actions=split, tick_usd=0.01)
    found.place_bracket(0, 10.0, stop_loss_usd=80.02)
    found.advance()
    assert fills(found) == [(0, 30.0, 30.0)]
    assert (found.orders[1]["state"], found.orders[1]["stop"]) == (State.WORKING, 80.02 / 3)


@pytest.mark.parametrize(
    ("action", "rules", "prices", "reason"),
    [
        ((ActionKind.HALT, 1, 1, 1.0, 0.0), MARGIN, [2.0, 2.0, 2.0], Reason.HALTED),
        (None, CASH, [2.0, 2.0, 2.0], Reason.SHORT_SALE),
        (
            None,
            TradingRules(account_type="margin", participation_rate=float("inf"), min_notional_usd=100.0),
            [2.0, 2.0, 2.0],
            Reason.MIN_NOTIONAL,
        ),
    ],
)
def test_venue_refuses_a_child_when_it_is_released(action, rules, prices, reason):
    found = market({"AAA": FLAT, "BBB": prices}, rules=rules, actions=actions(*([] if action is None else [action])))
    found.place(0, 10.0)
    found.place_child(0, 1, -10.0)
    found.advance()
    assert ends(found) == [(State.FILLED, Reason.NONE), (State.REJECTED, reason)]
    assert fills(found) == [(0, 10.0, 100.0)]


def test_child_of_a_parent_that_was_rejected_ends_with_it():
    found = market({"AAA": FLAT})
    found.place(0, -10.0)
    found.place_child(0, 0, 10.0)
    assert ends(found) == [(State.REJECTED, Reason.SHORT_SALE), (State.CANCELLED, Reason.PARENT_ENDED)]
