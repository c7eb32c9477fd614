"""Alpaca's live data on a clock that tests move, and messages as Alpaca sends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config_live_data import LiveDataSettings
from aegis.config_vendors import AlpacaSettings
from aegis.live_data.alpaca import AlpacaMarketData
from aegis.live_data.feed_health import Counted
from aegis.market_data.sources.alpaca import alpaca_vendor
from aegis.market_data.sources.call_policy import VendorCalls
from tests.fake_stopwatch import FakeStopwatch
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer
from tests.integration.vendors.alpaca_stock_stream import AlpacaStockStream
from tests.unit.live_data.feeds import WrittenDown

XNYS = trading_calendar("XNYS")
OPENS = datetime(2024, 6, 10, 13, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
TICKERS = {"ABC": "ABC", "OLD": "NEW", "XYZ": "XYZ"}


def iso(at_utc: datetime) -> str:
    return at_utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def quote(at_utc: datetime, *, bid: float = 9.99, ask: float = 10.01, ticker: str = "ABC") -> dict[str, Any]:
    return {
        "T": "q", "S": ticker, "bx": "Q", "bp": bid, "bs": 3, "ax": "N", "ap": ask, "as": 2, "c": ["R"], "z": "C",
        "t": iso(at_utc),
    }  # fmt: skip


def bar(number: int, volume: float = 100.0, *, ticker: str = "ABC", kind: str = "b", trades: int = 2) -> dict[str, Any]:
    """Return the bar of the session's minute `number`; the first is 1, and Alpaca names it by its opening."""
    return {
        "T": kind, "S": ticker, "o": 10.0, "h": 10.2, "l": 9.9, "c": 10.1, "v": volume, "n": trades, "vw": 10.05,
        "t": iso(OPENS + (number - 1) * MINUTE),
    }  # fmt: skip


class AlpacaFeed:
    """A source that is started, its clock and what it tells."""

    def __init__(self, stream: AlpacaStockStream, history: AlpacaServer, at_utc: datetime, **settings: Any) -> None:
        self.clock, self.heard = SimulatedClock(at_utc), WrittenDown()
        keys = {"key_id": settings.pop("key_id", KEY_ID), "secret_key": SECRET_KEY}
        vendor = AlpacaSettings.model_validate(
            {**keys, "url": history.url, "feed": "iex", "timeout_seconds": 0.3, "longest_pause_seconds": 0.0}
        )
        quick = {"reconnect_first_seconds": 0.01, "reconnect_longest_seconds": 0.02, "connect_timeout_seconds": 5.0}
        alpaca = {"url": stream.url, **settings.pop("alpaca", {})}
        self.stopwatch = FakeStopwatch()
        self.data = AlpacaMarketData(
            vendor,
            clock=self.clock,
            calendar=XNYS,
            ticker_of=TICKERS.__getitem__,
            settings=LiveDataSettings.model_validate({**quick, **settings, "alpaca": alpaca}),
            listener=self.heard,
            look_seconds=0.01,
            calls=VendorCalls(
                alpaca_vendor(vendor), vendor, stopwatch=self.stopwatch, generator=np.random.default_rng(1)
            ),
        )
        self.data.start()

    def go_to(self, at_utc: datetime) -> None:
        self.clock.advance_to(at_utc)

    def count(self, what: Counted) -> int:
        return self.data.health().counts.get(what, 0)

    @property
    def problem(self) -> str:
        return self.data.health().problem
