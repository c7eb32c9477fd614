"""The ``aegis`` command as a person uses it: exit statuses, what is printed, and what stays as it was.

What starts another interpreter shows that the program ends well. Refusals are asked for in this process: twenty of them
take as long as one start of Python.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis.calendars import trading_calendar
from aegis.lake import tables
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import Lake
from aegis_sensors.cli import main

RANGE = {"first_session": date(2014, 6, 2), "last_session": date(2014, 6, 13)}
XNYS = trading_calendar("XNYS")
Answer = tuple[int, str, str]


def write_config(folder: Path, **sections: Any) -> Path:
    file = folder / "aegis.yaml"
    settings = {**sections, "run": {"home": "home", **RANGE, **sections.get("run", {})}}
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return file


def write_bars(folder: Path) -> None:
    folder.mkdir()
    rows = ["symbol,date,open,high,low,close,volume"]
    for day in XNYS.sessions(RANGE["first_session"], RANGE["last_session"]):
        rows += [f"{symbol},{day},10.5,11,10,10.75,120000" for symbol in ("SPY", "AAA")]
    (folder / "bars.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def aegis(config: Path, *words: str) -> Answer:
    """Run the program in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-m", "aegis_sensors.cli", *words],
        env={**os.environ, "AEGIS_CONFIG": str(config), "COLUMNS": "200", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command in this process."""

    def asked(config: Path, *words: str) -> Answer:
        monkeypatch.setenv("AEGIS_CONFIG", str(config))
        monkeypatch.setenv("DAGSTER_HOME", "")  # the command sets it; it is put back afterwards
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        status = main(words)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return asked


def contents(folder: Path) -> Mapping[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def first_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Answer]]:
    """Return configurations of two sources in one home, and how their first runs ended, which were made side by side.

    Ten sessions are too few for any order.
    """
    folder, other = tmp_path_factory.mktemp("workspace"), tmp_path_factory.mktemp("files")
    write_bars(other / "prices")
    configs = {
        "simulated": write_config(folder),
        "files": write_config(
            other,
            run={"source": "files", "home": str(folder / "home")},
            market_data={"files": {"folder": "prices"}},
        ),
    }
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda config: aegis(config, "run"), configs.values())
        return {name: (config, answer) for (name, config), answer in zip(configs.items(), answers, strict=True)}


@pytest.fixture(scope="module")
def first_run(first_runs: dict[str, tuple[Path, Answer]]) -> tuple[Path, Answer]:
    return first_runs["simulated"]


@pytest.fixture
def finished(first_run: tuple[Path, Answer]) -> Path:
    config, (status, _, errors) = first_run
    assert status == 0, errors
    return config


def test_a_run_without_any_order_ends_well_with_a_summary(first_run: tuple[Path, Answer]) -> None:
    config, (status, printed, errors) = first_run
    assert status == 0, errors
    assert "SIMULATED MARKET" in printed
    assert "Materialised 10 sessions, 2014-06-02 to 2014-06-13" in printed
    assert "Decided: 0 orders approved, 0 refused by the gate, 0 fills" in printed
    assert "1,000,000 became 1,000,000" in printed
    assert "nan" not in printed.lower()
    assert "Warning" not in errors
    reports = config.parent / "reports" / "simulated-simulated"
    assert {".html", ".pdf", ".csv"} <= {file.suffix for file in reports.rglob("*")}


def test_a_second_run_has_nothing_to_do(finished: Path, ask: Callable[..., Answer]) -> None:
    lake = finished.parent / "home" / "simulated-simulated" / "lake" / "data"
    before = contents(lake)
    status, printed, _ = ask(finished, "run")
    assert status == 0
    assert "Nothing to do: every session is materialised." in printed
    assert contents(lake) == before


def test_the_summary_is_printed_again_without_a_claim_about_a_run(finished: Path, ask: Callable[..., Answer]) -> None:
    status, printed, _ = ask(finished, "summary")
    assert status == 0
    assert "Traded from 2014-06-02 to 2014-06-13: 10 sessions" in printed
    assert "Nothing to do" not in printed
    assert "Materialised" not in printed


def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    config = write_config(tmp_path, portfolio={"max_positon_weight": 0.04})
    status, printed, errors = aegis(config, "run")
    assert (status, printed) == (2, "")
    assert "unknown key portfolio.max_positon_weight" in errors
    assert "the nearest known key is portfolio.max_position_weight" in errors
    assert "Traceback" not in errors
    assert contents(tmp_path).keys() == {"aegis.yaml"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "2014-06-07"), ("2014-06-07 (Saturday)", "2014-06-06 and 2014-06-09")),
        (("--to", "2014-07-04"), ("2014-07-04 (Friday)", "2014-07-03 and 2014-07-07")),
        (("--from", "2014-05-30"), ("2014-05-30..2014-06-13", "2014-06-02..2014-06-13")),
        (("--to", "2014-06-16"), ("2014-06-02..2014-06-16", "2014-06-02..2014-06-13")),
        (("--from", "2014-06-10", "--to", "2014-06-09"), ("2014-06-10..2014-06-09", "earlier session first")),
    ],
)
def test_sessions_that_are_none_or_outside_are_refused_and_nothing_is_made(
    tmp_path: Path, ask: Callable[..., Answer], words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    status, _, errors = ask(write_config(tmp_path), "run", *words)
    assert status == 2
    assert all(part in errors for part in said), errors
    assert contents(tmp_path).keys() == {"aegis.yaml"}


def test_a_date_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--from", "yesterday"])
    assert ended.value.code == 2
    assert "'yesterday' is not a date; write it as 2024-05-31" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_fault_in_a_symbol_that_does_not_exist_is_refused(tmp_path: Path, ask: Callable[..., Answer]) -> None:
    fault = {"symbol": "NOSUCH", "session": date(2014, 6, 5), "kind": "negative_price"}
    status, _, errors = ask(write_config(tmp_path, market_data={"faults": [fault]}), "run")
    assert status == 2
    assert "NOSUCH" in errors
    assert contents(tmp_path).keys() == {"aegis.yaml"}


def test_a_workspace_of_another_source_is_refused_and_stays_as_it_was(
    tmp_path: Path, ask: Callable[..., Answer]
) -> None:
    write_bars(tmp_path / "prices")
    owner = tmp_path / "home" / "mine" / "source.txt"
    owner.parent.mkdir(parents=True)
    owner.write_text("simulated\n", encoding="utf-8")
    config = write_config(
        tmp_path, run={"source": "files", "workspace": "mine"}, market_data={"files": {"folder": "prices"}}
    )
    before = contents(tmp_path)
    status, _, errors = ask(config, "run")
    assert status == 2
    assert "workspace mine holds prices of 'simulated', not of 'files in " in errors
    assert "set run.workspace" in errors
    assert contents(tmp_path) == before


def test_two_sources_in_one_home_leave_two_workspaces(first_runs: dict[str, tuple[Path, Answer]]) -> None:
    status, printed, errors = first_runs["files"][1]
    assert status == 0, printed + errors
    assert "SIMULATED MARKET" not in printed
    home = first_runs["simulated"][0].parent / "home"
    folders = {"simulated": "simulated-simulated", "files": "files-prices-simulated"}
    assert {folder.name for folder in home.iterdir()} == set(folders.values())
    for source, folder in folders.items():
        assert (home / folder / "source.txt").read_text(encoding="utf-8").startswith(source)
        with connect(LakeLocation(home / folder / "lake")) as connection:
            bars = Lake(connection).read(tables.RAW_BARS)
        assert set(bars["source"]) == {source}
        assert bars["session"].nunique() == 10


@pytest.mark.parametrize("command", [("run",), ("summary",), ("data", "versions"), ("trace", "abc")])
def test_a_lake_that_cannot_be_read_is_refused_with_a_remedy_and_left_alone(
    tmp_path: Path, ask: Callable[..., Answer], command: tuple[str, ...]
) -> None:
    config = write_config(tmp_path, run={"last_session": date(2014, 6, 3)})
    catalog = tmp_path / "home" / "simulated-simulated" / "lake" / "catalog.sqlite"
    catalog.parent.mkdir(parents=True)
    garbage = b"this is not a database, but it is mine\n" * 400
    catalog.write_bytes(garbage)
    status, printed, errors = ask(config, *command)
    assert status == 2
    assert "catalog.sqlite" in printed + errors
    assert "restore it from a backup" in printed + errors
    assert "Traceback" not in printed + errors
    assert catalog.read_bytes() == garbage
    assert not (tmp_path / "home" / "simulated-simulated" / "dagster").exists()


def test_an_order_that_does_not_exist_cannot_be_traced(finished: Path, ask: Callable[..., Answer]) -> None:
    status, _, errors = ask(finished, "trace", "0123")
    assert status == 2
    assert "no order id begins with '0123'" in errors


@pytest.mark.parametrize("command", [("summary",), ("trace", "abc"), ("data", "versions")])
def test_a_workspace_without_a_history_says_how_to_make_one(
    tmp_path: Path, ask: Callable[..., Answer], command: tuple[str, ...]
) -> None:
    status, _, errors = ask(write_config(tmp_path), *command)
    assert status == 2
    assert "`aegis run`" in errors
    assert contents(tmp_path).keys() == {"aegis.yaml"}


def test_kill_and_release_name_the_account_and_keep_their_reasons(tmp_path: Path, ask: Callable[..., Answer]) -> None:
    config = write_config(tmp_path)
    assert ask(config, "kill", "--reason", "odd fills")[:2] == (
        0,
        "account simulated: stopped. No new order leaves until `aegis release`.\n",
    )
    status, printed, _ = ask(config, "release", "--reason", "explained by the broker")
    assert status == 0
    assert printed.startswith("account simulated: released by ")
    folder = tmp_path / "home" / "simulated-simulated" / "kill_switches"
    history = (folder / "simulated.history.jsonl").read_text(encoding="utf-8").splitlines()
    assert ["odd fills" in line for line in history] == [True, False]
    assert ["explained by the broker" in line for line in history] == [False, True]


def test_the_journal_of_a_run_verifies(finished: Path, ask: Callable[..., Answer]) -> None:
    status, printed, _ = ask(finished, "audit", "verify")
    assert status == 0
    assert re.fullmatch(r"journal of simulated: [1-9]\d* events, every one follows from the one before\n", printed)


def test_the_snapshots_are_listed_with_what_wrote_them(finished: Path, ask: Callable[..., Answer]) -> None:
    status, printed, _ = ask(finished, "data", "versions")
    assert status == 0
    lines = printed.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(len(lines)))
    assert any(line.endswith("market_data/raw_bars 2014-06-02..2014-06-13") for line in lines)
