"""The partitions of a calendar beside the sessions that ``exchange_calendars`` lists, and dates checked by hand.

By hand, from the exchange's own notices: New York was closed for hurricane Sandy on 29 and 30 October 2012, closed
early on 23 November and 24 December, and was shut on 4 July 2014, a Friday.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import dagster as dg
import exchange_calendars
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.errors import CalendarError
from aegis_assets.partitions import key_of, session_of, session_partitions

NOON_2016 = datetime(2016, 1, 15, 17, tzinfo=UTC)


def keys(
    calendar: str, first: date, last: date | None = None, *, now: datetime = datetime(2025, 6, 2, 12, tzinfo=UTC)
) -> list[str]:
    return list(session_partitions(trading_calendar(calendar), first, last).get_partition_keys(current_time=now))


def listed(calendar: str, first: str, last: str) -> list[str]:
    own = exchange_calendars.get_calendar(calendar, start=first)
    return [f"{session:%Y-%m-%d}" for session in own.sessions_in_range(first, last)]


@pytest.mark.parametrize(
    ("calendar", "count"),
    [
        ("XNYS", 3020),  # 252 a year but 250 in 2012, 251 in 2017 and 2018, 253 in 2020; one is left of 2021
        ("XLON", None),
        ("XTKS", None),  # no daylight saving; a ten-day closure in 2019
        ("XHKG", None),  # typhoons
        ("XASX", None),  # the other half of the world's daylight saving
        ("BVMF", None),  # midnight was skipped when daylight saving began
    ],
)
def test_the_keys_are_the_sessions_of_the_exchange(calendar: str, count: int | None) -> None:
    expected = listed(calendar, "2010-01-04", "2021-12-30")
    first, last = date.fromisoformat(expected[0]), date.fromisoformat(expected[-1])
    assert keys(calendar, first, last) == expected
    assert count is None or len(expected) == count


def test_a_market_that_never_closes_has_every_day() -> None:
    expected = [f"{day:%Y-%m-%d}" for day in pd.date_range("2014-12-25", "2015-03-31")]
    assert keys("24/7", date(2014, 12, 25), date(2015, 3, 31)) == expected


def test_closures_are_left_out_and_half_days_stay() -> None:
    autumn = keys("XNYS", date(2012, 10, 25), date(2012, 12, 31))
    assert autumn[:4] == ["2012-10-25", "2012-10-26", "2012-10-31", "2012-11-01"]
    assert {"2012-11-22", "2012-12-25"}.isdisjoint(autumn)
    assert {"2012-11-23", "2012-12-24"} <= set(autumn)


@pytest.mark.parametrize("session", ["2014-03-07", "2014-03-10", "2014-10-31", "2014-11-03", "2012-11-23"])
def test_a_window_is_the_exchanges_day_also_around_a_change_of_clocks(session: str) -> None:
    """New York's clocks changed on 9 March and 2 November 2014: midnight is 05:00 UTC in winter, 04:00 in summer."""
    partitions = session_partitions(trading_calendar("XNYS"), date(2012, 10, 25), None)
    window = partitions.time_window_for_partition_key(session)
    hour = 4 if session in ("2014-03-10", "2014-10-31") else 5
    assert window.start.astimezone(UTC) == datetime.fromisoformat(f"{session}T{hour:02}:00").replace(tzinfo=UTC)


def test_the_session_before_a_long_weekend_leads_to_the_one_after_it() -> None:
    partitions = session_partitions(trading_calendar("XNYS"), date(2014, 6, 30), date(2014, 7, 11))
    assert partitions.get_next_partition_key("2014-07-03") == "2014-07-07"
    mapping = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(
        partitions.subset_with_partition_keys(["2014-07-07"]), partitions, partitions
    )
    assert list(found.partitions_subset.get_partition_keys()) == ["2014-07-03"]


def test_a_market_that_goes_on_has_todays_key_from_midnight_on() -> None:
    """Friday 15 January 2016; Monday the 18th was a holiday."""
    assert keys("XNYS", date(2016, 1, 11), now=datetime(2016, 1, 15, 4, 59, tzinfo=UTC))[-1] == "2016-01-14"
    assert keys("XNYS", date(2016, 1, 11), now=datetime(2016, 1, 15, 5, 0, tzinfo=UTC))[-1] == "2016-01-15"


def test_a_market_that_has_ended_has_no_key_after_its_last_session() -> None:
    assert keys("XNYS", date(2016, 1, 11), date(2016, 1, 13), now=NOON_2016) == [
        "2016-01-11", "2016-01-12", "2016-01-13",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("calendar", "first", "complaint"),
    [
        ("XTAE", date(2014, 6, 2), r"XTAE trades on 5 weekend days of the range, first 2014-06-08 \(Sunday\)"),
        ("XMOS", date(2016, 2, 15), r"XMOS trades on 1 weekend days of the range, first 2016-02-20 \(Saturday\)"),
    ],
)
def test_a_calendar_with_some_weekend_sessions_is_refused(calendar: str, first: date, complaint: str) -> None:
    last = date(2014, 7, 9) if calendar == "XTAE" else date(2016, 3, 1)
    with pytest.raises(CalendarError, match=complaint):
        session_partitions(trading_calendar(calendar), first, last)


def test_keys_and_sessions_are_each_others_inverse() -> None:
    assert key_of(date(2014, 6, 9)) == "2014-06-09"
    assert session_of("2014-06-09") == date(2014, 6, 9)
