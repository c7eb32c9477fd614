"""Which market-data source the configuration asks for.

Belongs here: the choice, and nothing about any one source.
"""

from __future__ import annotations

from datetime import date, timedelta

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config import AegisConfig
from aegis.errors import CalendarError, ConfigurationError
from aegis.market_data.sources.source import MarketDataSource


def open_source(config: AegisConfig, calendar: TradingCalendar, clock: Clock) -> MarketDataSource:
    """Return the source or sources that ``run.source`` names, with the configured faults planted in it.

    Parameters
    ----------
    config : AegisConfig
        All settings.
    calendar : TradingCalendar
        Decision calendar.
    clock : Clock
        Tells the last session whose bars can be final.

    Raises
    ------
    ConfigurationError
        ``run.first_session`` lies after the last session that can be answered for.

    Notes
    -----
    Nothing is read or downloaded yet. Sources behind a network are cached (``market_data.cache``). No source answers
    for a session before its close plus the vendor's delay, nor after ``run.last_session``. ``run.first_session`` begins
    the partitions only; sources know earlier days.
    """
    last = _last_session(config, calendar, clock)
    source = _configured_source(config, calendar, clock, last)
    if not config.market_data.faults:
        return source
    from aegis.market_data.sources.faults import FaultySource  # noqa: PLC0415 - only for drills

    return FaultySource(source, config.market_data.faults)


def _last_session(config: AegisConfig, calendar: TradingCalendar, clock: Clock) -> date:
    last = calendar.last_complete_session(clock.now_utc(), config.market_data.vendor_delay)
    if config.run.last_session is not None:
        last = min(last, _last_asked(config.run.last_session, calendar))
    if config.run.first_session is not None and config.run.first_session > last:
        raise ConfigurationError(
            f"run.first_session: {config.run.first_session} is after {last}, the last session with final bars; choose "
            "an earlier one"
        )
    return last


def _last_asked(asked: date, calendar: TradingCalendar) -> date:
    try:
        return calendar.previous(asked + timedelta(days=1))
    except (CalendarError, OverflowError) as error:
        raise ConfigurationError(
            f"run.last_session: {calendar.name} has no session up to {asked} ({error}); choose a later one, or leave "
            "it out"
        ) from error


def _configured_source(config: AegisConfig, calendar: TradingCalendar, clock: Clock, last: date) -> MarketDataSource:
    from aegis.market_data.sources.source_cache import with_cache  # noqa: PLC0415

    names = config.market_data.sources if config.run.source == "multi" else (config.run.source,)
    opened = [
        with_cache(
            _named_source(name, config, calendar, last), config, calendar=calendar, last_session=last, clock=clock
        )
        for name in names
    ]
    if config.run.source != "multi":
        return opened[0]
    from aegis.market_data.multi_source import MultiSource  # noqa: PLC0415

    return MultiSource(opened, calendar, last_session=last)


def _named_source(name: str, config: AegisConfig, calendar: TradingCalendar, last: date) -> MarketDataSource:
    data, delay = config.market_data, config.market_data.vendor_delay
    benchmark = config.eval.metrics.benchmark_symbol
    if name == "simulated":
        from aegis.market_data.sources.simulated import SimulatedSource  # noqa: PLC0415 - few sources are used in a run

        return SimulatedSource(data.simulated, calendar, last_session=last, vendor_delay=delay)
    if name == "files":
        from aegis.market_data.sources.files import FilesSource  # noqa: PLC0415

        return FilesSource(data.files, calendar, benchmark_symbol=benchmark, vendor_delay=delay, last_session=last)
    if name == "alpaca":
        from aegis.market_data.sources.alpaca import AlpacaSource  # noqa: PLC0415

        return AlpacaSource(data.alpaca, calendar, benchmark_symbol=benchmark, last_session=last, vendor_delay=delay)
    if name == "interactive_brokers":
        from aegis.market_data.sources.interactive_brokers import InteractiveBrokersSource  # noqa: PLC0415

        return InteractiveBrokersSource(
            data.interactive_brokers, calendar, benchmark_symbol=benchmark, last_session=last, vendor_delay=delay
        )
    if name == "crypto":
        from aegis.market_data.sources.crypto import CryptoSource  # noqa: PLC0415

        return CryptoSource(data.crypto, calendar, benchmark_symbol=benchmark, last_session=last, vendor_delay=delay)
    from aegis.market_data.sources.yahoo import YahooSource  # noqa: PLC0415

    return YahooSource(data.yahoo, calendar, benchmark_symbol=benchmark, last_session=last, vendor_delay=delay)
