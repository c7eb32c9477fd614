"""Financing: interest and borrow fees by calendar day, worked by hand."""

from __future__ import annotations

import math

import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.financing import Financing, borrow_fee_usd, interest_usd
from aegis.errors import ConfigurationError


def test_positive_cash_earns_the_credit_rate() -> None:
    # 100 000 USD at 3.6 % over a weekend of 3 days: 100 000 * 0.036 * 3 / 360 = 30 USD.
    costs = CostModel(financing=Financing(credit_rate_per_year=0.036, debit_rate_per_year=0.06)).pack()[0]
    assert interest_usd(costs, 100_000.0, 3.0) == pytest.approx(30.0, rel=1e-15)


def test_negative_cash_pays_the_debit_rate() -> None:
    # 60 000 USD of debt at 6 % for a night: 60 000 * 0.06 / 360 = 10 USD.
    costs = CostModel(financing=Financing(credit_rate_per_year=0.036, debit_rate_per_year=0.06)).pack()[0]
    assert interest_usd(costs, -60_000.0, 1.0) == pytest.approx(-10.0, rel=1e-15)


def test_each_rate_has_its_own_year() -> None:
    # 73 000 USD at 5 % for 2 days of a year of 365: 73 000 * 0.05 * 2 / 365 = 20 USD, with borrow fees in years of 360.
    costs = CostModel(financing=Financing(credit_rate_per_year=0.05, interest_days_per_year=365)).pack()[0]
    assert interest_usd(costs, 73_000.0, 2.0) == pytest.approx(20.0, rel=1e-15)
    assert borrow_fee_usd(costs, -36_000.0, 0.1, 1.0) == pytest.approx(10.0, rel=1e-15)
    # A short of 36 500 USD at 10 % of a year of 365 days: 10 USD a day, with interest in years of 360.
    costs = CostModel(financing=Financing(credit_rate_per_year=0.05, borrow_days_per_year=365)).pack()[0]
    assert borrow_fee_usd(costs, -36_500.0, 0.1, 1.0) == pytest.approx(10.0, rel=1e-15)
    assert interest_usd(costs, 72_000.0, 2.0) == pytest.approx(20.0, rel=1e-15)


def test_borrowed_shares_cost_their_rate_on_the_value() -> None:
    # 90 000 USD short at 8 % a year for 3 days: 90 000 * 0.08 * 3 / 360 = 60 USD, whatever the sign of the value.
    costs = CostModel().pack()[0]
    assert borrow_fee_usd(costs, -90_000.0, 0.08, 3.0) == pytest.approx(60.0, rel=1e-15)
    assert borrow_fee_usd(costs, 90_000.0, 0.08, 3.0) == pytest.approx(60.0, rel=1e-15)


def test_nothing_is_charged_by_default_and_for_no_days() -> None:
    free = CostModel().pack()[0]
    assert interest_usd(free, 1e6, 30.0) == 0.0
    assert interest_usd(free, -1e6, 30.0) == 0.0
    paid = CostModel(financing=Financing(0.03, 0.06)).pack()[0]
    assert interest_usd(paid, 1e6, 0.0) == 0.0
    assert borrow_fee_usd(paid, -1e6, 0.5, 0.0) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Financing(credit_rate_per_year=-0.01), r"Financing\.credit_rate_per_year must be 0 or more"),
        (lambda: Financing(debit_rate_per_year=math.nan), r"Financing\.debit_rate_per_year"),
        (lambda: Financing(borrow_rate_per_year=1e9), r"Financing\.borrow_rate_per_year"),
        (lambda: Financing(interest_days_per_year=364), r"interest_days_per_year must be 360 or 365, found 364"),
        (lambda: Financing(borrow_days_per_year=0), r"borrow_days_per_year must be 360 or 365, found 0"),
    ],
)
def test_parameters_out_of_bounds_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()  # type: ignore[operator]
