"""The port that a source of minute bars implements, and which one the configuration asks for.

Belongs here: the protocol and the choice. Each implementation is a module of its own beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Protocol

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.lake.tables import MINUTE_BARS
from aegis.market_data.sources.source import MarketDataSource

DELIVERED_MINUTES = replace(
    MINUTE_BARS,
    columns=tuple(replace(c, nullable=True) if c.kind == "float" else c for c in MINUTE_BARS.columns),
    enforce_key=False,
)
"""Minute bars before any check: prices may be missing and keys may repeat."""


class MinuteBarSource(Protocol):
    """Minute bars of one vendor or one generated market.

    Notes
    -----
    Prices are raw, as traded. A row's ``known_at_utc`` is the end of its minute plus the vendor's delay. A minute
    without a trade has no row. A source without an answer raises; it never returns an empty frame in its place.
    """

    def minute_bars(self, sessions: Sequence[date], symbols: Sequence[str]) -> pd.DataFrame:
        """Return the minute bars of `sessions`, ascending, as :data:`DELIVERED_MINUTES`.

        Raises
        ------
        SourceUnavailable
            There are no minute bars of these sessions and symbols.
        MalformedData
            The answer lacks columns or cannot be parsed.
        """
        ...


def open_minute_source(config: AegisConfig, calendar: TradingCalendar, daily: MarketDataSource) -> MinuteBarSource:
    """Return the source of minute bars that belongs to ``run.source``.

    Parameters
    ----------
    daily : MarketDataSource
        The workspace's source of daily bars; simulated minutes are drawn within them.

    Raises
    ------
    ConfigurationError
        ``run.source`` has no minute bars.
    """
    settings, delay = config.market_data.minute_bars, config.market_data.vendor_delay
    if config.run.source == "simulated":
        from aegis.market_data.sources.simulated_minutes import SimulatedMinutes  # noqa: PLC0415 - one of them is used

        return SimulatedMinutes(daily, calendar, seed=config.market_data.simulated.seed, vendor_delay=delay)
    if config.run.source == "files":
        from aegis.market_data.sources.file_minutes import FileMinutes  # noqa: PLC0415 - one of them is used

        return FileMinutes(settings, calendar, vendor_delay=delay)
    if config.run.source == "alpaca":
        from aegis.market_data.sources.alpaca_minutes import AlpacaMinutes  # noqa: PLC0415 - one of them is used

        return AlpacaMinutes(config.market_data.alpaca, calendar, vendor_delay=delay)
    raise ConfigurationError(
        f"market_data.minute_bars.symbols: run.source {config.run.source!r} has no minute bars; 'simulated', 'files' "
        "and 'alpaca' have: name no symbols, or choose one of these sources"
    )
