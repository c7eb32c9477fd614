"""Three stocks over ten sessions, and the source that asks a gateway for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from aegis.calendars import trading_calendar
from aegis.config_vendors import InteractiveBrokersSettings
from aegis.market_data.sources.call_policy import VendorCalls
from aegis.market_data.sources.interactive_brokers import INTERACTIVE_BROKERS, InteractiveBrokersSource
from tests.fake_stopwatch import FakeStopwatch
from tests.integration.vendors.tws.gateway import TwsGateway
from tests.integration.vendors.tws.history import Bar
from tests.integration.vendors.tws.wire import Contract, ToGateway

XNYS = trading_calendar("XNYS")
FIRST, LAST = date(2024, 6, 3), date(2024, 6, 14)
DAYS = XNYS.sessions(FIRST, LAST)
NOW = datetime(2024, 6, 17, 13, tzinfo=UTC)
HISTORY, CONTRACTS = ToGateway.HISTORICAL_DATA, ToGateway.CONTRACT_DETAILS
PATIENCE = 1.0
"""Seconds of silence that a test waits for."""
HEADING = "symbol,ex_date,action,split_ratio,dividend_usd,pay_date\n"

AAPL, MSFT = Contract(265598, "AAPL", name="APPLE INC"), Contract(272093, "MSFT", name="MICROSOFT CORP")
SPY = Contract(756733, "SPY", "ARCA", industry="Funds")


def rising(first_close: float, days: Sequence[date] = DAYS) -> list[Bar]:
    closes = [first_close + number for number in range(len(days))]
    return [Bar(day, close, close + 1, close - 1, close, 1_000_000) for day, close in zip(days, closes, strict=True)]


def source(
    gateway: TwsGateway | int,
    actions: Path | None,
    *,
    symbols: Sequence[str] = ("AAPL", "MSFT"),
    watch: FakeStopwatch | None = None,
    **more: Any,
) -> InteractiveBrokersSource:
    last = more.pop("last", LAST)
    port = gateway if isinstance(gateway, int) else gateway.port
    given = {
        "symbols": symbols, "first_session": FIRST, "port": port, "actions_file": actions, "attempts": 3,
        "timeout_seconds": PATIENCE, **more,
    }  # fmt: skip
    settings = InteractiveBrokersSettings.model_validate(given)
    calls = VendorCalls(
        INTERACTIVE_BROKERS, settings, stopwatch=watch or FakeStopwatch(), generator=np.random.default_rng(1)
    )
    return InteractiveBrokersSource(
        settings, XNYS, benchmark_symbol="SPY", last_session=last, vendor_delay=timedelta(minutes=15), calls=calls
    )
