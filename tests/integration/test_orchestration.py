"""Schedules and sensors as Dagster evaluates them: which partition, which run key, and why not.

The market is the embedded one from 2014-06-02 on. Instants are New York times of 2014 turned into UTC by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from dagster import DagsterEvent, DagsterEventType
from dagster._core.test_utils import freeze_time

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Replacement
from aegis.lake.schema import TableSchema
from aegis.workspace import Workspace
from aegis_assets.table_assets import asset_key
from aegis_sensors.definitions import build_definitions, lake_resource

CALENDAR = trading_calendar("XNYS")
FIRST = date(2014, 6, 2)
WEDNESDAY, THURSDAY, FRIDAY = date(2014, 6, 4), date(2014, 6, 5), date(2014, 6, 6)
FETCHED = [asset_key(table) for table in (tables.CHECK_RESULTS, tables.ENSEMBLE_SIGNALS, tables.COVARIANCES)]
TRADED = [asset_key(tables.BOOK_STATES)]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Platform:
    """The definitions of one workspace, its lake, an empty Dagster instance, and a clock that the test moves."""

    def __init__(self, home: Path, instance: dg.DagsterInstance, **sections: Any) -> None:
        self.clock = SimulatedClock(utc("2014-06-03 12:00"))  # a code server keeps running for days
        run = {"home": home, "first_session": FIRST, **sections.pop("run", {})}
        self.config = AegisConfig(run=run, **sections)
        self.instance = instance
        self.repository = build_definitions(self.config, clock=self.clock).get_repository_def()

    def tick(self, schedule: str, at_utc: str) -> dg.RunRequest | str:
        """Return what a schedule asks for at an instant, or why it asks for nothing."""
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=utc(at_utc),
            repository_def=self.repository,
        )
        return only(self.repository.get_schedule_def(schedule).evaluate_tick(context))

    def sense(self, sensor: str, at_utc: str) -> dg.RunRequest | str:
        """Return what a sensor asks for at an instant, or why it asks for nothing."""
        self.clock.advance_to(utc(at_utc))
        context = dg.build_sensor_context(
            instance=self.instance,
            repository_def=self.repository,
        )
        return only(self.repository.get_sensor_def(sensor).evaluate_tick(context))

    def start(self, request: dg.RunRequest | str, job: str) -> None:
        """Make the run that Dagster's daemon makes of a request."""
        assert isinstance(request, dg.RunRequest)
        self.instance.add_run(dg.DagsterRun(job, tags={**request.tags, "dagster/run_key": str(request.run_key)}))

    def fail(self, request: dg.RunRequest | str, job: str, at_utc: str) -> None:
        """Make the run of a request and let it fail at an instant."""
        assert isinstance(request, dg.RunRequest)
        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        with freeze_time(utc(at_utc)):
            run = self.instance.add_run(dg.DagsterRun(job, tags=tags, status=dg.DagsterRunStatus.STARTED))
            self.instance.report_run_failed(run)

    def finish_all(self) -> None:
        """Let every run end well."""
        for run in self.instance.get_runs():
            if not run.is_finished:
                self.instance.report_dagster_event(
                    DagsterEvent(DagsterEventType.RUN_SUCCESS.value, job_name=run.job_name), run_id=run.run_id
                )

    def materialize(self, keys: list[dg.AssetKey], session: date) -> None:
        for key in keys:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=session.isoformat()))

    def materialize_until(self, keys: list[dg.AssetKey], last: date) -> None:
        """Materialize the newest sessions up to `last`, as many as are looked at for a gap."""
        for session in CALENDAR.sessions(FIRST, last)[-62:]:
            self.materialize(keys, session)

    def decide(self, session: date, weights: dict[str, tuple[float, float]], account: str = "simulated") -> None:
        """Write a decision as the book would have: ``{symbol: (target, held)}`` of 1,000,000 USD at 100 USD."""
        at = {"session": pd.Timestamp(session), "account": account}
        known = {"known_at_utc": pd.Timestamp(f"{session} 20:15", tz="UTC")}
        symbols = sorted(weights)
        wanted, held = (np.array([weights[symbol][side] for symbol in symbols]) for side in (0, 1))
        targets = pd.DataFrame({"symbol": symbols, "target_weight": wanted, "current_weight": held})
        targets = targets.assign(optimized_return_daily=0.0, reason="optimal", **at, **known)
        orders = pd.DataFrame({"symbol": symbols, "ticker": symbols, "quantity_shares": (wanted - held) * 10_000})
        orders = orders.assign(
            client_order_id=symbols,
            decision_id="by hand",
            algorithm="vwap",
            time_in_force="DAY",
            execution_session=pd.Timestamp(FRIDAY),
            arrival_price_usd=100.0,
            target_weight=wanted,
            is_reducing=False,
            gate_outcome="approved",
            reason="by hand",
            input_snapshot_id=1,
            **at,
            **known,
        )
        values = pd.DataFrame([{**at, **dict.fromkeys(tables.ACCOUNT_VALUES.column_names[2:], 0.0)}])
        values = values.assign(equity_usd=1_000_000.0)
        self.write(
            {tables.TARGET_WEIGHTS: targets, tables.ORDERS: orders, tables.ACCOUNT_VALUES: values}, session, account
        )

    def close(self, session: date, closes: dict[str, float], splits: dict[str, float] | None = None) -> None:
        """Write a session's trusted closes, and splits that went ex in it."""
        at = {"session": pd.Timestamp(session), "known_at_utc": pd.Timestamp(f"{session} 20:15", tz="UTC")}
        bars = pd.DataFrame({"symbol": list(closes), "ticker": list(closes), "volume_shares": 1e6, "source": "hand"})
        prices = {f"{price}_raw_usd": list(closes.values()) for price in ("open", "high", "low", "close")}
        actions = pd.DataFrame(
            {"symbol": list(splits or {}), "split_ratio": list((splits or {}).values())}, dtype=object
        ).assign(action="split", dividend_usd=0.0, pay_session=pd.NaT, new_ticker=None, source="hand", **at)
        self.write({tables.DAILY_BARS: bars.assign(**prices, **at), tables.CORPORATE_ACTIONS: actions}, session)

    def write(self, frames: dict[TableSchema, pd.DataFrame], session: date, account: str | None = None) -> None:
        with lake_resource(Workspace.of(self.config)).open() as store:
            for table, frame in frames.items():
                message = CommitMessage(table.key, f"{session}..{session}", "by hand", "1")
                store.write([Replacement(table, table.conform(frame), session, session, account)], message)


