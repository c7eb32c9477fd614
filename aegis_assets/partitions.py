"""Partitions: one for each session of the decision calendar.

Belongs here: the partitions definition, and the translation between partition keys and sessions.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

import dagster as dg

from aegis.calendars import TradingCalendar
from aegis.errors import CalendarError

KEY_FORMAT = "%Y-%m-%d"
_SATURDAY = 5
_EVERY_DAY, _MONDAY_TO_FRIDAY = "0 0 * * *", "0 0 * * 1-5"


def session_partitions(calendar: TradingCalendar, first: date, last: date | None) -> dg.TimeWindowPartitionsDefinition:
    """Return daily partitions whose keys are exactly the sessions from `first` on.

    Parameters
    ----------
    calendar : TradingCalendar
    first : date
        First session.
    last : date, optional
        Last session of a market that has ended, such as a folder of files; None for one that goes on.

    Raises
    ------
    CalendarError
        The exchange trades on some weekends, and not on all: schedules and partitions that run from Monday to Friday
        would leave such a session out without a word.

    Notes
    -----
    Windows are days in the exchange's time zone, and ``end_offset=1`` lets the key of session D exist during D. The
    latest key may thus be a session that has not closed; nothing asks for the latest key (see ``docs/adr``).
    """
    end = calendar.next(last) if last else None
    known_until = end or calendar.last_known_session()
    sessions = set(calendar.sessions(first, known_until))
    is_daily = calendar.trades_every_day
    if not is_daily:
        _refuse_weekend_sessions(calendar, sessions)
    day, holidays = first, []
    while day <= known_until:
        if day not in sessions and (is_daily or day.weekday() < _SATURDAY):
            holidays.append(datetime.combine(day, datetime.min.time()))  # wall time of the exchange
        day += timedelta(days=1)
    return dg.TimeWindowPartitionsDefinition(
        start=first.strftime(KEY_FORMAT),
        end=end.strftime(KEY_FORMAT) if end else None,
        fmt=KEY_FORMAT,
        cron_schedule=_EVERY_DAY if is_daily else _MONDAY_TO_FRIDAY,
        timezone=calendar.time_zone,
        end_offset=0 if last else 1,
        exclusions=holidays or None,
    )


def _refuse_weekend_sessions(calendar: TradingCalendar, sessions: Collection[date]) -> None:
    weekends = sorted(session for session in sessions if session.weekday() >= _SATURDAY)
    if weekends:
        raise CalendarError(
            f"market_data.calendar: {calendar.name} trades on {len(weekends)} weekend days of the range, first "
            f"{weekends[0]} ({weekends[0]:%A}), and partitions are either Monday to Friday or every day; use another "
            "calendar, or a later run.first_session"
        )


def session_of(partition_key: str) -> date:
    """Return the session that a partition key names."""
    return datetime.strptime(partition_key, KEY_FORMAT).date()  # noqa: DTZ007 - a session is a date


def key_of(session: date) -> str:
    """Return the partition key of a session."""
    return session.strftime(KEY_FORMAT)


def requested_sessions(context: dg.AssetExecutionContext) -> list[date]:
    """Return the sessions that this run is asked for, ascending: one for a partition, many for a backfill."""
    return [session_of(key) for key in context.partition_keys]
