import math

import numpy as np
import pytest

from aegis.errors import RiskError
from aegis.risk.value_at_risk import book_volatility, parametric_expected_shortfall, parametric_value_at_risk

# volatilities 2 % and 1 %, correlation 0.5
COVARIANCE = [[0.0004, 0.0001], [0.0001, 0.0001]]


def test_book_volatility_of_two_names_by_hand() -> None:
    # 0.25 * 4e-4 + 0.25 * 1e-4 + 2 * 0.25 * 1e-4 = 1.75e-4
    assert book_volatility([0.5, 0.5], COVARIANCE) == pytest.approx(math.sqrt(1.75e-4), rel=1e-14)


def test_a_hedged_book_of_perfectly_correlated_names_has_no_volatility() -> None:
    assert book_volatility([0.5, -1.0], [[0.0004, 0.0002], [0.0002, 0.0001]]) == pytest.approx(0.0, abs=1e-9)


def test_an_uncovered_holding_counts_as_the_most_volatile_name() -> None:
    assert book_volatility([0.5, 0.5], COVARIANCE, uncovered_weights=[0.1, -0.05]) == pytest.approx(
        math.sqrt(1.75e-4) + 0.02 * 0.15, rel=1e-14
    )


@pytest.mark.parametrize("correlation", [-1.0, -0.5, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("weight", [0.3, -0.3])
def test_the_bound_for_uncovered_holdings_holds_at_every_correlation(correlation: float, weight: float) -> None:
    true = np.array([[0.0004, correlation * 0.0003], [correlation * 0.0003, 0.000225]])
    exact = math.sqrt(max(np.array([0.5, weight]) @ true @ np.array([0.5, weight]), 0.0))
    assert book_volatility([0.5], [[0.0004]], uncovered_weights=[weight]) >= exact - 1e-15


def test_an_empty_book_has_no_volatility() -> None:
    assert book_volatility([], np.empty((0, 0))) == 0.0
    assert book_volatility([], []) == 0.0


def test_holdings_without_any_covariance_are_refused() -> None:
    with pytest.raises(RiskError, match="no name has a covariance"):
        book_volatility([], [], uncovered_weights=[0.05])


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        ([[0.0004]], "shape"),
        ([0.0004, 0.0001, 0.0001, 0.0001], "shape"),
        ([[0.0004, math.nan], [math.nan, 0.0001]], "entry"),
        ([[0.0004, 0.0003], [0.0001, 0.0001]], "symmetric"),
        ([[0.0001, -0.0004], [-0.0004, 0.0001]], "semi-definite"),
    ],
)
def test_a_matrix_that_is_no_covariance_of_the_book_is_refused(covariance, message: str) -> None:
    with pytest.raises(RiskError, match=message):
        book_volatility([0.5, 0.5], covariance)


def test_parametric_numbers_assume_a_mean_of_zero() -> None:
    # standard normal tables: z(95 %) = 1.644854, pdf(z) / 5 % = 2.062713
    assert parametric_value_at_risk(0.01) == pytest.approx(0.01644854, abs=1e-8)
    assert parametric_expected_shortfall(0.01) == pytest.approx(0.02062713, abs=1e-8)
