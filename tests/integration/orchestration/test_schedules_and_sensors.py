"""Schedules and sensors as Dagster evaluates them: which partition, which run key, and why not.

The market is the embedded one from 2014-06-02 on. Instants are New York times of 2014 turned into UTC by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import dagster as dg
import pytest

from aegis.lake import tables
from aegis_assets.table_assets import asset_key
from tests.integration.orchestration.conftest import (
    FETCHED,
    FIRST,
    FRIDAY,
    THURSDAY,
    TRADED,
    WEDNESDAY,
    Platform,
    asked,
)


def cron_lines(platform: Platform) -> dict[str, str]:
    return {schedule.name: str(schedule.cron_schedule) for schedule in platform.repository.schedule_defs}


def test_schedules_tick_on_the_exchanges_clock(platform: Platform) -> None:
    assert {schedule.execution_timezone for schedule in platform.repository.schedule_defs} == {"America/New_York"}
    assert cron_lines(platform) == {
        "fetch_after_close": "0 16 * * 1-5",
        "trade_at_open": "30 9 * * 1-5",
        "monitor_hourly": "0 * * * 1-5",
        "report_end_of_day": "0 17 * * 1-5",
        "backtest_weekly": "0 8 * * SAT",
        "maintain_weekly": "0 6 * * SUN",
    }


def test_the_configuration_moves_the_schedules(make_platform: Callable[..., Platform]) -> None:
    moved = make_platform(
        schedules={"data_fetch": "18:05", "trade_execution": "09:31", "monitoring_end_of_day": "20:00"}
    )
    lines = cron_lines(moved)
    assert (lines["fetch_after_close"], lines["trade_at_open"], lines["report_end_of_day"]) == (
        "5 18 * * 1-5",
        "31 9 * * 1-5",
        "0 20 * * 1-5",
    )


def test_a_market_without_weekends_is_scheduled_every_day(make_platform: Callable[..., Platform]) -> None:
    always = make_platform(market_data={"calendar": "24/7"})
    assert {schedule.execution_timezone for schedule in always.repository.schedule_defs} == {"UTC"}
    assert cron_lines(always)["fetch_after_close"] == "0 16 * * *"
    assert cron_lines(always)["monitor_hourly"] == "0 * * * *"


def test_at_four_a_half_day_is_fetched_and_named(platform: Platform) -> None:
    platform.materialize_until(FETCHED, date(2014, 11, 26))
    assert asked(platform.tick("fetch_after_close", "2014-11-28 21:00")) == (
        "fetch_market_data-2014-11-28",
        "2014-11-28",
    )


def test_at_four_a_full_day_waits_for_the_sensor_which_starts_it_at_a_quarter_past(platform: Platform) -> None:
    platform.materialize_until(FETCHED, WEDNESDAY)
    assert platform.tick("fetch_after_close", "2014-06-05 20:00") == (
        "the final bars of 2014-06-05 exist from 20:15 UTC; sensor final_bars_exist, if it is switched on, starts the "
        "fetch then"
    )
    assert platform.sense("final_bars_exist", "2014-06-05 20:14") == "session 2014-06-04 has been fetched"
    assert asked(platform.sense("final_bars_exist", "2014-06-05 20:15")) == (
        "fetch_market_data-2014-06-05",
        "2014-06-05",
    )


def test_a_market_that_never_closes_is_fetched_by_its_schedule_the_day_after(
    make_platform: Callable[..., Platform],
) -> None:
    always = make_platform(market_data={"calendar": "24/7"})
    always.materialize(FETCHED, FIRST)
    assert asked(always.tick("fetch_after_close", "2014-06-04 16:00"))[1] == "2014-06-03"
    always.materialize(FETCHED, date(2014, 6, 3))
    assert "2014-06-04 exist from 00:15 UTC" in str(always.tick("fetch_after_close", "2014-06-04 16:00"))


@pytest.mark.parametrize("schedule", ["fetch_after_close", "trade_at_open", "monitor_hourly", "report_end_of_day"])
def test_on_a_holiday_every_schedule_skips_and_names_it(platform: Platform, schedule: str) -> None:
    assert platform.tick(schedule, "2026-11-26 21:00") == "2026-11-26 is not a session of XNYS: Thanksgiving"


def test_what_the_schedule_started_the_sensor_does_not_start_again(platform: Platform) -> None:
    platform.materialize_until(FETCHED, date(2014, 11, 26))
    platform.start(platform.tick("fetch_after_close", "2014-11-28 21:00"), "fetch_market_data")
    again = "fetch_market_data-2014-11-28 has been requested already"
    assert platform.sense("final_bars_exist", "2014-11-28 21:01") == again
    assert platform.tick("fetch_after_close", "2014-11-28 21:00") == again


def test_what_the_sensor_started_the_schedule_does_not_start_again(platform: Platform) -> None:
    platform.materialize_until(FETCHED, date(2014, 11, 26))
    platform.start(platform.sense("final_bars_exist", "2014-11-28 18:15"), "fetch_market_data")
    again = "fetch_market_data-2014-11-28 has been requested already"
    assert platform.tick("fetch_after_close", "2014-11-28 21:00") == again
    assert platform.sense("final_bars_exist", "2014-11-28 21:00") == again


def test_a_fetched_session_is_not_fetched_again(platform: Platform) -> None:
    platform.materialize_until(FETCHED, THURSDAY)
    assert platform.sense("final_bars_exist", "2014-06-05 20:15") == "session 2014-06-05 has been fetched"
    assert asked(platform.sense("final_bars_exist", "2014-06-06 20:15"))[1] == "2014-06-06"


@pytest.mark.parametrize("lacking", FETCHED)
def test_bars_without_verdicts_signals_and_covariances_are_no_fetch(platform: Platform, lacking: dg.AssetKey) -> None:
    platform.materialize_until(FETCHED, WEDNESDAY)
    platform.materialize([asset_key(tables.RAW_BARS), *(key for key in FETCHED if key != lacking)], THURSDAY)
    assert asked(platform.sense("final_bars_exist", "2014-06-05 20:15"))[1] == "2014-06-05"


def test_past_the_end_of_the_source_nothing_is_fetched(make_platform: Callable[..., Platform]) -> None:
    ended = make_platform(run={"last_session": FIRST})
    assert asked(ended.sense("final_bars_exist", "2014-06-06 20:15"))[1] == "2014-06-02"
    ended.materialize(FETCHED, FIRST)
    assert ended.sense("final_bars_exist", "2014-06-06 20:15") == (
        "session 2014-06-02 has been fetched; source simulated has no later one"
    )


def test_sessions_that_were_missed_are_fetched_in_order_and_one_at_a_time(platform: Platform) -> None:
    """The machine was off from Monday night to Thursday evening."""
    platform.materialize(FETCHED, FIRST)
    evening = "2014-06-05 20:15"
    for session in ("2014-06-03", "2014-06-04", "2014-06-05"):
        request = platform.sense("final_bars_exist", evening)
        assert asked(request) == (f"fetch_market_data-{session}", session)
        platform.start(request, "fetch_market_data")
        assert platform.sense("final_bars_exist", evening) == f"fetch_market_data-{session} has been requested already"
        platform.materialize(FETCHED, date.fromisoformat(session))
        if session != "2014-06-05":
            waiting = platform.sense("final_bars_exist", evening)
            assert "which has not ended" in str(waiting)
        platform.finish_all()
    assert platform.sense("final_bars_exist", evening) == "session 2014-06-05 has been fetched"


def test_a_history_is_left_to_aegis_run(platform: Platform) -> None:
    assert "more than 60 sessions up to 2014-11-28 are missing; `make run`" in str(
        platform.sense("final_bars_exist", "2014-11-28 18:15")
    )


def test_a_fetch_waits_while_the_whole_chain_runs(platform: Platform) -> None:
    platform.materialize_until(FETCHED, WEDNESDAY)
    run = platform.instance.add_run(dg.DagsterRun("run_whole_chain", status=dg.DagsterRunStatus.STARTED))
    assert platform.sense("final_bars_exist", "2014-06-05 20:15") == (
        f"fetch_market_data-2014-06-05 waits for run {run.run_id} of run_whole_chain, which has not ended"
    )


def test_a_fetch_that_failed_is_asked_for_again_after_its_pause(platform: Platform) -> None:
    platform.materialize_until(FETCHED, WEDNESDAY)
    request = platform.sense("final_bars_exist", "2014-06-05 20:15")
    platform.fail(request, "fetch_market_data", "2014-06-05 20:16")
    assert platform.sense("final_bars_exist", "2014-06-05 20:17") == (
        "fetch_market_data-2014-06-05 failed 1 time(s); the next attempt is at 2014-06-05 20:21 UTC"
    )
    again = platform.sense("final_bars_exist", "2014-06-05 20:21")
    assert asked(again) == ("fetch_market_data-2014-06-05-2", "2014-06-05")
    platform.start(again, "fetch_market_data")
    assert platform.sense("final_bars_exist", "2014-06-05 23:00") == (
        "fetch_market_data-2014-06-05 has been requested already"
    )


def test_at_the_open_the_previous_sessions_orders_are_traded_once(platform: Platform) -> None:
    platform.materialize_until(TRADED, THURSDAY)
    monday_open = "2014-06-09 13:30"
    missing = (
        "session 2014-06-06 has no verdict, signals and covariances yet; run fetch_market_data for it first, or switch "
        "on the sensor final_bars_exist, which does"
    )
    for key in FETCHED:
        assert platform.tick("trade_at_open", monday_open) == missing
        platform.materialize([key], FRIDAY)
    request = platform.tick("trade_at_open", monday_open)
    assert asked(request) == ("execute_trades-2014-06-06", "2014-06-06")
    platform.start(request, "execute_trades")
    assert platform.tick("trade_at_open", monday_open) == "execute_trades-2014-06-06 has been requested already"


def test_a_book_that_fell_behind_is_caught_up_in_order_once_its_hour_has_passed(platform: Platform) -> None:
    """Wednesday's and Thursday's books were missed; Friday's is due on Monday at half past nine, by the schedule."""
    platform.materialize_until(FETCHED, FRIDAY)
    platform.materialize_until(TRADED, date(2014, 6, 3))
    weekend, monday = "2014-06-07 12:00", "2014-06-09 13:34"
    for session in ("2014-06-04", "2014-06-05"):
        request = platform.sense("book_fell_behind", weekend)
        assert asked(request) == (f"execute_trades-{session}", session)
        platform.start(request, "execute_trades")
        platform.materialize(TRADED, date.fromisoformat(session))
        platform.finish_all()
    assert platform.sense("book_fell_behind", weekend) == "the book of session 2014-06-05 exists"
    assert platform.sense("book_fell_behind", monday) == "the book of session 2014-06-05 exists"
    assert asked(platform.sense("book_fell_behind", "2014-06-09 13:35"))[1] == "2014-06-06"


