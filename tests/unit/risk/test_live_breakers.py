"""Losses against the day and the peak, and the runaway guard, worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import pytest

from aegis.config_eval import LiveRiskLimits
from aegis.errors import RiskError
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.live_breakers import EquityMarks, OrderOutcome, losses, marks_with, runaway
from tests.unit.risk.exit_cases import LIMITS, NOW

FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
GUARDED = replace(LIMITS, max_rejects_in_a_row=3, max_fills_in_a_row=4, runaway_window_seconds=60.0)


def test_marks_keep_the_first_equity_of_the_day_and_the_highest_of_all() -> None:
    marks = None
    for equity, session in [(100.0, FRIDAY), (110.0, FRIDAY), (90.0, FRIDAY), (95.0, MONDAY), (97.0, MONDAY)]:
        marks = marks_with(marks, equity, session)
    assert marks == EquityMarks(session=MONDAY, first_usd=95.0, peak_usd=110.0, now_usd=97.0)


# 2 % of 50,000 are 1,000 USD; 10 % of 54,000 are 5,400 USD.
@pytest.mark.parametrize(
    ("now", "tripped"),
    [
        (49_000.01, set()),
        (49_000.0, set()),
        (48_999.99, {"daily loss"}),
        (48_600.0, {"daily loss"}),
        (48_599.99, {"daily loss", "drawdown"}),
    ],
)
def test_losses_trip_beyond_their_limits(now: float, tripped: set[str]) -> None:
    marks = EquityMarks(session=FRIDAY, first_usd=50_000.0, peak_usd=54_000.0, now_usd=now)
    assert set(losses(marks, replace(LIMITS, max_daily_loss=0.02, max_drawdown=0.1))) == tripped


def _outcomes(words: str, *, seconds_ago: float = 1.0) -> list[OrderOutcome]:
    kinds = {"r": "rejected", "a": "accepted", "x": "executed"}
    at = NOW - timedelta(seconds=seconds_ago)
    return [OrderOutcome(at, f"o-{number}", 0, kinds[word]) for number, word in enumerate(words)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "stops"),
    [("rr", False), ("rrr", False), ("rrrr", True), ("rrarr", False), ("rrxrr", False), ("arrrr", True),
     ("xxxx", False), ("xxxxx", True), ("xxrxxax", True), ("xxrxxa", False)],
)  # fmt: skip
def test_rejections_in_a_row_and_executions_in_the_window(words: str, stops: bool) -> None:
    told = runaway(_outcomes(words), NOW, GUARDED)
    assert (told is not None) is stops


def test_the_runaway_window_begins_after_its_first_instant() -> None:
    assert runaway(_outcomes("rrrr", seconds_ago=60.0), NOW, GUARDED) is None
    assert runaway(_outcomes("rrrr", seconds_ago=59.999999), NOW, GUARDED) is not None


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_a_limit_that_is_no_positive_number_is_refused(wrong: float) -> None:
    with pytest.raises(RiskError, match="max_day_orders: expected a finite number above 0"):
        replace(LIMITS, max_day_orders=wrong)


def test_limits_are_those_of_the_settings() -> None:
    limits = ExitLimits.from_settings(LiveRiskLimits(max_position_size=0.07, max_day_orders=3))
    assert (limits.max_position_weight, limits.max_day_orders, limits.max_daily_loss) == (0.07, 3, 0.02)
