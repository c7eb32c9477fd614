"""An account at the venue of the tests with live rules and a monitor, on a clock that tests move."""

from __future__ import annotations

from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aegis.clock import SimulatedClock
from aegis.config_eval import LiveRiskLimits
from aegis.config_monitoring import MonitoringSettings
from aegis.errors import AegisError
from aegis.execution.journal import Journal
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.journalled_rules import restored_risk_manager
from aegis.live_trading.live_trader import TraderReport
from aegis.live_trading.risk_manager import LiveRiskManager
from aegis.monitoring.feed_health import FeedReading
from aegis.monitoring.monitor import Monitor
from aegis.monitoring.snapshot import MonitorSnapshot
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_view import SymbolFacts
from tests.integration.live_trading.trading_process import CALENDAR, IN_SESSION, broker_at, config_in
from tests.integration.venues.alpaca.server import AlpacaVenue


class HeardFeed:
    """A source of market data that says what a test lets it say."""

    def __init__(self, at_utc: datetime) -> None:
        self.reading = FeedReading(source="simulated", heard_at_utc=at_utc)

    def readings(self) -> list[FeedReading]:
        return [self.reading]


class WatchedAccount:
    """One life of the process that trades, which knows the market of ABC and DEF."""

    def __init__(
        self, venue: AlpacaVenue, folder: Path, at_utc: datetime = IN_SESSION, *, told: Any = None, **limits: Any
    ) -> None:
        self.clock = SimulatedClock(at_utc)
        self.venue = venue
        self.folder = folder
        self.feed = HeardFeed(at_utc)
        self.drift: list[str] = []
        self.dead: set[str] = set()
        """What is not heard any more: stream, quotes, feed."""
        self.skew_seconds = 0.0
        self._orders = 0
        terms = {"max_position_size": 1.0, "max_order_equity_fraction": 1.0, **limits}
        self._limits = ExitLimits.from_settings(LiveRiskLimits(**terms))
        self._open = ExitStack()
        self.broker = self._open.enter_context(broker_at(venue.rest.url, venue.stream.url, self.clock))
        self.config = config_in(folder, self.clock, rules=self._rules)
        self.system = self._open.enter_context(closing(ExecutionSystem(self.broker, self.config)))
        self.rules.observe_symbols(
            dict.fromkeys(("ABC", "DEF"), SymbolFacts(median_daily_volume_shares=1e6, is_shortable=False))
        )
        self.hear()
        self.monitor = self._open.enter_context(
            closing(
                Monitor(
                    self.system,
                    self.config,
                    self.rules,
                    folder=folder / "monitor",
                    settings=MonitoringSettings(),
                    feeds=self.feed,
                    drift=lambda: self.drift,
                    told=told,
                )
            )
        )

    def hear(self) -> None:
        """Hear the market and the clock as of now: ABC at 10 USD, DEF at 20 USD."""
        now = self.clock.now_utc()
        self.rules.observe_clock_skew(self.skew_seconds)
        if "stream" not in self.dead:
            self.rules.observe_stream(now)
        if "quotes" not in self.dead:
            self.rules.observe_quote("ABC", bid_usd=9.99, ask_usd=10.01, at_utc=now)
            self.rules.observe_quote("DEF", bid_usd=20.0, ask_usd=20.0, at_utc=now)
        if "feed" not in self.dead:
            self.feed.reading = FeedReading(source="simulated", heard_at_utc=now)

    def look(self, seconds: float = 0.0) -> MonitorSnapshot:
        """Let time pass, step, and look at the account as the trader's loop does."""
        self.clock.advance_to(self.clock.now_utc() + timedelta(seconds=seconds))
        self.venue.book.now_utc = self.clock.now_utc()
        self.hear()
        failures: tuple[str, ...] = ()
        try:
            self.system.step()
        except AegisError as error:
            failures = (str(error),)
        report = TraderReport(
            at_utc=self.clock.now_utc(),
            stopped=self.system.stopped,
            breaks=self.system.breaks,
            parents=(),
            failures=failures,
        )
        snapshot = self.monitor.observe(report)
        assert snapshot is not None
        return snapshot

    def send(self, symbol: str, shares: int) -> str:
        """Send another order at the market and return its id."""
        self._orders += 1
        order = self.system.order(symbol, shares, name=f"number-{self._orders}", arrival_price_usd=10.0)
        return self.system.submit_order(order).order.client_order_id

    def trade(self, name: str, symbol: str, shares: int, price: str) -> None:
        """Send an order at the market and let the venue fill it at a price."""
        order = self.system.order(symbol, shares, name=name, arrival_price_usd={"ABC": 10.0, "DEF": 20.0}[symbol])
        self.system.submit_order(order)
        self.venue.book.fill(order.client_order_id, str(abs(shares)), price)
        self.broker.catch_up()

    def close(self) -> None:
        self._open.close()

    def _rules(self, journal: Journal) -> LiveRiskManager:
        self.rules = restored_risk_manager(
            journal, limits=self._limits, clock=self.clock, calendar=CALENDAR, kill_switch_engaged=lambda: False
        )
        return self.rules
