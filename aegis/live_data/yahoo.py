"""Yahoo's quotes and minutes, asked for again and again.

Belongs here: when what is asked, and what the answers mean. One question is :mod:`aegis.live_data.yahoo_polling`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config_live_data import LiveDataSettings
from aegis.config_vendors import YahooSettings
from aegis.errors import MalformedData, MarketDataError
from aegis.live_data.feed_health import Counted
from aegis.live_data.live_market import LiveMarket
from aegis.live_data.market_readings import MarketReadings
from aegis.live_data.messages import LiveMinute, LiveQuote, MinuteOrigin
from aegis.live_data.port import MarketListener
from aegis.live_data.ticker_names import TickerNames
from aegis.live_data.yahoo_polling import YahooPolling
from aegis.market_data.corporate_actions import shortest_decimal
from aegis.market_data.sources.call_policy import VendorCalls
from aegis.market_data.sources.yahoo import PRICE_RESOLUTION, YAHOO

SOURCE_NAME = "yahoo"
_MINUTE = timedelta(minutes=1)
_ROUND_LOT_SHARES = 100
_PRICES = ("open", "high", "low", "close")


class YahooMarketData(MarketReadings):
    """Quotes and minutes of Yahoo Finance.

    Parameters
    ----------
    vendor : YahooSettings
        How Yahoo is called: rate limit, attempts, timeouts.
    clock : Clock
        The machine's.
    calendar : TradingCalendar
        Whose sessions minutes count to.
    ticker_of : callable
        From a permanent symbol to its ticker of today.
    settings : LiveDataSettings
        How often it asks, and what is believed.
    listener : MarketListener, optional
        Told in the source's thread.
    calls : VendorCalls, optional
        The policy; default one with the vendor's numbers.
    new_session : callable, optional
        Makes the HTTP session; default yfinance's own.

    Notes
    -----
    Thread ``yahoo-market-data``. Yahoo's bid and ask carry no time of their own: they count as of the last trade that
    the same row states, and as old as the delay that it states, so asking again makes nothing younger. Outside of hours
    it states none, and then there is no quote. A symbol that trades less often than quotes may be old cannot be traded
    on this source. Of the minutes those that ended by the last trade are known. Halts are not told.
    """

    def __init__(
        self,
        vendor: YahooSettings,
        *,
        clock: Clock,
        calendar: TradingCalendar,
        ticker_of: Callable[[str], str],
        settings: LiveDataSettings,
        listener: MarketListener | None = None,
        calls: VendorCalls | None = None,
        new_session: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__(LiveMarket(SOURCE_NAME, clock=clock, calendar=calendar, settings=settings, listener=listener))
        self._settings = settings.yahoo
        self._names = TickerNames(lambda symbol: ticker_of(symbol).replace(".", "-"))
        self._stop, self._changed = threading.Event(), threading.Event()
        self._calls = calls or VendorCalls(YAHOO, vendor, stopwatch=_UntilStopped(self._stop))
        self._polling = YahooPolling(self._calls, is_stopped=self._stop.is_set, new_session=new_session)
        self._asked_minutes_at: dict[str, float] = {}
        self._is_answered = False
        self._thread = threading.Thread(target=self._run, name="yahoo-market-data", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def watch(self, symbols: frozenset[str]) -> None:
        """Ask for these symbols and no others."""
        added, removed = self._market.watch(symbols)
        self._names.remove(removed)
        for symbol in removed:
            self._asked_minutes_at.pop(symbol, None)
        for symbol, problem in self._names.add(added).items():
            self._market.refuse([symbol], problem)
        if added:
            self._changed.set()

    def close(self) -> None:
        """End the thread, after the question that is under way."""
        self._stop.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._market.lost("closed")

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._round()
                self._changed.wait(self._settings.poll_seconds)
                self._changed.clear()
        except BaseException as error:  # the thread has no caller: whoever looks at the health has to be told
            self._market.lost(f"Yahoo: the feed ended ({type(error).__name__}: {error}); start it again")
            raise

    def _round(self) -> None:
        tickers = self._names.tickers()
        symbols = sorted(tickers)
        for begin in range(0, len(symbols), self._settings.symbols_a_request):
            some = symbols[begin : begin + self._settings.symbols_a_request]
            try:
                rows = self._polling.quotes([tickers[symbol] for symbol in some])
            except MarketDataError as error:
                self._is_answered = False
                self._market.lost(str(error))
                continue
            if not self._is_answered:
                self._is_answered = True
                self._market.connected()
            self._take_quotes(some, rows)
        for symbol in symbols:
            if not self._stop.is_set() and self._minutes_are_due(symbol):
                self._ask_minutes(symbol, tickers[symbol])

    def _take_quotes(self, symbols: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        self._market.heard()
        answered = set()
        for row in rows:
            symbol = self._names.symbol_of(row.get("symbol"))
            if symbol is None:
                self._market.count(Counted.NOT_ASKED_FOR)
                continue
            answered.add(symbol)
            if row.get("currency") != "USD":
                self._market.refuse([symbol], f"Yahoo prices it in {row.get('currency')!r}; only USD is traded")
                continue
            self._market.refuse([symbol], "")
            self._take_quote(symbol, row)
        lacking = set(symbols) - answered
        self._market.refuse(lacking, "Yahoo has no quote of its ticker; look at market_data/listings")

    def _take_quote(self, symbol: str, row: Mapping[str, Any]) -> None:
        now = self._market.clock.now_utc()
        try:
            traded_at = datetime.fromtimestamp(float(row["regularMarketTime"]), UTC)
            delay = timedelta(minutes=float(row.get("exchangeDataDelayedBy") or 0.0))
            quote = LiveQuote(
                symbol=symbol,
                bid_usd=float(row.get("bid") or 0.0),
                ask_usd=float(row.get("ask") or 0.0),
                bid_shares=_shares(row.get("bidSize")),
                ask_shares=_shares(row.get("askSize")),
                quoted_at_utc=min(traded_at, now - delay) if delay else traded_at,
                heard_at_utc=now,
            )
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            self._market.count(Counted.UNREADABLE)
            return
        self._market.take_quote(quote)

    def _minutes_are_due(self, symbol: str) -> bool:
        """Return whether a minute, by a clock that never goes back, has passed since they were asked for."""
        asked = self._asked_minutes_at.get(symbol)
        return asked is None or time.monotonic() - asked >= _MINUTE.total_seconds()

    def _ask_minutes(self, symbol: str, ticker: str) -> None:
        self._asked_minutes_at[symbol] = time.monotonic()
        try:
            self._take_chart(symbol, ticker, self._polling.minutes(ticker))
        except MarketDataError as error:
            self._market.note(f"minutes of {symbol}: {error}")
        else:
            self._market.note("")

    def _take_chart(self, symbol: str, ticker: str, chart: Mapping[str, Any]) -> None:
        """Take the minutes that ended by the last trade; the newest row of a chart is not over yet.

        Raises
        ------
        MalformedData
            It is another symbol's, another currency's, or of another shape.
        """
        now = self._market.clock.now_utc()
        try:
            stated = chart["meta"]
            if (stated["symbol"], stated["currency"]) != (ticker, "USD"):
                raise MalformedData(
                    f"Yahoo: {ticker} in USD was asked for, {stated['symbol']!r} in {stated['currency']!r} answered; "
                    "correct the ticker, or use another source"
                )
            until = min(now, datetime.fromtimestamp(float(stated["regularMarketTime"]), UTC))
            bars = _bars(symbol, chart, now)
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise MalformedData(
                f"Yahoo: minutes of {ticker}: a chart that cannot be read ({type(error).__name__}); use another source"
            ) from error
        hours = self._market.hours
        for bar in bars:
            if hours.opens_utc < bar.closes_at_utc <= min(until, hours.closes_utc):
                self._market.take_minute(bar)
        self._market.settle(symbol, (hours.opens_utc, until))


def _bars(symbol: str, chart: Mapping[str, Any], now_utc: datetime) -> list[LiveMinute]:
    """Return the whole minutes of a chart that had a trade; prices are single-precision numbers."""
    quote = chart["indicators"]["quote"][0]
    found = []
    for place, stamp in enumerate(chart.get("timestamp") or ()):
        numbers = [quote[name][place] for name in _PRICES]
        volume = quote["volume"][place]
        if stamp % 60 or not volume or None in numbers:
            continue
        single = np.array(numbers, dtype=np.float64)
        opened, high, low, close = shortest_decimal(single, np.abs(single) * PRICE_RESOLUTION).tolist()
        found.append(
            LiveMinute(
                symbol=symbol,
                closes_at_utc=datetime.fromtimestamp(stamp, UTC) + _MINUTE,
                open_usd=opened,
                high_usd=high,
                low_usd=low,
                close_usd=close,
                volume_shares=float(volume),
                heard_at_utc=now_utc,
                origin=MinuteOrigin.UPDATE,  # every answer repeats the session's minutes, in their last version
            )
        )
    return found


def _shares(lots: object) -> float | None:
    return None if lots is None else float(str(lots)) * _ROUND_LOT_SHARES


class _UntilStopped:
    """The machine's monotonic clock, whose pauses end when the source is closed."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def seconds(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds, or when the source is closed."""
        self._stop.wait(seconds)
