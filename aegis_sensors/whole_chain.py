"""Running what is missing, in this process, with a progress display.

Belongs here: one Dagster run and how it ended. What is missing is :mod:`aegis_sensors.missing`, what is printed
afterwards :mod:`aegis_sensors.summary`.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import DagsterEvent
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from aegis.errors import AegisError
from aegis.market_data.expectations import CHECKS
from aegis_assets.book import GATE_CHECK
from aegis_assets.partitions import key_of
from aegis_sensors.jobs import REPORT, WHOLE_CHAIN

CODE_LOCATION = "aegis_sensors.definitions"
"""Module that the UI loads, which is also its name of the code location."""

_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The progress display takes the place of Dagster's lines; every event is in the event log."""


_TOLD_BY_SESSION = frozenset({*(check.name for check in CHECKS), GATE_CHECK})
"""Checks that say which sessions were stopped. The gate is there to stop them, and the summary lists them: one bad bar
ten years ago is no failed run."""


@dataclass(frozen=True)
class FailedCheck:
    """An asset check that did not pass.

    Parameters
    ----------
    name : str
        Table and check.
    detail : str
        What it found.
    is_error : bool
        Whether it makes the run a failed one; a warning does not.
    """

    name: str
    detail: str
    is_error: bool


@dataclass(frozen=True)
class ChainRun:
    """How a run ended.

    Parameters
    ----------
    sessions : sequence of date
        Sessions it was asked for; empty when none was missing.
    run_id : str
        Dagster's run; empty when nothing was to be done.
    seconds : float
        Wall-clock seconds of the run itself.
    failures : sequence of str
        Message of each step that failed.
    failed_checks : sequence of FailedCheck
        Checks of this run that did not pass, without those that tell which sessions were stopped.
    """

    sessions: Sequence[date]
    run_id: str
    seconds: float
    failures: Sequence[str]
    failed_checks: Sequence[FailedCheck] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every step ended well, so that there is something to summarise."""
        return not self.failures

    @property
    def succeeded(self) -> bool:
        """Whether every step did, and every check that must pass."""
        return self.is_complete and not any(check.is_error for check in self.failed_checks)

    def without_check(self, name: str) -> ChainRun:
        """Return the same run without what check `name` found."""
        kept = [check for check in self.failed_checks if check.name.rpartition(" ")[2] != name]
        return dataclasses.replace(self, failed_checks=kept)


NOTHING_TO_DO = ChainRun((), "", 0.0, ())


def run_whole_chain(
    definitions: dg.Definitions, instance: dg.DagsterInstance, sessions: Sequence[date], *, console: Console
) -> ChainRun:
    """Materialize every asset for `sessions` in one run and show how far it is; failures are in the result."""
    if not sessions:
        return NOTHING_TO_DO
    tags = {
        ASSET_PARTITION_RANGE_START_TAG: key_of(sessions[0]),
        ASSET_PARTITION_RANGE_END_TAG: key_of(sessions[-1]),
    }
    return _run(definitions, instance, WHOLE_CHAIN, tags=tags, sessions=sessions, console=console)


def run_reports(definitions: dg.Definitions, instance: dg.DagsterInstance, *, console: Console) -> ChainRun:
    """Materialize the marts and the report alone, from the sessions that are there; failures are in the result."""
    return _run(definitions, instance, REPORT, tags={}, sessions=(), console=console)


def _run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job_name: str,
    *,
    tags: Mapping[str, str],
    sessions: Sequence[date],
    console: Console,
) -> ChainRun:
    job = definitions.resolve_job_def(job_name)
    run = instance.create_run_for_job(
        job, tags={**job.run_tags, **tags}, run_config=_SILENT, remote_job_origin=_origin(definitions, job_name)
    )
    started = time.monotonic()
    failures: list[str] = []
    failed_checks: list[FailedCheck] = []
    with _progress(console) as progress:
        task = progress.add_task("starting", total=len(job.graph.node_dict))
        for event in execute_run_iterator(InMemoryJob(job), run, instance):
            if event.is_step_start:
                progress.update(task, description=_readable(event.step_key or ""))
            elif event.is_step_success:
                progress.advance(task)
            elif event.is_step_failure:
                failures.append(_failure(event))
            elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                failed_checks += _failed_check(event.asset_check_evaluation_data)
        progress.update(task, description="done" if not failures else "failed")
    return ChainRun(sessions, run.run_id, time.monotonic() - started, failures, failed_checks)


def _origin(definitions: dg.Definitions, job_name: str) -> RemoteJobOrigin:
    """Return where the UI finds this job; runs without an origin are left out of its timeline."""
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=CODE_LOCATION)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, CODE_LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, definitions.get_repository_def().name), job_name)


def _failed_check(evaluation: AssetCheckEvaluation) -> Iterator[FailedCheck]:
    if evaluation.passed or evaluation.check_name in _TOLD_BY_SESSION:
        return
    found = {name: str(value.value) for name, value in evaluation.metadata.items()}
    yield FailedCheck(
        f"{evaluation.asset_key.to_user_string()} {evaluation.check_name}",
        found.get("detail") or ", ".join(f"{name} {value}" for name, value in found.items()) or "it says no more",
        evaluation.severity is dg.AssetCheckSeverity.ERROR,
    )


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<34}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TimeElapsedColumn(),
        console=console,
        transient=not console.is_terminal,
    )


def _readable(step_key: str) -> str:
    return step_key.replace("__", "/").replace("_", " ")


def _failure(event: DagsterEvent) -> str:
    """Return the words of our own error where there is one, else those of the innermost cause."""
    chain = []
    error = event.step_failure_data.error
    while error is not None:
        chain.append(error)
        error = error.cause
    step, ours = _readable(event.step_key or ""), {cls.__name__ for cls in _tree(AegisError)}
    for error in chain:
        if error.cls_name in ours:
            return f"{step}: {error.message.strip().partition(': ')[2]}"
    return f"{step}: {chain[-1].message.strip() if chain else 'no error was recorded'}"


def _tree(cls: type[BaseException]) -> list[type[BaseException]]:
    return [cls, *(found for child in cls.__subclasses__() for found in _tree(child))]
