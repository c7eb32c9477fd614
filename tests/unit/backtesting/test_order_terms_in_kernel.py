"""What cannot be an order: each mistake is named by itself, with symbol, time, value and remedy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aegis.backtesting.jitted import jitted_strategy, order_target_shares
from aegis.backtesting.kernel import submission
from aegis.backtesting.kernel.codes import Fault, OrderType, TimeInForce
from aegis.backtesting.kernel.faults import fault_text
from aegis.errors import StrategyFailed
from tests.unit.backtesting.small_market import MARGIN, market

T, F = OrderType, TimeInForce
NAN, NEVER = math.nan, np.iinfo(np.int64).max
LATER = 2 * 10**18
FLAT = [100.0, 100.0, 100.0]

# The table of docs/orders.md, by hand; vwap works market orders over a session, so it waits.
RESTING = {F.DAY, F.GTC, F.GTD}
ALLOWED = {
    T.MARKET: set(F),
    T.LIMIT: set(F),
    T.STOP: RESTING,
    T.STOP_LIMIT: RESTING,
    T.TRAILING_STOP: RESTING,
    T.MARKET_ON_OPEN: {F.DAY, F.OPG},
    T.MARKET_ON_CLOSE: {F.DAY, F.CLS},
    T.LIMIT_ON_OPEN: {F.DAY, F.OPG},
    T.LIMIT_ON_CLOSE: {F.DAY, F.CLS},
    T.BAR_AVERAGE: RESTING,
}


@pytest.mark.parametrize("kind", OrderType)
@pytest.mark.parametrize("in_force", TimeInForce)
def test_order_type_takes_the_times_in_force_of_the_table(kind, in_force):
    found = market({"AAA": FLAT}, rules=MARGIN)
    terms = {
        "limit_usd": 90.0 if "LIMIT" in kind.name else NAN,
        "stop_usd": 110.0 if kind in (T.STOP, T.STOP_LIMIT) else NAN,
        "trail": 5.0 if kind is T.TRAILING_STOP else NAN,
        "expires_ns": LATER if in_force is F.GTD else NEVER,
    }
    if in_force in ALLOWED[kind]:
        assert found.place(0, 1.0, order_type=kind, time_in_force=in_force, **terms) == 0
    else:
        said = f"AAA 2024-03-04.21:00:00Z: a {kind.name.lower()} order cannot be {in_force.name}; choose one of DAY"
        with pytest.raises(StrategyFailed, match=said):
            found.place(0, 1.0, order_type=kind, time_in_force=in_force, **terms)
        assert len(found.orders) == 0


PLACE = {
    "no limit": ({"order_type": T.LIMIT}, "needs a limit price above 0 USD, found nan"),
    "negative limit": ({"order_type": T.LIMIT, "limit_usd": -1.0}, "needs a limit price above 0 USD, found -1.0"),
    "limit of a market order": ({"limit_usd": 90.0}, "takes no limit price, found 90.0 USD; leave it out"),
    "no stop": ({"order_type": T.STOP}, "needs a stop price above 0 USD, found nan"),
    "stop of a market order": ({"stop_usd": 90.0}, "takes no stop price, found 90.0 USD"),
    "no trail": (
        {"order_type": T.TRAILING_STOP},
        "needs a trail above 0 USD, or a fraction .* found nan",
    ),
    "trail of all": (
        {"order_type": T.TRAILING_STOP, "trail": 1.0, "trail_is_fraction": True},
        "or a fraction between 0 and 1, found 1.0",
    ),
    "trail of a market order": ({"trail": 3.0}, "takes no trail, found 3.0"),
    "no expiry": ({"time_in_force": F.GTD}, "a GTD order needs the time at which it expires"),
    "expiry of a DAY order": ({"expires_ns": LATER}, "a DAY order takes no time at which it expires; leave it out"),
}


@pytest.mark.parametrize("case", PLACE)
def test_each_mistake_of_an_order_has_its_own_words(case):
    terms, said = PLACE[case]
    found = market({"AAA": FLAT})
    with pytest.raises(StrategyFailed, match=said):
        found.place(0, 1.0, **terms)


BRACKET = {
    "no exits": ({}, "a bracket needs a stop-loss, a take-profit or both, found none"),
    "stop-loss": ({"stop_loss_usd": -5.0}, "a stop-loss must be a price above 0 USD, found -5.0"),
    "take-profit": ({"take_profit_usd": math.inf}, "a take-profit must be a price above 0 USD, found inf"),
    "sides": ({"stop_loss_usd": 110.0, "take_profit_usd": 90.0}, "the stop-loss 110.0 USD is on the wrong side"),
    "GTD": ({"stop_loss_usd": 90.0, "time_in_force": F.GTD}, "no part of a bracket and no child can have one"),
    "trailing": ({"stop_loss_usd": 90.0, "order_type": T.TRAILING_STOP}, "a trailing stop can be neither a child nor"),
}


@pytest.mark.parametrize("case", BRACKET)
def test_each_mistake_of_a_bracket_has_its_own_words(case):
    terms, said = BRACKET[case]
    found = market({"AAA": FLAT})
    with pytest.raises(StrategyFailed, match=said):
        found.place_bracket(0, 1.0, **terms)
    assert len(found.orders) == 0


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"order_type": T.TRAILING_STOP}, "a trailing stop can be neither a child nor"),
        ({"time_in_force": F.GTD}, "no part of a bracket and no child can have one"),
        ({"order_type": T.STOP, "stop_usd": 90.0, "time_in_force": F.FOK}, "a stop order cannot be FOK"),
    ],
)
def test_each_mistake_of_a_child_has_its_own_words(terms, said):
    found = market({"AAA": FLAT})
    found.place(0, 1.0)
    with pytest.raises(StrategyFailed, match=said):
        found.place_child(0, 0, -1.0, **terms)
    assert len(found.orders) == 1


def test_replacement_with_a_price_that_the_order_does_not_have_is_a_fault():
    found = market({"AAA": FLAT})
    found.place(0, 1.0, order_type=T.LIMIT, limit_usd=90.0)
    with pytest.raises(StrategyFailed, match=r"takes no stop price, found 80.0 USD"):
        found.replace(0, stop_usd=80.0)
    with pytest.raises(StrategyFailed, match=r"needs a limit price above 0 USD, found -1.0"):
        found.replace(0, limit_usd=-1.0)


@pytest.mark.parametrize(("kind", "in_force", "said"), [(77, 0, "order type 77"), (0, 9, "cannot be number 9")])
def test_numbers_that_are_no_code_are_faults(kind, in_force, said):
    found = market({"AAA": FLAT})
    with pytest.raises(StrategyFailed, match=said):
        found.ask(submission.place, 0, kind, 1.0, NAN, NAN, NAN, 0, in_force, NEVER)


@jitted_strategy
def target_of_nothing(handle: int) -> None:
    order_target_shares(handle, 0, np.nan)


def test_target_that_is_no_number_is_a_fault_of_the_quantity():
    found = market({"AAA": FLAT})
    with pytest.raises(StrategyFailed, match="a quantity of nan shares cannot be ordered"):
        found.advance(on_bar=target_of_nothing.on_bar)


def test_more_orders_at_one_close_than_announced_are_a_fault():
    found = market({"AAA": FLAT}, orders_per_step=2)
    found.place(0, 1.0)
    found.place(0, 1.0)
    with pytest.raises(StrategyFailed, match="more than 2 orders at one close; raise orders_per_step"):
        found.place(0, 1.0)
    found.advance(2)
    assert found.place(0, 1.0) == 2


def test_every_fault_has_words():
    for fault in set(Fault) - {Fault.NONE}:
        assert fault_text(fault, value=1.0, symbol_number=0, n_symbols=1)


def test_liquidations_do_not_count_among_the_orders_of_a_close():
    # 10,000 of equity carry 200 shares at 100; at 60 they are called, and the strategy may still place its one order.
    found = market({"AAA": [100.0, 100.0, 60.0, 60.0]}, rules=MARGIN, cash_usd=10_000.0, orders_per_step=1)
    found.place(0, 200.0)
    found.advance(3)
    assert len(found.orders) == 2
    assert found.place(0, -1.0) == 2
