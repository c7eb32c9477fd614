"""Which session an instant belongs to, for an account that trades now.

Belongs here: the three answers. The sessions themselves are the calendar's.
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from aegis.calendars import TradingCalendar
from aegis.execution.brokers.begun_sessions import begun_sessions

_FIRST_SESSIONS = 5


class SessionClock:
    """Sessions of a venue as an account counts them.

    Parameters
    ----------
    calendar : TradingCalendar
        Of the venue.
    """

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self._zone = ZoneInfo(calendar.time_zone)
        self._begun = begun_sessions(calendar)

    def session_of(self, instant_utc: datetime) -> date:
        """Return the session that had begun last."""
        return self._begun(instant_utc)

    def execution_session(self, instant_utc: datetime) -> date:
        """Return the session that is open, or the next one."""
        day = instant_utc.astimezone(self._zone).date()
        if self._calendar.is_session(day) and instant_utc < self._calendar.close_utc(day):
            return day
        return self._calendar.next(day)

    def first_session(self, instant_utc: datetime) -> date:
        """Return the oldest session whose orders an account that begins now looks at."""
        session = self.session_of(instant_utc)
        for _ in range(_FIRST_SESSIONS):
            session = self._calendar.previous(session)
        return session

    def is_open(self, instant_utc: datetime, session: date) -> bool:
        """Whether a session's market is open at an instant."""
        return self._calendar.open_utc(session) <= instant_utc < self._calendar.close_utc(session)
