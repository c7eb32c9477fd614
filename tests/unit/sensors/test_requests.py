"""Which session a tick is about, worked by hand from the calendar of the New York Stock Exchange.

Regular hours are 09:30 to 16:00 New York time, half days close at 13:00 (nyse.com, Holidays & Trading Hours). New York
is UTC-5 in winter and UTC-4 from the second Sunday of March to the first Sunday of November (15 U.S.C. 260a).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta

import pytest

from aegis.calendars import trading_calendar
from aegis_sensors.requests import (
    Attempt,
    Due,
    NotDue,
    Window,
    attempt_keys,
    due_fetch,
    due_monitoring,
    due_trading,
    next_attempt,
    session_to_trade,
)

XNYS = trading_calendar("XNYS")
DELAY = timedelta(minutes=15)
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2014, 6, day) for day in (2, 3, 4, 5))
FAILED_AT_FOUR_FIFTEEN = Attempt("failed", datetime(2014, 6, 5, 20, 15, tzinfo=UTC))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def reason(answer: object) -> str:
    assert isinstance(answer, NotDue)
    return answer.reason


def fetch_at(now: str, fetched_until: date, *, first: date = MONDAY) -> Due | NotDue:
    """Return what is to be fetched where all sessions from `first` to `fetched_until` are there."""
    window = Window.until(XNYS, first, XNYS.last_complete_session(utc(now), DELAY))
    return due_fetch(XNYS, utc(now), DELAY, window=window, fetched=XNYS.sessions(first, fetched_until))


def trade_at(now: str, traded: Collection[date], *, first: date = MONDAY) -> Due | NotDue:
    window = Window.until(XNYS, first, session_to_trade(XNYS, utc(now)))
    return due_trading(XNYS, utc(now), window=window, traded=traded)


def test_at_four_on_a_full_day_the_bars_are_not_final_until_a_quarter_past() -> None:
    assert reason(fetch_at("2014-06-05 20:00", WEDNESDAY)) == (
        "the final bars of 2014-06-05 exist from 20:15 UTC; sensor final_bars_exist, if it is switched on, starts the "
        "fetch then"
    )
    assert isinstance(fetch_at("2014-06-05 20:14:59", WEDNESDAY), NotDue)
    assert fetch_at("2014-06-05 20:15", WEDNESDAY) == Due(THURSDAY)
    assert reason(fetch_at("2014-06-05 20:15", THURSDAY)) == "session 2014-06-05 has been fetched"


def test_at_four_on_a_half_day_the_bars_are_final() -> None:
    wednesday = date(2014, 11, 26)
    assert fetch_at("2014-11-28 21:00", wednesday) == Due(date(2014, 11, 28))
    assert fetch_at("2014-11-28 18:15", wednesday) == Due(date(2014, 11, 28))
    assert "exist from 18:15 UTC" in reason(fetch_at("2014-11-28 18:14", wednesday))


@pytest.mark.parametrize(
    ("session", "close"),
    [
        (date(2015, 3, 6), "21:00"),  # Friday before the clocks go forward
        (date(2015, 3, 9), "20:00"),  # Monday after
        (date(2014, 10, 31), "20:00"),  # Friday before they go back
        (date(2014, 11, 3), "21:00"),  # Monday after
    ],
)
def test_daylight_saving_moves_the_close_in_utc(session: date, close: str) -> None:
    closed = utc(f"{session} {close}")
    before = XNYS.previous(session)
    assert isinstance(fetch_at(str((closed + timedelta(minutes=14)).replace(tzinfo=None)), before), NotDue)
    assert fetch_at(str((closed + timedelta(minutes=15)).replace(tzinfo=None)), before) == Due(session)


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2026, 11, 26), "Thanksgiving"),
        (date(2014, 7, 4), "July 4th"),
        (date(2014, 6, 7), "weekend"),
        (date(2014, 6, 8), "weekend"),
    ],
)
def test_a_day_without_a_session_says_why(day: date, name: str) -> None:
    expected = f"{day} is not a session of XNYS: {name}"
    assert reason(fetch_at(f"{day} 21:00", MONDAY)) == expected
    assert reason(trade_at(f"{day} 14:30", [])) == expected
    assert reason(due_monitoring(XNYS, utc(f"{day} 14:30"))) == expected


def test_today_is_the_exchanges_date_and_not_that_of_greenwich() -> None:
    assert fetch_at("2014-06-06 02:00", WEDNESDAY) == Due(THURSDAY)
    assert fetch_at("2014-06-07 02:00", THURSDAY) == Due(date(2014, 6, 6))  # Friday night in New York


def test_a_market_that_never_closes_is_fetched_the_day_after_at_four() -> None:
    """Its sessions end at midnight UTC, so those of the 7th have final bars from 00:15 on the 8th."""
    always = trading_calendar("24/7")
    now = utc("2014-06-08 16:00")
    window = Window.until(always, date(2014, 6, 6), always.last_complete_session(now, DELAY))
    assert due_fetch(always, now, DELAY, window=window, fetched=[date(2014, 6, 6)]) == Due(date(2014, 6, 7))


def test_a_missed_session_is_fetched_before_those_after_it() -> None:
    assert fetch_at("2014-06-05 20:15", MONDAY) == Due(TUESDAY)
    window = Window.until(XNYS, MONDAY, THURSDAY)
    assert window.first_missing([MONDAY, WEDNESDAY, THURSDAY]) == Due(TUESDAY)
    assert window.first_missing([MONDAY, TUESDAY, WEDNESDAY]) == Due(THURSDAY)
    assert window.first_missing([MONDAY, TUESDAY, WEDNESDAY, THURSDAY]) is None


def test_a_quarter_is_caught_up_and_a_longer_gap_is_left_to_one_run() -> None:
    sessions = XNYS.sessions(MONDAY, date(2014, 12, 31))
    newest = sessions[100]
    window = Window.until(XNYS, MONDAY, newest)
    assert window.first_missing(sessions[:41]) == Due(sessions[41])  # 60 are missing: 41 ... 100
    assert "more than 60 sessions up to 2014-10-22 are missing; `make run`" in reason(
        window.first_missing(sessions[:40])
    )


def test_a_new_market_is_filled_from_its_first_session() -> None:
    assert Window.until(XNYS, MONDAY, THURSDAY).first_missing([]) == Due(MONDAY)


@pytest.mark.parametrize(
    ("at_open", "decided"),
    [
        ("2014-06-05 13:30", date(2014, 6, 4)),
        ("2014-06-09 13:30", date(2014, 6, 6)),  # Monday
        ("2014-07-07 13:30", date(2014, 7, 3)),  # Monday after Independence Day on a Friday
        ("2014-09-02 13:30", date(2014, 8, 29)),  # Tuesday after Labor Day
        ("2014-12-01 14:30", date(2014, 11, 28)),  # Monday after the half day that follows Thanksgiving
    ],
)
def test_at_the_open_the_orders_of_the_previous_session_are_due(at_open: str, decided: date) -> None:
    before = XNYS.sessions(date(2014, 5, 1), XNYS.previous(decided))
    assert trade_at(at_open, before, first=date(2014, 5, 1)) == Due(decided)
    assert reason(trade_at(at_open, [*before, decided], first=date(2014, 5, 1))) == (
        f"the book of session {decided} exists"
    )
    assert trade_at(at_open, before[:-1], first=date(2014, 5, 1)) == Due(before[-1])


@pytest.mark.parametrize(
    ("now", "session"),
    [
        ("2014-06-05 13:29", date(2014, 6, 3)),  # Thursday, a minute before the open
        ("2014-06-05 13:30", date(2014, 6, 4)),
        ("2014-06-07 12:00", date(2014, 6, 5)),  # on a Saturday the orders released last were Thursday's
        ("2014-06-09 13:29", date(2014, 6, 5)),
        ("2014-06-09 13:30", date(2014, 6, 6)),
        ("2014-12-01 14:29", date(2014, 11, 26)),  # Monday; on the half day of the 28th Wednesday's were released
        ("2014-12-01 14:30", date(2014, 11, 28)),
    ],
)
def test_a_book_is_behind_from_the_hour_of_trading_on(now: str, session: date) -> None:
    assert session_to_trade(XNYS, utc(now), time(9, 30)) == session


def test_monitoring_is_due_from_the_open_until_two_hours_after_the_close() -> None:
    assert reason(due_monitoring(XNYS, utc("2014-06-05 13:29"))) == "XNYS is closed at 13:29 UTC"
    assert due_monitoring(XNYS, utc("2014-06-05 13:30")) == Due(date(2014, 6, 5))
    assert due_monitoring(XNYS, utc("2014-06-05 22:00")) == Due(date(2014, 6, 5))
    assert isinstance(due_monitoring(XNYS, utc("2014-06-05 22:01")), NotDue)
    assert due_monitoring(XNYS, utc("2014-11-28 20:00")) == Due(date(2014, 11, 28))
    assert isinstance(due_monitoring(XNYS, utc("2014-11-28 20:01")), NotDue)


def test_a_request_that_was_never_made_is_made_under_its_own_name() -> None:
    assert next_attempt("fetch-2014-06-05", [], utc("2014-06-05 20:15")) == "fetch-2014-06-05"


@pytest.mark.parametrize("state", ["unfinished", "succeeded"])
def test_a_run_that_waits_runs_or_succeeded_keeps_its_request_from_being_made_again(state: str) -> None:
    attempts = [FAILED_AT_FOUR_FIFTEEN, Attempt(state)]  # type: ignore[arg-type]
    assert reason(next_attempt("fetch-2014-06-05", attempts, utc("2015-01-01 00:00"))) == (
        "fetch-2014-06-05 has been requested already"
    )


def test_a_failed_run_allows_another_attempt_after_a_pause() -> None:
    attempts = [FAILED_AT_FOUR_FIFTEEN]
    assert reason(next_attempt("fetch", attempts, utc("2014-06-05 20:19:59"))) == (
        "fetch failed 1 time(s); the next attempt is at 2014-06-05 20:20 UTC"
    )
    assert next_attempt("fetch", attempts, utc("2014-06-05 20:20")) == "fetch-2"


def test_pauses_grow_and_the_last_attempt_is_made_before_the_open() -> None:
    """5 min, 15 min, 1 h, 4 h and 8 h after runs that fail at once: 20:15 to 09:35 UTC, which is 05:35 in New York."""
    now, made = utc("2014-06-05 20:15"), []
    attempts: list[Attempt] = []
    while now < utc("2014-06-07 00:00"):
        key = next_attempt("fetch", attempts, now)
        if isinstance(key, str):
            made.append(f"{key} {now:%d %H:%M}")
            attempts.append(Attempt("failed", now))
        now += timedelta(minutes=1)
    assert made == [
        "fetch 05 20:15",
        "fetch-2 05 20:20",
        "fetch-3 05 20:35",
        "fetch-4 05 21:35",
        "fetch-5 06 01:35",
        "fetch-6 06 09:35",
    ]
    assert reason(next_attempt("fetch", attempts, now)) == (
        "fetch failed 6 times and is not asked for again; mend the cause, then materialise the session in the UI or "
        "with `make run`"
    )


def test_the_run_keys_of_a_request_are_numbered_from_two() -> None:
    assert attempt_keys("fetch")[:3] == ("fetch", "fetch-2", "fetch-3")
    assert len(attempt_keys("fetch")) == 6
