"""`make` as a person uses it: in a copy of the build files, with a real environment where one is needed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aegis_sensors.make_commands import make_command

REPOSITORY = Path(__file__).resolve().parents[2]
# Prints the settings that reach the program, in place of the program.
_LEFT_OUT = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "VENV")
SHOW_SETTINGS = '#!/bin/sh\necho "$@"\nenv | grep ^AEGIS_ | sort\n'
SMALL_PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "aegis"
version = "0"
[project.scripts]
aegis = "aegis:main"
[tool.setuptools]
packages = ["aegis"]
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock", "deploy"):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def _make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # Without the variables through which an outer make, such as `make test`, speaks to an inner one.
    inherited = {k: v for k, v in os.environ.items() if k not in _LEFT_OUT and not k.startswith("AEGIS_")}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def built_clone(clone: Path) -> Path:
    """A clone whose environment looks finished: a Python, both stamps, and a program that prints its settings."""
    programs = clone / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "aegis").write_text(SHOW_SETTINGS, encoding="utf-8")
    (programs / "aegis").chmod(0o755)
    for target in ("env", "env-dev"):
        command = _make(clone, "-n", target).stdout.split()
        (clone / ".venv" / command[-1]).touch()
    return clone


def test_make_alone_lists_what_can_be_done(clone: Path) -> None:
    run = _make(clone)

    assert run.returncode == 0
    listed = {line.split()[1] for line in run.stdout.splitlines() if line.startswith("  make ")}
    assert {"help", "check", "env", "run", "ui", "test", "test-long", "lint", "lock", "clean"} <= listed
    assert {"summary", "trace", "kill", "release", "audit"} <= listed
    assert not (clone / ".venv").exists()


def test_check_accepts_this_machine(clone: Path) -> None:
    run = _make(clone, "check", f"PYTHON={sys.executable}")

    assert run.returncode == 0, run.stderr
    assert "can run Aegis" in run.stdout


def test_without_any_python_the_fix_is_named_and_nothing_is_made(clone: Path) -> None:
    run = _make(clone, "run", "PYTHON=no-such-python")

    assert run.returncode != 0
    assert "none of these was found: no-such-python" in run.stderr
    assert "apt install python3 python3-venv" in run.stderr
    assert not (clone / ".venv").exists()


def test_the_first_supported_python_is_chosen(clone: Path, tmp_path: Path) -> None:
    too_old = tmp_path / "python-too-old"
    too_old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    too_old.chmod(0o755)

    run = _make(clone, "check", f"PYTHON={too_old} {sys.executable}")

    assert run.returncode == 0
    assert "can run Aegis" in run.stdout


def test_an_unsupported_python_is_refused_by_its_own_words(clone: Path, tmp_path: Path) -> None:
    too_old = tmp_path / "python-too-old"
    too_old.write_text('#!/bin/sh\necho "problem: Python 3.9.18 is not supported" >&2\nexit 1\n', encoding="utf-8")
    too_old.chmod(0o755)

    run = _make(clone, "env", f"PYTHON={too_old}")

    assert run.returncode != 0
    assert "Python 3.9.18 is not supported" in run.stderr


def test_run_starts_the_program_and_nothing_else_when_nothing_changed(built_clone: Path) -> None:
    run = _make(built_clone, "run")

    assert run.returncode == 0, run.stderr
    assert run.stdout == "run\n"
    assert run.stderr == ""


def test_the_sources_and_dates_of_the_command_line_reach_the_program(built_clone: Path) -> None:
    run = _make(built_clone, "run", "SOURCE=yahoo", "WORKSPACE=trial", "FIRST=2014-01-02", "LAST=2015-12-31")

    assert run.stdout.splitlines() == [
        "run",
        "AEGIS_RUN__FIRST_SESSION=2014-01-02",
        "AEGIS_RUN__LAST_SESSION=2015-12-31",
        "AEGIS_RUN__SOURCE=yahoo",
        "AEGIS_RUN__WORKSPACE=trial",
    ]


def test_a_run_may_begin_and_end_with_sessions_of_its_own(built_clone: Path) -> None:
    again = _make(built_clone, "run", "FROM=2015-06-12", "WORKSPACE=broken-bar")
    assert again.stdout.splitlines() == ["run --from 2015-06-12", "AEGIS_RUN__WORKSPACE=broken-bar"]
    assert _make(built_clone, "run", "TO=2015-06-19").stdout == "run --to 2015-06-19\n"
    assert _make(built_clone, "run", "FROM=a", "TO=b c").stdout == "run --from a --to b c\n"
    assert _make(built_clone, "run", FROM="of the shell", TO="of the shell").stdout == "run\n"


def test_a_second_ui_may_have_a_port_of_its_own(built_clone: Path) -> None:
    assert _make(built_clone, "ui", "PORT=3001", PORT="of the shell").stdout == "up --port 3001\n"
    assert _make(built_clone, "ui", PORT="of the shell").stdout == "up\n"


@pytest.mark.parametrize(
    "words", ["DATA='/srv/my prices'", "SOURCE=yahoo FIRST=2014-01-02 LAST=2015-12-31 WORKSPACE=w"]
)
def test_a_command_that_is_printed_reaches_the_same_history(built_clone: Path, words: str) -> None:
    settings = _make(built_clone, "run", *shlex.split(words)).stdout.splitlines()[1:]
    printed = make_command("summary", dict(line.split("=", 1) for line in settings))

    again = _make(built_clone, *shlex.split(printed)[1:]).stdout.splitlines()

    assert again == ["summary", *settings]


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("my prices", "{clone}/my prices"),
        ("../prices", "{clone}/../prices"),
        ("/srv/my prices", "/srv/my prices"),
        ("~/x", "~/x"),
    ],
)
def test_a_folder_of_prices_becomes_absolute_and_chooses_the_files(built_clone: Path, given: str, folder: str) -> None:
    run = _make(built_clone, "ui", f"DATA={given}")

    assert run.stdout.splitlines() == [
        "up",
        f"AEGIS_MARKET_DATA__FILES__FOLDER={folder.format(clone=built_clone)}",
        "AEGIS_RUN__SOURCE=files",
    ]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("summary", "summary"),
        ("audit", "audit verify"),
        ("trace", "trace 687642c4"),
        ("kill", "kill --reason odd"),
        ("release", "release --reason odd"),
    ],
)
def test_what_chose_a_history_for_a_run_chooses_it_for_every_other_command(
    built_clone: Path, target: str, words: str
) -> None:
    run = _make(built_clone, target, "DATA=/srv/prices", "WORKSPACE=trial", "ORDER=687642c4", "REASON=odd")

    assert run.stdout.splitlines() == [
        words,
        "AEGIS_MARKET_DATA__FILES__FOLDER=/srv/prices",
        "AEGIS_RUN__SOURCE=files",
        "AEGIS_RUN__WORKSPACE=trial",
    ]


def test_a_reason_reaches_the_program_word_for_word(built_clone: Path) -> None:
    reason = """the vendor's "prices" cost $HOME; `date`"""

    assert _make(built_clone, "kill", f"REASON={reason}").stdout == f"kill --reason {reason}\n"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("kill", 'make kill REASON="..."'),
        ("release", 'make release REASON="..."'),
        ("trace", "make trace ORDER=<its id"),
    ],
)
def test_a_command_that_lacks_a_word_says_which_and_does_nothing(built_clone: Path, target: str, said: str) -> None:
    run = _make(built_clone, target, REASON="of the shell", ORDER="of the shell")

    assert run.returncode != 0
    assert said in run.stderr
    assert run.stdout == ""


