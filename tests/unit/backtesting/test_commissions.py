"""Commissions: worked examples of each plan, and that splitting an order does not change what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.backtesting.commissions import (
    INTERACTIVE_BROKERS_FIXED,
    INTERACTIVE_BROKERS_TIERED,
    Bps,
    CommissionModel,
    PerShare,
    PerTrade,
    Tiered,
    commission_usd,
)
from aegis.backtesting.costs import CostModel
from aegis.errors import ConfigurationError


def _charges(
    plan: CommissionModel, fills: Sequence[float], price: float = 10.0, *, month_shares: float = 0.0
) -> list[float]:
    """What each fill of one order adds."""
    costs = CostModel(commission=plan).pack()[0]
    filled = charged = 0.0
    charges = []
    for quantity in fills:
        charges.append(commission_usd(costs, quantity, price, filled, charged, month_shares + filled))
        filled += abs(quantity)
        charged += charges[-1]
    return charges


def test_basis_points_of_the_value() -> None:
    # 100 * 10 USD = 1 000 USD; 2 bps of it are 0.20 USD.
    assert _charges(Bps(2.0), [100.0]) == [pytest.approx(0.20, rel=1e-15)]
    assert _charges(Bps(2.0), [-100.0]) == [pytest.approx(0.20, rel=1e-15)]


def test_a_trade_is_charged_once_with_its_first_fill() -> None:
    assert _charges(PerTrade(4.95), [10.0, 200.0, 1.0]) == [4.95, 0.0, 0.0]


def test_per_share() -> None:
    assert _charges(PerShare(0.005), [-300.0, -100.0]) == [pytest.approx(1.5), pytest.approx(0.5)]


def test_the_minimum_of_an_order_counts_all_its_fills() -> None:
    # 0.005 USD a share, at least 1 USD. 50 shares: 0.25, so 1.00. 100 shares: 0.50, still 1.00. 300 shares: 1.50.
    assert _charges(PerShare(0.005, min_usd_per_order=1.0), [50.0, 50.0, 200.0]) == [1.0, 0.0, pytest.approx(0.5)]


def test_the_maximum_of_an_order_counts_all_its_fills() -> None:
    # 0.01 USD a share, at most 5 USD. 400 shares: 4. 800 shares: 8, so 5. Then nothing.
    plan = PerShare(0.01, max_usd_per_order=5.0)
    assert _charges(plan, [400.0, 400.0, 400.0]) == [pytest.approx(4.0), pytest.approx(1.0), 0.0]


def test_the_maximum_as_a_share_of_the_value_counts_all_fills() -> None:
    # At 0.25 USD a share, 1 % of the value is 0.0025 a share, less than 0.005: 1.25 for 500, 2.50 for 1 000.
    plan = PerShare(0.005, max_fraction_of_value=0.01)
    assert _charges(plan, [500.0, 500.0], 0.25) == [pytest.approx(1.25), pytest.approx(1.25)]


def test_the_maximum_wins_over_the_minimum() -> None:
    # 10 shares at 0.20 USD: 1 % of 2 USD is 0.02 USD, although an order costs at least 1 USD.
    assert _charges(INTERACTIVE_BROKERS_FIXED, [10.0], 0.20) == [pytest.approx(0.02)]


def test_nothing_is_paid_back_when_the_price_falls() -> None:
    # 1 % of 100 * 1 USD = 1 USD; then, at 0.10 USD, 1 % of 200 * 0.10 USD = 0.20 USD for both: less than was charged.
    costs = CostModel(commission=PerShare(0.05, max_fraction_of_value=0.01)).pack()[0]
    assert commission_usd(costs, 100.0, 1.0, 0.0, 0.0, 0.0) == pytest.approx(1.0)
    assert commission_usd(costs, 100.0, 0.1, 100.0, 1.0, 0.0) == 0.0


def test_tiers_hold_at_the_margin() -> None:
    # 400 000 shares in a month: 300 000 * 0.0035 = 1 050 USD and 100 000 * 0.0020 = 200 USD.
    assert _charges(INTERACTIVE_BROKERS_TIERED, [400_000.0]) == [pytest.approx(1_250.0)]


def test_tiers_count_what_the_month_has_seen() -> None:
    # 1 000 shares after 299 500: 500 * 0.0035 + 500 * 0.0020 = 1.75 + 1.00 USD.
    assert _charges(INTERACTIVE_BROKERS_TIERED, [1_000.0], month_shares=299_500.0) == [pytest.approx(2.75)]
    # After 100 million, 0.0005 USD: 10 000 shares cost 5 USD, 100 shares the minimum of 0.35 USD.
    assert _charges(INTERACTIVE_BROKERS_TIERED, [10_000.0], month_shares=1e8) == [pytest.approx(5.0)]
    assert _charges(INTERACTIVE_BROKERS_TIERED, [100.0], month_shares=1e8) == [pytest.approx(0.35)]


def test_orders_that_take_turns_pay_the_tier_their_shares_fell_in() -> None:
    # One order buys 200 000 shares (700 USD), others 200 000, and the first 100 000 more, all of them in the second
    # tier: 200 USD. That its own earlier shares were dearer changes nothing.
    costs = CostModel(commission=INTERACTIVE_BROKERS_TIERED).pack()[0]
    assert commission_usd(costs, 100_000.0, 10.0, 200_000.0, 700.0, 400_000.0) == pytest.approx(200.0)


def test_an_order_that_works_into_a_new_month_begins_there_with_the_first_tier() -> None:
    # 500 000 shares at 0.0005 USD in the old month were 250 USD; 1 000 shares in the new one are 3.50 USD.
    costs = CostModel(commission=INTERACTIVE_BROKERS_TIERED).pack()[0]
    assert commission_usd(costs, 1_000.0, 10.0, 500_000.0, 250.0, 0.0) == pytest.approx(3.5)


@pytest.mark.parametrize("plan", [Bps(2.0), PerTrade(1.0), PerShare(0.005, 1.0), INTERACTIVE_BROKERS_TIERED])
def test_no_shares_no_commission(plan: CommissionModel) -> None:
    assert _charges(plan, [0.0]) == [0.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bps(-1.0), r"Bps\.commission_bps must be 0 or more and at most 10000, found -1\.0"),
        (lambda: PerTrade(math.nan), r"PerTrade\.usd_per_order"),
        (lambda: PerShare(-0.01), r"PerShare\.usd_per_share"),
        (lambda: PerShare(0.01, min_usd_per_order=-1.0), r"PerShare\.min_usd_per_order"),
        (lambda: PerShare(0.01, 2.0, 1.0), r"PerShare\.max_usd_per_order must be 2 or more, found 1\.0"),
        (lambda: PerShare(0.01, max_fraction_of_value=0.0), r"PerShare\.max_fraction_of_value must be more than 0"),
        (lambda: Tiered(()), r"Tiered\.tiers must be 1 to 8 pairs"),
        (lambda: Tiered(((1, 0.01),)), r"ascending from 0"),
        (lambda: Tiered(((0, 0.01), (0, 0.005))), r"ascending from 0"),
        (lambda: Tiered(((0, 0.01), (math.inf, 0.005))), r"ascending from 0"),
        (lambda: Tiered(tuple((float(i), 0.01) for i in range(9))), r"1 to 8 pairs"),
        (lambda: Tiered(((0, -0.01),)), r"Tiered\.tiers, USD per share, must be 0 or more"),
    ],
)
def test_parameters_out_of_bounds_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()  # type: ignore[operator]


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "min_usd_per_order": st.floats(0, 5),
        "max_usd_per_order": st.floats(5, 100),
        "max_fraction_of_value": st.floats(0.0001, 0.1),
    },
)


@st.composite
def _tiered(draw: st.DrawFn) -> Tiered:
    widths = draw(st.lists(st.integers(1, 5_000), min_size=0, max_size=7))
    starts = [sum(widths[:i]) for i in range(len(widths) + 1)]
    rates = draw(st.lists(st.floats(0, 0.1), min_size=len(starts), max_size=len(starts)))
    return Tiered(tuple(zip(map(float, starts), rates, strict=True)), **draw(LIMITS))


PLANS = st.one_of(
    st.builds(Bps, st.floats(0, 100)),
    st.builds(PerTrade, st.floats(0, 50)),
    st.builds(lambda rate, limits: PerShare(rate, **limits), st.floats(0, 0.1), LIMITS),
    _tiered(),
)
FILLS = st.lists(st.integers(1, 3_000), min_size=1, max_size=6)


@given(plan=PLANS, fills=FILLS, price=st.floats(0.01, 500), month=st.integers(0, 20_000), side=st.sampled_from([1, -1]))
def test_split_fills_cost_what_one_fill_of_the_total_costs(
    plan: CommissionModel, fills: list[int], price: float, month: int, side: int
) -> None:
    split = _charges(plan, [float(side * shares) for shares in fills], price, month_shares=month)
    whole = _charges(plan, [float(side * sum(fills))], price, month_shares=month)
    assert all(charge >= 0.0 for charge in split)
    assert sum(split) == pytest.approx(whole[0], rel=1e-9, abs=1e-9)


@given(plan=PLANS, shares=st.integers(1, 3_000), more=st.integers(0, 3_000), price=st.floats(0.01, 500))
def test_more_shares_never_cost_less(plan: CommissionModel, shares: int, more: int, price: float) -> None:
    assert _charges(plan, [float(shares + more)], price)[0] >= _charges(plan, [float(shares)], price)[0] - 1e-12
