"""Weights that prices moved, by hand."""

from __future__ import annotations

import math

import pytest

from aegis.portfolio.drift import drifted_weights, outside_band


def test_weights_move_with_prices_against_a_book_that_moves_too() -> None:
    # 100 USD: 50 of AAA (+20 % = 60), 30 short of BBB (-10 % = -27), 80 in cash: 113 in all.
    weights = drifted_weights({"AAA": 0.5, "BBB": -0.3}, {"AAA": 0.2, "BBB": -0.1, "ELSE": 3.0})
    assert weights == pytest.approx({"AAA": 60 / 113, "BBB": -27 / 113}, abs=1e-15)


@pytest.mark.parametrize("returns", [{}, {"AAA": math.nan}])
def test_without_a_price_the_last_one_stands(returns: dict[str, float]) -> None:
    assert drifted_weights({"AAA": 0.4}, returns) == {"AAA": 0.4}


def test_only_what_is_outside_the_band_is_named() -> None:
    current = {"AAA": 0.05, "BBB": 0.02, "OLD": 0.03}
    target = {"AAA": 0.03, "BBB": 0.04, "NEW": 0.05, "OLD": 0.0}
    assert outside_band(current, target, band=0.025) == ["NEW", "OLD"]
    assert outside_band(current, target, band=0.05) == []
