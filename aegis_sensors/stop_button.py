"""Stopping an account from the Dagster UI, and by itself where a setting asks for it.

Belongs here: the job `kill_switch` and the sensor `account_needs_a_stop`. Both touch only files beside the account's
kill switch and its status: they work while the lake is locked, the journal is gone or the broker is silent. What a stop
does is :mod:`aegis.live_trading.stopping`; on the command line it is ``aegis kill``.
"""

from collections.abc import Sequence
from datetime import datetime

import dagster as dg

from aegis.calendars import TradingCalendar, trading_calendar
from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.config_monitoring import MonitoringSettings
from aegis.errors import ExecutionError
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.session_clock import SessionClock
from aegis.live_trading.stopping import stop_account
from aegis.monitoring.status_file import STATUS_FILE, TraderStatus, read_status
from aegis.workspace import Workspace

KILL_SWITCH = "kill_switch"
FATAL_CAUSES = ("lease_lost", "journal_not_writable", "breaker/", "reject_streak")
"""Beginnings of the causes after which nothing more should leave, whoever is looking."""

_PRIORITY = {"dagster/priority": "1000"}
"""Before everything else that waits in the queue."""
_EVERY_SECONDS = 30


class KillSwitchRequest(dg.Config):
    """What a person fills in before the job is launched."""

    account: str
    """The account that is meant; another than the workspace's is refused."""
    reason: str
    """Why, for the history of the switch."""
    actor: str
    """Who."""
    flatten: bool = False
    """Whether the trading process shall close every position as well."""


def stop_jobs(config: AegisConfig, workspace: Workspace, *, clock: Clock | None = None) -> Sequence[dg.JobDefinition]:
    """Return the job that stops the account of a workspace."""
    wall_clock, account = clock or SystemClock(), config.run.account

    @dg.op(description="Engages the account's kill switch; with `flatten`, the trading process closes every position.")
    def engage_kill_switch(context: dg.OpExecutionContext, config: KillSwitchRequest) -> None:
        if config.account != account:
            raise dg.Failure(f"this workspace trades {account}, not {config.account}; nothing was stopped")
        if not config.reason.strip() or not config.actor.strip():
            raise dg.Failure("a stop from here needs a reason and an actor; nothing was stopped")
        stopped = stop_account(
            KillSwitch(workspace.kill_switch(account)),
            reason=config.reason,
            actor=config.actor,
            at_utc=wall_clock.now_utc(),
            flatten=config.flatten,
        )
        context.log.info("account %s is stopped; everything on its way is answered: %s", account, stopped.is_quiet)

    @dg.job(
        name=KILL_SWITCH,
        description="Stops all new orders of the account, and has what is open cancelled by the process that trades. "
        "A release needs `aegis release`.",
        executor_def=dg.in_process_executor,
        tags=_PRIORITY,
    )
    def kill_switch() -> None:
        engage_kill_switch()

    return [kill_switch]


def stop_sensors(
    config: AegisConfig, workspace: Workspace, *, clock: Clock | None = None
) -> Sequence[dg.SensorDefinition]:
    """Return the sensor that stops the account where `monitoring.stop_on` asks for it."""
    account, settings = config.run.account, config.monitoring
    wall_clock = clock or SystemClock()
    switch = KillSwitch(workspace.kill_switch(account))
    status_file = workspace.monitor(account) / STATUS_FILE

    @dg.sensor(
        job_name=KILL_SWITCH,
        minimum_interval_seconds=_EVERY_SECONDS,
        description="Engages the kill switch itself when the trading process is silent in a session with open orders, "
        "or when a cause stands after which nothing may leave; setting `monitoring.stop_on`.",
        default_status=dg.DefaultSensorStatus.RUNNING if settings.stop_on else dg.DefaultSensorStatus.STOPPED,
    )
    def account_needs_a_stop(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if not settings.stop_on:
            return dg.SkipReason("monitoring.stop_on is empty: nothing is stopped from here")
        if switch.is_engaged():
            return dg.SkipReason("the kill switch is engaged")
        now = wall_clock.now_utc()
        try:
            status = read_status(status_file)
        except ExecutionError as error:
            # A status that cannot be read is as silent as none; whether orders are open is not known.
            reason = str(error) if "stale" in settings.stop_on else ""
        else:
            calendar = trading_calendar(config.market_data.calendar)
            reason = "" if status is None else why_to_stop(status, settings, calendar, now)
        if not reason:
            return dg.SkipReason("nothing asks for a stop")
        # At once and in this process: a run would wait in the queue.
        stop_account(switch, reason=reason, actor="sensor account_needs_a_stop", at_utc=now)
        context.log.error("account %s is stopped: %s", account, reason)
        return dg.SkipReason(f"stopped: {reason}")

    return [account_needs_a_stop]


def why_to_stop(
    status: TraderStatus, settings: MonitoringSettings, calendar: TradingCalendar, now_utc: datetime
) -> str:
    """Return why an account should be stopped by itself; empty where nothing asks for it.

    Parameters
    ----------
    status : TraderStatus
        As the trading process left it.
    settings : MonitoringSettings
        `stop_on` and `stale_after_seconds`.
    calendar : TradingCalendar
        Says whether a session is open.
    now_utc : datetime
        Aware UTC.
    """
    if "fatal" in settings.stop_on:
        for cause in status.causes:
            if cause.key.startswith(FATAL_CAUSES):
                return f"{cause.title}: {cause.body}"
    is_silent = status.has_ended or status.age_seconds(now_utc) > settings.stale_after_seconds
    open_orders = status.snapshot["open_orders"]
    sessions = SessionClock(calendar)
    is_open = sessions.is_open(now_utc, sessions.session_of(now_utc))
    if "stale" in settings.stop_on and is_silent and open_orders and is_open:
        return (
            f"the trading process has said nothing since {status.at_utc:%Y-%m-%d %H:%M:%S} UTC, and "
            f"{len(open_orders)} of its orders are open in a session; cancel them at the broker, or start it again"
        )
    return ""
