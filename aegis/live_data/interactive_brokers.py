"""Interactive Brokers' live market data through TWS or IB Gateway.

Belongs here: which stocks are listened to over the connection of the moment, and what an error means for one of them.
The connection is that of the broker's orders, under another client id; ticks and bars are
:mod:`aegis.live_data.interactive_brokers_ticks`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config_brokers import InteractiveBrokersBrokerSettings
from aegis.config_live_data import LiveDataSettings
from aegis.config_vendors import InteractiveBrokersSettings
from aegis.execution.brokers.interactive_brokers_connection import InteractiveBrokersConnection
from aegis.execution.brokers.interactive_brokers_messages import GatewayRefused
from aegis.execution.brokers.interactive_brokers_reports import (
    GatewayExecution,
    GatewayOrder,
    GatewayRefusal,
    GatewayStatus,
)
from aegis.execution.brokers.interactive_brokers_terms import stock_terms
from aegis.live_data.feed_health import Counted
from aegis.live_data.interactive_brokers_messages import FARM_FOUND, MarketSession
from aegis.live_data.interactive_brokers_ticks import HALTED, StockTicks
from aegis.live_data.live_market import LiveMarket
from aegis.live_data.market_readings import MarketReadings
from aegis.live_data.port import MarketListener
from aegis.live_data.ticker_names import TickerNames

SOURCE_NAME = "interactive_brokers"
_LIVE = 1
_SUBSCRIBE = "subscribe to the market data in Interactive Brokers' account management"
_DELAYED = frozenset({10090, 10167})
"""What is told is delayed, in whole or in part."""
_REMEDIES = {
    200: "correct the ticker, or name where it is listed in market_data.interactive_brokers.primary_exchanges",
    354: _SUBSCRIBE,
    10089: _SUBSCRIBE,
    10090: f"delayed prices are not traded on; {_SUBSCRIBE}",
    10167: f"delayed prices are not traded on; {_SUBSCRIBE}",
    10168: _SUBSCRIBE,
    10197: "another session of this user takes the market data; log it off",
}


class InteractiveBrokersMarketData(MarketReadings):
    """Quotes, minutes and halts of Interactive Brokers.

    Parameters
    ----------
    vendor : InteractiveBrokersSettings
        Address, primary exchanges and the unit of volumes.
    clock : Clock
        The machine's.
    calendar : TradingCalendar
        Whose sessions minutes count to.
    ticker_of : callable
        From a permanent symbol to its ticker of today.
    settings : LiveDataSettings
        Client id, unit of sizes, silence, pauses, and what is believed.
    listener : MarketListener, optional
        Told in the connection's thread.
    look_seconds : float
        How often it looks for minutes that are over and for silence.

    Notes
    -----
    Thread ``interactive-brokers-market-data``. Ticks have no time of their own: a quote is of the instant at which a
    price or a size of it was heard. Only live data count: what the gateway says to be frozen or delayed is refused.
    Minute bars are asked for with those of the session until now at each subscription, so a gap is filled by the next.
    The gateway keeps 50 such requests at most.
    """

    def __init__(
        self,
        vendor: InteractiveBrokersSettings,
        *,
        clock: Clock,
        calendar: TradingCalendar,
        ticker_of: Callable[[str], str],
        settings: LiveDataSettings,
        listener: MarketListener | None = None,
        look_seconds: float = 1.0,
    ) -> None:
        super().__init__(LiveMarket(SOURCE_NAME, clock=clock, calendar=calendar, settings=settings, listener=listener))
        self._vendor = vendor
        self._settings = settings
        self._names = TickerNames(ticker_of)
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._wanted: dict[str, str] = {}
        self._requests: dict[str, tuple[int, int]] = {}
        self._stocks: dict[int, StockTicks] = {}
        self._again_at: dict[str, float] = {}
        self._asked_time_at = 0.0
        self._asking: asyncio.Task[Any] | None = None
        self._connection = InteractiveBrokersConnection(
            InteractiveBrokersBrokerSettings(
                host=vendor.host,
                port=vendor.port,
                client_id=settings.interactive_brokers.client_id,
                connect_timeout_seconds=settings.connect_timeout_seconds,
                answer_timeout_seconds=settings.heartbeat_seconds,
                reconnect_first_seconds=settings.reconnect_first_seconds,
                reconnect_longest_seconds=settings.reconnect_longest_seconds,
            ),
            sink=_Sink(self),
            admit=lambda _: None,
            on_connected=self._begin,
            on_lost=self._lose,
            session_type=MarketSession,
            thread_name="interactive-brokers-market-data",
        )

    def start(self) -> None:
        """Begin to connect."""
        self._connection.begin()
        self._connection.call_soon(self._look)

    def watch(self, symbols: frozenset[str]) -> None:
        """Listen to these symbols and no others."""
        added, removed = self._market.watch(symbols)
        self._names.remove(removed)
        for symbol, problem in self._names.add(added).items():
            self._market.refuse([symbol], problem)
        with self._lock:
            self._wanted = self._names.tickers()
        if added or removed:
            self._connection.call_soon(self._listen)

    def close(self) -> None:
        """End the connection and its thread."""
        self._connection.close()
        self._market.lost("closed")

    # In the connection's thread.

    def _begin(self) -> None:
        """Listen to everything anew: what was told before is lost."""
        session = self._connection.session
        for ticks, bars in self._requests.values():
            if isinstance(session, MarketSession):
                with contextlib.suppress(OSError):
                    session.stop_listening(ticks, bars)
        self._requests, self._stocks, self._again_at = {}, {}, {}
        self._market.note("")
        self._market.connected()
        self._listen()

    def _lose(self, problem: str) -> None:
        self._requests, self._stocks = {}, {}
        self._market.lost(f"Interactive Brokers: {problem}")

    def _listen(self) -> None:
        session = self._connection.session
        if not isinstance(session, MarketSession) or session.lost.done() or session.is_cut_off:
            return
        with self._lock:
            wanted = dict(self._wanted)
        with contextlib.suppress(OSError):  # the session's end is told, and begins anew
            for symbol in sorted(self._requests.keys() - wanted.keys()):
                self._drop(session, symbol)
            for symbol in sorted(wanted.keys() - self._requests.keys()):
                if self._again_at.get(symbol, 0.0) <= time.monotonic():
                    self._ask(session, symbol, wanted[symbol])

    def _ask(self, session: MarketSession, symbol: str, ticker: str) -> None:
        ticks, bars = session.take_number(), session.take_number()
        stock = StockTicks(
            symbol,
            self._market,
            quote_unit_shares=self._settings.interactive_brokers.quote_unit_shares,
            volume_unit_shares=self._vendor.volume_unit_shares,
        )
        self._requests[symbol] = ticks, bars
        self._stocks[ticks] = self._stocks[bars] = stock
        session.listen(ticks, bars, stock_terms(ticker, self._vendor.primary_exchanges))

    def _drop(self, session: MarketSession, symbol: str) -> None:
        ticks, bars = self._requests.pop(symbol)
        for number in (ticks, bars):
            self._stocks.pop(number, None)
        session.stop_listening(ticks, bars)

    def _look(self) -> None:
        """Do what is due, again and again."""
        self._connection.call_later(self._look_seconds, self._look)
        grace = timedelta(seconds=self._settings.minute_grace_seconds)
        for stock in set(self._stocks.values()):
            stock.finish(grace)
        self._listen()
        session = self._connection.session
        if session is None or session.lost.done():
            return
        limit = self._settings.silence_seconds
        if self._stocks and self._market.is_open and self._market.silence().total_seconds() > limit:
            session.lose(ConnectionError(f"no market data for {limit:g} s in an open session"))
        elif time.monotonic() - self._asked_time_at > self._settings.heartbeat_seconds:
            self._asked_time_at = time.monotonic()
            self._asking = asyncio.ensure_future(_heartbeat(session))

    def refuse(self, request_id: int, code: int, words: str) -> None:
        """Take an error about a request: its symbol has a problem, and is asked for again after a while."""
        stock = self._stocks.get(request_id)
        session = self._connection.session
        if stock is None or not isinstance(session, MarketSession):
            return
        remedy = _REMEDIES.get(code, "it is asked for again")
        self._market.refuse([stock.symbol], f"Interactive Brokers: error {code}: {words}; {remedy}")
        if code in _DELAYED:
            stock.is_live = False
            return
        self._again_at[stock.symbol] = time.monotonic() + self._settings.reconnect_longest_seconds
        with contextlib.suppress(OSError):
            self._drop(session, stock.symbol)

    def take_data_type(self, request_id: int, kind: int) -> None:
        """Take whether what is told of a request is live."""
        stock = self._stocks.get(request_id)
        if stock is not None:
            stock.is_live = kind == _LIVE
            name = {2: "frozen", 3: "delayed", 4: "delayed and frozen"}.get(kind, f"of type {kind}")
            said = f"Interactive Brokers: its data are {name}, which is not traded on; {_SUBSCRIBE}"
            self._market.refuse([stock.symbol], "" if stock.is_live else said)

    def take_farm(self, code: int, words: str) -> None:
        """Take that a farm was lost, or was found again: then everything is asked for anew."""
        if code not in FARM_FOUND:
            self._market.note(f"Interactive Brokers: {words}; wait until the gateway has it again")
        elif self._market.noted:
            self._begin()

    def take_cut_off(self, words: str) -> None:
        """Take that the gateway has lost Interactive Brokers."""
        self._market.lost(f"Interactive Brokers: {words}; wait until the gateway has it again")

    def stock(self, request_id: int) -> StockTicks | None:
        """Return the stock of a request, and note that something was heard."""
        self._market.heard()
        return self._stocks.get(request_id)

    def end_bars(self, request_id: int) -> None:
        """Take that the session's bars until now were told."""
        stock = self.stock(request_id)
        if stock is not None:
            stock.end_bars(timedelta(seconds=self._settings.minute_grace_seconds))

    def count_unreadable(self) -> None:
        """Count a message that cannot be read."""
        self._market.count(Counted.UNREADABLE)


