"""``aegis monitor``: from the status file alone, with an exit status that a script can ask."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.live_trading.kill_switch import KillSwitch
from aegis.monitoring.status_file import STATUS_FILE
from aegis.workspace import Workspace
from aegis_sensors.monitor_command import monitor_command
from tests.integration.live_trading.trading_process import IN_SESSION


@pytest.fixture
def config(tmp_path: Path) -> AegisConfig:
    found = AegisConfig(run={"home": tmp_path / "home", "account": "paper", "first_session": date(2014, 6, 2)})
    Workspace.of(found).folder.mkdir(parents=True)
    return found


def _asked(config: AegisConfig, at_utc=IN_SESSION, **terms) -> tuple[int, str]:
    said = io.StringIO()
    console = Console(file=said, width=200, no_color=True)
    return monitor_command(config, console=console, clock=SimulatedClock(at_utc), **terms), said.getvalue()


def test_the_page_shows_the_account_and_the_exit_status_says_whether_it_is_well(watch, config, tmp_path) -> None:
    status, said = _asked(config)
    assert (status, "no process has traded account paper" in said) == (1, True)

    account = watch()
    account.look()
    account.trade("one", "ABC", 100, "10.02")
    account.look(61)
    shown = Workspace.of(config).monitor("paper")
    shown.parent.mkdir(parents=True)
    (tmp_path / "monitor").rename(shown)
    now = IN_SESSION + timedelta(seconds=61)
    status, said = _asked(config, now)
    assert (status, "\nhealthy\n" in said) == (0, True), said
    # 100 bought at 10.02, quoted 9.99 to 10.01: two dollars down.
    for expected in ("ABC", "10.0000 (quote)", "1,000.00 USD", "-2.00 USD", "desk/asked", "20.00 bps of 1 fills"):
        assert expected in said
    assert "0.00 USD" in said
    for odd in ("-0.00", "e+0", "+00:00"):
        assert odd not in said

    status, said = _asked(config, now + timedelta(seconds=60))
    assert (status, "the status is 60 s old" in said) == (1, True)

    KillSwitch(account.config.kill_switch).engage("enough", actor="ada", at_utc=IN_SESSION)
    (shown / STATUS_FILE).rename(shown / "old.json")
    shown.rename(tmp_path / "monitor")
    account.look(1)
    (tmp_path / "monitor").rename(shown)
    status, said = _asked(config, now + timedelta(seconds=1), as_json=True)
    assert (status, '"kill_switch": "engaged since' in said) == (1, True)


def test_a_switch_that_no_process_has_told_of_is_shown_from_its_own_file(watch, config, tmp_path) -> None:
    switch = KillSwitch(Workspace.of(config).kill_switch("paper"))
    switch.engage("enough", actor="ada", at_utc=IN_SESSION)
    told = f"the kill switch: engaged since {IN_SESSION:%Y-%m-%d %H:%M} UTC by ada: enough; a person releases it"
    assert told in _asked(config)[1]

    watch().look()
    shown = Workspace.of(config).monitor("paper")
    shown.parent.mkdir(parents=True)
    (tmp_path / "monitor").rename(shown)
    assert _asked(config, as_json=True)[1].count(told) == 1
    status, said = _asked(config)
    assert (status, said.count(told)) == (1, 1)
    switch.release("explained", actor="ada", at_utc=IN_SESSION)
    assert _asked(config)[0] == 0


def test_an_open_order_is_shown_with_its_terms_and_large_numbers_in_full(watch, config, tmp_path) -> None:
    account = watch()
    account.look()
    shown = Workspace.of(config).monitor("paper")
    shown.parent.mkdir(parents=True)
    (tmp_path / "monitor").rename(shown)
    file = shown / STATUS_FILE
    record = json.loads(file.read_text(encoding="utf-8"))
    order = {
        "client_order_id": "687642c486e4c65cb441e786aeba1097", "symbol": "ABC",
        "quantity_shares": -1_250_000.0, "filled_shares": -250.5,
        "state": "accepted", "order_type": "limit", "limit_price_usd": 1_010.5, "execution_session": "2014-06-09",
        "submitted_at_utc": None, "acknowledged_at_utc": None,
    }  # fmt: skip
    older = {name: value for name, value in order.items() if name != "execution_session"} | {
        "order_type": "market",
        "limit_price_usd": None,
    }
    record["snapshot"]["open_orders"] = [order, older]
    record["snapshot"]["slippage_total"] |= {"slippage_bps": -1.72444}
    record["snapshot"]["limits"] = [
        {"name": "day notional, USD", "used": -0.001, "limit": 1_000_000.0},
        {"name": "day orders", "used": 3.0, "limit": 2_000_000.0},
        {"name": "drawdown", "used": 0.01234, "limit": 0.1},
        {"name": "buying power, USD", "used": None, "limit": 0.0},
    ]
    record["snapshot"]["money"]["since_utc"] = "2014-06-06T13:30:01.123456+00:00"
    file.write_text(json.dumps(record), encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in _asked(config)[1].splitlines() if "│" in line]
    said = _asked(config)[1]
    assert ["687642c4", "ABC", "sell 1,250,000", "limit 1,010.5000", "2014-06-09", "250.5", "accepted"] in rows
    assert ["687642c4", "ABC", "sell 1,250,000", "market", "unknown", "250.5", "accepted"] in rows
    assert ["day notional, USD", "0.00", "1,000,000.00"] in rows
    assert ["day orders", "3", "2,000,000"] in rows
    assert ["drawdown", "1.23\u00a0%", "10.00\u00a0%"] in rows
    assert ["buying power, USD", "unknown", "0.00"] in rows
    assert "slippage against arrival -1.72 bps" in said
    assert "since 2014-06-06 13:30:01 UTC:" in said


def test_a_status_from_the_future_is_told_as_ahead_of_the_clock(watch, config, tmp_path) -> None:
    account = watch()
    account.look()
    shown = Workspace.of(config).monitor("paper")
    shown.parent.mkdir(parents=True)
    (tmp_path / "monitor").rename(shown)
    status, said = _asked(config, IN_SESSION - timedelta(hours=2))
    assert status == 1
    assert f"the status is of {IN_SESSION:%Y-%m-%d %H:%M:%S} UTC, 7,200 s ahead of this machine's clock" in said
    assert "s old" not in said


def test_following_prints_until_interrupted(config) -> None:
    pauses = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    status, said = _asked(config, follow=True, sleep=sleep)
    assert (status, said.count("no process has traded")) == (1, 3)
