import math

import numpy as np
import pytest

from aegis.errors import RiskError
from aegis.metrics.risk import (
    Drawdown,
    annualised_volatility,
    drawdowns,
    historical_expected_shortfall,
    historical_value_at_risk,
    max_drawdown,
    normal_expected_shortfall,
    normal_value_at_risk,
    standard_deviation,
)


def test_standard_deviation_divides_by_n_minus_one() -> None:
    assert standard_deviation([0.01, -0.01]) == pytest.approx(math.sqrt(0.0002), rel=1e-14)


def test_volatility_grows_with_the_root_of_time() -> None:
    assert annualised_volatility([0.01, -0.01]) == pytest.approx(math.sqrt(0.0002 * 252), rel=1e-14)


def test_volatility_of_an_account_that_never_moved_is_zero() -> None:
    assert annualised_volatility([0.0, 0.0, 0.0]) == 0.0


def test_drawdowns_are_measured_from_the_highest_level_so_far() -> None:
    assert drawdowns([100.0, 120.0, 90.0, 126.0]) == pytest.approx([0.0, 0.0, -0.25, 0.0])


def test_max_drawdown_names_peak_trough_and_recovery() -> None:
    assert max_drawdown([100.0, 120.0, 90.0, 95.0, 120.0, 110.0]) == Drawdown(-0.25, 1, 2, 4)


def test_max_drawdown_counts_from_the_last_time_at_the_peak_and_may_be_unrecovered() -> None:
    found = max_drawdown([100.0, 120.0, 90.0, 120.0, 80.0, 119.0])
    assert found == Drawdown(pytest.approx(-1 / 3), 3, 4, None)


def test_a_loss_in_the_first_session_is_a_drawdown_from_the_start() -> None:
    assert max_drawdown([100.0, 50.0, 100.0]) == Drawdown(-0.5, 0, 1, 2)


@pytest.mark.parametrize("levels", [[100.0], [100.0, 100.0], [1.0, 2.0, 3.0]])
def test_levels_that_never_fell_have_no_drawdown(levels: list[float]) -> None:
    assert max_drawdown(levels) == Drawdown(0.0, 0, 0, 0)


def test_value_at_risk_of_a_hundred_sessions_is_the_sixth_largest_loss() -> None:
    returns = [-k / 1000 for k in range(1, 101)]
    assert historical_value_at_risk(returns) == 0.095
    assert historical_expected_shortfall(returns) == pytest.approx(0.098, rel=1e-14)


def test_a_tail_of_one_and_a_half_sessions_counts_the_second_by_half() -> None:
    returns = [-k / 1000 for k in range(1, 31)]
    assert historical_value_at_risk(returns) == 0.029
    assert historical_expected_shortfall(returns) == pytest.approx((0.030 + 0.5 * 0.029) / 1.5, rel=1e-14)


def test_value_at_risk_is_negative_when_even_the_quantile_is_a_gain() -> None:
    assert historical_value_at_risk([0.01] * 20) == -0.01


@pytest.mark.parametrize("function", [historical_value_at_risk, historical_expected_shortfall])
def test_a_tail_of_less_than_one_session_is_refused(function) -> None:
    function([-0.01] * 20)
    with pytest.raises(RiskError, match="at least 20 values, found 19"):
        function([-0.01] * 19)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, -0.1, math.nan])
def test_a_confidence_outside_zero_and_one_is_refused(confidence: float) -> None:
    for call in (
        lambda: historical_value_at_risk([0.0] * 100, confidence=confidence),
        lambda: normal_value_at_risk(0.01, confidence=confidence),
        lambda: normal_expected_shortfall(0.01, confidence=confidence),
    ):
        with pytest.raises(RiskError, match="confidence"):
            call()


def test_the_mean_lowers_the_normal_numbers_one_for_one() -> None:
    assert normal_value_at_risk(0.02) - normal_value_at_risk(0.02, mean=0.001) == pytest.approx(0.001, abs=1e-15)
    assert normal_expected_shortfall(0.02) - normal_expected_shortfall(0.02, mean=0.001) == pytest.approx(
        0.001, abs=1e-15
    )


@pytest.mark.parametrize(("volatility", "mean"), [(-0.01, 0.0), (math.nan, 0.0), (math.inf, 0.0), (0.01, math.nan)])
def test_normal_numbers_refuse_what_is_no_distribution(volatility: float, mean: float) -> None:
    for function in (normal_value_at_risk, normal_expected_shortfall):
        with pytest.raises(RiskError, match=r"volatility|mean return"):
            function(volatility, mean=mean)


@pytest.mark.parametrize("returns", [[], [0.1], [0.1, np.nan]])
def test_volatility_of_unusable_returns_is_refused(returns: list[float]) -> None:
    with pytest.raises(RiskError, match="returns"):
        annualised_volatility(returns)
