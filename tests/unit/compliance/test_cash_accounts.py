"""The brokers' published examples, on the settlement cycle of their day."""

from __future__ import annotations

from datetime import date

import pytest

from aegis.calendars import trading_calendar
from aegis.compliance.cash_accounts import FREE_RIDING, GOOD_FAITH, LIQUIDATION, Deposit, cash_account_findings
from aegis.errors import ComplianceError
from tests.unit.compliance.trade_facts import traded

XNYS = trading_calendar("XNYS")


def kinds(executions, settled_cash_usd=0.0, **given):
    found = cash_account_findings(executions, account="desk", settled_cash_usd=settled_cash_usd, calendar=XNYS, **given)
    return [(finding.kind, finding.session.isoformat(), finding.symbol) for finding in found]


# Fidelity, "Avoiding cash account trading violations", good faith: sells XYZ on Monday, buys ABC with the proceeds the
# same day, sells ABC before XYZ has settled. The last clean day moves with the cycle.
@pytest.mark.parametrize(
    ("sold", "cycle", "violations"),
    [
        ("2014-06-11", "T+3", 1),  # Monday the 9th settles on Thursday the 12th
        ("2014-06-12", "T+3", 0),
        ("2018-06-12", "T+2", 1),  # Monday the 11th settles on Wednesday the 13th
        ("2018-06-13", "T+2", 0),
        ("2024-06-10", "T+1", 1),  # Monday the 10th settles on Tuesday the 11th
        ("2024-06-11", "T+1", 0),
    ],
)
def test_selling_what_unsettled_proceeds_paid_for_is_a_good_faith_violation(sold, cycle, violations) -> None:
    monday = {"T+3": "2014-06-09", "T+2": "2018-06-11", "T+1": "2024-06-10"}[cycle]
    trades = [
        traded("2014-05-01", "XYZ", 100, 100.0),
        traded(monday, "XYZ", -100, 100.0, clock="14:00"),
        traded(monday, "ABC", 200, 50.0, clock="15:00"),
        traded(sold, "ABC", -200, 51.0, clock="16:00"),
    ]

    assert kinds(trades, 10_000.0) == [(GOOD_FAITH, sold, "ABC")] * violations


def test_settled_cash_pays_first_so_that_nothing_is_violated() -> None:
    trades = [
        traded("2024-06-03", "XYZ", 100, 50.0),
        traded("2024-06-10", "XYZ", -100, 50.0, clock="14:00"),
        traded("2024-06-10", "ABC", 100, 50.0, clock="15:00"),
        traded("2024-06-10", "ABC", -100, 50.0, clock="16:00"),
    ]

    assert kinds(trades, 10_000.0) == []


def test_buying_without_funds_and_paying_by_the_same_shares_is_free_riding() -> None:
    trades = [
        traded("2018-06-11", "ABC", 200, 50.0),
        traded("2018-06-13", "ABC", -200, 52.0),
    ]

    found = cash_account_findings(trades, account="desk", settled_cash_usd=4_000.0, calendar=XNYS)

    assert [(f.kind, f.observed) for f in found] == [(FREE_RIDING, 6_000.0)]
    assert "settled funds only for 90 days" in found[0].detail
    assert found[0].citation == "Regulation T, 12 CFR 220.8"


def test_a_deposit_before_the_sale_prevents_free_riding() -> None:
    trades = [traded("2018-06-11", "ABC", 200, 50.0), traded("2018-06-14", "ABC", -200, 52.0)]

    assert kinds(trades, deposits=[Deposit(date(2018, 6, 13), 10_000.0)]) == []
    assert kinds(trades, deposits=[Deposit(date(2018, 6, 15), 10_000.0)]) == [(FREE_RIDING, "2018-06-14", "ABC")]


# Fidelity, cash liquidation: buys ABC without the cash and later sells XYZ, held before, to pay for it.
def test_paying_by_selling_other_shares_afterwards_is_a_liquidation() -> None:
    trades = [
        traded("2018-05-01", "XYZ", 100, 100.0),
        traded("2018-06-11", "ABC", 200, 50.0),
        traded("2018-06-12", "XYZ", -100, 125.0),
    ]

    assert kinds(trades, 10_000.0) == [(LIQUIDATION, "2018-06-12", "XYZ")]


def test_paying_by_selling_other_shares_on_the_same_day_is_none() -> None:
    trades = [
        traded("2018-05-01", "XYZ", 100, 100.0),
        traded("2018-06-11", "ABC", 200, 50.0),
        traded("2018-06-11", "XYZ", -100, 125.0, clock="15:00"),
    ]

    assert kinds(trades, 10_000.0) == []


def test_what_a_liquidation_leaves_over_settles_as_cash() -> None:
    trades = [
        traded("2018-05-01", "XYZ", 100, 100.0),
        traded("2018-06-11", "ABC", 200, 50.0),
        traded("2018-06-12", "XYZ", -100, 125.0),
        traded("2018-06-14", "DEF", 25, 100.0),
        traded("2018-06-14", "DEF", -25, 100.0, clock="15:00"),
    ]

    assert kinds(trades, 10_000.0) == [(LIQUIDATION, "2018-06-12", "XYZ")]


def test_commission_is_part_of_what_must_be_paid() -> None:
    trades = [
        traded("2024-06-10", "ABC", 100, 50.0, commission=5.0),
        traded("2024-06-11", "ABC", -100, 50.0),
    ]

    assert kinds(trades, 5_000.0) == [(FREE_RIDING, "2024-06-11", "ABC")]
    assert kinds(trades, 5_005.0) == []


def test_a_short_sale_in_a_cash_account_is_refused() -> None:
    with pytest.raises(ComplianceError, match="100 more shares of ABC are sold than were bought"):
        kinds([traded("2024-06-10", "ABC", -100, 50.0)])
