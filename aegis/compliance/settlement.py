"""When trades settle, by the cycle in force on their trade date.

Belongs here: settlement days and dates. What a cash account may do before settlement is
:mod:`aegis.compliance.cash_accounts`.

Notes
-----
Columbus Day and Veterans Day are sessions of the New York exchanges on which banks are closed: a trade on them is
dated that day, but no trade settles on them.
"""

from __future__ import annotations

from datetime import date

from aegis.calendars import TradingCalendar
from aegis.compliance.effective_rules import SETTLEMENT_CYCLE, require_rule

_MONDAY = 0
_OCTOBER, _NOVEMBER = 10, 11
_VETERANS = 11
_SECOND_WEEK = range(8, 15)


def is_settlement_day(day: date, *, calendar: TradingCalendar) -> bool:
    """Whether trades settle on `day`: a session on which banks are open.

    Notes
    -----
    The two bank holidays are those of the Federal Reserve; one that falls on a Sunday is kept on the Monday after.
    """
    return calendar.is_session(day) and not _banks_alone_are_closed(day)


def settlement_session(trade_session: date, *, calendar: TradingCalendar) -> date:
    """Return the day on which a trade settles.

    Parameters
    ----------
    trade_session : date
        Trade date; the cycle is the one in force on it.
    calendar : TradingCalendar
        Of the exchange.

    Raises
    ------
    ComplianceError
        No cycle is known for so early a day.
    CalendarError
        The trade date is no session, or the calendar ends before settlement.
    """
    calendar.require_session(trade_session)
    cycle = int(require_rule(SETTLEMENT_CYCLE, trade_session).terms["business_days"])
    return business_days_after(trade_session, cycle, calendar=calendar)


def business_days_after(day: date, count: int, *, calendar: TradingCalendar) -> date:
    """Return the settlement day that is `count` of them after `day`."""
    for _ in range(count):
        day = calendar.next(day)
        while _banks_alone_are_closed(day):
            day = calendar.next(day)
    return day


def _banks_alone_are_closed(day: date) -> bool:
    columbus = day.month == _OCTOBER and day.weekday() == _MONDAY and day.day in _SECOND_WEEK
    veterans = day.month == _NOVEMBER and (
        day.day == _VETERANS or (day.day == _VETERANS + 1 and day.weekday() == _MONDAY)
    )
    return columbus or veterans
