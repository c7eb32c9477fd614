"""At which instants an order may leave for its session, and to which session an instant belongs.

Expected values come from the columns of exchange_calendars' schedule, compared one by one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import pytest

from aegis.calendars import trading_calendar
from aegis.clock import FixedClock
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.us_stock_terms import why_not_now

FIRST, LAST = date(2014, 2, 24), date(2014, 12, 31)
"""Both changes of the clocks of New York, and the half days in July, after Thanksgiving and at Christmas."""
STEPS = [timedelta(microseconds=step) for step in (-1, 0, 1)]


def _schedule(name: str) -> list[tuple[date, datetime, datetime]]:
    """Return sessions with their opens and closes, and one before and after."""
    calendar = exchange_calendars.get_calendar(name, start="2013-01-01", end="2015-12-31")
    rows = calendar.schedule.loc[str(FIRST - timedelta(days=5)) : str(LAST + timedelta(days=5))]
    return [(day.date(), row["open"].to_pydatetime(), row["close"].to_pydatetime()) for day, row in rows.iterrows()]


def _instants(schedule: list[tuple[date, datetime, datetime]], *, seed: int) -> list[datetime]:
    """Return instants about every open and close, at each midnight of New York and UTC, and anywhere."""
    generator = np.random.default_rng(seed)
    known = [instant for _, opens, closes in schedule[1:-1] for instant in (opens, closes)]
    nights = [
        datetime(2014, 3, 1, hour, tzinfo=UTC) + timedelta(days=day) for day in range(0, 270, 2) for hour in (0, 4, 5)
    ]
    begins, ends = schedule[1][1], schedule[-2][1]
    seconds = generator.uniform(0, (ends - begins).total_seconds(), size=300)
    anywhere = [begins + timedelta(seconds=float(second)) for second in seconds]
    found = [instant + step for instant in (*known, *nights) for step in STEPS] + anywhere
    inside = [instant for instant in found if begins <= instant < ends]
    return [inside[place] for place in generator.permutation(len(inside))]


@pytest.mark.parametrize(("name", "zone"), [("XNYS", "America/New_York"), ("24/7", "UTC"), ("CMES", "America/Chicago")])
@pytest.mark.parametrize("is_in_order", [True, False], ids=["as time passes", "in any order"])
def test_an_instant_belongs_to_the_session_that_opened_last(name, zone, is_in_order):
    schedule = _schedule(name)
    instants = _instants(schedule, seed=1)
    session_of = begun_sessions(trading_calendar(name))
    for instant in sorted(instants) if is_in_order else instants[::3]:
        today = instant.astimezone(ZoneInfo(zone)).date()  # a session that opens the evening before begins at midnight
        begun = [day for day, opens, _ in schedule if day < today or (day == today and opens <= instant)]
        assert session_of(instant) == begun[-1], instant


def test_an_order_may_leave_from_the_close_before_its_session_to_its_own(order_of):
    calendar, schedule = trading_calendar("XNYS"), _schedule("XNYS")
    places = {session: place for place, (session, _, _) in enumerate(schedule)}
    generator = np.random.default_rng(2)
    for instant in _instants(schedule, seed=3)[::3]:
        near = sum(opened <= instant for _, opened, _ in schedule) - 1 + int(generator.integers(0, 3))
        session = schedule[near][0]
        order = order_of(session=schedule[near - 1][0], execution_session=session)
        closes, closed_before = schedule[places[session]][2], schedule[places[session] - 1][2]
        found = why_not_now(order, clock=FixedClock(instant), calendar=calendar)
        if instant >= closes:
            assert found == f"too late: session {session} closed at {closes.isoformat()}"
        elif instant < closed_before:
            assert found.startswith(f"closed session: sent before {closed_before.isoformat()} ")
        else:
            assert found == ""


def test_the_last_session_that_is_known_has_no_end():
    calendar = trading_calendar("XNYS")
    last = calendar.last_known_session()
    session_of = begun_sessions(calendar)
    opens = calendar.open_utc(last)
    assert [session_of(opens + step) for step in STEPS] == [calendar.previous(last), last, last]
    assert session_of(opens + timedelta(days=1)) == last
