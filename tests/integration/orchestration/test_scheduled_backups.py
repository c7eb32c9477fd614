"""The scheduled backup: there only where it is configured, restored for a trial at once, loud when that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from aegis.backup.restoring import chosen_backup
from aegis.backup.store import BackupStore
from aegis.lake import tables
from tests.integration.orchestration.conftest import WEDNESDAY, Platform, utc

Run = Callable[[Platform], dg.ExecuteInProcessResult]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def saved(make_platform: Callable[..., Platform], place: Path) -> Platform:
    platform = make_platform(storage={"backup_location": str(place)}, schedules={"backup": "19:45"})
    platform.close(WEDNESDAY, {"AAA": 10.0, "BBB": 20.0})
    return platform


@pytest.fixture
def run() -> Run:
    """Run the job as the daemon would, in this process."""

    def once(platform: Platform) -> dg.ExecuteInProcessResult:
        job = platform.repository.get_job("back_up_workspace")
        return job.execute_in_process(instance=platform.instance, raise_on_error=False)

    return once


def test_without_a_place_there_is_neither_job_nor_schedule(make_platform: Callable[..., Platform]) -> None:
    repository = make_platform().repository
    assert "back_up_workspace" not in {job.name for job in repository.get_all_jobs()}
    assert "back_up_daily" not in {schedule.name for schedule in repository.schedule_defs}


def test_the_schedule_is_there_with_a_place_and_stands_still_until_it_is_switched_on(saved: Platform) -> None:
    schedule = saved.repository.get_schedule_def("back_up_daily")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("45 19 * * *", "America/New_York")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.job_name == "back_up_workspace"


@pytest.mark.long
def test_the_job_restores_what_it_saved_and_fails_when_that_is_damaged(saved: Platform, place: Path, run: Run) -> None:
    result = run(saved)
    assert {event.step_key for event in result.get_step_success_events()} == {"take_backup", "restore_for_trial"}
    manifest = chosen_backup(BackupStore(str(place)))
    assert result.output_for_node("take_backup") == manifest.name
    held = {key: table.rows for key, table in manifest.tables.items() if table.rows}
    assert held == {tables.DAILY_BARS.key: 2, "lake/empty_writes": 1}  # the second for actions that there were none of
    (output,) = (e for e in result.events_for_node("take_backup") if e.event_type is dg.DagsterEventType.STEP_OUTPUT)
    metadata = output.step_output_data.metadata
    assert (metadata["backup"].value, metadata["rows"].value) == (manifest.name, 3)

    bars = next(file for file in manifest.files if "/daily_bars/" in file.path)
    stored = place / "objects" / bars.sha256[:2] / bars.sha256
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    saved.clock.advance_to(utc("2014-06-03 23:45"))
    again = run(saved)
    assert [event.step_key for event in again.get_step_failure_events()] == ["restore_for_trial"]
    error = again.failure_data_for_node("restore_for_trial").error
    assert "BackupError" in error.to_string()
    assert "the backup is damaged" in error.to_string()
