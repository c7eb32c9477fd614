import math

import pytest

from aegis.errors import ReconciliationError
from aegis.live_trading.reconciliation import MONEY, reconcile


def test_equal_books_are_clean_and_an_absent_symbol_is_no_shares() -> None:
    found = reconcile({"A": 100.0, "B": 0.0}, {"A": 100.0, "C": 0.0}, residual_usd=0.0)
    assert found.is_clean


def test_every_difference_is_a_break_with_both_values_and_the_remedy() -> None:
    found = reconcile({"B": 10.0, "A": 100.0}, {"A": 90.0, "C": -5.0}, residual_usd=12.5, label="simulated 2014-06-09")
    assert [(b.name, b.ours, b.theirs) for b in found.breaks] == [
        (MONEY, 0.0, 12.5),
        ("A", 100.0, 90.0),
        ("B", 10.0, 0.0),
        ("C", 0.0, -5.0),
    ]
    assert not found.is_clean
    assert "simulated 2014-06-09 A: our books say 100 shares, the broker 90 (difference -10)" in found.breaks[1].message
    assert all("book it" in b.message for b in found.breaks)


@pytest.mark.parametrize(("residual", "clean"), [(0.01, True), (-0.01, True), (0.010001, False), (-0.010001, False)])
def test_money_may_differ_by_the_tolerance_and_no_more(residual: float, clean: bool) -> None:
    assert reconcile({}, {}, residual_usd=residual, tolerance_usd=0.01).is_clean is clean


@pytest.mark.parametrize(("residual", "clean"), [(1e-6, True), (1.1e-6, False)])
def test_without_a_tolerance_money_must_agree_to_a_millionth(residual: float, clean: bool) -> None:
    assert reconcile({}, {}, residual_usd=residual).is_clean is clean


@pytest.mark.parametrize(("theirs", "clean"), [(100.5, True), (99.5, True), (100.6, False)])
def test_shares_may_differ_by_the_tolerance_and_no_more(theirs: float, clean: bool) -> None:
    assert reconcile({"A": 100.0}, {"A": theirs}, residual_usd=0.0, share_tolerance=0.5).is_clean is clean


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_a_number_is_a_break_also_when_both_sides_say_so(value: float) -> None:
    assert not reconcile({"A": value}, {"A": value}, residual_usd=0.0).is_clean
    assert not reconcile({}, {}, residual_usd=value).is_clean


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_a_tolerance_that_would_hide_everything_is_refused(tolerance: float) -> None:
    with pytest.raises(ReconciliationError, match="tolerance_usd"):
        reconcile({}, {}, residual_usd=5.0, tolerance_usd=tolerance)
    with pytest.raises(ReconciliationError, match="share_tolerance"):
        reconcile({}, {}, residual_usd=0.0, share_tolerance=tolerance)
