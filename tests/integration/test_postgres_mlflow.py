"""MLflow's runs on a PostgreSQL server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.integration.conftest import Chain
from tests.integration.postgres_server import PostgresServer


@pytest.mark.long
def test_mlflow_keeps_its_runs_on_the_server(
    server: PostgresServer, make_chain: Callable[..., Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = """
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("trial")
with mlflow.start_run() as run:
    mlflow.log_metric("sharpe", 1.25)
print(mlflow.get_run(run.info.run_id).data.metrics["sharpe"])
"""
    monkeypatch.setenv("AEGIS_STORAGE__POSTGRES_URL", server.url)
    workspace = make_chain().workspace
    schema = workspace.server("mlflow")
    assert schema is not None
    schema.create()
    done = subprocess.run(
        [sys.executable, "-c", program, workspace.mlflow_tracking_uri], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith("1.25"), done.stderr
    assert server.ask("SELECT value FROM metrics", schema=schema.name) == [(1.25,)]