def test_the_schedule_trades_a_missed_session_before_the_newest(platform: Platform) -> None:
    platform.materialize_until(FETCHED, FRIDAY)
    platform.materialize_until(TRADED, WEDNESDAY)
    assert asked(platform.tick("trade_at_open", "2014-06-09 13:30"))[1] == "2014-06-05"


def test_monitoring_runs_each_hour_of_a_session(platform: Platform) -> None:
    assert platform.tick("monitor_hourly", "2014-06-05 13:00") == "XNYS is closed at 13:00 UTC"
    first, second = (platform.tick("monitor_hourly", f"2014-06-05 {hour}:00") for hour in (14, 15))
    assert asked(first) == ("monitor_books-2014-06-05T14:00Z", None)
    assert asked(second) == ("monitor_books-2014-06-05T15:00Z", None)


def test_the_report_is_written_at_five(platform: Platform) -> None:
    assert asked(platform.tick("report_end_of_day", "2014-06-05 21:00")) == ("report_performance-2014-06-05", None)


def test_the_report_of_a_session_is_asked_for_once(platform: Platform) -> None:
    platform.start(platform.tick("report_end_of_day", "2014-06-05 21:00"), "report_performance")
    assert platform.tick("report_end_of_day", "2014-06-05 21:00") == (
        "report_performance-2014-06-05 has been requested already"
    )


