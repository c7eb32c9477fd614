"""A run that is killed in its middle: a real process and SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster import DagsterRunStatus
from dagster._core.events import EngineEventData
from dagster._core.test_utils import freeze_time
from rich.console import Console

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.workspace import Workspace
from aegis_sensors.dead_runs import mark_dead_runs
from aegis_sensors.instance import instance_settings, open_instance, prepare_home
from aegis_sensors.run_command import run_command
from tests.integration.test_alerting import Receiver, Ticks, receiver, workspace_of  # noqa: F401 - a fixture

NOW = datetime(2014, 6, 10, 12, tzinfo=UTC)
# `aegis run` in a process of its own, over a line on which the vendor never answers.
ENDLESS_RUN = """
import json, signal, sys
from datetime import datetime
sys.path[:0] = json.loads(sys.argv[2])
from rich.console import Console
from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.market_data.sources.simulated import SimulatedSource
from aegis_sensors.run_command import run_command

def bars(self, first, last):
    print("asked the vendor", flush=True)
    signal.pause()

SimulatedSource.bars = bars
run_command(
    AegisConfig.model_validate_json(sys.argv[1]),
    first=None,
    last=None,
    console=Console(quiet=True),
    clock=FixedClock(datetime.fromisoformat(sys.argv[3])),
)
"""


def config(home: object) -> AegisConfig:
    return AegisConfig(
        run={"home": Path(str(home)), "first_session": date(2014, 6, 2), "last_session": date(2014, 6, 3)}
    )


@pytest.fixture
def killed(tmp_path: Path) -> AegisConfig:
    """Return a workspace whose run was killed while it waited for its vendor."""
    settings, places = config(tmp_path).model_dump_json(), json.dumps(sys.path)
    program = [sys.executable, "-W", "ignore", "-c", ENDLESS_RUN, settings, places, NOW.isoformat()]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "asked the vendor\n"
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    return config(tmp_path)


def statuses(workspace: Workspace) -> list[DagsterRunStatus]:
    """Return how the runs of a workspace stand, oldest first."""
    with open_instance(workspace) as instance:
        return [run.status for run in reversed(instance.get_runs())]


@pytest.mark.long
def test_the_next_aegis_run_marks_a_killed_one_as_failed_and_succeeds(killed: AegisConfig) -> None:
    workspace = Workspace.of(killed)
    assert statuses(workspace) == [DagsterRunStatus.STARTED], "nobody was left to say that it ended"

    run = run_command(killed, first=None, last=None, console=Console(quiet=True), clock=FixedClock(NOW))

    assert run.succeeded
    assert statuses(workspace)[:2] == [DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS]


def test_a_killed_run_is_found_by_the_daemon_s_sensor_and_told(
    killed: AegisConfig,
    receiver: Receiver,  # noqa: F811
) -> None:
    receiver.calls.clear()
    chain = workspace_of(killed.run.home, receiver)
    assert Ticks(chain, "runs_stuck").tick().startswith("1 dead run(s)")
    assert statuses(chain.workspace) == [DagsterRunStatus.FAILURE]
    assert Ticks(chain, "runs_failed").tick() == "1 new failed run(s)"
    (told,) = receiver.calls
    assert "is gone: it was killed" in told["body"]
    assert Ticks(chain, "runs_stuck").tick().startswith("0 dead run(s)")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(Workspace.of(config(tmp_path))) as opened:
        yield opened


def test_a_run_whose_process_works_is_left_alone(instance: dg.DagsterInstance) -> None:
    found: list[list[str]] = []

    @dg.op
    def look_for_the_dead() -> None:
        found.append(mark_dead_runs(instance))

    @dg.job(executor_def=dg.in_process_executor)
    def trial() -> None:
        look_for_the_dead()

    assert trial.execute_in_process(instance=instance).success
    assert found == [[]]


def test_a_process_that_is_younger_than_the_run_is_another_one(instance: dg.DagsterInstance) -> None:
    """The run says it worked in the process that is now this test's, a year before this test began."""
    with freeze_time(datetime.now(UTC) - timedelta(days=365)):
        run = instance.add_run(dg.DagsterRun("trial", status=DagsterRunStatus.STARTED))
        instance.report_engine_event("Started process", run, EngineEventData.in_process(os.getpid()))
    assert mark_dead_runs(instance) == [run.run_id]
    assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.FAILURE  # type: ignore[union-attr]


def test_a_run_that_nobody_began_is_dead_after_five_minutes(instance: dg.DagsterInstance) -> None:
    run = instance.add_run(dg.DagsterRun("trial", status=DagsterRunStatus.STARTING))
    assert mark_dead_runs(instance) == []
    with freeze_time(datetime.now(UTC) - timedelta(minutes=6)):
        old = instance.add_run(dg.DagsterRun("trial", status=DagsterRunStatus.STARTING))
    assert mark_dead_runs(instance) == [old.run_id]
    assert not instance.get_run_by_id(run.run_id).is_finished  # type: ignore[union-attr]


def test_the_daemon_watches_runs_also_in_a_workspace_of_an_earlier_version(tmp_path: Path) -> None:
    workspace = Workspace.of(config(tmp_path))
    file = prepare_home(workspace) / "dagster.yaml"
    settings = yaml.safe_load(file.read_text())
    assert settings["run_monitoring"]["enabled"] is True

    file.write_text(yaml.safe_dump({**settings, "run_monitoring": {"enabled": False}}, sort_keys=False))
    prepare_home(workspace)
    assert yaml.safe_load(file.read_text()) == instance_settings(workspace.dagster_home)
    with open_instance(workspace) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_runtime_seconds == 21_600

    own = {**settings, "run_monitoring": {"enabled": False}, "retention": {"schedule": {"purge_after_days": 90}}}
    file.write_text(yaml.safe_dump(own, sort_keys=False))
    prepare_home(workspace)
    assert yaml.safe_load(file.read_text()) == own, "a file that somebody changed is theirs"
