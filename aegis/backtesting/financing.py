"""Financing: interest on cash, and the fee for borrowed shares.

Belongs here: rates, day counts, and one formula for each. Which balance was held overnight is the kernel's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aegis.backtesting.compilation import compiled
from aegis.backtesting.parameter_bounds import require_within
from aegis.errors import ConfigurationError

FINANCING_FIELDS: Final = (
    ("credit_rate", "f8"),
    ("debit_rate", "f8"),
    ("interest_days", "f8"),
    ("borrow_rate", "f8"),
    ("borrow_days", "f8"),
)
"""Its part of the record of all costs. Rates a year, simple; `interest_days` and `borrow_days`: days of a year."""

_DAY_COUNTS = (360, 365)


@dataclass(frozen=True, slots=True)
class Financing:
    """What holding cash, debt and short positions earns and costs.

    Parameters
    ----------
    credit_rate_per_year, debit_rate_per_year : float
        Simple interest on positive and on negative cash, fraction a year.
    borrow_rate_per_year : float
        Fee on the value of short positions whose symbol has no rate of its own, fraction a year.
    interest_days_per_year, borrow_days_per_year : int
        360 or 365: by what a yearly rate is divided. Interest in USD is counted in years of 360 days.
    """

    credit_rate_per_year: float = 0.0
    debit_rate_per_year: float = 0.0
    borrow_rate_per_year: float = 0.0
    interest_days_per_year: int = 360
    borrow_days_per_year: int = 360

    def __post_init__(self) -> None:
        require_within("Financing.credit_rate_per_year", self.credit_rate_per_year, at_most=10.0)
        require_within("Financing.debit_rate_per_year", self.debit_rate_per_year, at_most=10.0)
        require_within("Financing.borrow_rate_per_year", self.borrow_rate_per_year, at_most=100.0)
        for name in ("interest_days_per_year", "borrow_days_per_year"):
            if getattr(self, name) not in _DAY_COUNTS:
                raise ConfigurationError(
                    f"Financing.{name} must be 360 or 365, found {getattr(self, name)!r}; correct it and run again"
                )

    def write(self, record: Any) -> None:
        """Set the fields of the record of all costs."""
        record["credit_rate"], record["debit_rate"] = self.credit_rate_per_year, self.debit_rate_per_year
        record["borrow_rate"] = self.borrow_rate_per_year
        record["interest_days"], record["borrow_days"] = self.interest_days_per_year, self.borrow_days_per_year


@compiled
def interest_usd(costs: Any, cash_usd: float, calendar_days: float) -> float:
    r"""Return the interest on a cash balance, USD: positive is credited, negative is debited.

    Parameters
    ----------
    costs : COSTS
        The packed cost model.
    cash_usd : float
        Balance held, USD; negative is debt.
    calendar_days : float
        Days it was held, nights and weekends included.

    Notes
    -----
    Simple interest, :math:`c\,r\,d / D`, with the rate of the balance's sign.
    """
    rate: float = costs.credit_rate if cash_usd > 0.0 else costs.debit_rate
    days: float = costs.interest_days
    return cash_usd * rate * calendar_days / days


@compiled
def borrow_fee_usd(costs: Any, short_value_usd: float, annual_rate: float, calendar_days: float) -> float:
    r"""Return the fee for borrowed shares, USD, zero or positive.

    Parameters
    ----------
    costs : COSTS
        The packed cost model.
    short_value_usd : float
        Value of the short position at its mark, USD, of either sign.
    annual_rate : float
        Fraction of the value a year.
    calendar_days : float
        Days it was held, nights and weekends included.

    Notes
    -----
    Simple, :math:`|v|\,r\,d / D`. Brokers that value the position at 102 per cent, rounded up to a dollar, charge
    more.
    """
    days: float = costs.borrow_days
    return abs(short_value_usd) * annual_rate * calendar_days / days
