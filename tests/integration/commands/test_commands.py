"""``aegis run``, and every command in workspaces that are new, damaged or somebody else's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pytest

from aegis.lake import tables
from aegis.lake.attachment import LakeLocation, connect
from aegis.lake.lake import Lake, table_name
from aegis_sensors.cli import main

Answer = tuple[int, str, str]
Ask = Callable[..., Answer]
Write = Callable[..., Path]
Contents = Callable[[Path], Mapping[str, bytes]]


def test_a_run_without_any_order_ends_well_with_a_summary(first_run: tuple[Path, Answer]) -> None:
    config, (status, printed, errors) = first_run
    assert status == 0, errors
    assert "SIMULATED MARKET" in printed
    assert "Materialised 10 sessions, 2014-06-02 to 2014-06-13" in printed
    assert "Orders       0 approved, 0 refused, 0 filled" in printed
    assert "1,000,000 USD became 1,000,000 USD." in printed
    assert "nan" not in printed.lower()
    assert "Warning" not in errors
    reports = config.parent / "reports" / "simulated-simulated"
    assert {".html", ".pdf", ".csv"} <= {file.suffix for file in reports.rglob("*")}


def test_a_second_run_has_nothing_to_do(finished: Path, ask: Ask, contents: Contents) -> None:
    lake = finished.parent / "home" / "simulated-simulated" / "lake" / "data"
    before = contents(lake)
    status, printed, _ = ask(finished, "run")
    assert status == 0
    assert "Nothing to do: every session is materialised." in printed
    assert contents(lake) == before


def test_the_summary_is_printed_again_without_a_claim_about_a_run(finished: Path, ask: Ask) -> None:
    status, printed, _ = ask(finished, "summary")
    assert status == 0
    assert "Account simulated, 10 sessions from 2014-06-02 to 2014-06-13." in printed
    assert "Nothing to do" not in printed
    assert "Materialised" not in printed


def test_the_summary_counts_sessions_of_bars_and_names_restrictions_that_restrict_nothing(own: Path, ask: Ask) -> None:
    """An account that began with the ninth session has two in its book, and looks back on ten."""
    (own.parent / "restricted.csv").write_text(
        "symbol,from,until,known_at_utc,restriction,reason\nQQQQQQ,2014-06-02,,2014-06-01T00:00:00Z,no trading,typo\n",
        encoding="utf-8",
    )
    with connect(LakeLocation(own.parent / "home" / "simulated-simulated" / "lake")) as connection:
        connection.execute(f"DELETE FROM {table_name(tables.BOOK_STATES)} WHERE session < DATE '2014-06-12'")  # noqa: S608
    listed = {"AEGIS_COMPLIANCE__RESTRICTED_LIST": str(own.parent / "restricted.csv")}
    status, printed, errors = ask(own, "summary", **listed)
    assert status == 0, errors
    assert "and this history has 10." in " ".join(printed.split())
    assert "restricted list line 2: QQQQQQ is no symbol of this market" in " ".join(printed.split())


def test_a_restricted_list_that_cannot_be_read_is_refused_before_the_run_begins(
    tmp_path: Path, ask: Ask, write_config: Write
) -> None:
    (tmp_path / "restricted.csv").write_text("symbol,reason\n", encoding="utf-8")
    config = write_config(tmp_path, compliance={"restricted_list": "restricted.csv"})
    status, printed, errors = ask(config, "run")
    assert (status, printed) == (2, "")
    assert "expected the columns symbol, from, until, known_at_utc, restriction, reason" in errors
    assert not (tmp_path / "home" / "simulated-simulated").exists()


def test_an_unknown_key_is_refused_with_the_nearest_one(
    tmp_path: Path, write_config: Write, aegis: Ask, contents: Contents
) -> None:
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
    tmp_path: Path, ask: Ask, words: tuple[str, ...], said: tuple[str, ...], write_config: Write, contents: Contents
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


@pytest.mark.parametrize("command", [("run",), ("up",)])
def test_a_strategy_that_does_not_exist_is_refused_before_anything_is_made(
    tmp_path: Path, ask: Ask, write_config: Write, contents: Contents, command: tuple[str, ...]
) -> None:
    config = write_config(tmp_path, signals={"strategies": ["momentun"]})
    status, printed, errors = ask(config, *command)
    assert (status, printed) == (2, "")
    assert "signals.strategies: 'momentun' is not a strategy; the nearest is 'momentum'" in errors
    assert contents(tmp_path).keys() == {"aegis.yaml"}


def test_a_fault_in_a_symbol_that_does_not_exist_is_refused(
    tmp_path: Path, ask: Ask, write_config: Write, contents: Contents
) -> None:
    fault = {"symbol": "NOSUCH", "session": date(2014, 6, 5), "kind": "negative_price"}
    status, _, errors = ask(write_config(tmp_path, market_data={"faults": [fault]}), "run")
    assert status == 2
    assert "NOSUCH" in errors
    assert contents(tmp_path).keys() == {"aegis.yaml"}


@pytest.mark.parametrize(
    ("change", "held", "asked"),
    [
        ({"AEGIS_MARKET_DATA__SIMULATED__SEED": "7"}, "seed 20140102", "seed 7"),
        (
            {"AEGIS_MARKET_DATA__SIMULATED__FIRST_SESSION": "2013-01-02"},
            "first_session 2014-01-02",
            "first_session 2013-01-02",
        ),
        ({"AEGIS_MARKET_DATA__CALENDAR": "24/7"}, "calendar XNYS", "calendar 24/7"),
        (
            {"AEGIS_RUN__ACCOUNT": "paper", "AEGIS_RUN__WORKSPACE": "simulated-simulated"},
            "account simulated",
            "account paper",
        ),
        (
            {"AEGIS_RUN__SOURCE": "yahoo", "AEGIS_RUN__WORKSPACE": "simulated-simulated"},
            "source simulated, first_session 2014-01-02, seed 20140102",
            "source yahoo",
        ),
    ],
)
def test_a_workspace_of_another_market_or_account_is_refused_and_stays_as_it_was(
    own: Path, ask: Ask, contents: Contents, change: dict[str, str], held: str, asked: str
) -> None:
    before = contents(own.parent)
    status, _, errors = ask(own, "run", **change)
    assert status == 2
    assert f"workspace simulated-simulated holds {held}, not {asked};" in errors
    assert "make run WORKSPACE=<name>" in errors
    assert contents(own.parent) == before


def test_a_workspace_of_an_early_version_is_refused_until_a_person_vouches_for_it(
    own: Path, ask: Ask, contents: Contents
) -> None:
    workspace = own.parent / "home" / "simulated-simulated"
    (workspace / "identity.json").rename(workspace / "source.txt")
    (workspace / "source.txt").write_text("simulated\n", encoding="utf-8")
    before = contents(own.parent)

    status, _, errors = ask(own, "run")
    assert status == 2
    settings = "source simulated, calendar XNYS, account simulated, seed 20140102, first_session 2014-01-02"
    assert f"{settings}, delete {workspace}/source.txt and run again" in errors
    assert contents(own.parent) == before
    assert ask(own, "summary")[0] == 0, "reading needs no vouching"

    (workspace / "source.txt").unlink()
    assert ask(own, "run")[0] == 0
    assert ask(own, "run", AEGIS_MARKET_DATA__SIMULATED__SEED="7")[0] == 2


@pytest.mark.parametrize("command", [("run",), ("up",)])
def test_prices_that_are_not_there_are_refused_before_anything_is_made(
    tmp_path: Path, ask: Ask, write_config: Write, contents: Contents, command: tuple[str, ...]
) -> None:
    config = write_config(tmp_path, run={"source": "files"}, market_data={"files": {"folder": "typo"}})
    status, printed, errors = ask(config, *command)
    assert (status, printed) == (2, "")
    assert f"market_data.files.folder: {tmp_path}/typo is not a folder; correct the path" in errors
    assert contents(tmp_path).keys() == {"aegis.yaml"}


@pytest.mark.long
def test_two_sources_in_one_home_leave_two_workspaces(
    own: Path, tmp_path: Path, write_config: Write, write_bars: Callable[[Path], None], aegis: Ask
) -> None:
    home = own.parent / "home"
    folders = {"simulated": "simulated-simulated", "files": "files-prices-simulated"}
    (home / folders["files"]).rmdir()
    write_bars(tmp_path / "prices")
    run = {"source": "files", "home": str(home)}
    config = write_config(tmp_path, run=run, market_data={"files": {"folder": "prices"}})
    status, printed, errors = aegis(config, "run")
    assert status == 0, printed + errors
    assert "SIMULATED MARKET" not in printed
    assert {folder.name for folder in home.iterdir()} == set(folders.values())
    for source, folder in folders.items():
        assert json.loads((home / folder / "identity.json").read_text(encoding="utf-8"))["source"] == source
        with connect(LakeLocation(home / folder / "lake")) as connection:
            bars = Lake(connection).read(tables.RAW_BARS)
        assert set(bars["source"]) == {source}
        assert bars["session"].nunique() == 10


@pytest.mark.parametrize("command", [("run",), ("summary",), ("data", "versions"), ("trace", "abc")])
def test_a_lake_that_cannot_be_read_is_refused_with_a_remedy_and_left_alone(
    tmp_path: Path, ask: Ask, command: tuple[str, ...], write_config: Write
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


def test_an_order_that_does_not_exist_cannot_be_traced(finished: Path, ask: Ask) -> None:
    status, _, errors = ask(finished, "trace", "0123")
    assert status == 2
    assert "no order id begins with '0123'" in errors


@pytest.mark.parametrize("command", [("summary",), ("trace", "abc"), ("data", "versions")])
def test_a_workspace_without_a_history_says_how_to_make_one(
    tmp_path: Path, ask: Ask, command: tuple[str, ...], write_config: Write, contents: Contents
) -> None:
    status, _, errors = ask(write_config(tmp_path), *command)
    assert status == 2
    assert "make run` " in errors
    assert contents(tmp_path).keys() == {"aegis.yaml"}


def test_the_snapshots_are_listed_with_what_wrote_them(finished: Path, ask: Ask) -> None:
    status, printed, _ = ask(finished, "data", "versions", "--limit", "1000")
    assert status == 0
    lines = printed.splitlines()[1:]
    assert [int(line.split()[0]) for line in lines] == list(range(len(lines)))
    assert any(" market_data/raw_bars 2014-06-02..2014-06-13, run " in line for line in lines)
