"""Keys that a run was given are in nothing that it leaves: lake, journal, Dagster's records, pages, reports, output."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from aegis.calendars import trading_calendar
from tests.integration.canary_search import Canaries, ProcessList
from tests.integration.commands.conftest import CANARIES, COMMAND_LINES, KEYS
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer, alpaca_bar

Answer = tuple[int, str, str]
FIRST, LAST = date(2024, 6, 3), date(2024, 6, 14)
SYMBOLS = ("AAPL", "MSFT", "JPM", "XOM")
WRONG_SECRET = "zT4/wrong+but=secret/9Kd2Vb6Xp1"  # noqa: S105 - what the vendor refuses, and repeats in its refusal


def test_a_run_leaves_no_key_of_its_environment(first_run: tuple[Path, Answer]) -> None:
    config, (status, printed, errors) = first_run
    assert status == 0, errors
    assert len(KEYS) == 4
    assert CANARIES.in_bytes(f"{printed}{errors}".encode()) == set()
    assert json.loads((config.parents[1] / COMMAND_LINES).read_text(encoding="utf-8")) == []
    places = {path.relative_to(config.parent / "home" / "simulated-simulated").parts[0] for path in _files(config)}
    assert {"lake", "journals", "dagster", "data_docs"} <= places  # there was something to search
    assert CANARIES.in_folder(config.parent) == {}


def _files(config: Path) -> list[Path]:
    return [path for path in (config.parent / "home" / "simulated-simulated").rglob("*") if path.is_file()]


@pytest.mark.long
def test_runs_that_use_keys_are_refused_and_succeed_and_leave_none(
    tmp_path: Path, aegis: Callable[..., Answer]
) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    secrets = tmp_path / "secrets"
    canaries = Canaries(KEY_ID, SECRET_KEY, WRONG_SECRET)
    days = trading_calendar("XNYS").sessions(FIRST, LAST)
    bars: dict[str, list[Any]] = {
        symbol: [alpaca_bar(day, 100.0 + number + n) for n, day in enumerate(days)]
        for number, symbol in enumerate((*SYMBOLS, "SPY"))
    }
    with AlpacaServer(bars) as server, ProcessList(canaries) as processes:
        vendor = {"symbols": list(SYMBOLS), "first_session": FIRST, "url": server.url, "attempts": 2}
        settings = {
            "run": {"source": "alpaca", "home": "home", "last_session": LAST, "first_session": FIRST},
            "market_data": {"alpaca": {**vendor, "first_pause_seconds": 0.0, "longest_pause_seconds": 0.0}},
        }
        config = folder / "aegis.yaml"
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        answers = []
        for secret in (WRONG_SECRET, SECRET_KEY):
            secrets.write_text(
                f"AEGIS_MARKET_DATA__ALPACA__KEY_ID={KEY_ID}\nAEGIS_MARKET_DATA__ALPACA__SECRET_KEY={secret}\n",
                encoding="utf-8",
            )
            secrets.chmod(0o600)
            answers.append(aegis(config, "run", AEGIS_SECRETS_FILE=str(secrets)))
        assert [status == 0 for status, _, _ in answers] == [False, True], answers
        later = (("summary",), ("audit", "verify"), ("live", "status"), ("data", "versions"))
        answers += [aegis(config, *words, AEGIS_SECRETS_FILE=str(secrets)) for words in later]
    said = "".join(f"{printed}{errors}" for _, printed, errors in answers)
    assert "unauthorized" in said  # the vendor's words were told, its keys were not
    assert canaries.in_bytes(said.encode()) == set()
    assert processes.found == set()
    assert canaries.in_folder(folder) == {}
