"""What happens to a dbt build while another process writes to the lake: it is made again, a few times."""

from __future__ import annotations

from pathlib import Path

import pytest

from aegis.errors import ReportingError
from aegis.lake.attachment import LakeLocation
from aegis.reporting import dbt_build
from aegis.reporting.dbt_build import DbtBuild, run_dbt_build

LOCKED = "Runtime Error: IO Error: Failed to commit: database is locked"


def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *answers: str | None) -> tuple[DbtBuild, list[float]]:
    """Build with dbt answering an error in turn, None for a build that succeeds; return the last and the waits."""
    given, waits = iter(answers), []

    def once(*_: object) -> DbtBuild:
        said = next(given)
        if said is not None and said.startswith("dbt build on"):
            raise ReportingError(said)
        return DbtBuild({}, (), {}, () if said is None else (said,))

    monkeypatch.setattr(dbt_build, "_built_once", once)
    built = run_dbt_build(tmp_path, LakeLocation(tmp_path / "lake"), tmp_path, sleep=waits.append)
    assert next(given, "all asked for") == "all asked for"
    return built, waits


def test_a_build_without_contention_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert build(monkeypatch, tmp_path, None) == (DbtBuild({}, (), {}), [])


def test_a_locked_catalog_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, waits = build(monkeypatch, tmp_path, LOCKED, f"dbt build on x ran nothing: {LOCKED}", None)
    assert (built.messages, waits) == ((), [2.0, 4.0])


def test_a_catalog_that_stays_locked_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, waits = build(monkeypatch, tmp_path, *[LOCKED] * 4)
    assert (built.messages, waits) == ((LOCKED,), [2.0, 4.0, 8.0])


def test_another_error_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built, waits = build(monkeypatch, tmp_path, "Binder Error: no such column")
    assert (built.messages, waits) == (("Binder Error: no such column",), [])
    with pytest.raises(ReportingError, match="cannot be parsed"):
        build(monkeypatch, tmp_path, "dbt build on x ran nothing: a model cannot be parsed")
