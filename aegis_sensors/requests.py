"""Which session a tick is about, and whether it may be asked for now.

Belongs here: the calendar rules and the rule of attempts behind schedules and sensors, as plain functions of an instant
and of facts, so that half days, holidays, gaps and failures are tested without Dagster. The facts are looked up in
:mod:`aegis_sensors.facts`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from aegis.calendars import TradingCalendar

ReportFrequency = Literal["daily", "weekly", "monthly"]
_PERIODS: dict[ReportFrequency, Callable[[date], object]] = {
    "daily": lambda day: day,
    "weekly": lambda day: day.isocalendar()[:2],
    "monthly": lambda day: (day.year, day.month),
}
"""What two sessions of one report have in common."""

LONGEST_GAP_SESSIONS = 60
"""More missing sessions than a quarter are a history, which one run over all of them fills in a minute."""

RETRY_PAUSES = (
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=8),
)
"""Between a failed attempt and the next; from a failure at 16:15 to the last attempt at 05:35, before the open."""


@dataclass(frozen=True)
class Due:
    """A session whose turn it is."""

    session: date


@dataclass(frozen=True)
class NotDue:
    """Why nothing is to be done, for a person."""

    reason: str


@dataclass(frozen=True)
class Window:
    """The newest sessions of a market, in which missing ones are looked for.

    Parameters
    ----------
    sessions : sequence of date
        Ascending; at most one more than :data:`LONGEST_GAP_SESSIONS`.
    is_whole : bool
        Whether the market has no session before them.
    """

    sessions: Sequence[date]
    is_whole: bool

    @classmethod
    def until(cls, calendar: TradingCalendar, first: date, last: date) -> Window:
        """Return the window that ends with session `last` of a market that begins with session `first`."""
        sessions = calendar.sessions(first, last)
        return cls(tuple(sessions[-LONGEST_GAP_SESSIONS - 1 :]), len(sessions) <= LONGEST_GAP_SESSIONS + 1)

    def first_missing(self, done: Collection[date]) -> Due | NotDue | None:
        """Return the first session that is not in `done`, None if there is none, or why the gap is too long to fill."""
        missing = [session for session in self.sessions if session not in done]
        if not missing:
            return None
        if missing[0] == self.sessions[0] and not self.is_whole:
            return NotDue(
                f"more than {LONGEST_GAP_SESSIONS} sessions up to {self.sessions[-1]} are missing; `make run` "
                "materialises them in one run, schedules and sensors go on from there"
            )
        return Due(missing[0])


@dataclass(frozen=True)
class Attempt:
    """One run that was started for a request.

    Parameters
    ----------
    state : {"unfinished", "succeeded", "failed"}
        A cancelled run counts as failed.
    ended_utc : datetime, optional
        When it ended; aware UTC.
    """

    state: Literal["unfinished", "succeeded", "failed"]
    ended_utc: datetime | None = None


def due_fetch(
    calendar: TradingCalendar, now_utc: datetime, vendor_delay: timedelta, *, window: Window, fetched: Collection[date]
) -> Due | NotDue:
    """Return the first session of `window` that is not in `fetched`; on a session's day only.

    Parameters
    ----------
    window : Window
        Ends with the last session whose final bars exist at `now_utc`.
    fetched : collection of date
        Sessions that are done.

    Notes
    -----
    "Today" is the exchange's date. At 16:00 New York time the bars of a half day exist, those of a full day do not yet:
    a sensor asks again and starts the same request once they do.
    """
    today = _local_date(calendar, now_utc)
    if not calendar.is_session(today):
        return _closed(calendar, today)
    due = window.first_missing(fetched)
    if due is not None:
        return due
    final_at = calendar.close_utc(today) + vendor_delay
    if now_utc < final_at:
        return NotDue(
            f"the final bars of {today} exist from {final_at:%H:%M} UTC; sensor final_bars_exist, if it is switched "
            "on, starts the fetch then"
        )
    return NotDue(f"session {today} has been fetched")


def due_trading(
    calendar: TradingCalendar, now_utc: datetime, *, window: Window, traded: Collection[date]
) -> Due | NotDue:
    """Return the first session of `window` that is not in `traded`; on a session's day only.

    Parameters
    ----------
    window : Window
        Ends with the session whose orders are released today, see :func:`session_to_trade`.
    traded : collection of date
        Sessions whose book exists.
    """
    today = _local_date(calendar, now_utc)
    if not calendar.is_session(today):
        return _closed(calendar, today)
    return window.first_missing(traded) or NotDue(f"the book of session {calendar.previous(today)} exists")


def session_to_trade(calendar: TradingCalendar, now_utc: datetime, trade_time: time = time.min) -> date:
    """Return the last session whose orders are to have been released at `now_utc`.

    Parameters
    ----------
    trade_time : time
        When orders are released, on the exchange's clock; by default with the day.

    Notes
    -----
    Orders decided after the close of D are released in D+1, across weekends and holidays alike.
    """
    zone = ZoneInfo(calendar.time_zone)
    releasing = calendar.previous(_local_date(calendar, now_utc) + timedelta(days=1))
    if now_utc < datetime.combine(releasing, trade_time, tzinfo=zone):
        releasing = calendar.previous(releasing)
    return calendar.previous(releasing)


def due_report(
    calendar: TradingCalendar, now_utc: datetime, vendor_delay: timedelta, frequency: ReportFrequency
) -> Due | NotDue:
    """Return the last session with final bars, if the period that `frequency` reports on ended with it.

    Notes
    -----
    A market that never closes, or a vendor that delivers after the report's hour, is reported one session later.
    """
    today = _local_date(calendar, now_utc)
    if not calendar.is_session(today):
        return _closed(calendar, today)
    session = calendar.last_complete_session(now_utc, vendor_delay)
    if _PERIODS[frequency](session) == _PERIODS[frequency](calendar.next(session)):
        return NotDue(f"reports are {frequency}, and {session} is not the last session of its period")
    return Due(session)


def due_backtests(window: Window) -> Due | NotDue:
    """Return the last session of `window`, up to which backtests reach; also on a day without a session.

    Parameters
    ----------
    window : Window
        Ends with the last session whose final bars exist.
    """
    if not window.sessions:
        return NotDue("no session has final bars yet, so there is nothing to backtest")
    return Due(window.sessions[-1])


def due_monitoring(calendar: TradingCalendar, now_utc: datetime) -> Due | NotDue:
    """Return today's session while the exchange is open, or until two hours after its close."""
    today = _local_date(calendar, now_utc)
    if not calendar.is_session(today):
        return _closed(calendar, today)
    if not calendar.open_utc(today) <= now_utc <= calendar.close_utc(today) + timedelta(hours=2):
        return NotDue(f"{calendar.name} is closed at {now_utc:%H:%M} UTC")
    return Due(today)