def test_strategies_are_backtested_on_saturday_up_to_the_last_session_and_once(platform: Platform) -> None:
    saturday = "2014-06-07 12:00"
    request = platform.tick("backtest_weekly", saturday)
    assert asked(request) == ("backtest_strategies-2014-06-06", None)
    platform.start(request, "backtest_strategies")
    assert platform.tick("backtest_weekly", saturday) == "backtest_strategies-2014-06-06 has been requested already"
    assert platform.tick("backtest_weekly", "2014-06-14 12:00") == (
        "backtest_strategies-2014-06-13 waits for run "
        f"{platform.instance.get_runs()[0].run_id} of backtest_strategies, which has not ended"
    )
    platform.finish_all()
    assert asked(platform.tick("backtest_weekly", "2014-06-14 12:00")) == ("backtest_strategies-2014-06-13", None)


def test_the_configuration_moves_the_backtests(make_platform: Callable[..., Platform]) -> None:
    moved = make_platform(schedules={"backtests_weekday": "WED", "backtests": "20:15"})
    assert cron_lines(moved)["backtest_weekly"] == "15 20 * * WED"


def test_before_the_first_session_ends_there_is_nothing_to_backtest(platform: Platform) -> None:
    assert platform.tick("backtest_weekly", "2014-05-31 12:00") == (
        "no session has final bars yet, so there is nothing to backtest"
    )