def test_variables_of_the_shell_with_the_same_names_are_left_alone(built_clone: Path) -> None:
    run = _make(built_clone, "run", SOURCE="yahoo", DATA="/srv", WORKSPACE="/var/jenkins", FIRST="1", LAST="2")

    assert run.stdout == "run\n"


def test_the_program_s_failure_is_make_s(built_clone: Path) -> None:
    (built_clone / ".venv" / "bin" / "aegis").write_text("#!/bin/sh\necho refused >&2\nexit 3\n", encoding="utf-8")

    run = _make(built_clone, "run")

    assert run.returncode != 0
    assert "refused" in run.stderr


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml", "deploy/build_environment.py"])
def test_a_change_of_what_it_depends_on_renews_the_environment(built_clone: Path, changed: str) -> None:
    assert "build_environment" not in _make(built_clone, "-n", "run").stdout

    with (built_clone / changed).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")

    assert "build_environment" in _make(built_clone, "-n", "run").stdout


def test_a_clone_that_moved_renews_its_environment(built_clone: Path) -> None:
    moved = built_clone.rename(built_clone.with_name("moved"))

    assert "build_environment" in _make(moved, "-n", "run").stdout


def test_an_environment_whose_python_vanished_is_renewed(built_clone: Path) -> None:
    (built_clone / ".venv" / "bin" / "python").unlink()
    (built_clone / ".venv" / "bin" / "python").symlink_to("/no/such/python")

    assert "build_environment" in _make(built_clone, "-n", "run").stdout


