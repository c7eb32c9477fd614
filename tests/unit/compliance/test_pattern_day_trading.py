"""Day trades counted as FINRA counts them, and the thresholds on either side."""

from __future__ import annotations

from datetime import date

import pytest

from aegis.calendars import trading_calendar
from aegis.compliance.pattern_day_trading import (
    BUYING_POWER,
    DESIGNATED,
    MINIMUM_EQUITY,
    TradingDay,
    day_trades,
    pattern_day_trading_findings,
)
from aegis.errors import ComplianceError
from tests.unit.compliance.trade_facts import traded

XNYS = trading_calendar("XNYS")


def day(session, executions, *, overnight=None, equity=30_000.0, maintenance=0.0):
    return TradingDay(
        session=date.fromisoformat(session),
        overnight_shares=overnight or {},
        executions=tuple(executions),
        previous_equity_usd=equity,
        previous_maintenance_usd=maintenance,
    )


def sequence(*trades, overnight=None):
    """Count the day trades of (clock, shares) or (clock, shares, symbol) on one day."""
    executions = [
        traded("2021-03-15", trade[2] if len(trade) > 2 else "ABC", trade[1], 10.0, clock=trade[0]) for trade in trades
    ]
    return day_trades(day("2021-03-15", executions, overnight=overnight)).count


# Regulatory Notice 21-13, examples A to F.
@pytest.mark.parametrize(
    ("trades", "expected"),
    [
        ([("09:30", 250), ("09:31", 250), ("13:00", -500)], 1),
        ([("09:30", 100), ("09:31", -100), ("09:32", 100), ("13:00", -100)], 2),
        ([("09:30", 500), ("13:00", -100), ("13:01", -100), ("13:03", -300)], 1),
        ([("09:30", 250), ("09:31", 300), ("13:01", 100), ("13:02", -150), ("13:03", -175)], 1),
        ([("09:30", 199), ("09:31", 142), ("13:00", -1), ("13:01", 45), ("13:02", -100), ("13:03", -200)], 2),
        ([("09:30", 200), ("09:30", 100, "XYZ"), ("13:00", -100), ("13:00", -100, "XYZ")], 2),
    ],
    ids=list("ABCDEF"),
)
def test_examples_of_regulatory_notice_21_13(trades, expected) -> None:
    assert sequence(*trades) == expected


def test_selling_what_was_held_overnight_first_is_no_day_trade() -> None:
    assert sequence(("09:30", -10), overnight={"ABC": 10.0}) == 0
    assert sequence(("09:30", -10), ("10:00", 5), overnight={"ABC": 10.0}) == 0
    assert sequence(("09:30", -10), ("10:00", 5), ("11:00", -5), overnight={"ABC": 10.0}) == 1


def test_selling_after_a_purchase_of_the_day_is_one_though_shares_were_held() -> None:
    assert sequence(("09:30", 1), ("10:00", -10), overnight={"ABC": 10.0}) == 1


def test_short_sales_bought_back_the_same_day_count() -> None:
    assert sequence(("09:30", -100), ("10:00", 100)) == 1
    assert sequence(("09:30", 100), overnight={"ABC": -100.0}) == 0


def round_trips(session, count, *, extra=0, price=10.0):
    """`count` day trades of 100 shares, and `extra` purchases that are held."""
    trades = []
    for number in range(count):
        trades.append(traded(session, f"S{number}", 100, price, clock="10:00"))
        trades.append(traded(session, f"S{number}", -100, price, clock="11:00"))
    return trades + [traded(session, f"H{number}", 1, price, clock="12:00") for number in range(extra)]


def kinds(*days):
    return [(f.kind, f.session.isoformat()) for f in pattern_day_trading_findings(days, account="desk", calendar=XNYS)]


def test_the_fourth_day_trade_makes_a_pattern_and_the_third_does_not() -> None:
    assert kinds(day("2024-06-10", round_trips("2024-06-10", 3))) == []
    assert kinds(day("2024-06-10", round_trips("2024-06-10", 4))) == [(DESIGNATED, "2024-06-10")]


# Monday to Friday are five business days; the next Monday is the sixth. A holiday on Wednesday June 19 adds a day.
@pytest.mark.parametrize(
    ("first", "last", "is_pattern"),
    [
        ("2024-06-10", "2024-06-14", True),
        ("2024-06-10", "2024-06-17", False),
        ("2024-06-14", "2024-06-21", True),
        ("2024-06-14", "2024-06-24", False),
    ],
)
def test_day_trades_count_within_five_business_days(first, last, is_pattern) -> None:
    found = kinds(day(first, round_trips(first, 3)), day(last, round_trips(last, 1)))

    assert found == ([(DESIGNATED, last)] if is_pattern else [])