async def _heartbeat(session: Any) -> None:
    """Ask for the time; silence ends the session."""
    with contextlib.suppress(OSError, TimeoutError, GatewayRefused):
        await session.time_utc()


class _Sink:
    """Hands on what is told of markets; this client id has no orders."""

    def __init__(self, feed: InteractiveBrokersMarketData) -> None:
        self._feed = feed

    def take_price(self, request_id: int, kind: int, price: float, size: float) -> None:
        """Take a price and the shares at it."""
        if (stock := self._feed.stock(request_id)) is not None:
            stock.take_price(kind, price, size)

    def take_size(self, request_id: int, kind: int, size: float) -> None:
        """Take a number of shares."""
        if (stock := self._feed.stock(request_id)) is not None:
            stock.take_size(kind, size)

    def take_number(self, request_id: int, kind: int, value: float) -> None:
        """Take whether a symbol is halted."""
        if (stock := self._feed.stock(request_id)) is not None and kind == HALTED:
            stock.take_halt(value)

    def take_data_type(self, request_id: int, kind: int) -> None:
        """Take how fresh data are."""
        self._feed.take_data_type(request_id, kind)

    def take_bar(self, request_id: int, bar: Any, *, is_update: bool) -> None:
        """Take a bar."""
        try:
            if (stock := self._feed.stock(request_id)) is not None:
                stock.take_bar(bar, is_update=is_update)
        except (ValueError, OverflowError):
            self._feed.count_unreadable()

    def take_bars_end(self, request_id: int) -> None:
        """Take the end of the bars."""
        self._feed.end_bars(request_id)

    def take_farm(self, code: int, words: str) -> None:
        """Take that a farm was lost or found."""
        self._feed.take_farm(code, words)

    def take_cut_off(self, words: str) -> None:
        """Take that the gateway has lost Interactive Brokers."""
        self._feed.take_cut_off(words)

    def take_refusal(self, refusal: GatewayRefusal) -> None:
        """Take an error that names a request."""
        if refusal.code in _DELAYED or not refusal.is_remark:
            self._feed.refuse(refusal.order_id, refusal.code, refusal.words)

    def take_order(self, _: GatewayOrder) -> None:
        """Do nothing."""

    def take_status(self, _: GatewayStatus) -> None:
        """Do nothing."""

    def take_execution(self, _: GatewayExecution) -> None:
        """Do nothing."""

    def take_commission(self, _execution_id: str, _amount: float, _currency: str) -> None:
        """Do nothing."""

    def take_time(self, _: datetime, /) -> None:
        """Do nothing: it has whole seconds only."""
