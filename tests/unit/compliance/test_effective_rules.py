"""Both sides of every effective date; the dates are those of the releases named in each row."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from aegis.compliance.effective_rules import (
    CASH_ACCOUNT,
    INITIAL_MARGIN,
    INTRADAY_MARGIN,
    MAINTENANCE_MARGIN,
    PATTERN_DAY_TRADER,
    RULES,
    SETTLEMENT_CYCLE,
    WASH_SALE,
    day_trading_rule_on,
    require_rule,
    rule_on,
)
from aegis.errors import ComplianceError

DAY = timedelta(days=1)

# rule, last day of what was before, what was before, first day of the next, what the next is, source
TURNS = [
    (SETTLEMENT_CYCLE, "1995-06-06", None, "1995-06-07", 3, "Release 34-33023: T+3 from June 7, 1995"),
    (SETTLEMENT_CYCLE, "2017-09-04", 3, "2017-09-05", 2, "82 FR 15564: T+2 from September 5, 2017"),
    (SETTLEMENT_CYCLE, "2024-05-27", 2, "2024-05-28", 1, "88 FR 13872: T+1 from May 28, 2024"),
]


@pytest.mark.parametrize(("rule", "before", "days_before", "first", "days_after", "source"), TURNS)
def test_the_settlement_cycle_turns_on_its_date(rule, before, days_before, first, days_after, source) -> None:
    known = rule_on(rule, date.fromisoformat(before))

    assert (None if known is None else known.terms["business_days"]) == days_before, source
    assert require_rule(rule, date.fromisoformat(first)).terms["business_days"] == days_after, source


@pytest.mark.parametrize(
    ("day", "adopted", "expected", "citation"),
    [
        ("2026-06-03", "2026-06-04", PATTERN_DAY_TRADER, "FINRA Rule 4210(f)(8)(B)"),
        ("2026-06-04", "2026-06-04", INTRADAY_MARGIN, "SR-FINRA-2025-017"),
        ("2026-06-04", "2027-10-20", PATTERN_DAY_TRADER, "FINRA Rule 4210(f)(8)(B)"),  # a broker that still phases in
        ("2027-10-19", "2027-10-20", PATTERN_DAY_TRADER, "FINRA Rule 4210(f)(8)(B)"),
        ("2027-10-20", "2027-10-20", INTRADAY_MARGIN, "SR-FINRA-2025-017"),
        ("2010-12-01", "2026-06-04", PATTERN_DAY_TRADER, "NASD Rule 2520"),
        ("2010-12-02", "2026-06-04", PATTERN_DAY_TRADER, "Regulatory Notices 10-45"),
        ("2001-09-28", "2026-06-04", PATTERN_DAY_TRADER, "Notice to Members 01-26"),
    ],
)
def test_day_trading_is_under_the_rule_of_its_date_and_broker(day, adopted, expected, citation) -> None:
    found = day_trading_rule_on(date.fromisoformat(day), intraday_margin_adopted=date.fromisoformat(adopted))

    assert found.rule == expected
    assert citation in found.citation


@pytest.mark.parametrize("adopted", ["2026-06-03", "2027-10-21"])
def test_a_broker_adopts_intraday_margin_within_the_phase_in_or_is_refused(adopted) -> None:
    with pytest.raises(ComplianceError, match="phase-in"):
        day_trading_rule_on(date(2026, 7, 1), intraday_margin_adopted=date.fromisoformat(adopted))


def test_before_day_trading_was_regulated_no_rule_is_made_up() -> None:
    with pytest.raises(ComplianceError, match="2001-09-27: no text is in force; the table begins on 2001-09-28"):
        day_trading_rule_on(date(2001, 9, 27))


def test_texts_of_one_rule_follow_each_other_without_gap_or_overlap() -> None:
    for rule in {row.rule for row in RULES}:
        rows = sorted((row for row in RULES if row.rule == rule), key=lambda row: row.effective_from)
        assert [row.ends_before for row in rows[:-1]] == [row.effective_from for row in rows[1:]]


def test_intraday_margin_begins_the_day_after_the_pattern_day_trader_rule_ends() -> None:
    last = next(row for row in RULES if row.rule == PATTERN_DAY_TRADER and row.ends_before == date(2026, 6, 4))

    assert last.is_in_force(date(2026, 6, 4) - DAY)
    assert rule_on(INTRADAY_MARGIN, date(2026, 6, 4) - DAY) is None
    assert rule_on(PATTERN_DAY_TRADER, date(2026, 6, 4)) is None


@pytest.mark.parametrize("rule", [CASH_ACCOUNT, WASH_SALE, INITIAL_MARGIN, MAINTENANCE_MARGIN])
def test_rules_older_than_the_calendar_hold_from_its_first_day(rule) -> None:
    assert rule_on(rule, date(1990, 1, 1)) is not None
    assert rule_on(rule, date(2026, 11, 20)) is not None


def test_an_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ComplianceError, match=r"'wash' is not in the table.*wash sale"):
        rule_on("wash", date(2024, 1, 2))
