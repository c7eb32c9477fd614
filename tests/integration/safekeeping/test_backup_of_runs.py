"""MLflow's runs in the workspace come back with the same parameters, metrics and artifacts, to the byte."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis.backup.making import back_up
from aegis.backup.restoring import chosen_backup, restore
from aegis.backup.store import BackupStore
from aegis.lake.attachment import connect
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.workspace import Workspace
from tests.trial_tables import READINGS, readings

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``:sqlalchemy.exc.SADeprecationWarning")  # MLflow's own

AT = datetime(2014, 6, 9, 21, tzinfo=UTC)
DAY = AT.date()
TRIALS = 3


@pytest.fixture
def client() -> Callable[[Workspace], Any]:
    """Return a maker of MLflow's own client on the runs of a workspace."""
    from mlflow import MlflowClient  # noqa: PLC0415 - takes seconds

    return lambda workspace: MlflowClient(workspace.mlflow_tracking_uri)


@pytest.fixture
def workspace(tmp_path: Path, client: Callable[[Workspace], Any]) -> Workspace:
    """A lake and an experiment of three runs, each with parameters, a metric's history, a tag and a trade log."""
    made = Workspace("trial", tmp_path / "home" / "trial", tmp_path / "reports")
    with connect(made.lake) as connection:
        lake = Lake(connection)
        lake.create_tables([READINGS])
        lake.write([Replacement(READINGS, readings(DAY), DAY, DAY)], CommitMessage("trial/readings", "", "run", "1"))
    runs_folder = made.folder / "mlflow"
    runs_folder.mkdir()
    runs = client(made)
    experiment = runs.create_experiment("sweep", artifact_location=(runs_folder / "artifacts").as_uri())
    for trial in range(TRIALS):
        run_id = runs.create_run(experiment, tags={"lake_snapshot_id": "2"}).info.run_id
        runs.log_param(run_id, "lookback_sessions", 20 + trial)
        for step in range(4):
            runs.log_metric(run_id, "sharpe", 0.1 + trial + step / 7, timestamp=1000 + step, step=step)
        trades = tmp_path / "trades.csv"
        trades.write_text(f"symbol,quantity\nAAA,{trial}\n", encoding="utf-8")
        runs.log_artifact(run_id, str(trades), "logs")
        runs.set_terminated(run_id)
    return made


def hashes_of_runs(client: Any) -> dict[str, str]:
    """Return for each run a SHA-256 of its parameters, tags, every value of its metric, and its artifacts."""
    found = {}
    for run in client.search_runs([client.get_experiment_by_name("sweep").experiment_id]):
        history = [(m.value, m.timestamp, m.step) for m in client.get_metric_history(run.info.run_id, "sharpe")]
        trades = Path(client.download_artifacts(run.info.run_id, "logs/trades.csv")).read_bytes()
        facts = [run.info.status, run.data.params, run.data.tags, sorted(history), trades.hex()]
        found[run.info.run_id] = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return found


@pytest.mark.long  # MLflow takes seconds to load and to make its tables
def test_every_run_is_restored_with_equal_hashes(
    workspace: Workspace, client: Callable[[Workspace], Any], tmp_path: Path
) -> None:
    before = hashes_of_runs(client(workspace))
    assert len(set(before.values())) == TRIALS
    store = BackupStore(str(tmp_path / "backups"))
    made = back_up(workspace, store, configuration={}, at_utc=AT)
    assert sum(file.path.startswith("mlflow/artifacts/") for file in made.files) == TRIALS
    shutil.rmtree(workspace.folder)

    restore(store, chosen_backup(store), workspace.folder)

    assert hashes_of_runs(client(workspace)) == before
