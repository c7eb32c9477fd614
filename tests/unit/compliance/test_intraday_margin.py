"""Deficits within a day, worked by hand from the definition: equity less 25 % of long and 30 % of short value."""

from __future__ import annotations

from datetime import date

import pytest

from aegis.calendars import trading_calendar
from aegis.compliance.intraday_margin import (
    DEFICIT,
    SMALL_DEFICIT,
    IntradayAccount,
    intraday_deficit,
    intraday_margin_findings,
)
from aegis.errors import ComplianceError
from tests.unit.compliance.trade_facts import traded

XNYS = trading_calendar("XNYS")
SESSION = "2026-06-04"


def account(executions, *, cash=10_000.0, positions=None, closes=None, session=SESSION):
    return IntradayAccount(
        account="desk",
        session=date.fromisoformat(session),
        cash_usd=cash,
        positions_shares=positions or {},
        previous_closes_usd=closes or {},
        executions=tuple(executions),
    )


def test_equity_carries_four_times_its_amount_and_no_more() -> None:
    # 10,000 of equity against 25 % of 40,000: the level is 0; at 40,400 it is -100.
    assert intraday_deficit(account([traded(SESSION, "A", 400, 100.0)])).deficit_usd == 0.0
    assert intraday_deficit(account([traded(SESSION, "A", 404, 100.0)])).deficit_usd == pytest.approx(100.0)


def test_the_largest_deficit_of_the_day_counts_though_it_was_closed() -> None:
    trades = [
        traded(SESSION, "A", 480, 100.0, clock="10:00"),
        traded(SESSION, "A", -480, 100.0, clock="11:00"),
        traded(SESSION, "B", 440, 100.0, clock="12:00"),
        traded(SESSION, "B", -440, 100.0, clock="13:00"),
    ]

    # 25 % of 48,000 is 12,000: 2,000 too little. The second round trip lacked 1,000.
    assert intraday_deficit(account(trades)).deficit_usd == pytest.approx(2_000.0)


def test_a_transaction_that_raises_the_level_is_not_a_deficit_of_its_own() -> None:
    # Held overnight: 400 at 100 with a debt of 30,000. The sale is made at 80, after a fall: equity 2,000, requirement
    # 8,000 before the sale of 100 and 6,000 after it.
    trades = [traded(SESSION, "A", -100, 80.0)]
    day = account(trades, cash=-30_000.0, positions={"A": 400.0}, closes={"A": 100.0})

    assert intraday_deficit(day).deficit_usd == 0.0


def test_a_loss_within_the_day_is_seen_by_the_next_purchase() -> None:
    # 400 at 100 bought with 10,000; at 98 equity is 9,200 and the requirement 9,800; one more at 98 needs 24.50.
    trades = [traded(SESSION, "A", 400, 100.0, clock="10:00"), traded(SESSION, "A", 1, 98.0, clock="11:00")]

    assert intraday_deficit(account(trades)).deficit_usd == pytest.approx(624.5)


def test_a_short_sale_asks_30_percent() -> None:
    # Equity 10,000; 340 short at 100 ask 10,200.
    assert intraday_deficit(account([traded(SESSION, "A", -340, 100.0)])).deficit_usd == pytest.approx(200.0)


# 5 % of 10,000 are 500; of 30,000 they are 1,500, and 1,000 is the cap.
@pytest.mark.parametrize(
    ("cash", "shares", "price", "deficit", "kind"),
    [
        (10_000.0, 420, 100.0, 500.0, SMALL_DEFICIT),
        (10_000.0, 421, 100.0, 525.0, DEFICIT),
        (30_000.0, 1240, 100.0, 1_000.0, SMALL_DEFICIT),
        (30_000.0, 1241, 100.0, 1_025.0, DEFICIT),
    ],
)
def test_small_deficits_are_told_apart(cash, shares, price, deficit, kind) -> None:
    (finding,) = intraday_margin_findings(account([traded(SESSION, "A", shares, price)], cash=cash), calendar=XNYS)

    assert (finding.kind, finding.observed) == (kind, pytest.approx(deficit))


def test_a_deficit_is_due_by_the_fifth_business_day() -> None:
    (finding,) = intraday_margin_findings(account([traded(SESSION, "A", 480, 100.0)]), calendar=XNYS)

    # Thursday June 4, 2026 and five business days.
    assert finding.due_session == date(2026, 6, 11)
    assert "SR-FINRA-2025-017" in finding.citation


def test_the_day_before_the_rule_is_refused_and_a_day_without_deficit_finds_nothing() -> None:
    with pytest.raises(ComplianceError, match="intraday margin 2026-06-03: no text is in force"):
        intraday_margin_findings(account([], session="2026-06-03"), calendar=XNYS)
    assert intraday_margin_findings(account([]), calendar=XNYS) == []


def test_a_position_without_a_close_is_refused() -> None:
    with pytest.raises(ComplianceError, match="A 2026-06-04: held without a previous close"):
        intraday_deficit(account([], positions={"A": 1.0}))
