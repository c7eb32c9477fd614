"""The configured market, handed to assets as a Dagster resource.

Belongs here: bringing the source, the calendar, the clock and the settings together. Each source is in
``aegis.market_data.sources``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from aegis.calendars import TradingCalendar, trading_calendar
from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.market_data.sources.registry import open_source
from aegis.market_data.sources.source import MarketDataSource


@dataclass(frozen=True)
class Market:
    """One market as assets see it.

    Parameters
    ----------
    config : AegisConfig
    clock : Clock
        Says which sessions have final bars; a fixed clock replays the past.
    given_source : MarketDataSource, optional
        Takes the place of the configured source; tests plant faults and cut off the future through it.
    """

    config: AegisConfig
    clock: Clock = SystemClock()
    given_source: MarketDataSource | None = None

    @cached_property
    def calendar(self) -> TradingCalendar:
        """Decision calendar."""
        return trading_calendar(self.config.market_data.calendar)

    @cached_property
    def source(self) -> MarketDataSource:
        """Where bars come from; opened on first use, once a process."""
        return self.given_source or open_source(self.config, self.calendar, self.clock)

    def last_complete_session(self) -> date:
        """Return the last session whose final bars exist by the clock."""
        return self.calendar.last_complete_session(self.clock.now_utc(), self.config.market_data.vendor_delay)

    def decision_times(self, sessions: Sequence[date]) -> dict[date, datetime]:
        """Return for each session the instant at which its final bars are known: close plus vendor delay, aware UTC."""
        closes = self.calendar.closes_utc(sessions).to_pydatetime()
        delay = self.config.market_data.vendor_delay
        return {session: close + delay for session, close in zip(sessions, closes, strict=True)}
