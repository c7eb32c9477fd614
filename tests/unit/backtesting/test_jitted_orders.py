"""Jitted strategies: every way to order, told by what becomes of the orders."""

from __future__ import annotations

import numpy as np
import pytest

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.jitted import CLS, DAY, GTC, LIMIT, MARKET, STOP, jitted_strategy, market_order, now, parameter
from aegis.backtesting.jitted import step_number as step_of
from aegis.backtesting.jitted_orders import (
    child_order,
    limit_bracket,
    one_cancels_other,
    order,
    order_until,
    sibling_order,
    trailing_stop_fraction_order,
)
from aegis.backtesting.rules import TradingRules

A_DAY = 86_400_000_000_000
CONFIG = BacktestConfig(initial_cash_usd=1000.0, rules=TradingRules(participation_rate=np.inf))
PRICES = np.array([100.0, 94.0, 94.0, 111.0, 94.0, 94.0])
BARS = Bars.from_arrays(*(PRICES,) * 4, np.full(6, 1e6), closes_at=np.arange(1, 7) * A_DAY, symbols=["AAA"])
UNTIL, CHILD, PAIR, BRACKET, TRAIL, AUCTION, EXITS = range(7)


@jitted_strategy
def orders_once(market: int) -> None:
    step, way = step_of(market), parameter(market, 0)
    if step == 1 and way == TRAIL:
        trailing_stop_fraction_order(market, 0, -1.0, 0.1, GTC)
    if step == 1 and way == EXITS:
        stop = order(market, 0, STOP, -1.0, np.nan, 90.0, GTC)
        sibling_order(market, stop, 0, LIMIT, -1.0, 110.0, np.nan, GTC)
    if step != 0:
        return
    if way == UNTIL:
        order_until(market, 0, LIMIT, 1.0, 50.0, np.nan, now(market) + A_DAY)
    elif way == CHILD:
        child_order(market, market_order(market, 0, 1.0), 0, LIMIT, -1.0, 110.0, np.nan, GTC)
    elif way == PAIR:
        first = order(market, 0, LIMIT, 1.0, 95.0, np.nan, GTC)
        order(market, 0, LIMIT, 1.0, 90.0, np.nan, GTC)
        one_cancels_other(market, first, 2)
    elif way == BRACKET:
        limit_bracket(market, 0, 1.0, 95.0, 90.0, 110.0, DAY)
    elif way in (TRAIL, EXITS):
        market_order(market, 0, 1.0)
    else:
        order(market, 0, MARKET, 1.0, np.nan, np.nan, CLS)


@pytest.mark.parametrize(
    ("way", "states", "fills"),
    [
        (UNTIL, ["expired"], []),
        # The entry at 94 and its child when the price jumps over 110.
        (CHILD, ["filled", "filled"], [(0, 1, 94.0), (1, 3, 111.0)]),
        (PAIR, ["filled", "cancelled"], [(0, 1, 94.0)]),
        (BRACKET, ["filled", "cancelled", "filled"], [(0, 1, 94.0), (2, 3, 111.0)]),
        # A tenth below the best price, 111, is 99.90; the next bar opens below it.
        (TRAIL, ["filled", "filled"], [(0, 1, 94.0), (1, 4, 94.0)]),
        (AUCTION, ["filled"], [(0, 1, 94.0)]),
        # Both exits of one share in a cash account.
        (EXITS, ["filled", "cancelled", "filled"], [(0, 1, 94.0), (2, 3, 111.0)]),
    ],
)
def test_each_way_to_order_does_what_it_says(way: int, states: list[str], fills: list[tuple[int, int, float]]) -> None:
    done = EventDrivenBacktest(orders_once.using(float(way)), BARS, CONFIG).run()

    assert done.orders["state"].tolist() == states
    records = done.fill_records
    found = zip(records["order"].tolist(), records["step"].tolist(), records["price"].tolist(), strict=True)
    assert list(found) == fills
    if way == AUCTION:
        assert done.orders["time_in_force"].tolist() == ["CLS"]


def test_an_array_among_the_parameters_is_its_numbers_row_after_row():
    strategy = orders_once.using(1, np.array([[2.0, 3.0], [4.0, 5.0]]), 6.0)

    assert strategy.parameters.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert orders_once.using().parameters.tolist() == []
    assert orders_once.using([1, 2.5], 3).parameters.tolist() == [1.0, 2.5, 3.0]
