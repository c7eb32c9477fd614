"""The largest fill that an account carries: exact, and found in a few turns whatever the price and the lot."""

from __future__ import annotations

import numpy as np
import pytest

from aegis.backtesting.commissions import PerShare
from aegis.backtesting.costs import CostModel
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.regulatory_fees import fee_rate_rows
from aegis.backtesting.rules import TradingRules
from tests.unit.backtesting.small_market import FIRST_DAY, MARGIN, market

FRACTIONAL = TradingRules(participation_rate=np.inf, fractional_shares=True)


def bought(price: float, quantity: float, **terms: object) -> Simulation:
    found = market({"ABC": [price] * 3}, **terms)
    found.place(0, quantity)
    found.advance(2)
    return found


def test_cash_buys_more_than_ten_billion_shares_of_a_very_low_price():
    # 1,000,000 / (0.000023 * 1.001) = 43,434,825,044.5207… shares; a float there is exact to 0.00001.
    costs = CostModel(commission_bps=10)
    found = bought(2.3e-5, 5e10, rules=FRACTIONAL, cash_usd=1e6, costs=costs, volume=1e12)
    assert found.positions["quantity"][0] == pytest.approx(1e6 / 2.3e-5 / 1.001, abs=1e-4)
    assert 0 <= found.account["cash"] < 1e-6


def test_commission_of_a_tenth_of_the_price_is_found_to_the_last_lot():
    # A share at 0.05 costs 0.055 with its commission: 100,000 / 0.055 = 1,818,181.818181…
    costs = CostModel(commission=PerShare(0.005))
    found = bought(0.05, 2e6, rules=FRACTIONAL, cash_usd=1e5, costs=costs, volume=1e12)
    assert found.positions["quantity"][0] == pytest.approx(1_818_181.818181, abs=1e-8)


def test_fill_is_on_the_lot():
    # 10,000,000 / 1.0001 = 9,999,000.0999900009…, cut to 0.000001.
    found = bought(1.0, 1e7, rules=FRACTIONAL, cash_usd=1e7, costs=CostModel(commission_bps=1), volume=1e12)
    assert found.positions["quantity"][0] == pytest.approx(9_999_000.09999, abs=2e-9)


def test_minimum_of_an_order_through_zero_is_charged_once():
    # 10,000 USD, 100 long at 100 for 50. Selling n costs 50 again: (n - 100) * 100 <= 2 * (9,950 - 50), n <= 298.
    costs = CostModel(commission=PerShare(0.0, min_usd_per_order=50.0))
    found = market({"ABC": [100.0] * 3}, rules=MARGIN, cash_usd=10_000.0, costs=costs)
    found.place(0, 100.0)
    found.advance(2)
    found.place(0, -1000.0)
    found.advance(3)
    assert found.positions["quantity"][0] == -198.0


def test_regulatory_fees_of_a_short_sale_lower_what_equity_carries():
    # 200 shares at 100 would be 2 * 10,000 exactly; their Section 31 fee takes a part of the equity.
    rates = fee_rate_rows(FIRST_DAY, FIRST_DAY)
    found = bought(100.0, -1000.0, rules=MARGIN, cash_usd=10_000.0, fee_rates=rates)
    assert found.positions["quantity"][0] == -199.0


def test_sum_of_purchases_can_be_sold_to_the_last_share():
    found = market({"ABC": [100.0] * 5}, rules=FRACTIONAL)
    for step, quantity in enumerate((0.1, 0.2, -0.3), start=2):
        found.place(0, quantity)
        found.advance(step)
    position = found.positions[0]
    assert (position["quantity"], position["average_cost"]) == (0.0, 0.0)
    assert found.account["long_value"] == 0.0