def only(data: Any) -> dg.RunRequest | str:
    if not data.run_requests:
        return str(data.skip_message)
    (request,) = data.run_requests
    return request


def asked(request: dg.RunRequest | str) -> tuple[str | None, str | None]:
    assert isinstance(request, dg.RunRequest), request
    return request.run_key, request.partition_key


@pytest.fixture(scope="module")
def shared_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def make_platform(shared_instance: dg.DagsterInstance, tmp_path: Path) -> Callable[..., Platform]:
    shared_instance.wipe()
    return lambda **sections: Platform(tmp_path, shared_instance, **sections)


@pytest.fixture
def platform(make_platform: Callable[..., Platform]) -> Platform:
    return make_platform()


def cron_lines(platform: Platform) -> dict[str, str]:
    return {schedule.name: str(schedule.cron_schedule) for schedule in platform.repository.schedule_defs}


def test_schedules_tick_on_the_exchanges_clock(platform: Platform) -> None:
    assert {schedule.execution_timezone for schedule in platform.repository.schedule_defs} == {"America/New_York"}
    assert cron_lines(platform) == {
        "fetch_after_close": "0 16 * * 1-5",
        "trade_at_open": "30 9 * * 1-5",
        "monitor_hourly": "0 * * * 1-5",
        "report_end_of_day": "0 17 * * 1-5",
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
    assert "more than 60 sessions up to 2014-11-28 are missing; `aegis run`" in str(
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


def test_a_vendor_that_is_late_is_reported_in_the_next_session(make_platform: Callable[..., Platform]) -> None:
    late = make_platform(market_data={"vendor_delay_minutes": 120})
    assert asked(late.tick("report_end_of_day", "2014-06-05 21:00")) == ("report_performance-2014-06-04", None)


def test_a_market_that_never_closes_is_reported_every_day(make_platform: Callable[..., Platform]) -> None:
    always = make_platform(market_data={"calendar": "24/7"})
    assert asked(always.tick("report_end_of_day", "2014-06-07 17:00")) == ("report_performance-2014-06-06", None)


@pytest.mark.parametrize(
    ("frequency", "at_utc", "answer"),
    [
        ("weekly", "2014-06-05 21:00", "reports are weekly, and 2014-06-05 is not the last session of its period"),
        ("weekly", "2014-06-06 21:00", "report_performance-2014-06-06"),
        ("weekly", "2015-07-02 21:00", "report_performance-2015-07-02"),  # Friday the 3rd was a holiday
        ("monthly", "2014-06-27 21:00", "reports are monthly, and 2014-06-27 is not the last session of its period"),
        ("monthly", "2014-05-30 21:00", "report_performance-2014-05-30"),  # the 31st was a Saturday
    ],
)
def test_reports_may_be_written_at_the_end_of_a_period_only(
    make_platform: Callable[..., Platform], frequency: str, at_utc: str, answer: str
) -> None:
    slower = make_platform(eval={"reporting": {"frequency": frequency}})
    found = slower.tick("report_end_of_day", at_utc)
    assert (found.run_key if isinstance(found, dg.RunRequest) else found) == answer


def test_nothing_has_drifted_before_anything_was_decided(platform: Platform) -> None:
    assert platform.sense("positions_drifted", "2014-06-06 15:00") == "nothing has been decided yet"
    platform.decide(THURSDAY, {"TVZQ": (0.05, 0.20)}, account="another")
    assert platform.sense("positions_drifted", "2014-06-06 15:00") == "nothing has been decided yet"


def test_drift_waits_for_the_session_that_would_show_it(platform: Platform) -> None:
    platform.decide(THURSDAY, {"AAAA": (0.05, 0.05)})
    assert platform.sense("positions_drifted", "2014-06-06 15:00") == (
        "session 2014-06-06, which would move the weights of 2014-06-05, is not there yet"
    )


def test_an_order_that_is_still_to_fill_is_no_drift(platform: Platform) -> None:
    """AAAA is held at 5 % and wanted at 20 %: the order on its way brings it there."""
    platform.decide(THURSDAY, {"AAAA": (0.20, 0.05)})
    platform.close(THURSDAY, {"AAAA": 100.0})
    platform.close(FRIDAY, {"AAAA": 101.0})
    platform.materialize(FETCHED, FRIDAY)
    assert platform.sense("positions_drifted", "2014-06-06 20:30") == (
        "after 2014-06-06 all weights are within 2.00% of the targets of 2014-06-05"
    )


def test_a_split_is_no_drift(platform: Platform) -> None:
    platform.decide(THURSDAY, {"AAAA": (0.20, 0.20)})
    platform.close(THURSDAY, {"AAAA": 100.0})
    platform.close(FRIDAY, {"AAAA": 33.5}, splits={"AAAA": 3.0})
    platform.materialize(FETCHED, FRIDAY)
    assert platform.sense("positions_drifted", "2014-06-06 20:30") == (
        "after 2014-06-06 all weights are within 2.00% of the targets of 2014-06-05"
    )


@pytest.mark.parametrize("close", [115.0, 87.0])
def test_prices_that_leave_the_band_start_the_next_decision_once(platform: Platform, close: float) -> None:
    """20 % at 115 for 100 is 0.23 / 1.03 = 22.3 %, at 87 it is 0.174 / 0.974 = 17.9 %."""
    platform.decide(date(2014, 6, 4), {"AAAA": (0.05, 0.05)})
    platform.decide(THURSDAY, {"AAAA": (0.20, 0.20), "BBBB": (0.05, 0.05)})
    platform.close(THURSDAY, {"AAAA": 100.0, "BBBB": 100.0})
    platform.close(FRIDAY, {"AAAA": close, "BBBB": 100.0})
    platform.materialize(FETCHED, FRIDAY)
    now = "2014-06-06 20:30"
    request = platform.sense("positions_drifted", now)
    assert asked(request) == ("execute_trades-2014-06-06", "2014-06-06")
    platform.start(request, "execute_trades")
    again = "execute_trades-2014-06-06 has been requested already"
    platform.materialize_until(TRADED, THURSDAY)
    assert platform.sense("positions_drifted", now) == again
    assert platform.tick("trade_at_open", "2014-06-09 13:30") == again
