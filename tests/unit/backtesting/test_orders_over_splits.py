"""What orders in progress keep over a split, and how much of the kernel's memory their changes take."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import PerTrade
from aegis.backtesting.costs import CostModel
from aegis.backtesting.kernel.codes import ActionKind, Amendment, OrderType, TimeInForce
from aegis.backtesting.kernel.records import ACTION
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.rules import TradingRules
from tests.unit.backtesting.small_market import CASH, actions, fills, market

ALL_OF_THE_BAR = TradingRules(participation_rate=1.0)
GTC, LIMIT = TimeInForce.GTC, OrderType.LIMIT


def test_order_that_a_split_left_without_a_filled_share_is_charged_once():
    # 5 of 100 fill for a commission of 5; one for ten leaves 9 to buy, which belong to the same order.
    found = market(
        {"ABC": [100.0, 100.0, 1000.0]},
        rules=ALL_OF_THE_BAR,
        volume=np.array([[1e6], [5.0], [1e6]]),
        costs=CostModel(commission=PerTrade(5.0)),
        actions=actions((ActionKind.SPLIT, 0, 2, 0.1, 0.0)),
    )
    found.place(0, 100.0, time_in_force=GTC)
    found.advance()
    assert fills(found) == [(0, 5.0, 100.0), (0, 9.0, 1000.0)]
    assert found.fills["commission"].tolist() == [5.0, 0.0]


def test_dividend_after_a_split_of_the_same_opening_lowers_the_mark_by_its_own_amount():
    # Ten for one on a Saturday, 1.00 a share on Monday, without a bar: 100 new shares at 10 - 1, and 100 receivable.
    days = [date(2024, 1, 3), date(2024, 1, 4), date(2024, 1, 5), date(2024, 1, 8)]
    column = np.array([[100.0, 20.0], [100.0, 20.0], [100.0, 20.0], [np.nan, 20.0]])
    bars = Bars.from_arrays(
        *(column,) * 4,
        np.where(np.isnan(column), np.nan, 1e6),
        closes_at=np.array([int(datetime(d.year, d.month, d.day, 21, tzinfo=UTC).timestamp()) * 10**9 for d in days]),
        symbols=("ABC", "XYZ"),
        bar_interval=int(6.5 * 3600) * 10**9,
    )
    saturday, monday, tuesday = ((date(2024, 1, day) - date(1970, 1, 1)).days for day in (6, 8, 9))
    booked = np.array(
        [
            (10.0, 0.0, saturday, saturday, 0, ActionKind.SPLIT, -1),
            (1.0, 1.0, monday, tuesday, 0, ActionKind.DIVIDEND, -1),
        ],
        dtype=ACTION,
    )
    found = Simulation(bars.symbols, rules=CASH, costs=CostModel(), cash_usd=10_000.0, actions=booked)
    found.feed(bars)
    found.advance(1)
    found.place(0, 10.0)
    found.advance()
    np.testing.assert_allclose(found.equity, 10_000.0, atol=1e-9)
    assert found.positions["mark"][0] == pytest.approx(9.0)


def test_exit_that_is_held_takes_new_prices_and_no_quantity_of_its_own():
    found = market({"ABC": [100.0] * 3})
    entry = found.place_bracket(0, 100.0, order_type=LIMIT, limit_usd=90.0, time_in_force=GTC, stop_loss_usd=80.0)
    assert not found.replace(entry + 1, quantity=-40.0)
    assert found.replace(entry + 1, stop_usd=85.0)
    assert (found.orders["quantity"][entry + 1], found.orders["stop"][entry + 1]) == (-100.0, 85.0)


def test_what_many_siblings_take_in_one_step_is_one_change_of_each_order():
    # 300 orders for 1 to 300 shares: each buys the one share that those before it leave, and 299 were changed.
    found = market({"ABC": [100.0] * 3}, orders_per_step=300, capacity=64)
    for quantity in range(1, 301):
        found.place(0, float(quantity), order_type=LIMIT, limit_usd=101.0, time_in_force=GTC)
    found.link(0, 300)
    found.advance()
    assert found.fills["quantity"].tolist() == [1.0] * 300
    changed = found.amendments
    assert changed["kind"].tolist() == [Amendment.REDUCED] * 299
    assert sorted(changed["order"].tolist()) == list(range(1, 300))
    assert changed["quantity"].tolist() == [1.0] * 299
