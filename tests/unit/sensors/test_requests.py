"""Which session a tick is about, worked by hand from the calendar of the New York Stock Exchange.

Regular hours are 09:30 to 16:00 New York time, half days close at 13:00 (nyse.com, Holidays & Trading Hours). New York
is UTC-5 in winter and UTC-4 from the second Sunday of March to the first Sunday of November (15 U.S.C. 260a).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from aegis.calendars import trading_calendar
from aegis_sensors.requests import (
    Due,
    NotDue,
    due_fetch,
    due_monitoring,
    due_trading,
    is_materialized,
    is_requested,
    latest_final,
)

XNYS = trading_calendar("XNYS")
DELAY = timedelta(minutes=15)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def reason(answer: Due | NotDue) -> str:
    assert isinstance(answer, NotDue)
    return answer.reason


def test_at_four_on_a_full_day_the_bars_are_not_final_until_a_quarter_past() -> None:
    assert reason(due_fetch(XNYS, utc("2014-06-05 20:00"), DELAY)) == (
        "the final bars of 2014-06-05 exist from 20:15 UTC; sensor final_bars_exist starts the fetch then"
    )
    assert isinstance(due_fetch(XNYS, utc("2014-06-05 20:14:59"), DELAY), NotDue)
    assert due_fetch(XNYS, utc("2014-06-05 20:15"), DELAY) == Due(date(2014, 6, 5))


def test_at_four_on_a_half_day_the_bars_are_final() -> None:
    assert due_fetch(XNYS, utc("2014-11-28 21:00"), DELAY) == Due(date(2014, 11, 28))
    assert due_fetch(XNYS, utc("2014-11-28 18:15"), DELAY) == Due(date(2014, 11, 28))
    assert "exist from 18:15 UTC" in reason(due_fetch(XNYS, utc("2014-11-28 18:14"), DELAY))


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
    assert isinstance(due_fetch(XNYS, closed + timedelta(minutes=14), DELAY), NotDue)
    assert due_fetch(XNYS, closed + timedelta(minutes=15), DELAY) == Due(session)


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
    at_close, at_open = utc(f"{day} 21:00"), utc(f"{day} 14:30")
    expected = f"{day} is not a session of XNYS: {name}"
    assert reason(due_fetch(XNYS, at_close, DELAY)) == expected
    assert reason(due_trading(XNYS, at_open)) == expected
    assert reason(due_monitoring(XNYS, at_open)) == expected


def test_today_is_the_exchanges_date_and_not_that_of_greenwich() -> None:
    assert due_fetch(XNYS, utc("2014-06-06 02:00"), DELAY) == Due(date(2014, 6, 5))
    assert due_fetch(XNYS, utc("2014-06-07 02:00"), DELAY) == Due(date(2014, 6, 6))  # Friday night in New York


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
    assert due_trading(XNYS, utc(at_open)) == Due(decided)


@pytest.mark.parametrize(
    ("now", "session"),
    [
        ("2014-06-05 20:14:59", date(2014, 6, 4)),
        ("2014-06-05 20:15", date(2014, 6, 5)),
        ("2014-06-08 12:00", date(2014, 6, 6)),
        ("2014-11-27 22:00", date(2014, 11, 26)),
        ("2014-11-28 18:15", date(2014, 11, 28)),
    ],
)
def test_the_latest_final_session_is_the_last_one_whose_bars_exist(now: str, session: date) -> None:
    assert latest_final(XNYS, utc(now), DELAY) == Due(session)


def test_monitoring_is_due_from_the_open_until_two_hours_after_the_close() -> None:
    assert reason(due_monitoring(XNYS, utc("2014-06-05 13:29"))) == "XNYS is closed at 13:29 UTC"
    assert due_monitoring(XNYS, utc("2014-06-05 13:30")) == Due(date(2014, 6, 5))
    assert due_monitoring(XNYS, utc("2014-06-05 22:00")) == Due(date(2014, 6, 5))
    assert isinstance(due_monitoring(XNYS, utc("2014-06-05 22:01")), NotDue)
    assert due_monitoring(XNYS, utc("2014-11-28 20:00")) == Due(date(2014, 11, 28))
    assert isinstance(due_monitoring(XNYS, utc("2014-11-28 20:01")), NotDue)


def test_a_run_with_the_key_counts_as_requested_and_others_do_not() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert not is_requested(instance, "fetch_market_data-2014-06-05")
        instance.add_run(dg.DagsterRun("fetch_market_data", tags={"dagster/run_key": "fetch_market_data-2014-06-05"}))
        assert is_requested(instance, "fetch_market_data-2014-06-05")
        assert not is_requested(instance, "fetch_market_data-2014-06-06")


def test_only_the_partition_of_the_session_counts_as_materialized() -> None:
    key = dg.AssetKey(["market_data", "raw_bars"])
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition="2014-06-05"))
        assert is_materialized(instance, key, date(2014, 6, 5))
        assert not is_materialized(instance, key, date(2014, 6, 6))
        assert not is_materialized(instance, dg.AssetKey("other"), date(2014, 6, 5))
