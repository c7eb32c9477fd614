import math

import numpy as np
import pytest

from aegis.errors import RiskError
from aegis.metrics.ratios import (
    alpha,
    beta,
    calmar_ratio,
    information_ratio,
    sharpe_ratio,
    sortino_ratio,
    tracking_error,
)

BENCHMARK = [0.01, -0.02, 0.005, 0.0]
FLAT = [0.001] * 30
GROWN = list(np.diff(np.array([100.0 * 1.001**k for k in range(31)])) / np.array([100.0 * 1.001**k for k in range(30)]))


def test_sharpe_ratio_by_hand() -> None:
    assert sharpe_ratio([0.01, 0.03], risk_free_rate=0.0) == pytest.approx(math.sqrt(2 * 252), rel=1e-12)


def test_sharpe_ratio_subtracts_the_rate_that_compounds_to_the_annual_one() -> None:
    # two sessions a year: 21 % a year is 10 % a session; excess 0.1 and 0.3, mean 0.2, deviation 0.2 / sqrt(2)
    assert sharpe_ratio([0.2, 0.4], risk_free_rate=0.21, sessions_per_year=2) == pytest.approx(2.0, rel=1e-12)


def test_sortino_ratio_by_hand() -> None:
    # mean 0.01; downside sqrt(0.0001 / 2)
    assert sortino_ratio([0.03, -0.01], risk_free_rate=0.0) == pytest.approx(math.sqrt(2 * 252), rel=1e-12)


def test_calmar_ratio_by_hand() -> None:
    assert calmar_ratio([-0.2, 0.5], sessions_per_year=2) == pytest.approx(1.0, rel=1e-12)


def test_beta_and_alpha_of_twice_the_benchmark_and_a_tenth_of_a_percent() -> None:
    account = [2 * b + 0.001 for b in BENCHMARK]
    assert beta(account, BENCHMARK) == pytest.approx(2.0, rel=1e-12)
    assert alpha(account, BENCHMARK, risk_free_rate=0.0) == pytest.approx(0.252, rel=1e-12)


def test_alpha_charges_the_risk_free_rate_on_what_beta_leaves() -> None:
    # (r - f) - 2 (b - f) = 0.001 + f, f = 10 % a session of two a year
    account = [2 * b + 0.001 for b in BENCHMARK]
    assert alpha(account, BENCHMARK, risk_free_rate=0.21, sessions_per_year=2) == pytest.approx(0.202, rel=1e-12)


def test_tracking_error_and_information_ratio_by_hand() -> None:
    account = [b + a for b, a in zip(BENCHMARK[:2], [0.01, 0.03], strict=True)]
    assert tracking_error(account, BENCHMARK[:2]) == pytest.approx(math.sqrt(0.0002 * 252), rel=1e-12)
    assert information_ratio(account, BENCHMARK[:2]) == pytest.approx(math.sqrt(2 * 252), rel=1e-12)


def test_an_index_fund_has_no_tracking_error_and_no_information_ratio() -> None:
    assert tracking_error(BENCHMARK, BENCHMARK) == 0.0
    with pytest.raises(RiskError, match="information ratio"):
        information_ratio(BENCHMARK, BENCHMARK)


@pytest.mark.parametrize("returns", [FLAT, GROWN, [0.0, 0.0]])
def test_ratios_over_rounding_noise_do_not_exist(returns: list[float]) -> None:
    with pytest.raises(RiskError, match="Sharpe"):
        sharpe_ratio(returns, risk_free_rate=0.02)
    with pytest.raises(RiskError, match="Calmar"):
        calmar_ratio(returns)
    with pytest.raises(RiskError, match="beta"):
        beta([0.01, -0.01] * (len(returns) // 2), returns)


def test_sortino_ratio_without_a_loss_does_not_exist() -> None:
    with pytest.raises(RiskError, match="Sortino"):
        sortino_ratio([0.01, 0.02], risk_free_rate=0.0)


@pytest.mark.parametrize("function", [beta, tracking_error, information_ratio])
@pytest.mark.parametrize(
    ("account", "benchmark"),
    [([0.1, 0.2], [0.1]), ([0.1], [0.1]), ([0.1, np.nan], [0.1, 0.2]), ([0.1, 0.2], [0.1, np.nan])],
)
def test_comparisons_refuse_what_is_not_aligned_or_not_there(function, account, benchmark) -> None:
    with pytest.raises(RiskError, match="returns"):
        function(account, benchmark)
