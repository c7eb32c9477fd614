"""Sessions of New York: facts from the exchange's published holidays and hours, not from the library under test."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from aegis.calendars import TradingCalendar, trading_calendar
from aegis.errors import CalendarError

DELAY = timedelta(minutes=15)


@pytest.fixture(scope="module")
def new_york() -> TradingCalendar:
    return trading_calendar("XNYS")


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(2014, 1, 1), "New Year"),
        (date(2014, 7, 4), "July 4"),
        (date(2014, 11, 27), "Thanksgiving"),
        (date(2014, 12, 25), "Christmas"),
        (date(2014, 4, 18), "Good Friday"),
        (date(2022, 6, 20), "Juneteenth"),  # the 19th was a Sunday
        (date(2012, 10, 29), "closed"),  # hurricane Sandy
        (date(2012, 10, 30), "closed"),
        (date(2001, 9, 11), "closed"),
        (date(2014, 6, 7), "weekend"),
        (date(2014, 6, 8), "weekend"),
    ],
)
def test_the_exchange_is_closed_and_says_why(new_york: TradingCalendar, day: date, reason: str) -> None:
    assert not new_york.is_session(day)
    assert reason.lower() in new_york.closure_name(day).lower()


@pytest.mark.parametrize("day", [date(2014, 1, 2), date(2013, 11, 29), date(2012, 10, 31), date(2021, 6, 18)])
def test_the_exchange_trades(new_york: TradingCalendar, day: date) -> None:
    assert new_york.is_session(day)
    assert new_york.require_session(day) == day


def test_a_session_has_no_reason_to_be_closed(new_york: TradingCalendar) -> None:
    with pytest.raises(CalendarError, match="2014-01-02 is a session of XNYS"):
        new_york.closure_name(date(2014, 1, 2))


def test_a_weekend_is_refused_with_the_nearest_sessions(new_york: TradingCalendar) -> None:
    with pytest.raises(CalendarError, match=r"2014-06-07 \(Saturday\).*2014-06-06 and 2014-06-09"):
        new_york.require_session(date(2014, 6, 7))


def test_the_nearest_sessions_skip_a_holiday_next_to_a_weekend(new_york: TradingCalendar) -> None:
    # Good Friday 2014-04-18: the long weekend ends on Monday the 21st.
    with pytest.raises(CalendarError, match="2014-04-17 and 2014-04-21"):
        new_york.require_session(date(2014, 4, 19))


@pytest.mark.parametrize("question", ["open_utc", "close_utc", "is_half_day"])
def test_hours_of_a_day_without_a_session_are_refused(new_york: TradingCalendar, question: str) -> None:
    with pytest.raises(CalendarError, match="is not a session"):
        getattr(new_york, question)(date(2014, 1, 1))


@pytest.mark.parametrize(
    ("session", "opens", "closes"),
    [
        # New York is five hours behind UTC in winter and four in summer; 9:30 to 16:00 local.
        (date(2014, 3, 7), (14, 30), (21, 0)),
        (date(2014, 3, 10), (13, 30), (20, 0)),
        (date(2014, 10, 31), (13, 30), (20, 0)),
        (date(2014, 11, 3), (14, 30), (21, 0)),
        # The day after Thanksgiving closes at 13:00 local.
        (date(2013, 11, 29), (14, 30), (18, 0)),
        # 3 July, in summer time, closes at 13:00 local.
        (date(2013, 7, 3), (13, 30), (17, 0)),
    ],
)
def test_hours_follow_daylight_saving_and_half_days(
    new_york: TradingCalendar, session: date, opens: tuple[int, int], closes: tuple[int, int]
) -> None:
    day = (session.year, session.month, session.day)

    assert new_york.open_utc(session) == datetime(*day, *opens, tzinfo=UTC)
    assert new_york.close_utc(session) == datetime(*day, *closes, tzinfo=UTC)
    assert new_york.open_utc(session).tzinfo is UTC


def test_hours_of_many_sessions_are_those_of_each(new_york: TradingCalendar) -> None:
    sessions = [date(2014, 3, 7), date(2014, 3, 10), date(2013, 11, 29)]

    assert [stamp.to_pydatetime() for stamp in new_york.opens_utc(sessions)] == [
        datetime(2014, 3, 7, 14, 30, tzinfo=UTC),
        datetime(2014, 3, 10, 13, 30, tzinfo=UTC),
        datetime(2013, 11, 29, 14, 30, tzinfo=UTC),
    ]
    assert [stamp.to_pydatetime() for stamp in new_york.closes_utc(sessions)] == [
        datetime(2014, 3, 7, 21, 0, tzinfo=UTC),
        datetime(2014, 3, 10, 20, 0, tzinfo=UTC),
        datetime(2013, 11, 29, 18, 0, tzinfo=UTC),
    ]


def test_half_days_are_known(new_york: TradingCalendar) -> None:
    assert new_york.is_half_day(date(2013, 11, 29))
    assert not new_york.is_half_day(date(2013, 11, 27))


def test_sessions_of_a_range_include_both_ends_and_skip_closures(new_york: TradingCalendar) -> None:
    assert new_york.sessions(date(2012, 10, 26), date(2012, 11, 1)) == [
        date(2012, 10, 26),
        date(2012, 10, 31),
        date(2012, 11, 1),
    ]
    assert new_york.sessions(date(2014, 6, 7), date(2014, 6, 8)) == []


@pytest.mark.parametrize(("year", "count"), [(2012, 250), (2013, 252), (2014, 252), (2001, 248)])
def test_a_year_has_the_published_number_of_sessions(new_york: TradingCalendar, year: int, count: int) -> None:
    # The exchange's own counts; 2001 lost four days in September, 2012 two in October.
    assert len(new_york.sessions(date(year, 1, 1), date(year, 12, 31))) == count


@pytest.mark.parametrize(
    ("day", "sessions", "expected"),
    [
        (date(2014, 1, 2), -1, date(2013, 12, 31)),  # across New Year's Day
        (date(2014, 4, 17), 1, date(2014, 4, 21)),  # across Good Friday and a weekend
        (date(2012, 10, 31), -1, date(2012, 10, 26)),  # across the storm
        (date(2014, 6, 9), 0, date(2014, 6, 9)),
        (date(2014, 6, 9), 5, date(2014, 6, 16)),
    ],
)
def test_an_offset_counts_sessions_and_not_days(
    new_york: TradingCalendar, day: date, sessions: int, expected: date
) -> None:
    assert new_york.offset(day, sessions) == expected


def test_an_offset_from_a_closed_day_is_refused(new_york: TradingCalendar) -> None:
    with pytest.raises(CalendarError, match=r"2014-01-01 \(Wednesday\) is not a session"):
        new_york.offset(date(2014, 1, 1), -1)


@pytest.mark.parametrize("sessions", [-100_000, 100_000])
def test_an_offset_beyond_the_calendar_is_refused(new_york: TradingCalendar, sessions: int) -> None:
    with pytest.raises(CalendarError, match=f"{sessions} sessions from 2014-06-09 lies outside XNYS"):
        new_york.offset(date(2014, 6, 9), sessions)


def test_neighbours_are_strict_and_need_no_session(new_york: TradingCalendar) -> None:
    assert new_york.next(date(2014, 6, 6)) == date(2014, 6, 9)
    assert new_york.next(date(2014, 6, 7)) == date(2014, 6, 9)
    assert new_york.previous(date(2014, 6, 9)) == date(2014, 6, 6)
    assert new_york.previous(date(2014, 6, 8)) == date(2014, 6, 6)


def test_there_is_nothing_before_the_first_and_after_the_last_session(new_york: TradingCalendar) -> None:
    with pytest.raises(CalendarError, match="no session of XNYS on that side of 1950-01-01"):
        new_york.previous(date(1950, 1, 1))
    with pytest.raises(CalendarError, match="no session of XNYS on that side of"):
        new_york.next(new_york.last_known_session())


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        # Friday 2014-06-06 closes at 20:00 UTC; the vendor needs 15 minutes.
        (datetime(2014, 6, 6, 19, 59, tzinfo=UTC), date(2014, 6, 5)),
        (datetime(2014, 6, 6, 20, 14, 59, tzinfo=UTC), date(2014, 6, 5)),
        (datetime(2014, 6, 6, 20, 15, tzinfo=UTC), date(2014, 6, 6)),
        # A weekend, up to Monday's close.
        (datetime(2014, 6, 8, 12, 0, tzinfo=UTC), date(2014, 6, 6)),
        (datetime(2014, 6, 9, 20, 0, tzinfo=UTC), date(2014, 6, 6)),
        # The half day after Thanksgiving 2013 closes at 18:00 UTC.
        (datetime(2013, 11, 29, 18, 14, tzinfo=UTC), date(2013, 11, 27)),
        (datetime(2013, 11, 29, 18, 15, tzinfo=UTC), date(2013, 11, 29)),
        # Past midnight UTC it is still the evening of the same session in New York.
        (datetime(2014, 6, 7, 0, 30, tzinfo=UTC), date(2014, 6, 6)),
        # New Year's Day.
        (datetime(2014, 1, 1, 21, 30, tzinfo=UTC), date(2013, 12, 31)),
    ],
)
def test_a_session_is_complete_once_its_final_bars_exist(
    new_york: TradingCalendar, now: datetime, expected: date
) -> None:
    assert new_york.last_complete_session(now, DELAY) == expected


def test_without_a_delay_a_session_is_complete_at_its_close(new_york: TradingCalendar) -> None:
    assert new_york.last_complete_session(datetime(2014, 6, 6, 20, 0, tzinfo=UTC), timedelta(0)) == date(2014, 6, 6)


def test_the_time_zone_is_the_exchange_s(new_york: TradingCalendar) -> None:
    assert new_york.time_zone == "America/New_York"
    assert not new_york.trades_every_day


def test_a_calendar_of_every_day_trades_on_saturday_and_on_new_year() -> None:
    every_day = trading_calendar("24/7")

    assert every_day.trades_every_day
    assert every_day.is_session(date(2014, 6, 7))
    assert every_day.offset(date(2014, 1, 1), 1) == date(2014, 1, 2)
    assert every_day.close_utc(date(2014, 6, 7)) == datetime(2014, 6, 8, tzinfo=UTC)


def test_an_unknown_calendar_is_refused_with_an_example() -> None:
    with pytest.raises(CalendarError, match=r"market_data\.calendar: 'NEWYORK' is not a calendar.*'XNYS'"):
        trading_calendar("NEWYORK")


def test_a_calendar_whose_holidays_are_recorded_later_begins_there() -> None:
    """Tokyo's are from 1997; its first session that year was Monday, 6 January."""
    tokyo = trading_calendar("XTKS")
    assert tokyo.sessions(date(1990, 1, 1), date(1997, 1, 7)) == [date(1997, 1, 6), date(1997, 1, 7)]
