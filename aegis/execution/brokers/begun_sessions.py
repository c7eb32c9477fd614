"""Which session an instant at a venue belongs to.

Belongs here: the rule for what happens before the first open of a day, the same for every broker.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from aegis.calendars import TradingCalendar


def begun_sessions(calendar: TradingCalendar) -> Callable[[datetime], date]:
    """Return what tells the session that began last, of an aware instant."""
    zone = ZoneInfo(calendar.time_zone)

    def session_of(instant_utc: datetime) -> date:
        day = instant_utc.astimezone(zone).date()
        if calendar.is_session(day) and instant_utc >= calendar.open_utc(day):
            return day
        return calendar.previous(day)

    return session_of
