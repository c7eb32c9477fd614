"""Partitions: one for each session of the decision calendar.

Belongs here: the partitions definition, and the translation between partition keys and sessions.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import dagster as dg

from aegis.calendars import TradingCalendar

KEY_FORMAT = "%Y-%m-%d"


def session_partitions(calendar: TradingCalendar, first: date, last: date | None) -> dg.TimeWindowPartitionsDefinition:
    """Return daily partitions whose keys are exactly the sessions from `first` on.

    Parameters
    ----------
    calendar : TradingCalendar
    first : date
        First session.
    last : date, optional
        Last session of a market that has ended, such as a folder of files; None for one that goes on.

    Notes
    -----
    Windows are days in the exchange's time zone, and ``end_offset=1`` lets the key of session D exist during D. The
    latest key may thus be a session that has not closed; nothing asks for the latest key (see ``docs/adr``).
    """
    end = calendar.next(last) if last else None
    known_until = end or calendar.last_known_session()
    sessions = set(calendar.sessions(first, known_until))
    is_daily = calendar.trades_every_day
    day, holidays = first, []
    while day <= known_until:
        if day not in sessions and (is_daily or day.weekday() < 5):  # noqa: PLR2004 - Saturday is 5
            holidays.append(datetime.combine(day, datetime.min.time()))  # wall time of the exchange
        day += timedelta(days=1)
    return dg.TimeWindowPartitionsDefinition(
        start=first.strftime(KEY_FORMAT),
        end=end.strftime(KEY_FORMAT) if end else None,
        fmt=KEY_FORMAT,
        cron_schedule="0 0 * * *" if is_daily else "0 0 * * 1-5",
        timezone=calendar.time_zone,
        end_offset=0 if last else 1,
        exclusions=holidays or None,
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
