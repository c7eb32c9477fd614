"""Whether the newest session that can be had is there: since when not, by how much, and who is late.

Belongs here: the calendar's rule of what is due when, as plain functions of instants. Reading the lake and telling
people is the floors' above; the pre-trade gate has its own rule over the decision clock (``inputs_are_fresh``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np

from aegis.calendars import TradingCalendar

State = Literal["fresh", "vendor_late", "stale"]

_NAMED_SESSIONS = 3
_MINUTES_PER_HOUR, _HOURS_PER_DAY = 60, 24


@dataclass(frozen=True)
class Freshness:
    """How the newest session that is there compares with the newest that is due.

    Parameters
    ----------
    state : {"fresh", "vendor_late", "stale"}
        ``vendor_late``: the vendor does not have the first missing session yet, and the session after it, which would
        trade on it, has not opened. ``stale``: anything else that is missing.
    expected : date
        Newest session whose final bars are due.
    missing : tuple of date
        Sessions that are due and not there, ascending.
    due_utc : datetime
        When the first missing session was due; when it is fresh, when the next one will be. Aware UTC.
    late_by : timedelta
        Since then; zero when it is fresh.
    has_ended : bool
        Whether no session is to come.
    """

    state: State
    expected: date
    missing: tuple[date, ...]
    due_utc: datetime
    late_by: timedelta
    has_ended: bool

    @property
    def sentence(self) -> str:
        """What is missing, since when and by how much; or until when nothing is due."""
        if self.has_ended and not self.missing:
            return f"the market ended with {self.expected}, which is there"
        if not self.missing:
            return f"session {self.expected} is the newest that is due; the next is due at {_instant(self.due_utc)}"
        what = f"session {self.missing[0]} was due at {_instant(self.due_utc)}, {_duration(self.late_by)} ago"
        if len(self.missing) > 1:
            what += f"; {len(self.missing)} sessions are missing: {_named(self.missing)}"
        return what


def freshness(
    calendar: TradingCalendar,
    now_utc: datetime,
    *,
    newest: date | None,
    first: date,
    vendor_delay: timedelta,
    vendor_newest: date,
    ended_on: date | None = None,
) -> Freshness:
    """Return whether every session that is due at an instant is there.

    Parameters
    ----------
    calendar : TradingCalendar
        Decision calendar.
    now_utc : datetime
        Aware UTC.
    newest : date, optional
        Newest session that is there; None when there is none.
    first : date
        First session of the market.
    vendor_delay : timedelta
        From a session's close until its final bars are due.
    vendor_newest : date
        Newest session that the vendor says it has.
    ended_on : date, optional
        Last session of a market that has ended, after which nothing is due.

    Notes
    -----
    A session is due `vendor_delay` after its close, which is early on a half day and moves in UTC with daylight saving.
    Nothing becomes due on a weekend or a holiday, so Friday's bars stay fresh until the first session after them has
    closed. Known when: `now_utc`; nothing is read from the machine's clock.
    """
    complete = calendar.last_complete_session(now_utc, vendor_delay)
    expected = complete if ended_on is None else min(complete, ended_on)
    begin = first if newest is None else max(first, calendar.next(newest))
    missing = tuple(calendar.sessions(begin, expected))
    has_ended = ended_on is not None and complete >= ended_on
    if not missing:
        due = _due(calendar, max(first, calendar.next(complete)), vendor_delay)
        return Freshness("fresh", expected, (), due, timedelta(0), has_ended)
    due = _due(calendar, missing[0], vendor_delay)
    can_wait = vendor_newest < missing[0] and now_utc < calendar.open_utc(calendar.next(missing[0]))
    return Freshness("vendor_late" if can_wait else "stale", expected, missing, due, now_utc - due, has_ended)


def longest_wait(calendar: TradingCalendar, first: date, last: date) -> timedelta:
    """Return the longest time from one session's close to the next one's, over the sessions in ``[first, last]``.

    Raises
    ------
    ValueError
        There are fewer than two sessions.
    """
    sessions = calendar.sessions(first, last)
    if len(sessions) < 2:  # noqa: PLR2004 - a wait lies between two
        message = f"{first}..{last} holds {len(sessions)} session(s) of {calendar.name}; a wait needs two"
        raise ValueError(message)
    closes = calendar.closes_utc(sessions).to_numpy()
    return timedelta(seconds=float(np.diff(closes).max() / np.timedelta64(1, "s")))


def _due(calendar: TradingCalendar, session: date, vendor_delay: timedelta) -> datetime:
    return calendar.close_utc(session) + vendor_delay


def _named(sessions: tuple[date, ...]) -> str:
    if len(sessions) <= _NAMED_SESSIONS:
        return ", ".join(str(session) for session in sessions)
    return f"{sessions[0]} to {sessions[-1]}"


def _instant(instant_utc: datetime) -> str:
    return f"{instant_utc:%Y-%m-%d %H:%M} UTC"


def _duration(duration: timedelta) -> str:
    """Return days, hours and minutes in words, the two largest that are not zero."""
    minutes = duration // timedelta(minutes=1)
    hours, minutes = divmod(minutes, _MINUTES_PER_HOUR)
    days, hours = divmod(hours, _HOURS_PER_DAY)
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(parts[:2]) or "0 min"
