"""The check that runs before anything is installed names every problem and its fix."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import check_machine
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 11, 2), (3, 12, 7), (3, 13, 0)])
def test_supported_pythons_pass(version: tuple[int, ...]) -> None:
    assert check_machine.python_problem(version) is None


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 6, 15), (2, 7, 18), (3, 14, 0), (4, 0, 0)])
def test_another_python_is_refused_with_the_range_and_the_fix(version: tuple[int, ...]) -> None:
    problem = check_machine.python_problem(version)

    assert "Python " + ".".join(map(str, version)) in problem
    assert "needs 3.11 to 3.13" in problem
    assert "apt install python3.11" in problem
    assert "make PYTHON=python3.11" in problem


def test_the_bounds_are_those_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    match = re.fullmatch(r">=(\d+)\.(\d+),<(\d+)\.(\d+)", project["requires-python"])

    assert match is not None
    assert (int(match[1]), int(match[2])) == check_machine.OLDEST_PYTHON
    assert (int(match[3]), int(match[4])) == check_machine.FIRST_UNTRIED_PYTHON


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"venv"}, "venv is missing"),
        ({"ensurepip"}, "ensurepip is missing"),
        ({"venv", "ensurepip"}, "venv and ensurepip is"),
    ],
)
def test_a_python_without_venv_is_refused_with_debian_s_package(missing: set[str], named: str) -> None:
    problem = check_machine.venv_problem((3, 11, 2), lambda name: name not in missing)

    assert named in problem
    assert "apt install python3.11-venv" in problem


def test_a_python_with_venv_passes() -> None:
    assert check_machine.venv_problem((3, 11, 2), lambda _name: True) is None


@pytest.mark.parametrize(
    ("system", "machine"), [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64"), ("Darwin", "x86_64")]
)
def test_linux_and_macos_on_the_usual_processors_pass(system: str, machine: str) -> None:
    assert check_machine.platform_problem(system, machine) is None


@pytest.mark.parametrize(
    ("system", "machine", "named"),
    [
        ("Windows", "AMD64", "WSL 2"),
        ("FreeBSD", "amd64", "FreeBSD is not supported; use Linux or macOS"),
        ("Linux", "armv7l", "processor armv7l is not supported"),
    ],
)
def test_other_platforms_are_refused_with_what_to_use(system: str, machine: str, named: str) -> None:
    assert named in check_machine.platform_problem(system, machine)


def test_a_full_disk_is_refused_with_what_is_free_and_what_is_needed() -> None:
    four_gib = 4 * 2**30

    assert check_machine.disk_problem("/clone", four_gib) is None
    problem = check_machine.disk_problem("/clone", 2**30 + 2**29)
    assert "1.5 GiB are free at /clone" in problem
    assert "need 4 GiB" in problem


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    assert check_machine.write_problem("/clone", True) is None
    assert "/clone cannot be written" in check_machine.write_problem("/clone", False)


def test_a_good_machine_is_said_to_be_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_machine.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=5 * 2**30))
    monkeypatch.setattr(check_machine.platform, "system", lambda: "Linux")
    monkeypatch.setattr(check_machine.platform, "machine", lambda: "x86_64")

    assert check_machine.main(["--folder", "."]) == 0
    assert "can run Aegis" in capsys.readouterr().out


def test_every_problem_is_printed_at_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_machine.platform, "system", lambda: "Windows")
    monkeypatch.setattr(check_machine.sys, "version_info", (3, 9, 18))
    monkeypatch.setattr(check_machine.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=0))

    assert check_machine.main(["--folder", "."]) == 1
    problems = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in problems] == ["problem"] * 3
    assert "Windows" in problems[0]
    assert "3.9.18" in problems[1]
    assert "0.0 GiB" in problems[2]


def test_the_version_alone_can_be_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_machine.main(["--python-only"]) == 0
    monkeypatch.setattr(check_machine.sys, "version_info", (3, 9, 18))
    assert check_machine.main(["--python-only"]) == 1
    assert capsys.readouterr().err == ""


def test_it_runs_on_an_old_python_without_anything_installed() -> None:
    source = (REPOSITORY / "deploy" / "check_machine.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)], "__future__ annotations need 3.7"
