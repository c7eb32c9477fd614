import math

import numpy as np
import pytest

from aegis.errors import RiskError
from aegis.risk.exposure import (
    concentration_hhi,
    gross_exposure,
    largest_weight,
    net_exposure,
    participations,
    projected_weights,
)


def test_exposures_of_a_long_and_short_book_by_hand() -> None:
    weights = [0.5, -0.25, 0.25]
    assert gross_exposure(weights) == 1.0
    assert net_exposure(weights) == 0.5
    assert largest_weight([0.1, -0.4]) == 0.4
    assert concentration_hhi(weights) == pytest.approx(0.25 + 0.0625 + 0.0625)


def test_concentration_of_n_equal_holdings_is_one_over_n_whatever_their_size() -> None:
    assert concentration_hhi([0.01] * 8) == pytest.approx(1 / 8)


@pytest.mark.parametrize("function", [gross_exposure, net_exposure, largest_weight, concentration_hhi])
def test_an_empty_or_flat_book_has_no_exposure(function) -> None:
    assert function([]) == 0.0
    assert function([0.0, 0.0]) == 0.0


@pytest.mark.parametrize("function", [gross_exposure, net_exposure, largest_weight, concentration_hhi])
def test_exposure_of_an_unknown_weight_is_refused(function) -> None:
    with pytest.raises(RiskError, match="weights"):
        function([0.1, np.nan])


def test_projected_weights_add_every_trade_to_what_is_held() -> None:
    weights = projected_weights(
        {"A": 100.0, "B": 50.0},
        [("A", -40.0), ("C", 10.0), ("B", -50.0), ("C", 10.0)],
        prices_usd={"A": 10.0, "B": 20.0, "C": 5.0},
        equity_usd=1000.0,
    )
    assert weights == {"A": pytest.approx(0.6), "C": pytest.approx(0.1)}


@pytest.mark.parametrize(
    ("price", "equity"),
    [(math.nan, 1000.0), (0.0, 1000.0), (-1.0, 1000.0), (10.0, 0.0), (10.0, math.nan), (10.0, -1.0)],
)
def test_a_weight_that_cannot_be_known_is_infinite(price: float, equity: float) -> None:
    assert projected_weights({"A": 1.0}, [], prices_usd={"A": price}, equity_usd=equity) == {"A": math.inf}
    assert projected_weights({"A": 1.0}, [], prices_usd={}, equity_usd=1000.0) == {"A": math.inf}


def test_participation_adds_both_sides_of_a_symbol() -> None:
    found = participations(
        [("A", 30.0), ("A", -20.0)], prices_usd={"A": 10.0}, median_dollar_volume_usd={"A": 10_000.0}
    )
    assert found == {"A": pytest.approx(0.05)}


@pytest.mark.parametrize("volume", [{}, {"A": math.nan}, {"A": 0.0}])
def test_participation_in_an_unknown_volume_is_infinite(volume: dict[str, float]) -> None:
    assert participations([("A", 1.0)], prices_usd={"A": 10.0}, median_dollar_volume_usd=volume) == {"A": math.inf}
