"""What Dagster knows of sessions and runs, on an instance in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.test_utils import freeze_time

from aegis_sensors import facts
from aegis_sensors.requests import Attempt

BARS = dg.AssetKey(["market_data", "raw_bars"])
WEDNESDAY, THURSDAY, FRIDAY = (date(2014, 6, day) for day in (4, 5, 6))
FETCH = "fetch_market_data-2014-06-05"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def started(instance: dg.DagsterInstance, key: str, status: DagsterRunStatus) -> dg.DagsterRun:
    return instance.add_run(dg.DagsterRun("fetch_market_data", tags={"dagster/run_key": key}, status=status))


def test_only_the_sessions_asked_about_are_found(instance: dg.DagsterInstance) -> None:
    for session in (WEDNESDAY, FRIDAY):
        instance.report_runless_asset_event(dg.AssetMaterialization(BARS, partition=session.isoformat()))
    assert facts.materialized(instance, BARS, [THURSDAY, FRIDAY]) == {FRIDAY}
    assert facts.materialized(instance, dg.AssetKey("other"), [WEDNESDAY, FRIDAY]) == frozenset()
    assert facts.materialized(instance, BARS, []) == frozenset()


def test_attempts_are_the_runs_with_the_requests_keys(instance: dg.DagsterInstance) -> None:
    assert facts.attempts(instance, FETCH) == []
    started(instance, "fetch_market_data-2014-06-06", DagsterRunStatus.SUCCESS)
    with freeze_time(datetime(2014, 6, 5, 20, 16, tzinfo=UTC)):
        instance.report_run_failed(started(instance, FETCH, DagsterRunStatus.STARTED))
    started(instance, f"{FETCH}-2", DagsterRunStatus.STARTED)
    found = facts.attempts(instance, FETCH)
    assert sorted(attempt.state for attempt in found) == ["failed", "unfinished"]
    assert Attempt("failed", datetime(2014, 6, 5, 20, 16, tzinfo=UTC)) in found


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (DagsterRunStatus.NOT_STARTED, "unfinished"),
        (DagsterRunStatus.STARTING, "unfinished"),
        (DagsterRunStatus.CANCELING, "unfinished"),
        (DagsterRunStatus.SUCCESS, "succeeded"),
        (DagsterRunStatus.CANCELED, "failed"),
    ],
)
def test_each_status_of_a_run_is_one_of_three_states(
    instance: dg.DagsterInstance, status: DagsterRunStatus, state: str
) -> None:
    started(instance, FETCH, status)
    assert [attempt.state for attempt in facts.attempts(instance, FETCH)] == [state]


def test_a_run_of_one_of_the_jobs_that_has_not_ended_is_found(instance: dg.DagsterInstance) -> None:
    started(instance, FETCH, DagsterRunStatus.FAILURE)
    assert facts.unfinished_run(instance, ["run_whole_chain", "fetch_market_data"]) is None
    running = started(instance, f"{FETCH}-2", DagsterRunStatus.STARTED)
    found = facts.unfinished_run(instance, ["run_whole_chain", "fetch_market_data"])
    assert found is not None
    assert found.run_id == running.run_id
    assert facts.unfinished_run(instance, ["execute_trades"]) is None
