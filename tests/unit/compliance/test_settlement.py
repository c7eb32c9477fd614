"""Settlement days counted on the calendar by hand."""

from __future__ import annotations

from datetime import date

import pytest

from aegis.calendars import trading_calendar
from aegis.compliance.settlement import business_days_after, is_settlement_day, settlement_session
from aegis.errors import CalendarError, ComplianceError

XNYS = trading_calendar("XNYS")

# trade date, settlement date, why
CASES = [
    ("1995-06-07", "1995-06-12", "T+3 on its first day, Wednesday to Monday"),
    ("2017-09-01", "2017-09-07", "the last T+3: Friday, Labor Day on Monday, then Tuesday to Thursday"),
    ("2017-09-05", "2017-09-07", "the first T+2 settles on the same day as the last T+3"),
    ("2024-05-24", "2024-05-29", "the last T+2: Friday, Memorial Day on Monday, then Tuesday, Wednesday"),
    ("2024-05-28", "2024-05-29", "the first T+1 settles on the same day as the last T+2"),
    ("2024-10-11", "2024-10-15", "Friday before Columbus Day, on which banks are closed"),
    ("2024-10-14", "2024-10-15", "Columbus Day itself is a trade date"),
    ("2024-11-08", "2024-11-12", "Friday before Veterans Day on a Monday"),
    ("2023-11-09", "2023-11-13", "T+2 over Veterans Day on a Saturday, which closes no bank on the Friday"),
    ("2012-11-08", "2012-11-14", "T+3 over Veterans Day kept on Monday the 12th"),
    ("2024-12-24", "2024-12-26", "over Christmas"),
]


@pytest.mark.parametrize(("traded", "settles", "why"), CASES)
def test_a_trade_settles_by_the_cycle_of_its_date(traded, settles, why) -> None:
    assert settlement_session(date.fromisoformat(traded), calendar=XNYS) == date.fromisoformat(settles), why


def test_bank_holidays_are_sessions_and_no_settlement_days() -> None:
    assert XNYS.is_session(date(2024, 10, 14))
    assert not is_settlement_day(date(2024, 10, 14), calendar=XNYS)
    assert is_settlement_day(date(2024, 10, 7), calendar=XNYS)
    assert not is_settlement_day(date(2024, 10, 13), calendar=XNYS)


def test_business_days_leave_out_the_bank_holiday() -> None:
    assert business_days_after(date(2024, 10, 11), 2, calendar=XNYS) == date(2024, 10, 16)


def test_a_day_before_the_table_and_a_day_without_session_are_refused() -> None:
    with pytest.raises(ComplianceError, match="settlement cycle 1995-06-06"):
        settlement_session(date(1995, 6, 6), calendar=XNYS)
    with pytest.raises(CalendarError, match="not a session"):
        settlement_session(date(2024, 5, 27), calendar=XNYS)
