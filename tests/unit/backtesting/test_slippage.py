"""Slippage: worked examples of each model, and that it never helps the order."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.backtesting.costs import CostModel
from aegis.backtesting.slippage import (
    FixedBps,
    FixedSpread,
    NoSlippage,
    SlippageModel,
    Volatility,
    VolumeShare,
    slipped_price,
)
from aegis.errors import ConfigurationError

BUY, SELL = 100.0, -100.0


def _price(model: SlippageModel, quantity: float, *, within_bar: bool = False, **bar: float) -> float:
    seen = {"reference": 50.0, "volume": 10_000.0, "sigma": 0.02, "high": 51.0, "low": 49.0, **bar}
    costs = CostModel(slippage=model, slippage_within_bar=within_bar).pack()[0]
    return slipped_price(costs, seen["reference"], quantity, seen["volume"], seen["sigma"], seen["high"], seen["low"])


def test_without_slippage_a_fill_is_at_the_reference() -> None:
    assert _price(NoSlippage(), BUY) == 50.0
    assert _price(NoSlippage(), SELL) == 50.0


def test_fixed_basis_points_are_a_share_of_the_reference() -> None:
    # 5 bps of 50 USD are 50 * 0.0005 = 0.025 USD.
    assert _price(FixedBps(5.0), BUY) == pytest.approx(50.025, rel=1e-15)
    assert _price(FixedBps(5.0), SELL) == pytest.approx(49.975, rel=1e-15)


def test_each_side_pays_half_of_a_fixed_spread() -> None:
    # A spread of 0.04 USD: the ask is 0.02 above the reference, the bid 0.02 below it, at any price.
    assert _price(FixedSpread(0.04), BUY) == pytest.approx(50.02, rel=1e-15)
    assert _price(FixedSpread(0.04), SELL) == pytest.approx(49.98, rel=1e-15)
    assert _price(FixedSpread(0.04), BUY, reference=5.0) == pytest.approx(5.02, rel=1e-15)


def test_a_sale_is_never_below_zero() -> None:
    # Half of a spread of 0.04 USD is more than a share at 0.01 USD is worth.
    assert _price(FixedSpread(0.04), SELL, reference=0.01, low=0.01) == 0.0


def test_volume_share_is_quadratic_in_the_share_of_the_bar() -> None:
    # 100 of 10 000 shares are 1 %: 0.1 * 0.01 ** 2 = 1e-5 of 50 USD, 0.0005 USD.
    assert _price(VolumeShare(), 100.0) == pytest.approx(50.0005, rel=1e-15)
    # Twice the shares, four times the slippage: 0.1 * 0.02 ** 2 * 50 = 0.002 USD.
    assert _price(VolumeShare(), 200.0) == pytest.approx(50.002, rel=1e-15)
    assert _price(VolumeShare(), -200.0) == pytest.approx(49.998, rel=1e-15)


def test_volume_share_grows_up_to_all_that_the_venue_lets_a_bar_fill() -> None:
    # 2.5 % of the volume: 0.1 * 0.025 ** 2 * 50 = 0.003125 USD. 10 %: sixteen times that, 0.05 USD.
    assert _price(VolumeShare(), 250.0) == pytest.approx(50.003125, rel=1e-15)
    assert _price(VolumeShare(), 1_000.0) == pytest.approx(50.05, rel=1e-15)


@pytest.mark.parametrize("volume", [0.0, math.nan])
def test_without_a_volume_the_share_is_one(volume: float) -> None:
    # 0.2 of 50 USD.
    assert _price(VolumeShare(price_impact=0.2), 1.0, volume=volume) == pytest.approx(60.0)


def test_volatility_slippage_is_a_multiple_of_the_daily_deviation() -> None:
    # A tenth of 2 % of 50 USD is 0.1 USD.
    assert _price(Volatility(0.1), BUY) == pytest.approx(50.1, rel=1e-15)
    assert _price(Volatility(0.1), SELL) == pytest.approx(49.9, rel=1e-15)


def test_without_a_volatility_the_stated_basis_points_are_charged() -> None:
    # 10 bps of 50 USD are 0.05 USD, 25 bps are 0.125 USD.
    assert _price(Volatility(0.1), BUY, sigma=math.nan) == pytest.approx(50.05, rel=1e-15)
    assert _price(Volatility(0.1, fallback_bps=25.0), SELL, sigma=math.nan) == pytest.approx(49.875, rel=1e-15)


def test_slippage_may_be_kept_within_the_bar() -> None:
    # 300 bps of 50 USD lead to 51.5 and 48.5; the bar went from 49 to 51.
    assert _price(FixedBps(300.0), BUY) == pytest.approx(51.5)
    assert _price(FixedBps(300.0), BUY, within_bar=True) == 51.0
    assert _price(FixedBps(300.0), SELL, within_bar=True) == 49.0


def test_a_reference_outside_the_bar_is_not_improved_by_keeping_within_it() -> None:
    assert _price(FixedBps(300.0), BUY, within_bar=True, high=49.5) == 50.0
    assert _price(FixedBps(300.0), SELL, within_bar=True, low=50.5) == 50.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedBps(-1.0), r"FixedBps\.slippage_bps must be 0 or more and at most 10000, found -1\.0"),
        (lambda: FixedBps(math.nan), r"FixedBps\.slippage_bps must be .* found nan"),
        (lambda: FixedSpread(-0.01), r"FixedSpread\.spread_usd"),
        (lambda: VolumeShare(price_impact=math.inf), r"VolumeShare\.price_impact"),
        (lambda: Volatility(-0.1), r"Volatility\.sigma_multiple"),
        (lambda: Volatility(0.1, fallback_bps=20_000.0), r"Volatility\.fallback_bps"),
    ],
)
def test_parameters_out_of_bounds_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()  # type: ignore[operator]


MODELS = st.one_of(
    st.just(NoSlippage()),
    st.builds(FixedBps, st.floats(0, 1_000)),
    st.builds(FixedSpread, st.floats(0, 5)),
    st.builds(VolumeShare, st.floats(0, 1)),
    st.builds(Volatility, st.floats(0, 5), st.floats(0, 100)),
)


@given(
    model=MODELS,
    reference=st.floats(0.01, 1e4),
    shares=st.floats(0.001, 1e6),
    volume=st.floats(0, 1e7),
    sigma=st.one_of(st.just(math.nan), st.floats(0, 0.2)),
    within_bar=st.booleans(),
    spread=st.tuples(st.floats(0, 0.2), st.floats(0, 0.2)),
)
def test_slippage_is_adverse(
    model: SlippageModel,
    reference: float,
    shares: float,
    volume: float,
    sigma: float,
    within_bar: bool,
    spread: tuple[float, float],
) -> None:
    bar = {"reference": reference, "volume": volume, "sigma": sigma}
    bar |= {"high": reference * (1 + spread[0]), "low": reference * (1 - spread[1])}
    bought = _price(model, shares, within_bar=within_bar, **bar)
    sold = _price(model, -shares, within_bar=within_bar, **bar)
    assert bought >= reference >= sold >= 0.0
    if within_bar:
        assert bought <= bar["high"]
        assert sold >= bar["low"]


@given(model=MODELS, shares=st.floats(0.001, 1e6), more=st.floats(1, 100), volume=st.floats(1, 1e7))
def test_more_shares_never_slip_less(model: SlippageModel, shares: float, more: float, volume: float) -> None:
    assert _price(model, shares * more, volume=volume) >= _price(model, shares, volume=volume)
    assert _price(model, -shares * more, volume=volume) <= _price(model, -shares, volume=volume)
