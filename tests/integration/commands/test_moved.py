"""A clone that moved: its history, lake and journal are all there, and the next run carries on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from aegis.config import load_config
from aegis.lake import tables
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.workspace import Workspace
from aegis_sensors.instance import open_instance
from aegis_sensors.workspace_identity import claim, require_identity

Answer = tuple[int, str, str]
Ask = Callable[..., Answer]


def _sessions(workspace: Workspace) -> tuple[int, int]:
    """Return how many sessions of raw bars Dagster's history and the lake have."""
    with open_instance(workspace) as instance:
        recorded = instance.get_materialized_partitions(dg.AssetKey(["market_data", "raw_bars"]))
    with connect(workspace.lake) as connection:
        return len(recorded), len(Lake(connection).sessions(tables.RAW_BARS))


@pytest.mark.long
def test_a_moved_clone_keeps_its_history_and_carries_on(
    own: Path, tmp_path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert "Nothing to do" in ask(own, "run")[1], "a copy carries on as well"
    own.parent.rename(tmp_path / "a new place")
    moved = tmp_path / "a new place" / "aegis.yaml"

    workspace = Workspace.of(load_config(moved))
    assert workspace.folder.is_relative_to(tmp_path / "a new place")
    assert _sessions(workspace) == (10, 10)
    assert ask(moved, "audit", "verify")[0] == 0
    assert "10 sessions from 2014-06-02 to 2014-06-13" in ask(moved, "summary")[1]

    status, printed, errors = ask(moved, "run", AEGIS_RUN__LAST_SESSION="2014-06-16")
    assert status == 0, printed + errors
    assert "Materialised 1 session, 2014-06-16 to 2014-06-16" in printed
    assert "11 sessions from 2014-06-02 to 2014-06-16" in printed
    assert _sessions(workspace) == (11, 11)
    assert not own.parent.exists(), "nothing is written to the old place"


def test_prices_that_move_with_the_clone_are_the_same_prices(
    tmp_path: Path,
    write_config: Callable[..., Path],
    write_bars: Callable[[Path], None],
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    write_bars(here / "prices")
    config = write_config(here, run={"source": "files"}, market_data={"files": {"folder": "prices"}})
    workspace = Workspace.of(load_config(config))
    claim(load_config(config), workspace)
    here.rename(tmp_path / "there")
    moved = load_config(tmp_path / "there" / "aegis.yaml")

    require_identity(moved, Workspace.of(moved))
