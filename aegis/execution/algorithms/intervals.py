"""The hours of one session, cut into the intervals in which an order is worked.

Belongs here: when each interval begins and ends. How much is traded in it is the schedule's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from aegis.calendars import TradingCalendar
from aegis.errors import ExecutionError


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time, its end excluded; aware UTC."""

    start_utc: datetime
    end_utc: datetime

    @property
    def seconds(self) -> float:
        """Return how long it is."""
        return (self.end_utc - self.start_utc).total_seconds()


def session_intervals(
    calendar: TradingCalendar,
    session: date,
    *,
    interval_minutes: int,
    begins_utc: datetime | None = None,
    ends_utc: datetime | None = None,
) -> tuple[Interval, ...]:
    """Return the intervals of a session, on a grid that starts at its open.

    Parameters
    ----------
    calendar : TradingCalendar
        Knows holidays, half days and daylight saving time.
    session : date
        The session.
    interval_minutes : int
        Length of an interval. The last one is shorter where the session is not a multiple of it.
    begins_utc, ends_utc : datetime, optional
        Only what lies between them; aware. Intervals that they cut are shorter. By default the whole session.

    Raises
    ------
    CalendarError
        `session` is none.
    ExecutionError
        The interval is not positive, an instant has no time zone, or nothing of the session is left.
    """
    if interval_minutes < 1:
        raise ExecutionError(f"session {session}: intervals of {interval_minutes} minutes; pass at least 1")
    for instant in (begins_utc, ends_utc):
        if instant is not None and instant.tzinfo is None:
            raise ExecutionError(f"session {session}: {instant} has no time zone; pass an aware datetime")
    opens, closes = calendar.open_utc(session), calendar.close_utc(session)
    first = opens if begins_utc is None else max(opens, begins_utc)
    last = closes if ends_utc is None else min(closes, ends_utc)
    if first >= last:
        raise ExecutionError(
            f"session {session} of {calendar.name} is open from {opens:%H:%M} to {closes:%H:%M} UTC; nothing of it "
            f"lies between {begins_utc} and {ends_utc}: choose a later session or a longer time"
        )
    length = timedelta(minutes=interval_minutes)
    position = (first - opens) // length
    found = []
    while (start := opens + position * length) < last:
        found.append(Interval(max(start, first), min(start + length, last)))
        position += 1
    return tuple(found)
