"""What a process that trades knows of corporate actions at each opening, however long it runs."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.workspace import Workspace
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market
from aegis_resources.trading import _Sources
from tests.integration.conftest import CALENDAR
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer, alpaca_bar

FIRST, LAST = date(2022, 6, 1), date(2022, 6, 30)
DAYS = CALENDAR.sessions(FIRST, LAST)
STARTED, NEXT = DAYS[-3:-1]


@pytest.mark.long
def test_a_split_announced_after_the_start_is_known_at_its_opening(tmp_path: Path) -> None:
    bars = {symbol: [alpaca_bar(day, close) for day in DAYS] for symbol, close in (("META", 100.0), ("SPY", 400.0))}
    with AlpacaServer(bars, {"forward_splits": []}) as server:
        assert isinstance(server, AlpacaServer)
        vendor = {
            "symbols": ["META"], "first_session": FIRST, "url": server.url, "key_id": KEY_ID,
            "secret_key": SECRET_KEY, "burst_requests": 50,
        }  # fmt: skip
        config = AegisConfig(
            run={"home": tmp_path, "source": "alpaca", "account": "paper", "account_since": FIRST},
            market_data={"alpaca": vendor},
            eval={"metrics": {"benchmark_symbol": "SPY"}},
        )
        clock = SimulatedClock(CALENDAR.open_utc(STARTED) + timedelta(minutes=1))
        sources = _Sources(config, Market(config, clock), LakeResource.of(Workspace.of(config)), clock)
        assert sources.actions(STARTED) == ()
        server.actions["forward_splits"].append(
            {
                "symbol": "META",
                "new_rate": 2,
                "old_rate": 1,
                "ex_date": str(NEXT),
                "process_date": str(NEXT),
                "cusip": "1",
            }
        )
        clock.advance_to(CALENDAR.open_utc(NEXT) + timedelta(minutes=1))
        (found,) = sources.actions(NEXT)
        assert (found.symbol, found.action, found.split_ratio) == ("META", "split", 2.0)
        assert sources.ticker_of("META") == "META"
