"""Runs whose process is gone: killed, out of memory, or lost with the machine's power.

Belongs here: finding them and telling Dagster. A run that fails by itself says so; one whose process vanished stays
"started" for ever, and since one run works at a time, everything after it would wait in the queue.

Notes
-----
Dagster's run monitoring asks the launcher, and the launcher of a single machine cannot answer. Each run writes the id
of its process into its events, so the machine can be asked. Ids are used again, after a restart from the beginning: a
process that is younger than the run's event is another one.
"""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.dagster_run import RunRecord

_ALIVE = (
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)
_LONGEST_START = timedelta(minutes=5)
"""From the making of a run until its process says its id."""
_CLOCK_STEP_SECONDS = 2.0
"""Resolution of a process's age."""


def mark_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed each run whose process is gone, and return the ids of these runs.

    Notes
    -----
    Only where runs are processes of this machine: a launcher of containers knows better, and Dagster's run monitoring
    asks it.
    """
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return []
    dead = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_ALIVE)):
        reason = _why_dead(instance, record)
        if reason:
            instance.report_run_failed(record.dagster_run, f"{reason}; what it had stored stays, start it again")
            dead.append(record.dagster_run.run_id)
    return dead


def _why_dead(instance: dg.DagsterInstance, record: RunRecord) -> str:
    worker = _worker(instance, record.dagster_run.run_id)
    if worker is not None:
        process_id, seen_at = worker
        started_at = process_start(process_id)
        is_gone = started_at is None or started_at > seen_at + _CLOCK_STEP_SECONDS
        return f"The run's process {process_id} is gone: it was killed, or the machine went down" if is_gone else ""
    age = datetime.now(UTC) - record.create_timestamp
    return "The run never began to work: whoever was to start it is gone" if age > _LONGEST_START else ""


def _worker(instance: dg.DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """Return the id of the run's process and when it was alive, Unix seconds, from the first event that says so."""
    for entry in instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        process_id = event.engine_event_data.metadata.get("pid") if event is not None else None
        if process_id is not None:
            return int(str(process_id.value)), entry.timestamp
    return None


def process_start(process_id: int) -> float | None:
    """Return when a running process of this machine started, Unix seconds; None if there is none, or only its corpse.

    Notes
    -----
    From ``/proc`` where there is one, and else from ``ps``, whose ``state`` and ``etime`` are POSIX.
    """
    if _has_proc():
        return _start_from_proc(process_id)
    answer = subprocess.run(  # noqa: S603 - a number
        ["/bin/ps", "-o", "state=,etime=", "-p", str(process_id)], capture_output=True, text=True, check=False
    )
    words = answer.stdout.split()
    if len(words) != 2 or words[0].startswith("Z"):  # noqa: PLR2004 - state and age
        return None
    return datetime.now(UTC).timestamp() - _seconds(words[1])


def _has_proc() -> bool:
    return Path("/proc/self/stat").exists()


def _start_from_proc(process_id: int) -> float | None:
    try:
        text = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
        uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *numbers = text.rpartition(")")[2].split()  # the name before may hold anything
    if state in "ZX":
        return None
    seconds_after_boot = int(numbers[18]) / os.sysconf("SC_CLK_TCK")
    return datetime.now(UTC).timestamp() - uptime + seconds_after_boot


def _seconds(elapsed: str) -> float:
    """Return ``[[days-]hours:]minutes:seconds`` as seconds."""
    days, _, clock = elapsed.rpartition("-")
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return seconds + 86_400 * int(days or 0)
