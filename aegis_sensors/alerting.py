"""Telling a person: failed checks, failed runs, runs that are stuck; once for each cause.

Belongs here: sensors that alert. When a failure is news is :mod:`aegis_sensors.causes`; what an alert is and how it is
delivered is :mod:`aegis.live_trading.alerts`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from dagster._core.storage.dagster_run import RunRecord
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.live_trading.alerts import Alert, AlertLog, deliver
from aegis.workspace import Workspace
from aegis_assets.monitoring import CAUSE_METADATA, MONITORED_CHECKS
from aegis_sensors.causes import Cleared, Failure, Sessions, Success, news
from aegis_sensors.dead_runs import mark_dead_runs
from aegis_sensors.jobs import WHOLE_CHAIN

_MINUTE = 60
_EVALUATIONS_A_TICK = 20
_RUNS_A_TICK = 200
_LOOK_BACK = timedelta(days=7)
"""How far a sensor without a cursor looks back: what failed before the first `make ui` is told as well."""
_LONGEST_WAIT = timedelta(minutes=30)
"""In the queue: a fetch takes seconds, a backfill of ten years two minutes."""
_EVERYTHING = "all"
_LOOKED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
"""A record is planned first, and stays so where the run ended before the check."""


class Alarm:
    """The alert log and webhook of one workspace.

    Parameters
    ----------
    config : AegisConfig
    workspace : Workspace
    """

    def __init__(self, config: AegisConfig, workspace: Workspace) -> None:
        self._settings = config.monitoring
        self._log = AlertLog(workspace.alert_log(config.monitoring.alert_log))

    def hear(self, outcomes: Iterable[Failure | Success]) -> int:
        """Note what is news, deliver what has not arrived, and return how many alerts are new.

        Raises
        ------
        OSError
            The alert log cannot be read or written; the webhook was called with what is news all the same.
        """
        outcomes = list(outcomes)
        try:
            new = [self._keep(item) for item in news(outcomes, self._log.open_causes())]
            self._log.deliver_pending(**self._webhook())
        except OSError:
            for item in news(outcomes, ()):
                if isinstance(item, Alert):
                    deliver(item, **self._webhook())
            raise
        return sum(new)

    def _keep(self, item: Alert | Cleared) -> bool:
        if isinstance(item, Alert):
            return self._log.note(item)
        self._log.clear(item.cause_key, item.at_utc)
        return False

    def _webhook(self) -> dict[str, object]:
        return {
            "webhook_url": self._settings.webhook_url,
            "timeout_seconds": self._settings.webhook_timeout_seconds,
        }


def alert_sensors(
    config: AegisConfig, workspace: Workspace, *, clock: Clock | None = None
) -> Sequence[dg.SensorDefinition]:
    """Return the sensors that tell a person."""
    alarm = Alarm(config, workspace)
    wall_clock = clock or SystemClock()

    @dg.sensor(
        minimum_interval_seconds=_MINUTE,
        description="Alerts when a check fails, once for each thing that it finds, until it has passed again.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def checks_failed(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        keys = context.repository_def.asset_graph.asset_check_keys if context.repository_def else ()
        records = _newest_evaluations(context.instance, keys)
        seen = set(json.loads(context.cursor or "[]"))
        unseen = [(key, record) for key, record in records if record.id not in seen]
        new = alarm.hear(_outcome_of_check(context.instance, key, record) for key, record in unseen)
        context.update_cursor(json.dumps([record.id for _, record in records]))
        return dg.SkipReason(f"{new} new failed check(s)")

    @dg.sensor(
        minimum_interval_seconds=_MINUTE,
        description="Alerts when a run fails, once for its job and sessions, until such a run has succeeded.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def runs_failed(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        since = datetime.fromisoformat(context.cursor) if context.cursor else wall_clock.now_utc() - _LOOK_BACK
        records = _ended_since(context.instance, since)
        new = alarm.hear(_outcome_of_run(context.instance, record) for record in records)
        if records:
            context.update_cursor(records[-1].update_timestamp.isoformat())
        return dg.SkipReason(f"{new} new failed run(s)")

    @dg.sensor(
        minimum_interval_seconds=_MINUTE,
        description="Marks runs as failed whose process is gone, and alerts when one waits in the queue for long.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def runs_stuck(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        dead = mark_dead_runs(context.instance)
        now = wall_clock.now_utc()
        waiting = context.instance.get_run_records(
            dg.RunsFilter(statuses=[DagsterRunStatus.QUEUED], created_before=now - _LONGEST_WAIT)
        )
        new = alarm.hear([_outcome_of_waiting(record) for record in waiting] or [Success("run_waits", None, now)])
        return dg.SkipReason(f"{len(dead)} dead run(s), {len(waiting)} waiting for long, {new} of them new")

    return [checks_failed, runs_failed, runs_stuck]


def _newest_evaluations(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]
) -> list[tuple[dg.AssetCheckKey, AssetCheckExecutionRecord]]:
    """Return the newest evaluations of each check, in the order of their records.

    Records are made when a run is planned and filled when the check has looked, so a lower number may be filled later:
    what was seen is remembered number by number.
    """
    storage = instance.event_log_storage
    found = []
    for key in keys:
        records = storage.get_asset_check_execution_history(key, limit=_EVALUATIONS_A_TICK, status=_LOOKED)
        found += [(key, record) for record in records if _is_evaluated(record)]
    return sorted(found, key=lambda pair: pair[1].id)


def _is_evaluated(record: AssetCheckExecutionRecord) -> bool:
    return record.event is not None and record.event.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION


def _outcome_of_check(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, record: AssetCheckExecutionRecord
) -> Failure | Success:
    event = record.event
    if event is None:
        raise dg.DagsterInvariantViolationError(f"{key}: execution {record.id} holds no evaluation")
    evaluation = event.get_dagster_event().asset_check_evaluation_data
    run = instance.get_run_by_id(event.run_id)
    sessions = _sessions(run.tags) if run is not None else None
    subject = f"check_failed/{key.asset_key.to_user_string()}/{key.name}"
    at_utc = datetime.fromtimestamp(event.timestamp, UTC)
    found = {name: value.value for name, value in evaluation.metadata.items()}
    cause = found.pop(CAUSE_METADATA, None)
    if evaluation.passed:  # a monitored check looks at everything, whichever sessions its run was for
        return Success(subject, None if key in MONITORED_CHECKS else sessions, at_utc)
    return Failure(
        subject,
        str(cause or sessions or _EVERYTHING),
        title=f"Check {key.name} of {key.asset_key.to_user_string()} failed",
        body=f"{found}; run {event.run_id}",
        at_utc=at_utc,
        severity="critical" if evaluation.severity == dg.AssetCheckSeverity.ERROR else "warning",
    )


def _ended_since(instance: dg.DagsterInstance, since: datetime) -> Sequence[RunRecord]:
    return instance.get_run_records(
        dg.RunsFilter(statuses=[DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE], updated_after=since),
        limit=_RUNS_A_TICK,
        order_by="update_timestamp",
        ascending=True,
    )


def _outcome_of_run(instance: dg.DagsterInstance, record: RunRecord) -> Failure | Success:
    run = record.dagster_run
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    sessions = _sessions(run.tags)
    if run.is_success:
        subject = "run_failed" if run.job_name == WHOLE_CHAIN else f"run_failed/{run.job_name}"
        return Success(subject, sessions, ended)
    return Failure(
        f"run_failed/{run.job_name}",
        str(sessions or _EVERYTHING),
        title=f"Run of {run.job_name} failed",
        body=f"{'; '.join(_reasons(instance, run)) or 'no reason was recorded'}; open run {run.run_id} in the UI",
        at_utc=ended,
    )


def _reasons(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.RUN_FAILURE):
        if entry.dagster_event is not None and entry.dagster_event.message:
            yield entry.dagster_event.message


def _outcome_of_waiting(record: RunRecord) -> Failure:
    run = record.dagster_run
    return Failure(
        f"run_waits/{run.job_name}",
        run.run_id,
        title=f"Run of {run.job_name} waits in the queue",
        body=f"since {record.create_timestamp:%Y-%m-%d %H:%M} UTC; open Runs in the UI and see what runs before it",
        at_utc=record.create_timestamp,
        severity="warning",
    )


def _sessions(tags: Mapping[str, str]) -> Sessions | None:
    """Return the sessions that a run's tags name, if they name any."""
    if ASSET_PARTITION_RANGE_START_TAG in tags:
        return Sessions(tags[ASSET_PARTITION_RANGE_START_TAG], tags[ASSET_PARTITION_RANGE_END_TAG])
    key = tags.get(PARTITION_NAME_TAG)
    return Sessions(key, key) if key else None
