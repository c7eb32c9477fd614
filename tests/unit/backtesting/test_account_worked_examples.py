"""What holding and selling costs, worked out by hand and booked by the kernel."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import PerShare
from aegis.backtesting.costs import CostModel
from aegis.backtesting.financing import Financing
from aegis.backtesting.kernel.codes import OrderType, Reason, State, TimeInForce
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.market_impact import SquareRoot
from aegis.backtesting.regulatory_fees import fee_rate_rows
from aegis.backtesting.rules import TradingRules

THURSDAY, FRIDAY, MONDAY = date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 4)
MARGIN = TradingRules(account_type="margin", participation_rate=np.inf)


def closes(*days: date) -> list[int]:
    return [int(datetime(d.year, d.month, d.day, 21, tzinfo=UTC).timestamp()) * 10**9 for d in days]


def flat_bars(price: float, *days: date, volume: float = 1e9) -> Bars:
    column = np.full(len(days), price)
    return Bars.from_arrays(
        column,
        column,
        column,
        column,
        np.full(len(days), volume),
        closes_at=np.array(closes(*days)),
        symbols=("ABC",),
        bar_interval=int(6.5 * 3600) * 10**9,
    )


def simulation(bars: Bars, *, rules: TradingRules = MARGIN, cash_usd: float = 10_000.0, **terms: object) -> Simulation:
    found = Simulation(("ABC",), rules=rules, cash_usd=cash_usd, **{"costs": CostModel(), **terms})  # type: ignore[arg-type]
    found.feed(bars)
    return found


def trade_after_thursday(quantity: float, **terms: object) -> Simulation:
    """Order at Thursday's close, fill at Friday's open at 100, hold over the weekend."""
    found = simulation(flat_bars(100.0, THURSDAY, FRIDAY, MONDAY), **terms)
    found.advance(1)
    found.place(0, quantity)
    found.advance()
    return found


def test_idle_cash_earns_interest_for_each_calendar_day_of_the_weekend():
    # 10,000 at 3.6 % for Friday to Monday, 3 days of 360: 10,000 * 0.036 * 3 / 360 = 3.00; one day before: 1.00.
    costs = CostModel(financing=Financing(credit_rate_per_year=0.036))
    found = simulation(flat_bars(100.0, THURSDAY, FRIDAY, MONDAY), costs=costs)
    found.advance()
    # The 1.00 of Friday earns 3 days as well: 1.00 * 0.036 * 3 / 360 = 0.0003.
    np.testing.assert_allclose(found.equity, [10_000.0, 10_001.0, 10_004.0003], atol=1e-9)
    assert found.account["interest"] == pytest.approx(4.0003, abs=1e-9)


def test_debt_of_a_margin_account_is_charged_by_the_debit_rate():
    # 150 shares at 100 cost 15,000: 5,000 are borrowed. 5,000 * 0.072 * 3 / 360 = 3.00 over the weekend.
    costs = CostModel(financing=Financing(credit_rate_per_year=0.0, debit_rate_per_year=0.072))
    found = trade_after_thursday(150.0, costs=costs)
    assert found.account["cash"] == pytest.approx(-5_003.0, abs=1e-9)
    assert found.equity[-1] == pytest.approx(9_997.0, abs=1e-9)


@pytest.mark.parametrize(("own_rate", "fee_usd"), [(np.nan, 1.5), (0.36, 15.0)])
def test_short_position_pays_its_borrow_fee_for_the_weekend(own_rate, fee_usd):
    # 50 shares short at 100 are 5,000. At 3.6 %: 5,000 * 0.036 * 3 / 360 = 1.50; at the symbol's own 36 %: 15.00.
    costs = CostModel(financing=Financing(borrow_rate_per_year=0.036))
    found = trade_after_thursday(-50.0, costs=costs, borrow_rates=own_rate)
    assert found.account["borrow_fees"] == pytest.approx(fee_usd, abs=1e-9)
    assert found.equity[-1] == pytest.approx(10_000.0 - fee_usd, abs=1e-9)


def test_sale_pays_section_31_and_activity_fee_of_its_day_and_purchase_does_not():
    # Rates of March 2024: 8.00 USD a million, 0.000166 USD a share. 100 shares sold at 100 are 10,000 USD:
    # 10,000 * 8 / 1,000,000 = 0.08 and 100 * 0.000166 = 0.0166.
    found = simulation(flat_bars(100.0, THURSDAY, FRIDAY, MONDAY), fee_rates=fee_rate_rows(THURSDAY, MONDAY))
    found.advance(1)
    found.place(0, 100.0)
    found.advance(2)
    found.place(0, -100.0)
    found.advance()
    np.testing.assert_allclose(found.fills["fees"], [0.0, 0.0966], atol=1e-12)
    assert found.account["cash"] == pytest.approx(9_999.9034, abs=1e-9)


def test_partial_fills_of_an_order_share_the_cap_of_the_activity_fee():
    # 60,000 shares at 0.000166 would be 9.96; an order pays 8.30 at most. Fills of 40,000 and 20,000: 6.64, then 1.66.
    # Section 31 beside it: 40,000 * 8 / 1e6 = 0.32 and 20,000 * 8 / 1e6 = 0.16.
    days = (date(2024, 2, 28), THURSDAY, FRIDAY, MONDAY)
    bars = flat_bars(1.0, *days, volume=400_000.0)
    rules = TradingRules(account_type="margin", participation_rate=0.1)
    found = simulation(bars, rules=rules, cash_usd=100_000.0, fee_rates=fee_rate_rows(days[0], MONDAY))
    found.advance(1)
    found.place(0, -60_000.0, time_in_force=TimeInForce.GTC)
    found.advance()
    assert found.fills["quantity"].tolist() == [-40_000.0, -20_000.0]
    np.testing.assert_allclose(found.fills["fees"], [6.64 + 0.32, 1.66 + 0.16], atol=1e-12)


def test_maximum_commission_wins_over_the_minimum():
    # 10 shares at 5 USD: 0.05 by share, at least 1.00, at most 1 % of 50 = 0.50.
    costs = CostModel(commission=PerShare(0.005, min_usd_per_order=1.0, max_fraction_of_value=0.01))
    found = simulation(flat_bars(5.0, THURSDAY, FRIDAY), costs=costs)
    found.advance(1)
    found.place(0, 10.0)
    found.advance()
    assert found.fills["commission"].tolist() == [pytest.approx(0.50, abs=1e-12)]


def test_square_root_impact_moves_the_price_by_volatility_times_root_of_participation():
    # 10,000 of an average million shares a day at 2 % volatility: 0.02 * sqrt(0.01) = 0.002, 20 cents on 100.
    bars = flat_bars(100.0, THURSDAY, FRIDAY)
    found = Simulation(
        ("ABC",), rules=MARGIN, costs=CostModel(impact=SquareRoot(coefficient=1.0)), cash_usd=10_000_000.0
    )
    found.feed(bars, sigma_daily=np.full(2, 0.02), adv_shares=np.full(2, 1e6))
    found.advance(1)
    found.place(0, 10_000.0)
    found.advance()
    assert found.fills["price"].tolist() == [pytest.approx(100.2, abs=1e-9)]


def test_impact_never_carries_a_fill_beyond_its_limit():
    bars = flat_bars(100.0, THURSDAY, FRIDAY)
    found = Simulation(
        ("ABC",), rules=MARGIN, costs=CostModel(impact=SquareRoot(coefficient=1.0)), cash_usd=10_000_000.0
    )
    found.feed(bars, sigma_daily=np.full(2, 0.02), adv_shares=np.full(2, 1e6))
    found.advance(1)
    found.place(0, 10_000.0, order_type=OrderType.LIMIT, limit_usd=100.05)
    found.advance()
    assert found.fills["price"].tolist() == [100.05]


def test_order_that_has_expired_when_it_is_given_is_rejected():
    found = simulation(flat_bars(100.0, THURSDAY, FRIDAY))
    found.advance(1)
    index = found.place(0, 10.0, time_in_force=TimeInForce.GTD, expires_ns=closes(THURSDAY)[0])
    assert (found.orders["state"][index], found.orders["reason"][index]) == (State.REJECTED, Reason.CLOSED_SESSION)


def test_margin_call_cuts_positions_until_the_initial_margin_is_met():
    # 10,000 of equity carry 200 shares at 100 (half margin). At 60 the position is worth 12,000 and equity 2,000, a
    # sixth: below a quarter. Equity carries 2,000 / 0.5 = 4,000 = 66 shares; 134 are sold at the next open.
    prices = np.array([100.0, 100.0, 60.0, 60.0])
    days = (date(2024, 2, 28), THURSDAY, FRIDAY, MONDAY)
    bars = Bars.from_arrays(
        np.array([100.0, 100.0, 100.0, 60.0]),
        np.array([100.0, 100.0, 100.0, 60.0]),
        prices,
        prices,
        np.full(4, 1e9),
        closes_at=np.array(closes(*days)),
        symbols=("ABC",),
        bar_interval=int(6.5 * 3600) * 10**9,
    )
    found = simulation(bars)
    found.advance(1)
    found.place(0, 200.0)
    found.advance()
    assert found.fills["quantity"].tolist() == [200.0, -134.0]
    assert found.equity.tolist() == [10_000.0, 10_000.0, 2_000.0, 2_000.0]
