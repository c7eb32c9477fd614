"""How much is filled, at which price, when the account or the volume does not carry an order."""

from __future__ import annotations

import numpy as np
import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.kernel.codes import Reason, State, TimeInForce
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.slippage import VolumeShare
from tests.unit.backtesting.small_market import CASH, ends, fills, market

MOVING = CostModel(slippage=VolumeShare(price_impact=0.1))


def test_reduced_order_pays_the_price_of_what_it_buys():
    # 10,000 shares of a bar of 10,000 would cost 100 * 1.1 = 110; 10,000 USD carry 90 of them. 90 shares are 0.009 of
    # the bar: 100 * (1 + 0.1 * 0.009 ** 2) = 100.00081.
    found = market({"AAA": [100.0, 100.0]}, cash_usd=10_000.0, volume=10_000.0, costs=MOVING)
    found.place(0, 10_000.0)
    found.advance()
    assert fills(found) == [(0, 90.0, pytest.approx(100.00081, abs=1e-9))]
    assert ends(found) == [(State.CANCELLED, Reason.BUYING_POWER)]


def test_reduced_order_pays_what_the_same_order_alone_pays():
    alone = market({"AAA": [100.0, 100.0]}, cash_usd=10_000.0, volume=10_000.0, costs=MOVING)
    alone.place(0, 90.0)
    alone.advance()
    assert fills(alone) == [(0, 90.0, pytest.approx(100.00081, abs=1e-9))]


def test_reduced_short_sale_is_carried_at_its_own_better_price():
    # Equity 10,000 carries 10,000 of exposure. 10,000 shares would sell at 90: 111 of them. 111 shares sell at
    # 100 * (1 - 0.1 * 0.0111 ** 2) = 99.99877, of which equity, marked at the fill price, carries 100.
    rules = TradingRules(account_type="margin", participation_rate=np.inf, initial_margin=1.0, maintenance_margin=0.0)
    found = market({"AAA": [100.0, 100.0]}, rules=rules, cash_usd=10_000.0, volume=10_000.0, costs=MOVING)
    found.place(0, -10_000.0)
    found.advance()
    assert fills(found) == [(0, -100.0, pytest.approx(100 * (1 - 0.1 * 0.0111**2), abs=1e-9))]


def test_volume_that_a_reduced_order_reserved_is_not_handed_out_again():
    rules = TradingRules(participation_rate=1.0)
    found = market({"AAA": [100.0, 100.0]}, rules=rules, cash_usd=10_000.0, volume=10_000.0, costs=MOVING)
    found.place(0, 10_000.0)
    found.place(0, 1.0)
    found.advance()
    assert [order for order, _, _ in fills(found)] == [0]


def test_order_filled_by_more_parts_than_sixteen_bits_count():
    n = 33_000
    found = market({"AAA": [1.0] * n}, rules=TradingRules(participation_rate=1.0), volume=1.0)
    found.place(0, 40_000.0, time_in_force=TimeInForce.GTC)
    found.advance()
    # The venue gives all volume: one share a bar after the first.
    assert found.orders["fills"].tolist() == [n - 1]
    assert found.fills["number"].tolist() == list(range(1, n))


def test_cash_account_is_never_overdrawn_by_a_reduced_order():
    found = market({"AAA": [100.0, 100.0]}, rules=CASH, cash_usd=10_050.0, volume=400.0, costs=MOVING)
    found.place(0, 400.0)
    found.advance()
    assert found.account["cash"] >= 0
