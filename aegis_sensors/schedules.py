"""When the daily work runs, on the exchange's clock.

Belongs here: cron lines, and what each tick asks for. Which session a tick is about is in
:mod:`aegis_sensors.requests`. Every schedule names its partition: the latest window is a session that has not closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import dagster as dg

from aegis.lake import tables
from aegis_assets.conduct import CONDUCT_ASSET_KEYS
from aegis_assets.maintenance import MAINTAIN_LAKE
from aegis_assets.partitions import key_of
from aegis_assets.table_assets import asset_key
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market
from aegis_sensors import facts, jobs
from aegis_sensors.requests import (
    Due,
    NotDue,
    Window,
    due_backtests,
    due_fetch,
    due_monitoring,
    due_report,
    due_trading,
    next_attempt,
    session_to_trade,
)

ScheduleAnswer = dg.RunRequest | dg.SkipReason

_ONE_AT_A_TIME = {
    jobs.FETCH_MARKET_DATA: (jobs.FETCH_MARKET_DATA, jobs.WHOLE_CHAIN),
    jobs.EXECUTE_TRADES: (jobs.EXECUTE_TRADES, jobs.WHOLE_CHAIN),
    jobs.REPORT: (jobs.REPORT,),
    jobs.BACKTEST: (jobs.BACKTEST,),
}
"""Which jobs' runs a request waits for: those that write the same tables."""


def platform_schedules(market: Market, lake: LakeResource) -> Sequence[dg.ScheduleDefinition]:
    """Return the schedules of `market`, in its exchange's time zone."""
    times = market.config.schedules
    zone = market.calendar.time_zone
    delay = market.config.market_data.vendor_delay
    frequency = market.config.eval.reporting.frequency
    days = "*" if market.calendar.trades_every_day else "1-5"

    @dg.schedule(
        job_name=jobs.FETCH_MARKET_DATA,
        cron_schedule=cron(times.data_fetch, days),
        execution_timezone=zone,
        description="Fetches the first session that is missing, once its final bars exist. On a full day these come "
        "after the schedule's hour: switch on the sensor final_bars_exist beside it.",
    )
    def fetch_after_close(context: dg.ScheduleEvaluationContext) -> ScheduleAnswer:
        now = _now(context)
        window = final_window(market, now)
        done = facts.fetched(context.instance, lake, window.sessions)
        due = due_fetch(market.calendar, now, delay, window=window, fetched=done)
        return request(context.instance, jobs.FETCH_MARKET_DATA, due, now)

    @dg.schedule(
        job_name=jobs.EXECUTE_TRADES,
        cron_schedule=cron(times.trade_execution, days),
        execution_timezone=zone,
        description="Commits and releases the orders decided after the previous session's close.",
    )
    def trade_at_open(context: dg.ScheduleEvaluationContext) -> ScheduleAnswer:
        now = _now(context)
        window = Window.until(market.calendar, market.session_range()[0], session_to_trade(market.calendar, now))
        done = facts.materialized(context.instance, asset_key(tables.BOOK_STATES), window.sessions)
        due = due_trading(market.calendar, now, window=window, traded=done)
        return request_trading(context.instance, lake, due, now)

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
        cron_schedule=cron(times.monitoring_end_of_day, days),
        execution_timezone=zone,
        description=f"Judges compliance and drift every day, and writes the report and the marts, {frequency}.",
    )
    def report_end_of_day(context: dg.ScheduleEvaluationContext) -> ScheduleAnswer:
        now = _now(context)
        due = due_report(market.calendar, now, delay, frequency)
        if isinstance(due, NotDue):
            due = due_report(market.calendar, now, delay, "daily")
            return request(context.instance, jobs.REPORT, due, now, is_partitioned=False, assets=CONDUCT_ASSET_KEYS)
        return request(context.instance, jobs.REPORT, due, now, is_partitioned=False)

    @dg.schedule(
        job_name=jobs.BACKTEST,
        cron_schedule=cron(times.backtests, times.backtests_weekday),
        execution_timezone=zone,
        description="Backtests the strategies over all sessions up to the newest, weekly.",
    )
    def backtest_weekly(context: dg.ScheduleEvaluationContext) -> ScheduleAnswer:
        now = _now(context)
        due = due_backtests(final_window(market, now))
        return request(context.instance, jobs.BACKTEST, due, now, is_partitioned=False)

    maintain_weekly = dg.ScheduleDefinition(
        name="maintain_weekly",
        job_name=MAINTAIN_LAKE,
        cron_schedule=cron(times.maintenance, times.maintenance_weekday),
        execution_timezone=zone,
        description="Merges the lake's small files; expires old snapshots where retention says so.",
    )
    return [fetch_after_close, trade_at_open, monitor_hourly, report_end_of_day, backtest_weekly, maintain_weekly]


def final_window(market: Market, now_utc: datetime) -> Window:
    """Return the newest sessions whose final bars exist, up to the end of a market that has ended."""
    first, known_last = market.session_range()
    last = market.calendar.last_complete_session(now_utc, market.config.market_data.vendor_delay)
    return Window.until(market.calendar, first, min(last, known_last) if market.has_ended else last)


def request_trading(
    instance: dg.DagsterInstance, lake: LakeResource, due: Due | NotDue, now_utc: datetime
) -> ScheduleAnswer:
    """Return a request for the book of a session that is due and fetched, or the reason that there is none."""
    if isinstance(due, Due) and due.session not in facts.fetched(instance, lake, [due.session]):
        return dg.SkipReason(
            f"session {due.session} has no verdict, signals and covariances yet; run {jobs.FETCH_MARKET_DATA} for it "
            "first, or switch on the sensor final_bars_exist, which does"
        )
    return request(instance, jobs.EXECUTE_TRADES, due, now_utc)


def request(
    instance: dg.DagsterInstance,
    job: str,
    due: Due | NotDue,
    now_utc: datetime,
    *,
    is_partitioned: bool = True,
    assets: Sequence[dg.AssetKey] | None = None,
) -> ScheduleAnswer:
    """Return a request for a run of `job` about the session that is due, or the reason that there is none.

    Parameters
    ----------
    instance : DagsterInstance
    job : str
    due : Due or NotDue
        Which session, or why none.
    now_utc : datetime
        Of the tick.
    is_partitioned : bool
        Whether the run is of the session's partition.
    assets : sequence of AssetKey, optional
        Only these of the job's.

    Notes
    -----
    One request at a time, and each once: schedules and sensors share the run key of a session.
    """
    if isinstance(due, NotDue):
        return dg.SkipReason(due.reason)
    name = request_name(job, due.session)
    key = next_attempt(name, facts.attempts(instance, name), now_utc)
    if isinstance(key, NotDue):
        return dg.SkipReason(key.reason)
    running = facts.unfinished_run(instance, _ONE_AT_A_TIME[job])
    if running is not None:
        return dg.SkipReason(f"{name} waits for run {running.run_id} of {running.job_name}, which has not ended")
    partition = key_of(due.session) if is_partitioned else None
    return dg.RunRequest(run_key=key, partition_key=partition, asset_selection=assets)


def request_name(job: str, session: date) -> str:
    """Return the name of a request, which is its first run key."""
    return f"{job}-{key_of(session)}"


def cron(local_time: str, days: str) -> str:
    """Return the cron line of a local time, ``HH:MM``, on some days of the week."""
    hour, minute = local_time.split(":")
    return f"{int(minute)} {int(hour)} * * {days}"


def _now(context: dg.ScheduleEvaluationContext) -> datetime:
    return context.scheduled_execution_time.astimezone(UTC)
