"""What Dagster and the lake know about sessions and runs.

Belongs here: the look-ups behind schedules and sensors. What follows from them is :mod:`aegis_sensors.requests`. Each
look-up is bounded by the sessions it is asked about, however long the history is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES, RunRecord
from dagster._core.storage.tags import RUN_KEY_TAG

from aegis.lake import tables
from aegis_assets.partitions import key_of, session_of
from aegis_assets.table_assets import asset_key
from aegis_assets.verdicts import blocking_checks
from aegis_resources.lake import LakeResource
from aegis_sensors.requests import Attempt, attempt_keys


def materialized(instance: dg.DagsterInstance, key: dg.AssetKey, sessions: Sequence[date]) -> frozenset[date]:
    """Return those of `sessions` whose partition of an asset has been materialized."""
    if not sessions:
        return frozenset()
    found = instance.event_log_storage.get_latest_storage_id_by_partition(
        key, DagsterEventType.ASSET_MATERIALIZATION, partitions={key_of(session) for session in sessions}
    )
    return frozenset(session_of(partition) for partition in found)


def decidable(instance: dg.DagsterInstance, sessions: Sequence[date]) -> frozenset[date]:
    """Return those of `sessions` with everything that a decision reads: verdicts, signals, covariances."""
    inputs = (tables.CHECK_RESULTS, tables.ENSEMBLE_SIGNALS, tables.COVARIANCES)
    return frozenset(sessions).intersection(*(materialized(instance, asset_key(t), sessions) for t in inputs))


def fetched(instance: dg.DagsterInstance, lake: LakeResource, sessions: Sequence[date]) -> frozenset[date]:
    """Return those of `sessions` that a fetch has done all it can for, and the book can take from there.

    Notes
    -----
    A session is done when it can be decided, or when the gate has blocked it: then it has no trusted bars and thus no
    signals, the book holds, and only a correction at the source helps.
    """
    done = decidable(instance, sessions)
    judged = materialized(instance, asset_key(tables.CHECK_RESULTS), sessions)
    open_cases = sorted(judged - done)
    if not open_cases:
        return done
    with lake.open() as store:
        return done | (blocking_checks(store, open_cases[0], open_cases[-1]).keys() & set(open_cases))


def attempts(instance: dg.DagsterInstance, request: str) -> list[Attempt]:
    """Return the runs that were started for a request, whichever schedule or sensor asked for them."""
    keys = list(attempt_keys(request))
    records = instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: keys}))
    return [_attempt(record) for record in records]


def unfinished_run(instance: dg.DagsterInstance, jobs: Sequence[str]) -> dg.DagsterRun | None:
    """Return a run of one of `jobs` that waits or runs, if there is one."""
    for job in jobs:
        runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=NOT_FINISHED_STATUSES), limit=1)
        if runs:
            return runs[0]
    return None


def _attempt(record: RunRecord) -> Attempt:
    status = record.dagster_run.status
    if status in NOT_FINISHED_STATUSES:
        return Attempt("unfinished")
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    return Attempt("succeeded" if status == DagsterRunStatus.SUCCESS else "failed", ended)
