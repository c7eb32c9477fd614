"""Telling a person: failed checks and failed runs, once for each cause.

Belongs here: sensors that alert. What an alert is and how it is delivered is :mod:`aegis.live_trading.alerts`.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster import DagsterEventType

from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.live_trading.alerts import Alert, AlertLog, Delivery, Severity
from aegis.workspace import Workspace

_MINUTE = 60
_EVENTS_A_TICK = 200


class Alarm:
    """The alert log and webhook of one workspace.

    Parameters
    ----------
    config : AegisConfig
    workspace : Workspace
    clock : Clock
        Dates the alerts.
    """

    def __init__(self, config: AegisConfig, workspace: Workspace, *, clock: Clock | None = None) -> None:
        self._settings = config.monitoring
        self._log = AlertLog(workspace.alert_log(config.monitoring.alert_log))
        self._clock = clock or SystemClock()

    def raise_once(self, cause: str, *, title: str, body: str, severity: Severity = "critical") -> Delivery:
        """Deliver an alert unless its cause was delivered before."""
        self._log.path.parent.mkdir(parents=True, exist_ok=True)
        alert = Alert(cause_key=cause, title=title, body=body, severity=severity, at_utc=self._clock.now_utc())
        return self._log.deliver(
            alert, webhook_url=self._settings.webhook_url, timeout_seconds=self._settings.webhook_timeout_seconds
        )


def alert_sensors(
    config: AegisConfig, workspace: Workspace, *, clock: Clock | None = None
) -> Sequence[dg.SensorDefinition]:
    """Return the sensors that tell a person."""
    alarm = Alarm(config, workspace, clock=clock)

    @dg.sensor(
        minimum_interval_seconds=_MINUTE,
        description="Alerts once for each failed evaluation of a check: to the alert log and, if set, a webhook.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def checks_failed(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        told = 0
        keys = context.repository_def.asset_graph.asset_check_keys if context.repository_def else ()
        for key in sorted(keys, key=str):
            records = context.instance.event_log_storage.get_asset_check_execution_history(key, limit=_EVENTS_A_TICK)
            for record in reversed(records):
                told += _tell(alarm, key, record)
        return dg.SkipReason(f"{told} new failed check evaluation(s)")

    @dg.run_failure_sensor(
        name="runs_failed",
        minimum_interval_seconds=_MINUTE,
        monitor_all_code_locations=True,
        description="Alerts once for each failed run.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def runs_failed(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        alarm.raise_once(
            f"run_failed/{run.run_id}",
            title=f"Run of {run.job_name} failed",
            body=f"{context.failure_event.message}; open run {run.run_id} in the UI",
        )

    return [checks_failed, runs_failed]


def _tell(alarm: Alarm, key: dg.AssetCheckKey, record: object) -> int:
    """Alert if an execution record holds a failed evaluation; return 1 if anything was delivered now."""
    event = getattr(record, "event", None)
    if event is None or event.dagster_event_type != DagsterEventType.ASSET_CHECK_EVALUATION:
        return 0
    evaluation = event.get_dagster_event().asset_check_evaluation_data
    if evaluation.passed:
        return 0
    seen = {name: value.value for name, value in evaluation.metadata.items()}
    delivery = alarm.raise_once(
        f"check_failed/{key.asset_key.to_user_string()}/{key.name}/{event.run_id}",
        title=f"Check {key.name} of {key.asset_key.to_user_string()} failed",
        body=f"{seen}; run {event.run_id}",
        severity="critical" if evaluation.severity == dg.AssetCheckSeverity.ERROR else "warning",
    )
    return int(delivery.webhook != "already delivered")
