"""Requirements from the text of the rules, worked by hand."""

from __future__ import annotations

from datetime import date

import pytest

from aegis.calendars import trading_calendar
from aegis.compliance.margin import (
    MarginClose,
    initial_requirement_usd,
    maintenance_requirement_usd,
    margin_findings,
    total_maintenance_usd,
)
from aegis.errors import ComplianceError

XNYS = trading_calendar("XNYS")
DAY = date(2024, 6, 10)

# Regulatory Notice 11-16: 25 % long; short the greater of 5.00 a share and 30 % from
# 5.00 on, the greater of 2.50 a share and 100 % below.
MAINTENANCE = [
    (100, 40.0, 1000.0, "25 % of 4,000"),
    (-500, 40.0, 6000.0, "30 % of 20,000, more than 2,500"),
    (-100, 16.0, 500.0, "5.00 a share, more than 30 % of 1,600"),
    (-300, 5.0, 1500.0, "at 5.00 both are 100 %"),
    (-100, 4.99, 499.0, "100 % below 5.00, more than 2.50 a share"),
    (-10_000, 2.0, 25_000.0, "2.50 a share, more than 100 %"),
    (0, 40.0, 0.0, "nothing held"),
]


@pytest.mark.parametrize(("shares", "price", "required", "source"), MAINTENANCE)
def test_maintenance_requirement(shares, price, required, source) -> None:
    assert maintenance_requirement_usd(shares, price, day=DAY) == pytest.approx(required, abs=1e-9), source


def test_both_texts_of_the_maintenance_rule_ask_the_same() -> None:
    for shares, price, required, _ in MAINTENANCE:
        for day in (date(2010, 12, 1), date(2010, 12, 2)):
            assert maintenance_requirement_usd(shares, price, day=day) == pytest.approx(required, abs=1e-9)


@pytest.mark.parametrize(("shares", "required"), [(100, 2000.0), (-500, 10_000.0)])
def test_initial_requirement_is_half_on_top_of_any_proceeds(shares, required) -> None:
    assert initial_requirement_usd(shares, 40.0, day=DAY) == required


def test_total_maintenance_adds_longs_and_shorts() -> None:
    assert total_maintenance_usd({"A": 100, "B": -100}, {"A": 40.0, "B": 16.0}, day=DAY) == 1500.0


def close(equity, positions, opened=None, session=DAY, price=100.0):
    return MarginClose(
        account="desk",
        session=session,
        equity_usd=equity,
        positions_shares=positions,
        prices_usd={"A": price, "B": 3.0},
        opened_positions_shares={} if opened is None else opened,
    )


def found(*args, **kwargs):
    return [(f.kind, f.observed, f.threshold) for f in margin_findings(close(*args, **kwargs), calendar=XNYS)]


@pytest.mark.parametrize(("equity", "calls"), [(10_000.0, 0), (9_999.99, 1)])
def test_a_purchase_of_20000_needs_10000(equity, calls) -> None:
    assert found(equity, {"A": 200}) == [("initial margin call", equity, 10_000.0)] * calls


def test_the_call_is_no_more_than_the_trades_added() -> None:
    # 300 held with 9,000 of equity, under-margined by a fall; 10 more add 500 to a requirement of 15,500.
    (call,) = margin_findings(close(9_000.0, {"A": 310}, {"A": 300}), calendar=XNYS)

    assert "pay in 500.00 USD" in call.detail


def test_a_fall_in_price_calls_for_maintenance_only() -> None:
    assert found(4_999.0, {"A": 200}, {"A": 200}) == [("maintenance margin call", 4_999.0, 5_000.0)]
    assert found(5_000.0, {"A": 200}, {"A": 200}) == []


@pytest.mark.parametrize(
    ("session", "due"),
    [
        (date(2024, 6, 10), date(2024, 6, 13)),  # T+1 and two days
        (date(2018, 6, 11), date(2018, 6, 15)),  # T+2 and two days
        (date(2014, 6, 9), date(2014, 6, 16)),  # T+3 and two days, over a weekend
    ],
)
def test_an_initial_call_is_due_one_payment_period_after_the_trade(session, due) -> None:
    (call,) = margin_findings(close(9_000.0, {"A": 200}, session=session), calendar=XNYS)

    assert call.due_session == due


def test_an_account_that_borrows_keeps_2000_but_never_more_than_its_positions() -> None:
    assert found(1_500.0, {"A": 20}, {"A": 20}) == [("minimum equity", 1_500.0, 2_000.0)]
    assert found(1_500.0, {"A": 15}, {"A": 15}) == []
    assert found(1_999.0, {"B": -100}, {"B": -100}) == [("minimum equity", 1_999.0, 2_000.0)]


def test_a_position_without_a_price_is_refused() -> None:
    with pytest.raises(ComplianceError, match="C 2024-06-10: price nan USD; mark it"):
        close(1_000.0, {"C": 1})
    with pytest.raises(ComplianceError, match="equity nan"):
        close(float("nan"), {})
