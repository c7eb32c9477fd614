"""Market impact: worked examples of each model, what happens without history, and its shape."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.backtesting.costs import CostModel
from aegis.backtesting.market_impact import Almgren, ImpactModel, NoImpact, PowerLaw, SquareRoot, impact_fraction
from aegis.errors import ConfigurationError


def _impact(model: ImpactModel, quantity: float, adv: float = 1_000_000.0, sigma: float = 0.02) -> float:
    return impact_fraction(CostModel(impact=model).pack()[0], quantity, adv, sigma)


def test_without_impact_the_market_does_not_move() -> None:
    assert _impact(NoImpact(), 1e9) == 0.0


def test_square_root_of_the_share_of_a_days_volume() -> None:
    # 10 000 of 1 000 000 shares: sqrt(0.01) = 0.1, times 2 % is 0.002, or 20 bps. Four times the shares, twice that.
    assert _impact(SquareRoot(), 10_000.0) == pytest.approx(0.002, rel=1e-15)
    assert _impact(SquareRoot(), -40_000.0) == pytest.approx(0.004, rel=1e-15)
    assert _impact(SquareRoot(coefficient=0.5), 10_000.0) == pytest.approx(0.001, rel=1e-15)


def test_an_order_in_parts_pays_less_than_one_in_a_single_fill() -> None:
    # Fills know of no other: 20 bps for 10 000 shares; for each of five parts 2 % of sqrt(0.002), 8.94 bps.
    assert _impact(SquareRoot(), 2_000.0) == pytest.approx(0.000894427191, rel=1e-9)
    assert _impact(SquareRoot(), 2_000.0) / _impact(SquareRoot(), 10_000.0) == pytest.approx(5**-0.5, rel=1e-12)


def test_power_law() -> None:
    # 1 000 of 1 000 000 shares: 0.001 ** (2 / 3) = 0.01; 0.3 * 0.02 * 0.01 = 6e-5.
    assert _impact(PowerLaw(0.3, 2 / 3), 1_000.0) == pytest.approx(6e-5, rel=1e-12)
    assert _impact(PowerLaw(0.7, 0.5), 12_345.0) == pytest.approx(_impact(SquareRoot(0.7), 12_345.0), rel=1e-15)


def test_almgren_adds_half_of_the_permanent_impact_to_the_temporary_one() -> None:
    # 100 000 of 1 000 000 shares in a tenth of a day: the rate is 1 day's volume a day, so the temporary impact is
    # 0.142 * 0.02 * 1 ** 0.6 = 0.00284. Permanent: 0.314 * 0.02 * 0.1 * 16 ** 0.25 = 0.001256, of which half is paid.
    model = Almgren(duration_days=0.1, inverse_turnover_days=16.0)
    assert _impact(model, 100_000.0) == pytest.approx(0.00284 + 0.000628, rel=1e-12)
    # Worked over ten times as long, the rate is 0.1: 0.142 * 0.02 * 0.1 ** 0.6 = 0.00284 * 0.251188643.
    slow = Almgren(duration_days=1.0, inverse_turnover_days=16.0)
    assert _impact(slow, 100_000.0) == pytest.approx(0.00284 * 0.251188643150958 + 0.000628, rel=1e-12)


def test_without_the_turnover_term_its_factor_is_one() -> None:
    # Permanent only: 0.314 * 0.02 * 0.1 / 2 = 0.000314.
    assert _impact(Almgren(eta=0.0), 100_000.0) == pytest.approx(0.000314, rel=1e-12)


@pytest.mark.parametrize("model", [SquareRoot(), Almgren(), PowerLaw(0.3, 0.5)])
@pytest.mark.parametrize(("adv", "sigma"), [(math.nan, 0.02), (1e6, math.nan), (0.0, 0.02), (math.nan, math.nan)])
def test_without_history_the_stated_basis_points_are_charged(model: ImpactModel, adv: float, sigma: float) -> None:
    assert _impact(model, 100.0, adv, sigma) == 0.001  # 10 bps


def test_the_basis_points_without_history_are_a_parameter() -> None:
    assert _impact(SquareRoot(fallback_bps=50.0), 100.0, adv=math.nan) == 0.005
    assert _impact(NoImpact(), 100.0, adv=math.nan) == 0.0


def test_a_price_that_never_moves_has_no_impact() -> None:
    assert _impact(SquareRoot(), 10_000.0, sigma=0.0) == 0.0


def test_impact_takes_no_more_than_the_whole_price() -> None:
    # 10 * 0.2 * sqrt(100) = 20.
    assert _impact(SquareRoot(coefficient=10.0), 1e8, sigma=0.2) == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SquareRoot(-1.0), r"SquareRoot\.coefficient must be 0 or more and at most 100, found -1\.0"),
        (lambda: SquareRoot(fallback_bps=math.inf), r"SquareRoot\.fallback_bps"),
        (lambda: Almgren(eta=math.nan), r"Almgren\.eta"),
        (lambda: Almgren(gamma=-0.1), r"Almgren\.gamma"),
        (lambda: Almgren(beta=0.0), r"Almgren\.beta must be more than 0 and at most 2"),
        (lambda: Almgren(duration_days=0.0), r"Almgren\.duration_days must be more than 0"),
        (lambda: Almgren(inverse_turnover_days=0.0), r"Almgren\.inverse_turnover_days"),
        (lambda: PowerLaw(0.1, 0.0), r"PowerLaw\.exponent"),
        (lambda: PowerLaw(-0.1, 0.5), r"PowerLaw\.coefficient"),
    ],
)
def test_parameters_out_of_bounds_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()  # type: ignore[operator]


MODELS = st.one_of(
    st.builds(SquareRoot, st.floats(0, 5), st.floats(0, 100)),
    st.builds(
        Almgren,
        eta=st.floats(0, 1),
        gamma=st.floats(0, 1),
        beta=st.floats(0.1, 1),
        duration_days=st.floats(0.01, 5),
        inverse_turnover_days=st.floats(1, 1000),
    ),
    st.builds(PowerLaw, st.floats(0, 5), st.floats(0.1, 1.5)),
)
HISTORY = st.one_of(st.just((math.nan, math.nan)), st.tuples(st.floats(1, 1e9), st.floats(0, 0.3)))


@given(model=MODELS, history=HISTORY)
def test_no_shares_no_impact(model: ImpactModel, history: tuple[float, float]) -> None:
    assert _impact(model, 0.0, *history) == 0.0


@given(model=MODELS, history=HISTORY, shares=st.floats(0.001, 1e7), more=st.floats(1, 100))
def test_impact_is_alike_on_both_sides_and_grows_with_the_size(
    model: ImpactModel, history: tuple[float, float], shares: float, more: float
) -> None:
    small = _impact(model, shares, *history)
    assert 0.0 <= small <= _impact(model, shares * more, *history) <= 1.0
    assert small == _impact(model, -shares, *history)