def test_a_vendor_that_is_late_is_reported_in_the_next_session(make_platform: Callable[..., Platform]) -> None:
    late = make_platform(market_data={"vendor_delay_minutes": 120})
    assert asked(late.tick("report_end_of_day", "2014-06-05 21:00")) == ("report_performance-2014-06-04", None)


def test_a_market_that_never_closes_is_reported_every_day(make_platform: Callable[..., Platform]) -> None:
    always = make_platform(market_data={"calendar": "24/7"})
    assert asked(always.tick("report_end_of_day", "2014-06-07 17:00")) == ("report_performance-2014-06-06", None)


@pytest.mark.parametrize(
    ("frequency", "at_utc", "session", "is_reported"),
    [
        ("weekly", "2014-06-05 21:00", "2014-06-05", False),
        ("weekly", "2014-06-06 21:00", "2014-06-06", True),
        ("weekly", "2015-07-02 21:00", "2015-07-02", True),  # Friday the 3rd was a holiday
        ("monthly", "2014-06-27 21:00", "2014-06-27", False),
        ("monthly", "2014-05-30 21:00", "2014-05-30", True),  # the 31st was a Saturday
    ],
)
def test_reports_may_be_written_at_the_end_of_a_period_only_and_conduct_is_judged_every_day(
    make_platform: Callable[..., Platform], frequency: str, at_utc: str, session: str, is_reported: bool
) -> None:
    slower = make_platform(eval={"reporting": {"frequency": frequency}})
    found = slower.tick("report_end_of_day", at_utc)
    assert isinstance(found, dg.RunRequest)
    assert found.run_key == f"report_performance-{session}"
    judged = {dg.AssetKey(["compliance", "findings"]), dg.AssetKey(["monitoring", "drift_measures"])}
    assert (set(found.asset_selection) if found.asset_selection else None) == (None if is_reported else judged)
