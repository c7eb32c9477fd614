"""Alpaca's live stock data: its stream, and its history for the minutes that the stream did not tell.

Belongs here: who asks for missing minutes, and when. The connection is :mod:`aegis.live_data.alpaca_stream`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config_live_data import LiveDataSettings
from aegis.config_vendors import AlpacaSettings
from aegis.errors import ConfigurationError, MalformedData, MarketDataError
from aegis.live_data.alpaca_messages import AlpacaMessages, minute_of
from aegis.live_data.alpaca_minutes import AlpacaMinutes
from aegis.live_data.alpaca_stream import AlpacaDataStream
from aegis.live_data.feed_health import Counted
from aegis.live_data.live_market import LiveMarket
from aegis.live_data.market_readings import MarketReadings
from aegis.live_data.messages import LiveMinute, MinuteOrigin
from aegis.live_data.port import MarketListener
from aegis.live_data.session_minutes import Span
from aegis.live_data.ticker_names import TickerNames
from aegis.market_data.sources.alpaca_client import alpaca_vendor
from aegis.market_data.sources.call_policy import VendorCalls

SOURCE_NAME = "alpaca"
_SYMBOLS_A_REQUEST = 50


class AlpacaMarketData(MarketReadings):
    """Quotes, trades, minutes and halts of Alpaca.

    Parameters
    ----------
    vendor : AlpacaSettings
        Keys, feed, and how its history is asked for.
    clock : Clock
        The machine's.
    calendar : TradingCalendar
        Whose sessions minutes count to.
    ticker_of : callable
        From a permanent symbol to its ticker of today.
    settings : LiveDataSettings
        Address, silence, pauses, and what is believed.
    listener : MarketListener, optional
        Told in the source's threads.
    calls : VendorCalls, optional
        The policy of calls for history; default one with the vendor's numbers.
    look_seconds : float
        How often it looks for missing minutes.

    Raises
    ------
    ConfigurationError
        There are no keys.

    Notes
    -----
    Threads ``alpaca-market-data`` and ``alpaca-market-data-history``. A halt that began before the subscription is not
    told by Alpaca; such a symbol has no fresh quote.
    """

    def __init__(
        self,
        vendor: AlpacaSettings,
        *,
        clock: Clock,
        calendar: TradingCalendar,
        ticker_of: Callable[[str], str],
        settings: LiveDataSettings,
        listener: MarketListener | None = None,
        calls: VendorCalls | None = None,
        look_seconds: float = 1.0,
    ) -> None:
        if vendor.key_id is None or vendor.secret_key is None:
            raise ConfigurationError(
                "market_data.alpaca.key_id and secret_key are not set; set AEGIS_MARKET_DATA__ALPACA__KEY_ID and "
                "AEGIS_MARKET_DATA__ALPACA__SECRET_KEY in the environment"
            )
        super().__init__(LiveMarket(SOURCE_NAME, clock=clock, calendar=calendar, settings=settings, listener=listener))
        named = alpaca_vendor(vendor)
        self._names = TickerNames(ticker_of)
        self._history = AlpacaMinutes(vendor, calls or VendorCalls(named, vendor))
        self._look_seconds = look_seconds
        self._retry_seconds = vendor.longest_pause_seconds
        messages = AlpacaMessages(self._market, self._names, quote_unit_shares=settings.alpaca.quote_unit_shares)
        self._stream = AlpacaDataStream(
            settings,
            vendor,
            named,
            market=self._market,
            take=messages.take,
            on_subscribed=lambda tickers: self._market.begin(self._symbols_of(tickers)),
            on_refused=lambda tickers, words: self._market.refuse(self._symbols_of(tickers), words),
        )
        self._stop = threading.Event()
        self._filler = threading.Thread(target=self._fill_gaps, name="alpaca-market-data-history", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._stream.start()
        self._filler.start()

    def watch(self, symbols: frozenset[str]) -> None:
        """Subscribe to these symbols and no others."""
        added, removed = self._market.watch(symbols)
        self._names.remove(removed)
        for symbol, problem in self._names.add(added).items():
            self._market.refuse([symbol], problem)
        if added or removed:
            self._stream.want(self._names.tickers().values())

    def close(self) -> None:
        """End the connection and the threads."""
        self._stop.set()
        self._stream.close()
        if self._filler.is_alive():
            self._filler.join()

    def _symbols_of(self, tickers: Iterable[str]) -> list[str]:
        found = (self._names.symbol_of(ticker) for ticker in tickers)
        return [symbol for symbol in found if symbol is not None]

    def _fill_gaps(self) -> None:
        wait = self._look_seconds
        while not self._stop.wait(wait):
            wait = self._look_seconds
            by_span: dict[Span, list[str]] = {}
            for symbol, spans in self._market.missing().items():
                for span in spans:
                    by_span.setdefault(span, []).append(symbol)
            try:
                for span, symbols in sorted(by_span.items()):
                    self._fill(span, symbols)
                self._market.note("")
            except MarketDataError as error:
                self._market.note(f"missing minutes: {error}")
                wait = max(self._look_seconds, self._retry_seconds)

    def _fill(self, span: Span, symbols: list[str]) -> None:
        tickers = {name: ticker for name, ticker in self._names.tickers().items() if name in symbols}
        names = sorted(tickers)
        for begin in range(0, len(names), _SYMBOLS_A_REQUEST):
            some = names[begin : begin + _SYMBOLS_A_REQUEST]
            answer = self._history.bars([tickers[name] for name in some], *span)
            for symbol in some:
                self._market.fill(symbol, span, self._read(symbol, answer.get(tickers[symbol], ())))

    def _read(self, symbol: str, rows: Iterable[Any]) -> list[LiveMinute]:
        now = self._market.clock.now_utc()
        try:
            return [minute_of(symbol, row, MinuteOrigin.UPDATE, now) for row in rows]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._market.count(Counted.UNREADABLE)
            raise MalformedData(
                f"Alpaca: {symbol}: a minute bar that cannot be read ({type(error).__name__}: {error}); use another "
                "source until Alpaca answers as documented"
            ) from error