def attempt_keys(request: str) -> tuple[str, ...]:
    """Return the run keys of a request, first attempt first: ``fetch-2014-06-05``, ``fetch-2014-06-05-2``, ..."""
    return (request, *(f"{request}-{number}" for number in range(2, len(RETRY_PAUSES) + 2)))


def next_attempt(request: str, attempts: Sequence[Attempt], now_utc: datetime) -> str | NotDue:
    """Return the run key to ask with, or why the request waits.

    Parameters
    ----------
    request : str
        Names what is asked for; equal names are asked for once.
    attempts : sequence of Attempt
        The runs that were started for it, in any order.
    now_utc : datetime
        Aware UTC.

    Notes
    -----
    A run that has not ended, or that succeeded, keeps the request from being asked again. A failed one does so for a
    pause that grows with each failure, and after the last attempt for good: then a person is needed.
    """
    if any(attempt.state != "failed" for attempt in attempts):
        return NotDue(f"{request} has been requested already")
    keys, failures = attempt_keys(request), len(attempts)
    if failures == len(keys):
        return NotDue(
            f"{request} failed {failures} times and is not asked for again; mend the cause, then materialise the "
            "session in the UI or with `make run`"
        )
    ends = [attempt.ended_utc for attempt in attempts if attempt.ended_utc is not None]
    if ends and now_utc < (again := max(ends) + RETRY_PAUSES[failures - 1]):
        return NotDue(f"{request} failed {failures} time(s); the next attempt is at {again:%Y-%m-%d %H:%M} UTC")
    return keys[failures]


def _closed(calendar: TradingCalendar, day: date) -> NotDue:
    return NotDue(f"{day} is not a session of {calendar.name}: {calendar.closure_name(day)}")


def _local_date(calendar: TradingCalendar, now_utc: datetime) -> date:
    return now_utc.astimezone(ZoneInfo(calendar.time_zone)).date()
