"""``aegis drift status`` and ``release``: what has drifted, what it led to, and the end of that.

Belongs here: reading and telling. Measures are made by the asset ``monitoring/drift_measures``, responses kept by
:mod:`aegis.drift.responses`.
"""

from __future__ import annotations

import getpass
from datetime import date

from rich.console import Console

from aegis.calendars import trading_calendar
from aegis.clock import SystemClock
from aegis.config import AegisConfig
from aegis.drift.watch import alarm_words, newest_alarms
from aegis.errors import DriftError
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis_resources.desk import Desk
from aegis_sensors.desk_commands import existing_desk


def status_command(config: AegisConfig, *, console: Console) -> None:
    """Print what alarms at the newest session, and which responses stand.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, is another account's, or was never run.
    DriftError
        The responses cannot be read.
    """
    desk = existing_desk(config)
    desk.workspace.require_history()
    with connect(desk.workspace.lake) as connection:
        store = Lake(connection)
        is_measured = store.last_session(tables.DRIFT_MEASURES) is not None
        found = store.read(tables.DRIFT_MEASURES, account=desk.account) if is_measured else None
    if found is None or found.empty:
        _say(console, f"Account {desk.account}: nothing is measured yet; a series needs some two years of history.")
    else:
        newest = found["session"].max()
        judged = found[(found["session"] == newest) & found["is_judged"]]
        words = alarm_words(newest_alarms(found))
        _say(
            console,
            f"Account {desk.account}, {newest:%Y-%m-%d}: {judged['series'].nunique()} series judged, {len(words)} "
            "alarm(s).",
        )
        for family, detail in words:
            _say(console, f"- {family}: {detail}")
    standing = desk.drift_responses.history().standing
    for response in standing:
        _say(
            console,
            f"{response.action} since {response.measured_session} ({response.family}): {response.cause}. It holds "
            'until `aegis drift release --reason "..."`.',
        )
    if not standing:
        _say(console, "No response stands: decisions are made in full.")


def release_command(config: AegisConfig, *, reason: str, console: Console) -> None:
    """Release every response that stands, from the next decision on.

    Raises
    ------
    ConfigurationError
        The workspace does not exist, or is another account's.
    DriftError
        Nothing stands, the reason is empty, or the file cannot be read or written.
    """
    desk, person = existing_desk(config), getpass.getuser()
    session = _next_decision(desk)
    count = desk.drift_responses.release(
        from_session=session, actor=person, reason=reason, at_utc=SystemClock().now_utc()
    )
    _say(
        console,
        f"Account {desk.account} of workspace {desk.workspace.name}: {count} response(s) released by {person}; "
        f"decisions from session {session} on are made in full. Their families do not respond again for "
        f"{config.drift.rest_sessions} sessions.",
    )


def _next_decision(desk: Desk) -> date:
    """Return the first session that the account has not been booked in."""
    if not desk.workspace.lake.exists():
        raise DriftError(f"account {desk.account} has no book yet, so that no response can stand; nothing to release")
    with connect(desk.workspace.lake) as connection:
        store = Lake(connection)
        is_booked = store.last_session(tables.BOOK_STATES) is not None
        booked = store.sessions(tables.BOOK_STATES, account=desk.account) if is_booked else []
    if not booked:
        raise DriftError(f"account {desk.account} has no book yet, so that no response can stand; nothing to release")
    return trading_calendar(desk.config.market_data.calendar).next(booked[-1])


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
