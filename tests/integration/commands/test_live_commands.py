"""``aegis live``: a person at a terminal lets an account trade real money, and nobody else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from aegis.config import load_config
from aegis.workspace import Workspace

Ask = Callable[..., tuple[int, str, str]]
PHRASE = "trade real money of fund in 123456789 at api.alpaca.markets:443"
SETTINGS = {
    "run": {"source": "yahoo", "account": "fund", "home": "home"},
    "brokers": {"alpaca": {"url": "https://api.alpaca.markets", "account": "123456789"}},
    "eval": {"live_trading": {"broker": "alpaca", "paper_trading": False}},
}


@pytest.fixture
def fund(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the settings of an account of real money."""
    file = tmp_path / "aegis.yaml"
    file.write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    Workspace.of(load_config(file)).folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return file


def _at_a_terminal(config: Path, *words: str, typed: str) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "aegis_sensors.cli", *words],
        env={**os.environ, "AEGIS_CONFIG": str(config), "COLUMNS": "200"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        os.write(ours, f"{typed}\n".encode())
        shown = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # the other end is gone
                break
            if not part:
                break
            shown += part
        status = process.wait()
    os.close(ours)
    return status, shown.decode().replace("\r\n", "\n")


def test_a_person_confirms_at_a_terminal_sees_it_and_takes_it_back(fund: Path, ask: Ask) -> None:
    first = ask(fund, "live", "status", AEGIS_LIVE_TRADING="fund")[1]
    assert "does not exist; confirm it with `aegis live confirm`" in first
    assert "again" not in first
    status, shown = _at_a_terminal(fund, "live", "confirm", "--hours", "1", typed=PHRASE)
    assert status == 0, shown
    for line in (
        "would trade REAL MONEY:",
        "  broker alpaca: account 123456789, at api.alpaca.markets:443",
        "  limit max_daily_loss: 0.02",
        f"To confirm it, type: {PHRASE}",
    ):
        assert line in shown
    status, printed, _ = ask(fund, "live", "status", AEGIS_LIVE_TRADING="fund")
    assert status == 0
    assert "Account fund MAY TRADE REAL MONEY now: 123456789 at api.alpaca.markets:443." in printed
    assert "AEGIS_LIVE_TRADING holds its name, it is not set" in ask(fund, "live", "status")[1]
    assert "config_hash changed since" in ask(fund, "live", "status", AEGIS_RUN__BOOK="other")[1]
    status, printed, _ = ask(fund, "live", "revoke", "--reason", "lunch")
    assert (status, "no confirmation stands" in printed) == (0, True)
    printed = ask(fund, "live", "status", AEGIS_LIVE_TRADING="fund")[1]
    assert "may not now" in printed
    assert "nobody has confirmed" in printed


@pytest.mark.long
@pytest.mark.parametrize("typed", ["yes", PHRASE.upper(), PHRASE.replace("123456789", "987654321")])
def test_another_phrase_confirms_nothing(fund: Path, typed: str) -> None:
    status, shown = _at_a_terminal(fund, "live", "confirm", typed=typed)
    assert (status, "something else was typed; nothing was confirmed" in shown) == (2, True)
    assert not (fund.parent / "home" / "yahoo-fund" / "live_confirmations").exists()


def test_what_a_script_types_is_nobodys_word(fund: Path, ask: Ask) -> None:
    status, _, errors = ask(fund, "live", "confirm")
    assert status == 2
    assert "asks a person at a terminal" in errors


def test_paper_trading_has_nothing_to_confirm(fund: Path, ask: Ask) -> None:
    paper = {"AEGIS_EVAL__LIVE_TRADING__PAPER_TRADING": "true"}
    assert "does not trade real money" in ask(fund, "live", "status", **paper)[1]
    status, _, errors = ask(fund, "live", "confirm", **paper)
    assert (status, "paper_trading is true" in errors) == (2, True)


def test_another_accounts_workspace_is_refused(fund: Path, ask: Ask) -> None:
    (fund.parent / "home" / "yahoo-fund" / "identity.json").write_text('{"account": "other"}', encoding="utf-8")
    for words in (("live", "status"), ("live", "revoke", "--reason", "x")):
        status, printed, errors = ask(fund, *words)
        assert "holds account other, not fund" in printed + errors, (words, status)


def test_trading_that_nobody_confirmed_is_refused_before_any_vendor_is_asked(
    fund: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers: who asked a vendor would say so instead
    status, _, errors = ask(fund, "trade", AEGIS_LIVE_TRADING="fund", AEGIS_RUN__ACCOUNT_SINCE="2026-11-20")
    assert (status, "nobody has confirmed" in errors) == (2, True), errors
