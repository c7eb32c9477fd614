"""Which source of live data the configuration asks for.

Belongs here: the choice, and nothing about any one source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypedDict

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config import AegisConfig
from aegis.config_live_data import LiveDataSettings, LiveDataSource
from aegis.errors import ConfigurationError
from aegis.live_data.port import LiveMarketData, MarketListener
from aegis.live_data.session_history import GeneratedSessions, OpenLake, SessionHistory, StoredSessions


class VendorTerms(TypedDict):
    """What every source that is reached over a network is made with, beside the vendor's own settings."""

    clock: Clock
    calendar: TradingCalendar
    ticker_of: Callable[[str], str]
    settings: LiveDataSettings
    listener: MarketListener | None


def _alpaca(config: AegisConfig, terms: VendorTerms) -> LiveMarketData:
    from aegis.live_data.alpaca import AlpacaMarketData  # noqa: PLC0415 - one of the sources is used

    return AlpacaMarketData(config.market_data.alpaca, **terms)


def _interactive_brokers(config: AegisConfig, terms: VendorTerms) -> LiveMarketData:
    from aegis.live_data.interactive_brokers import InteractiveBrokersMarketData  # noqa: PLC0415

    return InteractiveBrokersMarketData(config.market_data.interactive_brokers, **terms)


def _yahoo(config: AegisConfig, terms: VendorTerms) -> LiveMarketData:
    from aegis.live_data.yahoo import YahooMarketData  # noqa: PLC0415

    return YahooMarketData(config.market_data.yahoo, **terms)


_VENDORS: Mapping[LiveDataSource, Callable[[AegisConfig, VendorTerms], LiveMarketData]] = {
    "alpaca": _alpaca,
    "interactive_brokers": _interactive_brokers,
    "yahoo": _yahoo,
}


def live_source(config: AegisConfig) -> LiveDataSource:
    """Return the name of the configured source: ``eval.live_trading.market_data.source``, or that of the broker.

    Raises
    ------
    ConfigurationError
        None is named and the broker is several.
    """
    trading = config.eval.live_trading
    if trading.market_data.source is not None:
        return trading.market_data.source
    if trading.broker == "multi":
        raise ConfigurationError(
            "eval.live_trading.market_data.source: several brokers have no market data in common; name one of "
            "simulated, yahoo, alpaca, interactive_brokers"
        )
    return trading.broker


def live_market_data(
    config: AegisConfig,
    clock: Clock,
    *,
    calendar: TradingCalendar,
    ticker_of: Callable[[str], str],
    open_lake: OpenLake | None = None,
    listener: MarketListener | None = None,
) -> LiveMarketData:
    """Return the configured source, not started.

    Parameters
    ----------
    config : AegisConfig
        All settings.
    clock : Clock
        The machine's; a simulation's only with the simulated source.
    calendar : TradingCalendar
        Whose sessions minutes count to.
    ticker_of : callable
        From a permanent symbol to its ticker of today; a KeyError is a problem of that symbol alone.
    open_lake : callable, optional
        Opens the lake for one reading; the simulated source plays past sessions of a market that is not simulated
        from it.
    listener : MarketListener, optional
        Told of each message that is believed.

    Raises
    ------
    ConfigurationError
        The source is not known, or lacks a setting or the lake.
    """
    name, settings = live_source(config), config.eval.live_trading.market_data
    if name == "simulated":
        from aegis.live_data.simulated import SimulatedMarketData  # noqa: PLC0415 - one of the sources is used

        history = played_sessions(config, calendar, open_lake)
        return SimulatedMarketData(history, clock=clock, calendar=calendar, settings=settings, listener=listener)
    return _VENDORS[name](
        config,
        {"clock": clock, "calendar": calendar, "ticker_of": ticker_of, "settings": settings, "listener": listener},
    )


def played_sessions(config: AegisConfig, calendar: TradingCalendar, open_lake: OpenLake | None) -> SessionHistory:
    """Return the sessions that a simulated feed and the paper venue play.

    Raises
    ------
    ConfigurationError
        The market is not simulated and there is no lake to play from.
    """
    if config.run.source == "simulated":
        return GeneratedSessions(config, calendar)
    if open_lake is None:
        raise ConfigurationError(
            f"eval.live_trading.market_data.source 'simulated' plays sessions of the lake where run.source is "
            f"{config.run.source!r}; give the lake"
        )
    return StoredSessions(open_lake, config, calendar)
