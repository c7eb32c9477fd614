"""Which session an instant at a venue belongs to.

Belongs here: the rule for what happens before the first open of a day, the same for every broker.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from aegis.calendars import TradingCalendar
from aegis.errors import CalendarError


def begun_sessions(calendar: TradingCalendar) -> Callable[[datetime], date]:
    """Return what tells the session that began last, of an aware instant.

    Notes
    -----
    Instants come in order, so the bounds of the last answer are kept: the calendar is asked once a session.
    """
    zone = ZoneInfo(calendar.time_zone)

    def begins_utc(session: date) -> datetime:
        """Return the open, or the beginning of the session's day where that comes later."""
        return max(calendar.open_utc(session), datetime.combine(session, time.min, zone).astimezone(UTC))

    def asked(instant_utc: datetime) -> date:
        day = instant_utc.astimezone(zone).date()
        if calendar.is_session(day) and instant_utc >= calendar.open_utc(day):
            return day
        return calendar.previous(day)

    never = datetime.max.replace(tzinfo=UTC)
    last = never, never, date.max

    def session_of(instant_utc: datetime) -> date:
        nonlocal last
        begins, ends, session = last  # one value, so that another thread replaces all of it
        if begins <= instant_utc < ends:
            return session
        session = asked(instant_utc)
        try:
            last = begins_utc(session), begins_utc(calendar.next(session)), session
        except CalendarError:  # the last session that the calendar knows has no end
            last = never, never, date.max
        return session

    return session_of
