"""When which session is due, by cases of the published calendars; instants are computed by hand from exchange hours.

New York trades 09:30 to 16:00 and closes at 13:00 on half days; it is UTC-5 in winter and UTC-4 in summer. The vendor
has 15 minutes.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from aegis.calendars import trading_calendar
from aegis.market_data.freshness import Freshness, freshness, longest_wait

NEW_YORK = trading_calendar("XNYS")
ALWAYS = trading_calendar("24/7")
FIRST = date(2014, 1, 2)
DELAY = timedelta(minutes=15)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ask(now: str, newest: str | None, vendor: str, *, calendar: str = "XNYS", ended: str | None = None) -> Freshness:
    return freshness(
        trading_calendar(calendar),
        instant(now),
        newest=date.fromisoformat(newest) if newest else None,
        first=FIRST,
        vendor_delay=DELAY,
        vendor_newest=date.fromisoformat(vendor),
        ended_on=date.fromisoformat(ended) if ended else None,
    )


FRESH_CASES = [
    # why, now (UTC), newest session that is there, when the next one is due (UTC)
    ("Friday's bar on Friday evening", "2014-06-06 22:00", "2014-06-06", "2014-06-09 20:15"),
    ("Friday's bar on Saturday", "2014-06-07 12:00", "2014-06-06", "2014-06-09 20:15"),
    ("Friday's bar on Sunday night", "2014-06-08 23:59", "2014-06-06", "2014-06-09 20:15"),
    ("Friday's bar on Monday morning", "2014-06-09 13:30", "2014-06-06", "2014-06-09 20:15"),
    ("Friday's bar a minute before Monday's is due", "2014-06-09 20:14", "2014-06-06", "2014-06-09 20:15"),
    ("Friday's bar on Labor Day", "2014-09-01 21:00", "2014-08-29", "2014-09-02 20:15"),
    ("Friday's bar on the Tuesday after Labor Day", "2014-09-02 13:30", "2014-08-29", "2014-09-02 20:15"),
    ("Maundy Thursday's bar on Good Friday", "2014-04-18 21:00", "2014-04-17", "2014-04-21 20:15"),
    ("Maundy Thursday's bar on Easter Monday morning", "2014-04-21 14:00", "2014-04-17", "2014-04-21 20:15"),
    ("Wednesday's bar on Thanksgiving", "2014-11-27 22:00", "2014-11-26", "2014-11-28 18:15"),
    ("Wednesday's bar before the half day's is due", "2014-11-28 18:14", "2014-11-26", "2014-11-28 18:15"),
    ("the half day's bar at the usual close", "2014-11-28 21:15", "2014-11-28", "2014-12-01 21:15"),
    ("the half day of Christmas Eve on Christmas", "2014-12-25 15:00", "2014-12-24", "2014-12-26 21:15"),
    ("winter: the last bar before clocks go forward", "2014-03-07 21:15", "2014-03-07", "2014-03-10 20:15"),
    ("summer: the last bar before clocks go back", "2014-10-31 20:15", "2014-10-31", "2014-11-03 21:15"),
    ("clocks went back: Friday's bar at summer's hour", "2014-11-03 20:15", "2014-10-31", "2014-11-03 21:15"),
]


@pytest.mark.parametrize(("why", "now", "newest", "next_due"), FRESH_CASES, ids=[case[0] for case in FRESH_CASES])
def test_bars_are_fresh_until_the_next_session_is_due(why: str, now: str, newest: str, next_due: str) -> None:
    found = ask(now, newest, newest)
    assert (found.state, found.expected, found.missing) == ("fresh", date.fromisoformat(newest), ()), why
    assert (found.due_utc, found.late_by) == (instant(next_due), timedelta(0))
    assert found.sentence == f"session {newest} is the newest that is due; the next is due at {next_due} UTC"


STALE_CASES = [
    # why, now (UTC), newest there, first missing, its due instant (UTC), how long ago, how many missing
    ("the minute it is due", "2014-06-09 20:15", "2014-06-06", "2014-06-09", "2014-06-09 20:15", "0 min", 1),
    ("over a weekend", "2014-06-09 13:30", "2014-06-05", "2014-06-06", "2014-06-06 20:15", "2 d 17 h", 1),
    ("over Labor Day", "2014-09-02 13:30", "2014-08-28", "2014-08-29", "2014-08-29 20:15", "3 d 17 h", 1),
    ("after Labor Day", "2014-09-02 20:20", "2014-08-29", "2014-09-02", "2014-09-02 20:15", "5 min", 1),
    ("a half day", "2014-11-28 19:20", "2014-11-26", "2014-11-28", "2014-11-28 18:15", "1 h 5 min", 1),
    ("clocks went forward", "2014-03-10 20:15", "2014-03-07", "2014-03-10", "2014-03-10 20:15", "0 min", 1),
    ("across it", "2014-03-10 13:30", "2014-03-06", "2014-03-07", "2014-03-07 21:15", "2 d 16 h", 1),
    ("clocks went back", "2014-11-03 21:16", "2014-10-31", "2014-11-03", "2014-11-03 21:15", "1 min", 1),
    ("two sessions around a holiday", "2014-07-07 21:00", "2014-07-02", "2014-07-03", "2014-07-03 17:15", "4 d 3 h", 2),
]


@pytest.mark.parametrize(
    ("why", "now", "newest", "missing", "due", "ago", "count"), STALE_CASES, ids=[case[0] for case in STALE_CASES]
)
def test_a_missing_session_is_stale_from_the_instant_it_is_due(
    why: str, now: str, newest: str, missing: str, due: str, ago: str, count: int
) -> None:
    found = ask(now, newest, "2014-12-31")
    assert found.state == "stale", why
    assert (found.missing[0], len(found.missing)) == (date.fromisoformat(missing), count)
    assert (found.due_utc, found.late_by) == (instant(due), instant(now) - instant(due))
    assert found.sentence.startswith(f"session {missing} was due at {due} UTC, {ago} ago")


def test_missing_sessions_leave_out_the_holiday_between_them() -> None:
    found = ask("2014-07-07 21:00", "2014-07-02", "2014-12-31")
    assert found.sentence.endswith("ago; 2 sessions are missing: 2014-07-03, 2014-07-07")
    assert ask("2014-07-11 21:00", "2014-07-02", "2014-12-31").sentence.endswith(
        "6 sessions are missing: 2014-07-03 to 2014-07-11"
    )


VENDOR_CASES = [
    # why, calendar, now (UTC), newest there and at the vendor, state
    ("an hour late", "XNYS", "2014-06-04 21:15", "2014-06-03", "vendor_late"),
    ("late over the weekend", "XNYS", "2014-06-08 12:00", "2014-06-05", "vendor_late"),
    ("late until a minute before the open", "XNYS", "2014-06-09 13:29", "2014-06-05", "vendor_late"),
    ("late at the open that trades on it", "XNYS", "2014-06-09 13:30", "2014-06-05", "stale"),
    ("late over a holiday, before the open", "XNYS", "2014-09-02 13:29", "2014-08-28", "vendor_late"),
    ("late over a holiday, at the open", "XNYS", "2014-09-02 13:30", "2014-08-28", "stale"),
    ("clocks went forward: at the open", "XNYS", "2014-03-10 13:30", "2014-03-06", "stale"),
    ("clocks went back: at summer's open", "XNYS", "2014-11-03 13:30", "2014-10-30", "vendor_late"),
    ("clocks went back: at the open", "XNYS", "2014-11-03 14:30", "2014-10-30", "stale"),
    ("a market that never closes waits for nobody", "24/7", "2014-06-05 00:15", "2014-06-03", "stale"),
]


@pytest.mark.parametrize(("why", "calendar", "now", "newest", "state"), VENDOR_CASES, ids=[c[0] for c in VENDOR_CASES])
def test_a_late_vendor_is_waited_for_until_the_session_that_trades_on_it_opens(
    why: str, calendar: str, now: str, newest: str, state: str
) -> None:
    assert ask(now, newest, newest, calendar=calendar).state == state, why


@pytest.mark.parametrize(
    ("why", "now", "newest", "state"),
    [
        ("Saturday's bar until Sunday's is due", "2014-06-09 00:14", "2014-06-07", "fresh"),
        ("Sunday's bar is due on Monday at 00:15", "2014-06-09 00:15", "2014-06-07", "stale"),
        ("no holiday: Christmas is a session", "2014-12-26 00:15", "2014-12-24", "stale"),
        ("New York's clock changes nothing", "2014-03-10 00:14", "2014-03-08", "fresh"),
    ],
)
def test_a_market_that_never_closes_has_a_session_due_each_day(why: str, now: str, newest: str, state: str) -> None:
    assert ask(now, newest, "2014-12-31", calendar="24/7").state == state, why


def test_an_empty_workspace_misses_every_session_since_the_first() -> None:
    assert ask("2014-01-06 22:00", None, "2014-12-31").missing == (date(2014, 1, 2), date(2014, 1, 3), date(2014, 1, 6))


def test_an_empty_workspace_is_fresh_before_its_first_session_is_due() -> None:
    found = ask("2014-01-02 21:14", None, "2014-12-31")
    assert (found.state, found.due_utc) == ("fresh", instant("2014-01-02 21:15"))


def test_a_market_that_has_ended_is_fresh_with_its_last_session() -> None:
    found = ask("2021-05-03 12:00", "2014-06-06", "2014-06-06", ended="2014-06-06")
    assert (found.state, found.has_ended) == ("fresh", True)
    assert found.sentence == "the market ended with 2014-06-06, which is there"
    cut = ask("2021-05-03 12:00", "2014-06-05", "2014-06-06", ended="2014-06-06")
    assert (cut.state, cut.missing) == ("stale", (date(2014, 6, 6),))


def test_the_longest_wait_is_the_one_behind_a_half_day_before_a_long_weekend() -> None:
    """Thursday 24 December 2020 closed at 13:00, the next close was Monday 28 December at 16:00: 4 days and 3 hours."""
    assert longest_wait(NEW_YORK, date(2020, 1, 2), date(2020, 12, 31)) == timedelta(days=4, hours=3)
    assert longest_wait(ALWAYS, date(2020, 1, 2), date(2020, 12, 31)) == timedelta(days=1)


def test_a_wait_needs_two_sessions() -> None:
    with pytest.raises(ValueError, match="holds 1 session"):
        longest_wait(NEW_YORK, date(2014, 6, 6), date(2014, 6, 8))