# 4 day trades are 8 orders; 4 of 66 trades are 6.06 %, 4 of 67 are 5.97 %. More than 6 % is a pattern.
@pytest.mark.parametrize(("extra", "is_pattern"), [(58, True), (59, False)])
def test_day_trades_are_a_pattern_only_above_six_percent_of_trades(extra, is_pattern) -> None:
    found = kinds(day("2024-06-10", round_trips("2024-06-10", 4, extra=extra)))

    assert found == ([(DESIGNATED, "2024-06-10")] if is_pattern else [])


def test_exactly_six_percent_is_no_pattern() -> None:
    # 6 day trades of 100 trades: 12 orders of round trips and 88 others.
    assert kinds(day("2024-06-10", round_trips("2024-06-10", 6, extra=88))) == []


@pytest.mark.parametrize(("equity", "is_short"), [(25_000.0, False), (24_999.99, True)])
def test_a_pattern_day_trader_needs_25000_before_it_day_trades_again(equity, is_short) -> None:
    found = kinds(
        day("2024-06-10", round_trips("2024-06-10", 4)),
        day("2024-06-11", round_trips("2024-06-11", 1), equity=equity),
    )

    assert found[1:] == ([(MINIMUM_EQUITY, "2024-06-11")] if is_short else [])


def test_a_pattern_day_trader_below_25000_that_does_not_day_trade_is_left_alone() -> None:
    held = [traded("2024-06-11", "H", 100, 10.0)]

    assert kinds(day("2024-06-10", round_trips("2024-06-10", 4)), day("2024-06-11", held, equity=9_000.0)) == [
        (DESIGNATED, "2024-06-10")
    ]


# Equity 30,000 less a requirement of 5,000, times four: 100,000.
@pytest.mark.parametrize(("price", "exceeds"), [(1_000.0, False), (1_000.01, True)])
def test_day_trading_buying_power_is_four_times_the_excess(price, exceeds) -> None:
    found = pattern_day_trading_findings(
        [
            day("2024-06-10", round_trips("2024-06-10", 4)),
            day("2024-06-11", round_trips("2024-06-11", 1, price=price), maintenance=5_000.0),
        ],
        account="desk",
        calendar=XNYS,
    )

    assert [(f.kind, f.threshold) for f in found[1:]] == ([(BUYING_POWER, 100_000.0)] if exceeds else [])
    # Five business days after June 11 with a holiday on the 19th: June 18 is the fifth.
    assert [f.due_session for f in found[1:]] == ([date(2024, 6, 18)] if exceeds else [])


def test_the_commitment_is_what_was_open_at_one_time() -> None:
    trades = [
        traded("2024-06-11", "A", 100, 50.0, clock="10:00"),
        traded("2024-06-11", "A", -100, 51.0, clock="10:30"),
        traded("2024-06-11", "B", 100, 60.0, clock="11:00"),
        traded("2024-06-11", "A", 50, 50.0, clock="11:30"),
        traded("2024-06-11", "B", -100, 61.0, clock="12:00"),
        traded("2024-06-11", "A", -50, 50.0, clock="12:30"),
        traded("2024-06-11", "HELD", 1000, 90.0, clock="13:00"),
    ]

    # 6,000 of B and 2,500 of A were open together; HELD was not day-traded.
    assert day_trades(day("2024-06-11", trades)).largest_commitment_usd == 8_500.0


@pytest.mark.parametrize(("session", "lapsed"), [("2024-09-06", False), ("2024-09-09", True)])
def test_a_designation_lapses_after_90_days_without_a_day_trade(session, lapsed) -> None:
    # June 10 and 90 days are September 8, 2024, a Sunday.
    found = kinds(
        day("2024-06-10", round_trips("2024-06-10", 4)), day(session, round_trips(session, 1), equity=1_000.0)
    )

    assert found[1:] == ([] if lapsed else [(MINIMUM_EQUITY, session)])


def test_a_day_after_the_rule_ended_is_refused() -> None:
    with pytest.raises(ComplianceError, match="pattern day trader 2026-06-04: no text is in force"):
        kinds(day("2026-06-04", round_trips("2026-06-04", 1)))


def test_days_out_of_order_are_refused() -> None:
    with pytest.raises(ComplianceError, match="give sessions in order"):
        kinds(day("2024-06-11", []), day("2024-06-10", []))
