"""Which sources are cached, where, and what must be equal for a kept answer to count.

Belongs here: the choice by configuration. What the cache does is :mod:`aegis.market_data.sources.cached`.
"""

from __future__ import annotations

import hashlib
from datetime import date
from importlib import metadata
from pathlib import Path

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config import AegisConfig
from aegis.config_vendors import CallSettings
from aegis.market_data.sources.cached import CachedSource, RefreshedSource
from aegis.market_data.sources.cached_answers import CachedAnswers, identity_of
from aegis.market_data.sources.content_store import ContentStore
from aegis.market_data.sources.source import MarketDataSource
from aegis.workspace import Workspace

CLIENTS = {
    "yahoo": "yfinance",
    "alpaca": "alpaca-py",
    "crypto": "ccxt",
    "interactive_brokers": "ib_insync",
}
"""Sources behind a network, each with the package that asks it; the others have nothing to save."""

_BYTES_PER_MEGABYTE = 1_000_000


def open_store(config: AegisConfig, clock: Clock) -> ContentStore:
    """Return the cache of the workspace that `config` names; nothing is created."""
    folder = Workspace.of(config).cache
    return ContentStore(folder, max_bytes=config.market_data.cache.max_megabytes * _BYTES_PER_MEGABYTE, clock=clock)


def with_cache(
    source: MarketDataSource, config: AegisConfig, *, calendar: TradingCalendar, last_session: date, clock: Clock
) -> MarketDataSource:
    """Return `source` behind the cache, or as it is where it has no network or ``market_data.cache.mode`` is ``off``.

    Notes
    -----
    A kept answer counts for the same source, symbols, other parameters, calendar, delay, benchmark and version of the
    client. How often and how long a vendor is asked does not change what it says.
    """
    mode = config.market_data.cache.mode
    if source.name not in CLIENTS or mode == "off":
        return source
    settings = getattr(config.market_data, source.name)
    identity = identity_of(
        source=source.name,
        parameters=_parameters(settings),
        calendar=calendar.name,
        vendor_delay_minutes=config.market_data.vendor_delay_minutes,
        benchmark=source.benchmark_symbol,
        client=f"{CLIENTS[source.name]} {metadata.version(CLIENTS[source.name])}",
    )
    answers = CachedAnswers(open_store(config, clock), identity)
    kind = RefreshedSource if mode == "refresh" else CachedSource
    return kind(source, answers, calendar=calendar, last_session=last_session, clock=clock)


def _parameters(settings: CallSettings) -> dict[str, object]:
    """Return what decides the answer; a file that is named counts by its content."""
    parameters = settings.model_dump(mode="json", exclude=set(CallSettings.model_fields))
    for name in parameters:
        value = getattr(settings, name)
        if isinstance(value, Path) and value.is_file():
            parameters[name] = hashlib.sha256(value.read_bytes()).hexdigest()
    return parameters
