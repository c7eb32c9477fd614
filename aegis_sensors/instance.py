"""Dagster's instance of a workspace: where runs, events and schedules are recorded.

Belongs here: writing ``dagster.yaml`` and opening the instance. How events are stored is
:mod:`aegis_resources.event_log`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import yaml

from aegis.durable_files import replace_file
from aegis.postgres import PostgresSchema
from aegis.workspace import Workspace
from aegis_resources.event_log import BATCH_SIZE, BATCH_SIZE_VARIABLE

_HOME_VARIABLE = "DAGSTER_HOME"
_POSTGRES_VARIABLE = "DAGSTER_POSTGRES_URL"
"""Dagster's own URL, which names its schema: ``dagster.yaml`` refers to it, so that no password stands in the file."""
_EVENT_LOG_MODULE = "aegis_resources.event_log"
_LONGEST_START_SECONDS = 300
_LONGEST_RUN_SECONDS = 6 * 3600
"""A run that hangs after the close is ended before the open. Ten years of the embedded market take two minutes."""
_WITHOUT_MONITORING: dict[str, object] = {"enabled": False}
"""What earlier versions wrote: a run whose process had been killed then kept all others waiting."""


def event_log_folder(home: Path) -> Path:
    """Return the folder of the event log's files in Dagster's instance folder."""
    return home / "history" / "runs"


def instance_settings(home: Path, server: PostgresSchema | None = None) -> dict[str, object]:
    """Return the settings of an instance: pooled event log or PostgreSQL, one run at a time, no telemetry."""
    embedded = {
        "event_log_storage": {
            "module": _EVENT_LOG_MODULE,
            "class": "PooledSqliteEventLogStorage",
            "config": {"base_dir": str(event_log_folder(home))},
        }
    }
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        **(embedded if server is None else {"storage": {"postgres": {"postgres_url": {"env": _POSTGRES_VARIABLE}}}}),
        "concurrency": {"runs": {"max_concurrent_runs": 1}},
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": _LONGEST_START_SECONDS,
            "max_runtime_seconds": _LONGEST_RUN_SECONDS,
        },
    }


def prepare_home(workspace: Workspace) -> Path:
    """Write ``dagster.yaml`` where there is none, point Dagster at it and return the folder.

    Notes
    -----
    An existing file is the user's and stays as it is: a team may add its run launcher. Only the place
    of our event log is corrected after the workspace was moved or copied; else its history would look empty, or a copy
    would write into the original's. A file that an earlier version wrote, and nobody changed, becomes this version's.
    """
    home = workspace.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    file, server = home / "dagster.yaml", workspace.server("dagster")
    if server is not None:
        server.create()
        os.environ[_POSTGRES_VARIABLE] = server.url_with_schema()
    if not file.exists():
        _write(file, instance_settings(home, server))
    else:
        _follow_move(file, home)
        _follow_version(file, home)
    os.environ[_HOME_VARIABLE] = str(home)
    os.environ.setdefault(BATCH_SIZE_VARIABLE, str(BATCH_SIZE))
    return home


def _follow_move(file: Path, home: Path) -> None:
    text = file.read_text(encoding="utf-8")
    storage = (yaml.safe_load(text) or {}).get("event_log_storage") or {}
    written = str((storage.get("config") or {}).get("base_dir", ""))
    here = event_log_folder(home)
    moved = Path(written).parts[-3:] == here.parts[-3:] and Path(written) != here
    if storage.get("module") == _EVENT_LOG_MODULE and moved and here.is_dir():
        replace_file(file, text.replace(written, str(here)).encode())


def _follow_version(file: Path, home: Path) -> None:
    settings = instance_settings(home)
    earlier = {**settings, "run_monitoring": _WITHOUT_MONITORING}
    if yaml.safe_load(file.read_text(encoding="utf-8")) == earlier:
        _write(file, settings)


def _write(file: Path, settings: dict[str, object]) -> None:
    replace_file(file, yaml.safe_dump(settings, sort_keys=False).encode())


@contextmanager
def open_instance(workspace: Workspace) -> Iterator[dg.DagsterInstance]:
    """Yield the workspace's instance; closed on leaving."""
    prepare_home(workspace)
    instance = dg.DagsterInstance.get()
    try:
        yield instance
    finally:
        instance.dispose()
