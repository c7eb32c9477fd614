"""``aegis kill`` while other things are wrong too: it stops the account, and says what it did not and could not do."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis.clock import SimulatedClock
from aegis.config import load_config
from aegis.config_stopping import config_to_stop
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.kill_switch import KillSwitch
from aegis.workspace import Workspace
from tests.integration.live_trading.test_stopped_trading import CountingBroker
from tests.integration.live_trading.trading_process import config_in

Answer = tuple[int, str, str]
Ask = Callable[..., Answer]
EVENING = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)
WORKSPACE = "simulated-paper"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings of the account `paper`, in a workspace that it has used."""
    folder = tmp_path / "home" / WORKSPACE
    folder.mkdir(parents=True)
    (folder / "identity.json").write_text(json.dumps({"source": "simulated", "account": "paper"}), encoding="utf-8")
    return _written(tmp_path)


def _written(folder: Path, **sections: Any) -> Path:
    file = folder / "aegis.yaml"
    run = {"home": "home", "account": "paper", **sections.pop("run", {})}
    file.write_text(yaml.safe_dump({"run": run, **sections}), encoding="utf-8")
    return file


def _switch(settings: Path, workspace: str = WORKSPACE, account: str = "paper") -> KillSwitch:
    return KillSwitch(settings.parent / "home" / workspace / "kill_switches" / f"{account}.json")


@pytest.mark.parametrize(
    ("sections", "environment", "told"),
    [
        ({"rsik": {"max_drawdown": 0.1}}, {}, "unknown key rsik"),
        ({}, {"AEGIS_FOO": "1"}, "unknown variable AEGIS_FOO"),
        ({"risk": {"max_drawdown": -0.1}}, {}, "risk.max_drawdown"),
        ({}, {"AEGIS_SECRETS_FILE": "/nowhere/secrets"}, "/nowhere/secrets does not exist"),
        ({}, {"AEGIS_SIGNALS__STRATEGIES": "momentum"}, "AEGIS_SIGNALS__STRATEGIES must be JSON"),
        ({"run": {"first_session": "yesterday"}}, {}, "run.first_session"),
        ({"run": {"workspace": WORKSPACE, "source": "yaho"}}, {}, "run.source"),
        ({"market_data": {"sources": "all"}}, {}, "market_data.sources"),
        ({"brokers": {"alpaca": {"secret_key": "k"}}}, {}, "brokers.alpaca.secret_key is a secret"),
    ],
)
def test_an_account_is_stopped_whatever_is_wrong_with_its_settings_and_that_is_said(
    settings: Path, ask: Ask, sections: dict[str, Any], environment: dict[str, str], told: str
) -> None:
    _written(settings.parent, **sections)

    status, printed, errors = ask(settings, "kill", "--reason", "odd fills", **environment)

    assert (status, errors) == (0, "")
    assert _switch(settings).status().reason == "odd fills"
    assert printed.startswith(f"Account paper of workspace {WORKSPACE} ({settings.parent}/home/{WORKSPACE}): stopped.")
    assert "its settings are wrong besides" in printed
    assert told in printed

    status, _, errors = ask(settings, "release", "--reason", "explained", **environment)
    assert status == 2, "a release is strict"
    assert told in errors
    assert _switch(settings).is_engaged()


@pytest.mark.parametrize(
    ("file", "environment"),
    [
        ("run: {home: home, account: paper\n", {}),
        ("[run, home]\n", {}),
        ("run: [home]\n", {}),
        (None, {}),
        ("run: {home: home, account: Not A Name}\n", {}),
        ("run: {home: home, account: paper, workspace: misspelt}\n", {}),
        ("run: {home: home, account: other, workspace: simulated-paper}\n", {}),
        ("run: {home: home, account: paper}\n", {"AEGIS_RUN": "{"}),
    ],
)
def test_where_the_account_cannot_be_found_out_the_command_to_type_instead_is_said(
    settings: Path, ask: Ask, file: str | None, environment: dict[str, str]
) -> None:
    settings.unlink()
    if file is not None:
        settings.write_text(file, encoding="utf-8")
    variables = {"AEGIS_RUN__HOME": "home", **environment}

    status, printed, errors = ask(settings, "kill", "--reason", "odd fills", **variables)

    assert (status, printed) == (2, "")
    assert errors.startswith("aegis: ConfigurationError: NOT stopped: ")
    assert not _switch(settings).is_engaged()
    folder = shlex.quote(str(settings.parent / "home" / WORKSPACE / "kill_switches"))
    command = f"mkdir -p {folder} && echo stop > {folder}/paper.json"
    assert f"`{command}`" in errors
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert _switch(settings).is_engaged()


def test_where_no_workspace_is_found_the_place_of_the_switch_is_said(settings: Path, ask: Ask) -> None:
    errors = ask(settings, "kill", "--reason", "x", AEGIS_RUN__HOME="/nowhere")[2]
    assert "NOT stopped: workspace simulated-paper does not exist" in errors
    assert "/nowhere/<workspace>/kill_switches/<account>.json" in errors


