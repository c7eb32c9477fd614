"""The configured market, handed to assets as a Dagster resource.

Belongs here: bringing the source, the calendar, the clock and the settings together. Each source is in
``aegis.market_data.sources``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

import pandas as pd

from aegis.calendars import TradingCalendar, trading_calendar
from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError, MarketDataError
from aegis.market_data.sources.minute_source import open_minute_source
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
    clock: Clock = field(default_factory=SystemClock)
    given_source: MarketDataSource | None = None

    @cached_property
    def calendar(self) -> TradingCalendar:
        """Decision calendar."""
        return trading_calendar(self.config.market_data.calendar)

    @cached_property
    def source(self) -> MarketDataSource:
        """Where bars come from; opened on first use, once a process."""
        return self.given_source or open_source(self.config, self.calendar, self.clock)

    def minute_bars(self, sessions: Sequence[date]) -> pd.DataFrame:
        """Return the configured symbols' minute bars of `sessions`, as delivered.

        Raises
        ------
        ConfigurationError
            The source has no minute bars.
        MarketDataError
            A session has not closed, or the source cannot be used.
        """
        last_complete = self.last_complete_session()
        if sessions[-1] > last_complete:
            raise MarketDataError(
                f"{self.source.name} {sessions[-1]}: the session's minute bars are not final yet, the last complete "
                f"session is {last_complete}; run it again after its close plus the vendor's delay"
            )
        source = open_minute_source(self.config, self.calendar, self.source)
        return source.minute_bars(sessions, self.config.market_data.minute_bars.symbols)

    @property
    def has_ended(self) -> bool:
        """Whether the source holds a finished past, such as a folder of files, and no new sessions come."""
        return self.config.run.source == "files" or self.config.run.last_session is not None

    def session_range(self) -> tuple[date, date]:
        """Return the first and last session of the configured range that the source covers.

        Raises
        ------
        ConfigurationError
            ``run.first_session`` and ``run.last_session`` leave no session.
        """
        known_first, known_last = self.source.session_range()
        first = max(known_first, self.config.run.first_session or known_first)
        last = min(known_last, self.config.run.last_session or known_last)
        sessions = self.calendar.sessions(first, last)
        if not sessions:
            raise ConfigurationError(
                f"run.first_session {self.config.run.first_session} and run.last_session "
                f"{self.config.run.last_session} leave no session; source {self.source.name} covers "
                f"{known_first}..{known_last}"
            )
        return sessions[0], sessions[-1]

    def fresh_session(self) -> date:
        """Return the last session that can be had now: the last complete one, or the source's last."""
        return min(self.last_complete_session(), self.session_range()[1])

    def last_complete_session(self) -> date:
        """Return the last session whose final bars exist by the clock."""
        return self.calendar.last_complete_session(self.clock.now_utc(), self.config.market_data.vendor_delay)

    def decision_times(self, sessions: Sequence[date]) -> dict[date, datetime]:
        """Return for each session the instant at which its final bars are known: close plus vendor delay, aware UTC."""
        closes = self.calendar.closes_utc(sessions).to_pydatetime()
        delay = self.config.market_data.vendor_delay
        return {session: close + delay for session, close in zip(sessions, closes, strict=True)}
