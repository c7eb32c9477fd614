"""Running the whole chain over all sessions that are missing, in this process, with a progress display.

Belongs here: what is missing, and one Dagster run for it. What is printed afterwards is :mod:`aegis_sensors.summary`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.events import DagsterEvent
from dagster._core.execution.api import execute_run_iterator
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from aegis.errors import AegisError
from aegis_assets.partitions import key_of
from aegis_resources.market_data import Market
from aegis_sensors.jobs import WHOLE_CHAIN

_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The progress display takes the place of Dagster's lines; every event is in the event log."""


@dataclass(frozen=True)
class ChainRun:
    """How a run of the chain ended.

    Parameters
    ----------
    sessions : sequence of date
        Sessions it was asked for; empty when nothing was missing.
    run_id : str
        Dagster's run; empty when nothing was missing.
    seconds : float
        Wall-clock seconds of the run itself.
    failures : sequence of str
        Message of each step that failed.
    """

    sessions: Sequence[date]
    run_id: str
    seconds: float
    failures: Sequence[str]

    @property
    def succeeded(self) -> bool:
        """Whether every step did."""
        return not self.failures


def missing_sessions(definitions: dg.Definitions, instance: dg.DagsterInstance, market: Market) -> list[date]:
    """Return the sessions to run: from the first that any asset lacks, to the last complete one.

    Notes
    -----
    The book reads its own previous session, so sessions after a gap are run again; what was decided there is committed
    and is found, not decided anew.
    """
    first, last = market.session_range()[0], market.fresh_session()
    sessions = market.calendar.sessions(first, last)
    wanted = {key_of(session) for session in sessions}
    absent: set[str] = set()
    for key in definitions.resolve_asset_graph().materializable_asset_keys:
        if definitions.resolve_asset_graph().get(key).is_partitioned:
            absent |= wanted - instance.get_materialized_partitions(key)
    start = min(absent, default=None)
    return [session for session in sessions if start is not None and key_of(session) >= start]


def run_whole_chain(
    definitions: dg.Definitions, instance: dg.DagsterInstance, sessions: Sequence[date], *, console: Console
) -> ChainRun:
    """Materialize every asset for `sessions` in one run and show how far it is.

    Raises
    ------
    AegisError
        Never for a failed step: those are in the result, and in the UI.
    """
    if not sessions:
        return ChainRun((), "", 0.0, ())
    job = definitions.resolve_job_def(WHOLE_CHAIN)
    run = instance.create_run_for_job(
        job,
        tags={
            **job.run_tags,
            ASSET_PARTITION_RANGE_START_TAG: key_of(sessions[0]),
            ASSET_PARTITION_RANGE_END_TAG: key_of(sessions[-1]),
        },
        run_config=_SILENT,
    )
    started = time.monotonic()
    failures: list[str] = []
    with _progress(console) as progress:
        steps = len(job.graph.node_dict)
        task = progress.add_task("starting", total=steps)
        for event in execute_run_iterator(InMemoryJob(job), run, instance):
            if event.is_step_start:
                progress.update(task, description=_readable(event.step_key or ""))
            elif event.is_step_success:
                progress.advance(task)
            elif event.is_step_failure:
                failures.append(_failure(event))
        progress.update(task, description="done" if not failures else "failed")
    return ChainRun(sessions, run.run_id, time.monotonic() - started, failures)


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
