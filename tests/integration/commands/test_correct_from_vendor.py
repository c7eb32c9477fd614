"""``aegis data correct --from``: a vendor whose answer is cached is asked again, and what it says now is kept."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from rich.console import Console

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.lake import tables
from aegis.lake.lake import CommitMessage, Replacement
from aegis.workspace import Workspace
from aegis_resources.market_data import Market
from aegis_sensors.correct_command import correct_command
from aegis_sensors.definitions import lake_resource
from aegis_sensors.workspace_identity import claim
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer, alpaca_bar
from tests.scripted_vendor import CALENDAR

FIRST, THURSDAY, FRIDAY = date(2024, 6, 3), date(2024, 6, 13), date(2024, 6, 14)
DAYS = CALENDAR.sessions(FIRST, FRIDAY)
CLOCK = FixedClock(datetime(2024, 6, 14, 20, 16, tzinfo=UTC))


@pytest.mark.long
def test_a_close_that_the_vendor_restated_replaces_the_cached_one(tmp_path: Path) -> None:
    bars = {symbol: [alpaca_bar(day, 100.0 + n % 3) for n, day in enumerate(DAYS)] for symbol in ("AAPL", "SPY")}
    with AlpacaServer(bars) as server:
        alpaca = {
            "symbols": ("AAPL", "SPY"), "first_session": FIRST, "url": server.url, "key_id": KEY_ID,
            "secret_key": SECRET_KEY, "first_pause_seconds": 0.0, "longest_pause_seconds": 0.0,
        }  # fmt: skip
        config = AegisConfig.model_validate(
            {"run": {"source": "alpaca", "home": tmp_path / "home"}, "market_data": {"alpaca": alpaca}}
        )
        workspace, market = Workspace.of(config), Market(config, CLOCK)
        claim(config, workspace)
        lake = lake_resource(workspace)
        told = market.source.bars(FIRST, FRIDAY)
        message = CommitMessage("somebody", f"{FIRST}..{FRIDAY}", "a run", "1")
        with lake.open() as store:
            stored = [Replacement(table, told, FIRST, FRIDAY) for table in (tables.RAW_BARS, tables.DAILY_BARS)]
            store.write([Replacement(tables.LISTINGS, market.source.listings()), *stored], message)

        restated = alpaca_bar(THURSDAY, bars["AAPL"][DAYS.index(THURSDAY)]["c"] + 0.5)
        server.bars["AAPL"][DAYS.index(THURSDAY)] = restated
        console = Console(record=True, width=200, file=io.StringIO())
        correct_command(
            config, rows=None, first=THURSDAY, last=None, reason="restated", console=console, clock=CLOCK
        )  # fmt: skip
        assert "close_raw_usd" in console.export_text()

        with lake.open() as store:
            now = store.read(tables.DAILY_BARS, first=THURSDAY, last=THURSDAY).set_index("symbol")
        assert now.loc["AAPL", "close_raw_usd"] == restated["c"]
        calls = server.count
        again = Market(config, CLOCK).source.bars(THURSDAY, THURSDAY).set_index("symbol")
        assert again.loc["AAPL", "close_raw_usd"] == restated["c"]
        assert server.count == calls, "what it said last is what is kept"
