"""Which session a tick is about, and whether it was asked for already.

Belongs here: the calendar rules behind schedules and sensors as plain functions of an instant, so that half days,
holidays and daylight saving are tested without Dagster, and the one place that keeps two ticks from starting one thing
twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.storage.tags import RUN_KEY_TAG

from aegis.calendars import TradingCalendar

ReportFrequency = Literal["daily", "weekly", "monthly"]
_PERIODS: dict[ReportFrequency, Callable[[date], object]] = {
    "daily": lambda day: day,
    "weekly": lambda day: day.isocalendar()[:2],
    "monthly": lambda day: (day.year, day.month),
}
"""What two sessions of one report have in common."""


@dataclass(frozen=True)
class Due:
    """A session whose turn it is."""

    session: date


@dataclass(frozen=True)
class NotDue:
    """Why nothing is to be done, for a person."""

    reason: str


def due_fetch(calendar: TradingCalendar, now_utc: datetime, vendor_delay: timedelta) -> Due | NotDue:
    """Return today's session if its final bars exist at `now_utc`.

    Notes
    -----
    "Today" is the exchange's date. At 16:00 New York time the bars of a half day exist, those of a full day do not yet:
    a sensor asks again and starts the same request once they do.
    """
    today = _local_date(calendar, now_utc)
    if not calendar.is_session(today):
        return NotDue(f"{today} is not a session of {calendar.name}: {calendar.closure_name(today)}")
    final_at = calendar.close_utc(today) + vendor_delay
    if now_utc < final_at:
        return NotDue(
            f"the final bars of {today} exist from {final_at:%H:%M} UTC; sensor final_bars_exist starts the fetch then"
        )
    return Due(today)


def latest_final(calendar: TradingCalendar, now_utc: datetime, vendor_delay: timedelta) -> Due:
    """Return the last session whose final bars exist at `now_utc`."""
    return Due(calendar.last_complete_session(now_utc, vendor_delay))


def due_trading(calendar: TradingCalendar, now_utc: datetime) -> Due | NotDue:
    """Return the session whose orders are to be released today: the one before today's.

    Notes
    -----
    Orders decided after the close of D are released in D+1, across weekends and holidays alike.
    """
    today = _local_date(calendar, now_utc)
    if not calendar.is_session(today):
        return NotDue(f"{today} is not a session of {calendar.name}: {calendar.closure_name(today)}")
    return Due(calendar.previous(today))


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
        return NotDue(f"{today} is not a session of {calendar.name}: {calendar.closure_name(today)}")
    session = calendar.last_complete_session(now_utc, vendor_delay)
    if _PERIODS[frequency](session) == _PERIODS[frequency](calendar.next(session)):
        return NotDue(f"reports are {frequency}, and {session} is not the last session of its period")
    return Due(session)


def due_monitoring(calendar: TradingCalendar, now_utc: datetime) -> Due | NotDue:
    """Return today's session while the exchange is open, or until two hours after its close."""
    today = _local_date(calendar, now_utc)
    if not calendar.is_session(today):
        return NotDue(f"{today} is not a session of {calendar.name}: {calendar.closure_name(today)}")
    if not calendar.open_utc(today) <= now_utc <= calendar.close_utc(today) + timedelta(hours=2):
        return NotDue(f"{calendar.name} is closed at {now_utc:%H:%M} UTC")
    return Due(today)


def is_requested(instance: dg.DagsterInstance, run_key: str) -> bool:
    """Whether a run with this key exists, whichever schedule or sensor asked for it."""
    return bool(instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: run_key}), limit=1))


def is_materialized(instance: dg.DagsterInstance, key: dg.AssetKey, session: date) -> bool:
    """Whether the partition of `session` has been materialized."""
    return session.isoformat() in instance.get_materialized_partitions(key)


def _local_date(calendar: TradingCalendar, now_utc: datetime) -> date:
    return now_utc.astimezone(ZoneInfo(calendar.time_zone)).date()
