"""Which days are trading sessions, and when each opens and closes.

Belongs here: the one wrapper around :mod:`exchange_calendars`. Nothing else asks that library.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache

import exchange_calendars
import pandas as pd

from aegis.errors import CalendarError

_FIRST_DATE = "1990-01-01"
_SATURDAY = 5


class TradingCalendar:
    """Sessions of one exchange, as `date`; instants are aware UTC.

    Parameters
    ----------
    name : str
        An ``exchange_calendars`` name: ``XNYS`` for New York, ``24/7`` for crypto.

    Raises
    ------
    CalendarError
        The name is not a calendar.
    """

    def __init__(self, name: str) -> None:
        try:
            self._calendar = _published(name)
        except exchange_calendars.errors.InvalidCalendarName as error:
            raise CalendarError(
                f"market_data.calendar: {name!r} is not a calendar; use an ISO exchange code such as 'XNYS' or '24/7'"
            ) from error
        self.name = name
        self._sessions: list[date] = self._calendar.sessions.date.tolist()
        self._opens: dict[date, datetime] = {}
        self._closes: dict[date, datetime] = {}

    @property
    def time_zone(self) -> str:
        """IANA name of the exchange's time zone."""
        return str(self._calendar.tz)

    @property
    def trades_every_day(self) -> bool:
        """Whether weekends are sessions too, as in crypto markets."""
        return str(self._calendar.weekmask) == "1111111"

    def last_known_session(self) -> date:
        """Return the last session that the calendar has been published for, about a year ahead."""
        return self._sessions[-1]

    def is_session(self, day: date) -> bool:
        """Whether the exchange trades on `day`."""
        position = bisect_left(self._sessions, _day(day))
        return position < len(self._sessions) and self._sessions[position] == _day(day)

    def require_session(self, day: date) -> date:
        """Return `day`, or refuse it with the nearest sessions named.

        Raises
        ------
        CalendarError
            `day` is a weekend, a holiday or outside the calendar.
        """
        if self.is_session(day):
            return day
        raise CalendarError(
            f"{day} ({day:%A}) is not a session of {self.name}; "
            f"the nearest are {self.previous(day)} and {self.next(day)}"
        )

    def sessions(self, first: date, last: date) -> list[date]:
        """Return the sessions in ``[first, last]``, ascending."""
        return self._sessions[bisect_left(self._sessions, _day(first)) : bisect_right(self._sessions, _day(last))]

    def offset(self, day: date, sessions: int) -> date:
        """Return the session `sessions` after (negative: before) session `day`.

        Raises
        ------
        CalendarError
            `day` is not a session, or the result lies outside the calendar.
        """
        self.require_session(day)
        position = bisect_left(self._sessions, _day(day)) + sessions
        if not 0 <= position < len(self._sessions):
            raise CalendarError(f"{sessions} sessions from {day} lies outside {self.name}; use a nearer date")
        return self._sessions[position]

    def next(self, day: date) -> date:
        """Return the first session strictly after `day`, which need not be a session."""
        return self._at(bisect_right(self._sessions, _day(day)), day)

    def previous(self, day: date) -> date:
        """Return the last session strictly before `day`, which need not be a session."""
        return self._at(bisect_left(self._sessions, _day(day)) - 1, day)

    def closure_name(self, day: date) -> str:
        """Return why the exchange does not trade on `day`: the holiday's name, ``weekend``, or ``closed`` if unnamed.

        Raises
        ------
        CalendarError
            `day` is a session.
        """
        if self.is_session(day):
            raise CalendarError(f"{day} is a session of {self.name}; ask only for days without one")
        if day.weekday() >= _SATURDAY:
            return "weekend"
        stamp = pd.Timestamp(day)
        named = self._calendar.regular_holidays
        names = list(named.holidays(stamp, stamp, return_name=True)) if named is not None else []
        return str(names[0]) if names else "closed"

    def open_utc(self, session: date) -> datetime:
        """Return the opening instant of a session."""
        found = self._opens.get(session)
        if found is None:
            self.require_session(session)
            found = self._opens[session] = _as_datetime(self._calendar.session_open(pd.Timestamp(session)))
        return found

    def close_utc(self, session: date) -> datetime:
        """Return the closing instant of a session: early on a half day."""
        found = self._closes.get(session)
        if found is None:
            self.require_session(session)
            found = self._closes[session] = _as_datetime(self._calendar.session_close(pd.Timestamp(session)))
        return found

    def opens_utc(self, sessions: Sequence[date]) -> pd.DatetimeIndex:
        """Return opening instants of many sessions, in order."""
        return pd.DatetimeIndex(self._calendar.opens.loc[pd.DatetimeIndex(list(sessions))]).tz_convert("UTC")

    def closes_utc(self, sessions: Sequence[date]) -> pd.DatetimeIndex:
        """Return closing instants of many sessions, in order."""
        return pd.DatetimeIndex(self._calendar.closes.loc[pd.DatetimeIndex(list(sessions))]).tz_convert("UTC")

    def is_half_day(self, session: date) -> bool:
        """Whether the session closes early."""
        return pd.Timestamp(self.require_session(session)) in self._calendar.early_closes

    def last_complete_session(self, now_utc: datetime, vendor_delay: timedelta) -> date:
        """Return the last session whose final bars exist at `now_utc`: its close plus `vendor_delay` has passed."""
        candidate = now_utc.date() + timedelta(days=1)
        while True:
            candidate = self.previous(candidate)
            if self.close_utc(candidate) + vendor_delay <= now_utc:
                return candidate

    def _at(self, position: int, day: date) -> date:
        if not 0 <= position < len(self._sessions):
            raise CalendarError(f"no session of {self.name} on that side of {day}; use a nearer date")
        return self._sessions[position]


@lru_cache(maxsize=8)
def trading_calendar(name: str) -> TradingCalendar:
    """Return the calendar called `name`; built once a process, as building takes a tenth of a second."""
    return TradingCalendar(name)


def _published(name: str) -> exchange_calendars.ExchangeCalendar:
    """Return a calendar from 1990 on, or from where its holidays are recorded."""
    try:
        return exchange_calendars.get_calendar(name, start=_FIRST_DATE)
    except ValueError:
        recorded_from = type(exchange_calendars.get_calendar(name)).bound_min()
        return exchange_calendars.get_calendar(name, start=recorded_from)


def _day(day: date) -> date:
    """Return a day; an instant, which Python takes for a day as well, is of the day that it names."""
    return day.date() if isinstance(day, datetime) else day


def _as_datetime(stamp: pd.Timestamp) -> datetime:
    instant: datetime = stamp.tz_convert("UTC").to_pydatetime()
    return instant
