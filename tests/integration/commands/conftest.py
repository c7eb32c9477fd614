"""The ``aegis`` command as a person uses it, and workspaces in which it was run before.

What starts another interpreter shows that the program ends well. Everything else is asked for in this process: twenty
refusals take as long as one start of Python.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis.calendars import trading_calendar
from aegis.config import load_config
from aegis.lake.attachment import connect
from aegis.workspace import Workspace
from aegis_sensors.cli import main
from aegis_sensors.instance import prepare_home
from tests.integration.canary_search import Canaries, ProcessList

RANGE = {"first_session": date(2014, 6, 2), "last_session": date(2014, 6, 13)}
"""Ten sessions: too few for any order."""
SETTINGS = Path("aegis.yaml")
OTHER_WORKSPACE = "files-prices-simulated"
KEYS = {
    f"AEGIS_{section}__ALPACA__{name}": f"{first}{section[:4]}{rest}"
    for section in ("BROKERS", "MARKET_DATA")
    for name, first, rest in (("KEY_ID", "PKQ7", "Z2X9M4T8"), ("SECRET_KEY", "w5/Yc", "+8kQ=Jv3Tn/0Lb7"))
}
CANARIES = Canaries(*KEYS.values())
COMMAND_LINES = "command_lines.json"
"""What of the keys stood in the process list during the run."""

Answer = tuple[int, str, str]
"""Exit status, standard output, standard error."""


def _write_config(folder: Path, **sections: Any) -> Path:
    file = folder / SETTINGS
    settings = {**sections, "run": {"home": "home", **RANGE, **sections.get("run", {})}}
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return file


def _write_bars(folder: Path) -> None:
    folder.mkdir()
    rows = ["symbol,date,open,high,low,close,volume"]
    for n, day in enumerate(trading_calendar("XNYS").sessions(RANGE["first_session"], RANGE["last_session"])):
        rows += [f"{symbol},{day},10.5,11,{10 - n / 100:.2f},10.75,{120000 + n}" for symbol in ("SPY", "AAA")]
    (folder / "bars.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _aegis(config: Path, *words: str, **environment: str) -> Answer:
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-m", "aegis_sensors.cli", *words],
        env={**os.environ, "AEGIS_CONFIG": str(config), "COLUMNS": "200", "OPENBLAS_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr


def _contents(folder: Path) -> Mapping[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put all files of this folder but one behind the other folders of integration tests.

    The one makes :func:`first_run` meanwhile; a second process that came to it would wait half a minute.
    """
    here = Path(__file__).parent
    first = next((item.path for item in items if item.path.parent == here and "own" in _fixtures(item)), None)
    waiting = [item for item in items if item.path.parent == here and item.path != first]
    set_aside = set(waiting)
    others = [item for item in items if item not in set_aside]
    last = max((place for place, item in enumerate(others) if here.parent in item.path.parents), default=-1)
    items[:] = [*others[: last + 1], *waiting, *others[last + 1 :]]


def _fixtures(item: pytest.Item) -> tuple[str, ...]:
    return tuple(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def write_config() -> Callable[..., Path]:
    """Write ``aegis.yaml`` of ten sessions into a folder, with changes to its sections, and return it."""
    return _write_config


@pytest.fixture(scope="session")
def write_bars() -> Callable[[Path], None]:
    """Write bars of two symbols in ten sessions into a new folder."""
    return _write_bars


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], Mapping[str, bytes]]:
    """Read every file below a folder."""
    return _contents


@pytest.fixture(scope="session")
def aegis() -> Callable[..., Answer]:
    """Run the program in an interpreter of its own."""
    return _aegis


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command in this process; keyword arguments are variables of its environment."""

    def asked(config: Path, *words: str, **environment: str) -> Answer:
        # DAGSTER_HOME is set by the command; it is put back afterwards.
        settings = {"AEGIS_CONFIG": str(config), "DAGSTER_HOME": "", "COLUMNS": "200", **environment}
        capsys.readouterr()
        with monkeypatch.context() as patched:
            for name, value in settings.items():
                patched.setenv(name, value)
            status = main(words)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return asked


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Path, Answer]:
    """Return the configuration of the simulated market, and how its first run ended.

    It takes half a minute, so the processes of a test run share it: the first that asks makes it. Beside its workspace
    lies the folder of another one. Keys that it has no use for are in its environment, see ``test_canary.py``.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "first_run"
    folder.mkdir(exist_ok=True)
    record = folder / "answer.json"
    with (folder / "making.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            workspace = folder / "workspace"
            workspace.mkdir()
            config = _write_config(workspace)
            with ProcessList(CANARIES) as processes:
                answer = _aegis(config, "run", **KEYS)
            (folder / COMMAND_LINES).write_text(json.dumps(sorted(processes.found)), encoding="utf-8")
            (workspace / "home" / OTHER_WORKSPACE).mkdir()
            record.write_text(json.dumps([str(config), answer]), encoding="utf-8")
    config_text, (status, out, errors) = json.loads(record.read_text(encoding="utf-8"))
    return Path(config_text), (status, out, errors)


@pytest.fixture
def finished(first_run: tuple[Path, Answer]) -> Path:
    """Return the configuration of a workspace with ten sessions; shared, so it is to be read only."""
    config, (status, _, errors) = first_run
    assert status == 0, errors
    return config


@pytest.fixture
def own(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the configuration of a workspace with ten sessions that the test may change."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    shutil.copytree(finished.parent, tmp_path / "own")
    config = tmp_path / "own" / SETTINGS
    workspace = Workspace.of(load_config(config))
    prepare_home(workspace)
    with connect(workspace.lake):  # a copy is told its new place once
        pass
    return config
