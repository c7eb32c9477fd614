"""The long runs go on where they were: only what has passed at this very state is not run again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "long_runs.py"
MARKERS = '[tool.pytest.ini_options]\nmarkers = ["long: of full size"]\n'
PASSES = "import pytest\n\n@pytest.mark.long\ndef test_one():\n    assert True\n\ndef test_short():\n    assert False\n"
FAILS_ONCE = """
import pathlib
import pytest

@pytest.mark.long
def test_needs_the_weather():
    assert pathlib.Path("../weather").exists()
"""


@pytest.mark.long
def test_a_second_start_runs_only_what_has_not_passed_at_this_state(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    (project / "pyproject.toml").write_text(MARKERS)
    (project / ".gitignore").write_text("__pycache__/\n.long_runs/\n")
    (project / "tests" / "test_passes.py").write_text(PASSES)
    (project / "tests" / "test_fails_once.py").write_text(FAILS_ONCE)
    _git(project, "init", "-q")
    _git(project, "add", "-A")
    _git(project, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "Begin")

    first = _start(project)
    assert first.returncode == 1
    assert "1 passed, 1 of 2 files did not" in first.stdout
    log = next((project / ".long_runs").glob("*/tests.test_passes.log"))
    log.write_text("as it was")

    (tmp_path / "weather").touch()
    second = _start(project)
    assert second.returncode == 0, second.stdout
    assert "2 passed, 0 of 2 files did not" in second.stdout
    assert log.read_text() == "as it was"

    (project / "tests" / "test_passes.py").write_text(PASSES.replace("assert True", "assert False"))
    third = _start(project)
    assert third.returncode == 1
    assert "-changed-" in third.stdout
    assert "FAILED" in third.stdout


def _start(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), "--workers", "2", "tests"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def _git(project: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=project, check=True)
