"""When bars close, and which session each belongs to.

Belongs here: instants as nanoseconds since 1970 in UTC, and the table of sessions. Which days an exchange trades is
:mod:`aegis.calendars`; what a bar may hold is :mod:`aegis.backtesting.bar_checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.backtesting.kernel.records import SESSION
from aegis.calendars import TradingCalendar
from aegis.errors import MalformedData

IntColumn = NDArray[np.int64]
Days = NDArray[np.datetime64]
SessionRule = TradingCalendar | Literal["utc_days"] | Sequence[date] | Days
"""Whose sessions: an exchange's; every UTC day, midnight to midnight; or the day of each step, given one by one."""

NANOSECONDS_A_DAY: Final = 86_400_000_000_000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2200, 1, 1)
_FIRST_ORDINAL = _FIRST_DAY.toordinal()


def instant_nanoseconds(at: datetime) -> int:
    """Return nanoseconds since 1970 in UTC of an aware instant, exact to the microsecond."""
    return (at - _EPOCH) // _MICROSECOND * 1000


def utc_nanoseconds(times: object) -> IntColumn:
    """Return instants as nanoseconds since 1970 in UTC.

    Parameters
    ----------
    times : ndarray of int64, DatetimeIndex, Series, or sequence of aware datetimes
        An array of int64 is taken to be nanoseconds since 1970 in UTC already and is returned as it is, not copied.

    Raises
    ------
    MalformedData
        The times have no time zone, are not times, or one is missing.
    """
    if isinstance(times, np.ndarray) and times.dtype == np.int64:
        return np.ascontiguousarray(times)
    if isinstance(times, np.ndarray) and times.dtype.kind in "fiu":
        raise MalformedData(
            f"times of dtype {times.dtype} may have lost nanoseconds; give int64 nanoseconds since 1970 in UTC, or a "
            "DatetimeIndex with a time zone"
        )
    try:
        index = pd.DatetimeIndex(times)  # type: ignore[arg-type]  # anything that holds times
    except (TypeError, ValueError) as error:
        raise MalformedData(f"times cannot be read: {error}; give a DatetimeIndex in one time zone") from error
    if index.tz is None:
        first = f", first {index[0]}" if len(index) else ""
        raise MalformedData(
            f"times have no time zone{first}; say whose clock they show, "
            "for example times.tz_localize('America/New_York')"
        )
    if index.hasnans:
        raise MalformedData(f"time {int(np.argmax(index.isna()))} of {len(index)} is missing; drop the bar or date it")
    return np.ascontiguousarray(index.as_unit("ns").asi8)


def instant(nanoseconds: int) -> str:
    """Return an instant for a message: ``2014-06-09T20:00:00Z``, with a fraction where it has one."""
    text = str(np.datetime64(int(nanoseconds), "ns"))
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def day_number(day: date) -> int:
    """Return the whole days from 1970-01-01 to `day`."""
    return day.toordinal() - _FIRST_ORDINAL


def session_table(closes_at: IntColumn, rule: SessionRule) -> NDArray[np.void]:
    """Return where each session begins.

    Parameters
    ----------
    closes_at : ndarray of int64, shape (n_steps,)
        Closing instants, strictly increasing.
    rule : TradingCalendar, "utc_days", or days of shape (n_steps,)
        Whose sessions they are.

    Returns
    -------
    ndarray of SESSION, shape (n_sessions + 1,)
        Sessions without a step are absent. The last row has ``first_step = n_steps`` and the day after the last.

    Raises
    ------
    MalformedData
        A bar closes outside the calendar's trading hours, or the days given are not one for each step in ascending
        order.

    Notes
    -----
    A bar is of the session in which it closes. A bar that closes at midnight UTC is the last of the day that ends then.
    """
    if isinstance(rule, TradingCalendar):
        return _sessions_of_calendar(closes_at, rule)
    if isinstance(rule, str):
        if rule != "utc_days":
            raise MalformedData(f"sessions: {rule!r} is not a rule; give a TradingCalendar, 'utc_days', or days")
        return _sessions_of_utc_days(closes_at)
    return _sessions_of_days(closes_at, rule)


