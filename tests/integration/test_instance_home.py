"""Dagster's instance folder: written once, and followed when its workspace is moved or copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest
import yaml

from aegis.workspace import Workspace
from aegis_sensors.instance import open_instance, prepare_home


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("DAGSTER_HOME", "")  # opening sets it; it is put back afterwards
    return Workspace("mine", tmp_path / "mine", tmp_path / "reports")


def _note(workspace: Workspace, asset: str) -> None:
    with open_instance(workspace) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset))


def _noted(workspace: Workspace) -> set[str]:
    with open_instance(workspace) as instance:
        return {key.to_user_string() for key in instance.all_asset_keys()}


def test_a_moved_workspace_keeps_its_history(workspace: Workspace, tmp_path: Path) -> None:
    _note(workspace, "before")
    moved = Workspace("mine", tmp_path / "elsewhere" / "mine", workspace.report_root)
    moved.folder.parent.mkdir()
    workspace.folder.rename(moved.folder)

    assert _noted(moved) == {"before"}
    _note(moved, "after")
    assert _noted(moved) == {"before", "after"}
    assert not workspace.folder.exists(), "nothing is written to the old place"


def test_a_copy_writes_into_its_own_history(workspace: Workspace, tmp_path: Path) -> None:
    _note(workspace, "before")
    copy = Workspace("mine", tmp_path / "copy", workspace.report_root)
    shutil.copytree(workspace.folder, copy.folder)

    _note(copy, "after")

    assert _noted(copy) == {"before", "after"}
    assert _noted(workspace) == {"before"}


@pytest.mark.parametrize(
    "storage",
    [
        {"module": "dagster_postgres.event_log", "class": "PostgresEventLogStorage", "config": {"postgres_url": "x"}},
        {
            "module": "aegis_resources.event_log",
            "class": "PooledSqliteEventLogStorage",
            "config": {"base_dir": "/fast disk/events"},
        },
    ],
)
def test_a_file_that_a_person_wrote_stays_as_it_is(workspace: Workspace, storage: dict[str, object]) -> None:
    (workspace.dagster_home / "history" / "runs").mkdir(parents=True)
    file = workspace.dagster_home / "dagster.yaml"
    text = "# ours\n" + yaml.safe_dump({"event_log_storage": storage})
    file.write_text(text, encoding="utf-8")

    prepare_home(workspace)

    assert file.read_text(encoding="utf-8") == text
