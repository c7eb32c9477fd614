"""When the daily work runs, on the exchange's clock.

Belongs here: cron lines and run keys. Which session a tick is about is in :mod:`aegis_sensors.requests`. Every schedule
names its partition: the latest window is a session that has not closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from aegis.lake import tables
from aegis_assets.partitions import key_of
from aegis_assets.table_assets import asset_key
from aegis_resources.market_data import Market
from aegis_sensors import jobs
from aegis_sensors.requests import (
    NotDue,
    due_fetch,
    due_monitoring,
    due_report,
    due_trading,
    is_materialized,
    is_requested,
)

ScheduleAnswer = dg.RunRequest | dg.SkipReason


def fetch_key(session_key: str) -> str:
    """Return the run key of a session's fetch; the schedule and the sensor share it."""
    return f"{jobs.FETCH_MARKET_DATA}-{session_key}"


def trade_key(session_key: str) -> str:
    """Return the run key of a session's trading; the schedule and the drift sensor share it."""
    return f"{jobs.EXECUTE_TRADES}-{session_key}"


def platform_schedules(market: Market) -> Sequence[dg.ScheduleDefinition]:
    """Return the schedules of `market`, in its exchange's time zone."""
    times = market.config.schedules
    zone = market.calendar.time_zone
    delay = market.config.market_data.vendor_delay
    frequency = market.config.eval.reporting.frequency
    days = "*" if market.calendar.trades_every_day else "1-5"

    @dg.schedule(
        job_name=jobs.FETCH_MARKET_DATA,
        cron_schedule=_cron(times.data_fetch, days),
        execution_timezone=zone,
        description="Fetches the session that closed, once its final bars exist.",
    )
    def fetch_after_close(context: dg.ScheduleEvaluationContext) -> ScheduleAnswer:
        due = due_fetch(market.calendar, _now(context), delay)
        if isinstance(due, NotDue):
            return dg.SkipReason(due.reason)
        return request_once(context.instance, fetch_key(key_of(due.session)), key_of(due.session))

    @dg.schedule(
        job_name=jobs.EXECUTE_TRADES,
        cron_schedule=_cron(times.trade_execution, days),
        execution_timezone=zone,
        description="Commits and releases the orders decided after the previous session's close.",
    )
    def trade_at_open(context: dg.ScheduleEvaluationContext) -> ScheduleAnswer:
        due = due_trading(market.calendar, _now(context))
        if isinstance(due, NotDue):
            return dg.SkipReason(due.reason)
        key = key_of(due.session)
        if not is_materialized(context.instance, asset_key(tables.COVARIANCES), due.session):
            return dg.SkipReason(
                f"session {key} has no signals and covariances yet; run {jobs.FETCH_MARKET_DATA} for it first"
            )
        return request_once(context.instance, trade_key(key), key)

    @dg.schedule(
        job_name=jobs.MONITOR,
        cron_schedule=f"0 * * * {days}",
        execution_timezone=zone,
        description="Checks freshness, reconciliation and the journal every hour of a session.",
    )
    def monitor_hourly(context: dg.ScheduleEvaluationContext) -> ScheduleAnswer:
        now = _now(context)
        due = due_monitoring(market.calendar, now)
        if isinstance(due, NotDue):
            return dg.SkipReason(due.reason)
        return dg.RunRequest(run_key=f"{jobs.MONITOR}-{now:%Y-%m-%dT%H:%MZ}")

    @dg.schedule(
        job_name=jobs.REPORT,
        cron_schedule=_cron(times.monitoring_end_of_day, days),
        execution_timezone=zone,
        description=f"Writes the report and the marts, {frequency}.",
    )
    def report_end_of_day(context: dg.ScheduleEvaluationContext) -> ScheduleAnswer:
        due = due_report(market.calendar, _now(context), delay, frequency)
        if isinstance(due, NotDue):
            return dg.SkipReason(due.reason)
        return request_once(context.instance, f"{jobs.REPORT}-{key_of(due.session)}")

    return [fetch_after_close, trade_at_open, monitor_hourly, report_end_of_day]


def request_once(instance: dg.DagsterInstance, run_key: str, partition_key: str | None = None) -> ScheduleAnswer:
    """Return a request for a run, of a partition if given, or the reason that whatever asked first requested it."""
    if is_requested(instance, run_key):
        return dg.SkipReason(f"{run_key} has been requested already")
    return dg.RunRequest(run_key=run_key, partition_key=partition_key)


def _cron(local_time: str, days: str) -> str:
    hour, minute = local_time.split(":")
    return f"{int(minute)} {int(hour)} * * {days}"


def _now(context: dg.ScheduleEvaluationContext) -> datetime:
    return context.scheduled_execution_time.astimezone(UTC)