@pytest.mark.parametrize(
    ("sections", "environment", "name"),
    [
        ({"run": {"acount": "paper"}}, {}, "run.acount"),
        ({"rum": {"account": "paper"}}, {}, "rum"),
        ({}, {"AEGIS_RUN_ACCOUNT": "paper"}, "run_account"),
        ({}, {"AEGIS_ACCOUNT": "paper"}, "account"),
    ],
)
def test_a_misspelt_choice_of_the_account_is_no_success(
    settings: Path, ask: Ask, sections: dict[str, Any], environment: dict[str, str], name: str
) -> None:
    (settings.parent / "home" / "simulated-simulated").mkdir()
    _written(settings.parent, **{**sections, "run": {"account": "simulated", **sections.get("run", {})}})

    status, printed, _ = ask(settings, "kill", "--reason", "odd fills", **environment)

    assert status == 1
    assert f"{name} is no setting and was not read. If it was to choose another account, that one is NOT" in printed
    assert _switch(settings, "simulated-simulated", "simulated").is_engaged(), "what could be read is stopped"
    assert not _switch(settings).is_engaged()


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"run": {"workspace": "desk", "source": "yahoo", "home": "../elsewhere"}},
        {"run": {"source": "files"}, "market_data": {"files": {"folder": "prices/daily.2014", "layout": "columns"}}},
        {"run": {"source": "multi"}, "market_data": {"sources": ["yahoo", "files"], "calendar": "XNYS"}},
        {"run": {"account": "simulated", "initial_cash_usd": 5.0}, "risk": {"max_drawdown": 0.2}},
    ],
)
@pytest.mark.parametrize("environment", [{}, {"AEGIS_RUN__ACCOUNT": "fund"}, {"aegis_run__workspace": "other"}])
def test_a_stop_reaches_the_account_that_all_other_commands_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, Any], environment: dict[str, str]
) -> None:
    file = _written(tmp_path, **sections)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found, whole = config_to_stop(file), load_config(file)
    assert Workspace.of(found).folder == Workspace.of(whole).folder
    assert found.run.account == whole.run.account


def test_who_has_no_name_can_stop_and_blanks_are_no_reason(
    settings: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_number: int) -> None:
        raise KeyError("no such user")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert ask(settings, "kill", "--reason", "   ")[0] == 0
    status = _switch(settings).status()
    assert (status.reason, status.actor) == ("no reason given", f"user {os.getuid()}")


def test_a_second_stop_says_since_when_and_by_whom_the_first_stands(settings: Path, ask: Ask) -> None:
    _switch(settings).engage("odd fills", actor="ada", at_utc=EVENING)
    status, printed, _ = ask(settings, "kill", "--reason", "again")
    assert status == 0
    assert "the switch stood already: engaged since 2014-06-05 20:15 UTC by ada: odd fills" in printed
    assert [use.reason for use in _switch(settings).history()] == ["odd fills", "again"]


def test_without_a_process_that_trades_it_says_how_many_orders_stay_at_the_broker(settings: Path, ask: Ask) -> None:
    places, clock = Workspace.of(load_config(settings)), SimulatedClock(EVENING)
    config = config_in(settings.parent, clock, journal=places.journal("paper"), lease=places.lease("paper"))
    with closing(ExecutionSystem(CountingBroker(clock), config)) as system:
        orders = [system.order("ABC", 1, name=name, arrival_price_usd=10.0) for name in ("one", "two", "taken back")]
        for order in orders:
            system.submit_order(order)
        system.cancel_order(orders[-1].client_order_id)
        system.step()
        told = _killed(settings, ask)
        assert f"process {os.getpid()} on " in told
        assert "trades it and cancels what is open" in told
    told = _killed(settings, ask)
    assert "no process trades this account: 2 orders stay at the broker; start `aegis trade`" in told
    assert "2 orders stay at the broker" in _killed(settings, ask, AEGIS_FOO="1"), "with settings that are wrong too"
    _switch(settings).release("next", actor="ada", at_utc=EVENING)
    with closing(ExecutionSystem(CountingBroker(clock), config)) as system:
        for order in orders[:-1]:
            system.cancel_order(order.client_order_id)
        system.step()
    assert "no process trades this account: by its journal no order is at the broker" in _killed(settings, ask)


@pytest.mark.parametrize("place", ["journals/paper.sqlite", "journals", ""])
def test_a_journal_that_cannot_be_read_keeps_nobody_from_stopping(settings: Path, ask: Ask, place: str) -> None:
    path = settings.parent / "home" / WORKSPACE / place
    path.parent.mkdir(exist_ok=True)
    if place:
        path.write_text("no journal", encoding="utf-8")
    told = _killed(settings, ask)
    assert "no process trades this account: what is open at the broker stays there, and its journal does not" in told
    assert "); start `aegis trade`, which cancels what is open, or cancel it on the broker's pages." in told


def test_an_identity_that_cannot_be_read_keeps_nobody_from_stopping(settings: Path, ask: Ask) -> None:
    (settings.parent / "home" / WORKSPACE / "identity.json").write_text("{", encoding="utf-8")
    assert "whose workspace it is cannot be seen: " in _killed(settings, ask)


def _killed(settings: Path, ask: Ask, **environment: str) -> str:
    status, printed, errors = ask(settings, "kill", "--reason", "odd fills", **environment)
    assert (status, errors) == (0, "")
    assert _switch(settings).is_engaged()
    return printed


def test_an_account_without_a_broker_is_stopped_and_nobody_is_told_to_wait_for_its_positions(
    tmp_path: Path, ask: Ask
) -> None:
    folder = tmp_path / "home" / "simulated-simulated"
    folder.mkdir(parents=True)
    settings = _written(tmp_path, run={"account": "simulated"})

    status, printed, _ = ask(settings, "kill", "--reason", "odd prices", "--flatten", "--wait", "1")

    assert status == 1
    assert _switch(settings, "simulated-simulated", "simulated").status().is_engaged
    assert "NOT flat: --flatten is for an account at a broker" in printed
    assert "one that starts works on it" not in printed


def test_ctrl_c_while_positions_are_closed_leaves_the_stop_and_prints_no_traceback(
    settings: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aegis_sensors.kill_command.flatten_progress", interrupted)
    status, printed, errors = ask(settings, "kill", "--reason", "odd fills", "--flatten")

    assert status == 130
    assert "stopped. No new order leaves" in printed
    assert "ended by Ctrl-C" in errors
    assert _switch(settings).status().is_engaged