@lru_cache(maxsize=8)
def trading_hours(calendar: TradingCalendar) -> tuple[Days, IntColumn, IntColumn]:
    """Return all sessions of a calendar and when they open and close, ns; asking the calendar takes milliseconds."""
    days = calendar.sessions(_FIRST_DAY, _LAST_DAY)
    opens, closes = (index.as_unit("ns").asi8 for index in (calendar.opens_utc(days), calendar.closes_utc(days)))
    return np.array(days, dtype="datetime64[D]"), np.ascontiguousarray(opens), np.ascontiguousarray(closes)


def session_closes(rule: TradingCalendar | Literal["utc_days"], first_at: int, last_at: int) -> tuple[Days, IntColumn]:
    """Return sessions and their closing instants, from the one `first_at` belongs to, to the one `last_at` belongs to.

    Parameters
    ----------
    first_at, last_at : int
        Instants, ns.

    Returns
    -------
    days : ndarray of datetime64[D]
    closes_at : ndarray of int64, ns
    """
    if isinstance(rule, TradingCalendar):
        days, _, closes = trading_hours(rule)
        begin, end = np.searchsorted(closes, [first_at, last_at], side="left")
        wanted = slice(int(begin), int(end) + 1)
        return days[wanted], closes[wanted]
    numbers = np.arange((first_at - 1) // NANOSECONDS_A_DAY, (last_at - 1) // NANOSECONDS_A_DAY + 1)
    return numbers.astype("datetime64[D]"), (numbers + 1) * NANOSECONDS_A_DAY


def _sessions_of_utc_days(closes_at: IntColumn) -> NDArray[np.void]:
    days, closes = session_closes("utc_days", int(closes_at[0]), int(closes_at[-1]))
    return _table(np.searchsorted(closes_at, closes - NANOSECONDS_A_DAY, side="right"), days, len(closes_at))


def _sessions_of_calendar(closes_at: IntColumn, calendar: TradingCalendar) -> NDArray[np.void]:
    all_days, all_opens, all_closes = trading_hours(calendar)
    first, last = np.searchsorted(all_closes, [closes_at[0], closes_at[-1]], side="left")
    held = slice(int(first), int(last) + 1)
    days, opens, closes = all_days[held], all_opens[held], all_closes[held]
    begins = np.r_[0, np.searchsorted(closes_at, closes, side="right")]
    early = np.searchsorted(closes_at, opens, side="right") > begins[:-1]
    step = int(begins[int(np.argmax(early))]) if early.any() else int(begins[-1])
    if step < len(closes_at):
        raise MalformedData(
            f"the bar that closes at {instant(closes_at[step])} is outside the trading hours of {calendar.name}; bars "
            "are dated by their close: shift times that mark the opening, drop bars outside the hours, or give "
            "`sessions` the day of each step"
        )
    return _table(begins[:-1], days, len(closes_at))


def _sessions_of_days(closes_at: IntColumn, given: Sequence[date] | Days) -> NDArray[np.void]:
    days = np.asarray(given, dtype="datetime64[D]")
    if days.shape != closes_at.shape:
        raise MalformedData(f"sessions has shape {days.shape} for {len(closes_at)} steps; give the day of each step")
    if np.isnat(days).any():
        raise MalformedData(f"the step at {instant(closes_at[np.isnat(days)][0])} has no session; give its day")
    back = np.flatnonzero(days[1:] < days[:-1])
    if len(back):
        step = int(back[0]) + 1
        raise MalformedData(
            f"the step at {instant(closes_at[step])} is of session {days[step]}, after a step of {days[step - 1]}; "
            "sessions follow each other: correct the days"
        )
    starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
    return _table(starts, days[starts], len(closes_at))


def _table(first_steps: NDArray[Any], days: Days, n_steps: int) -> NDArray[np.void]:
    lengths = np.diff(np.r_[first_steps, n_steps])
    held = lengths > 0
    table = np.zeros(int(held.sum()) + 1, dtype=SESSION)
    table["first_step"][:-1], table["day"][:-1] = first_steps[held], days[held].astype(np.int64)
    table["first_step"][-1], table["day"][-1] = n_steps, table["day"][-2] + 1
    return table
