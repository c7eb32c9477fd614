"""Interactive Brokers as `aegis.yaml` names it: behind the cache, and among several sources."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis.market_data.ingestion import fetch_raw_bars
from aegis.market_data.sources.registry import open_source
from aegis.market_data.sources.source import MarketDataSource
from tests.integration.interactive_brokers.small_market import DAYS, FIRST, HEADING, HISTORY, LAST, XNYS
from tests.integration.vendors.tws.faults import Cut, Fault, Reset
from tests.integration.vendors.tws.gateway import TwsGateway
from tests.integration.vendors.tws.history import HistoryDesk

SUNDAY = FixedClock(datetime(2024, 6, 16, 12, tzinfo=UTC))


def opened(gateway: TwsGateway, actions: Path, *, source: str = "interactive_brokers", **data: Any) -> MarketDataSource:
    """Open what the configuration names, as a process of its own."""
    vendor = {
        "symbols": ("AAPL", "MSFT"), "first_session": FIRST, "port": gateway.port, "actions_file": actions,
        "attempts": 1, "timeout_seconds": 2.0, "requests_per_minute": 6000, "burst_requests": 100,
    }  # fmt: skip
    settings = {
        "run": {"source": source, "home": actions.parent / "home"},
        "market_data": {"interactive_brokers": vendor, **data},
    }
    return open_source(AegisConfig.model_validate(settings), XNYS, SUNDAY)


def test_a_second_fetch_of_final_sessions_opens_no_connection(gateway: TwsGateway, actions: Path) -> None:
    told = fetch_raw_bars(opened(gateway, actions), DAYS, last_complete=LAST, has_ended=False)
    connections = gateway.connections
    assert connections == 1
    again = opened(gateway, actions)
    assert fetch_raw_bars(again, DAYS, last_complete=LAST, has_ended=False).equals(told)
    assert again.corporate_actions(FIRST, LAST).empty
    assert gateway.connections == connections


def test_a_split_that_is_added_to_the_file_asks_again(gateway: TwsGateway, actions: Path) -> None:
    opened(gateway, actions).bars(FIRST, LAST)
    actions.write_text(f"{HEADING}AAPL,2024-06-10,split,4,,\n")
    bars = opened(gateway, actions).bars(FIRST, LAST)
    assert bars.loc[bars["symbol"] == "AAPL", "close_raw_usd"].iloc[0] == 400.0


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The user's own files of the same sessions."""
    folder = tmp_path / "files"
    folder.mkdir()
    rows = "".join(f"{day},100.01,101.01,99.01,100.01,1000000\n" for day in DAYS)
    for symbol in ("AAPL", "MSFT", "SPY"):
        (folder / f"{symbol}.csv").write_text(f"date,open,high,low,close,volume\n{rows}")
    return folder


@pytest.mark.parametrize("fault", [Reset(), Cut(0.5)], ids=["a reset", "an end within a frame"])
def test_what_a_broken_gateway_does_not_give_comes_from_the_second_source(
    gateway: TwsGateway, actions: Path, files: Path, fault: Fault
) -> None:
    gateway.always(HISTORY, fault)
    both = {"sources": ("interactive_brokers", "files"), "files": {"folder": files}}
    source = opened(gateway, actions, source="multi", **both)
    bars = fetch_raw_bars(source, [LAST], last_complete=LAST, has_ended=False)
    assert set(bars["source"]) == {"files"}
    gateway.always(HISTORY, None)
    healed = fetch_raw_bars(
        opened(gateway, actions, source="multi", **both), [LAST], last_complete=LAST, has_ended=False
    )
    assert set(healed["source"]) == {"interactive_brokers"}


def test_a_late_gateway_is_completed_by_the_second_source(
    gateway: TwsGateway, desk: HistoryDesk, actions: Path, files: Path
) -> None:
    desk.bars = {number: bars[:-1] for number, bars in desk.bars.items()}
    both = {"sources": ("interactive_brokers", "files"), "files": {"folder": files}}
    source = opened(gateway, actions, source="multi", **both)
    for day, name in ((date(2024, 6, 13), "interactive_brokers"), (LAST, "files")):
        assert set(fetch_raw_bars(source, [day], last_complete=LAST, has_ended=False)["source"]) == {name}