def test_clean_keeps_histories_and_environments_that_others_made(built_clone: Path) -> None:
    (built_clone / ".aegis").mkdir()
    (built_clone / "reports").mkdir()
    (built_clone / "aegis" / "__pycache__").mkdir(parents=True)

    assert _make(built_clone, "clean").returncode == 0
    assert (built_clone / ".aegis").is_dir()
    assert (built_clone / "reports").is_dir()
    assert not (built_clone / "aegis" / "__pycache__").exists()
    assert (built_clone / ".venv").is_dir(), "it has no made_for.txt"

    (built_clone / ".venv" / "made_for.txt").touch()
    assert _make(built_clone, "clean").returncode == 0
    assert not (built_clone / ".venv").exists()


@pytest.fixture
def small_clone(clone: Path, tmp_path: Path, require_service: Callable[[object, str], None]) -> Path:
    """A clone of one package, whose lock pins setuptools alone."""
    lock = (clone / "requirements.lock").read_text(encoding="utf-8")
    setuptools = next(line for line in lock.splitlines() if line.startswith("setuptools=="))
    asked = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", tmp_path / "probe", setuptools]
    answer = subprocess.run(asked, capture_output=True, check=False)
    require_service(answer.returncode == 0, f"no package index that has {setuptools}; configure pip's index")
    (clone / "requirements.lock").write_text(f"{setuptools}\n", encoding="utf-8")
    (clone / "pyproject.toml").write_text(SMALL_PROJECT, encoding="utf-8")
    (clone / "aegis").mkdir()
    (clone / "aegis" / "__init__.py").write_text("def main():\n    print('decided')\n", encoding="utf-8")
    return clone


@pytest.mark.service
def test_run_makes_the_environment_once_and_mends_it(small_clone: Path, tmp_path: Path) -> None:
    first = _make(small_clone, "run", f"PYTHON={sys.executable}")
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.splitlines()[-1] == "decided"
    assert "creating" in first.stdout

    assert _make(small_clone, "run").stdout == "decided\n"

    moved = small_clone.rename(tmp_path / "moved")
    again = _make(moved, "run", f"PYTHON={sys.executable}")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.splitlines()[-1] == "decided"
    assert "creating" in again.stdout, "scripts of an environment that moved still name its old place"


@pytest.mark.service
def test_a_lock_that_cannot_be_installed_leaves_no_stamp(small_clone: Path) -> None:
    (small_clone / "requirements.lock").write_text("no-such-package-of-aegis==0.0.0\n", encoding="utf-8")

    run = _make(small_clone, "run", f"PYTHON={sys.executable}")

    assert run.returncode != 0
    assert "pip could not install requirements.lock" in run.stderr
    assert "check that pip reaches a package index" in run.stderr
    assert not list((small_clone / ".venv").glob("runtime-*"))
