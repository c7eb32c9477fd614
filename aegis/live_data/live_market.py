"""All symbols that are watched, filled by a source's thread and read by the trader's.

Belongs here: locks, who is told, what is counted, and the session that minutes count to. One symbol's state is
:mod:`aegis.live_data.symbol_market`; how messages come is each source's business.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config_live_data import LiveDataSettings
from aegis.errors import AegisError
from aegis.execution.algorithms.observation import NOTHING_OBSERVED, MarketObservation
from aegis.execution.brokers.stream_health import StreamHealth
from aegis.live_data.feed_health import Counted, FeedHealth
from aegis.live_data.messages import LiveMinute, LiveQuote, LiveTrade, TradingHalt
from aegis.live_data.port import MarketListener
from aegis.live_data.session_minutes import Span
from aegis.live_data.symbol_market import SessionHours, SymbolMarket

_MEASURED_DELAYS = 256
_TOLD = (Counted.MINUTES, Counted.LATE_MINUTES, Counted.CORRECTED)


class LiveMarket:
    """What is known of the symbols that are watched; any thread may use it.

    Parameters
    ----------
    source : str
        Its name, for :meth:`health`.
    clock : Clock
        Ours.
    calendar : TradingCalendar
        Whose sessions minutes count to.
    settings : LiveDataSettings
        What is believed.
    listener : MarketListener, optional
        Told of what was believed.

    Notes
    -----
    Memory is bounded: one session's minutes, a few hundred trade ids and one quote for each symbol that is watched.
    """

    def __init__(
        self,
        source: str,
        *,
        clock: Clock,
        calendar: TradingCalendar,
        settings: LiveDataSettings,
        listener: MarketListener | None = None,
    ) -> None:
        self.clock = clock
        self._source = source
        self._calendar = calendar
        self._settings = settings
        self._listener = listener
        self._telling = threading.RLock()
        self._lock = threading.RLock()
        self._symbols: dict[str, SymbolMarket] = {}
        self._counts: Counter[Counted] = Counter()
        self._delays: deque[float] = deque(maxlen=_MEASURED_DELAYS)
        self._problem = ""
        self._refused_by_listener = ""
        self._note = ""
        self._heard_at: datetime | None = None
        self._connections = 0
        self._is_connected = False
        self._hours, self._next_opening = self._session_at(clock.now_utc())

    @property
    def hours(self) -> SessionHours:
        """Hours of the session that is open or was last."""
        with self._lock:
            self._begin_session()
            return self._hours

    @property
    def is_open(self) -> bool:
        """Whether a session is open now."""
        return self.hours.opens_utc <= self.clock.now_utc() < self.hours.closes_utc

    def watch(self, symbols: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Watch these symbols and no others; return which are new and which were let go of."""
        with self._lock:
            self._begin_session()
            added, removed = symbols - self._symbols.keys(), self._symbols.keys() - symbols
            for symbol in removed:
                del self._symbols[symbol]
            for symbol in sorted(added):
                self._symbols[symbol] = SymbolMarket(symbol, self._hours, self._settings)
            return added, frozenset(removed)

    @property
    def watched(self) -> frozenset[str]:
        """The symbols that are watched."""
        with self._lock:
            return frozenset(self._symbols)

    def begin(self, symbols: Iterable[str]) -> None:
        """Take note that what happens to these symbols is heard from now on."""
        now = self.clock.now_utc()
        with self._lock:
            for symbol in symbols:
                if (market := self._symbols.get(symbol)) is not None:
                    market.listen(now)
                    market.problem = ""

    def refuse(self, symbols: Iterable[str], problem: str) -> None:
        """Take note of why nothing is heard of these symbols; the others go on."""
        with self._lock:
            for symbol in symbols:
                if (market := self._symbols.get(symbol)) is not None:
                    market.problem = problem

    def connected(self) -> None:
        """Take note that the source answers."""
        with self._lock:
            self._connections += 1
            self._is_connected, self._problem = True, ""
            self._heard_at = self.clock.now_utc()

    def heard(self) -> None:
        """Take note of a message of any kind."""
        with self._lock:
            self._heard_at = self.clock.now_utc()

    def lost(self, problem: str) -> None:
        """Take note that the source does not answer any more, and that what happens until it does is missed."""
        with self._lock:
            self._problem = problem
            if self._is_connected and self._heard_at is not None:
                for market in self._symbols.values():
                    market.lose(self._heard_at)
            self._is_connected = False

    def note(self, problem: str) -> None:
        """Take note of what stands besides the connection, or that it is over."""
        with self._lock:
            self._note = problem

    @property
    def noted(self) -> str:
        """What :meth:`note` was told last."""
        with self._lock:
            return self._note

    def count(self, what: Counted, number: int = 1) -> None:
        """Count messages that no symbol is told of."""
        if number:
            with self._lock:
                self._counts[what] += number

    def take_quote(self, quote: LiveQuote) -> None:
        """Take a quote, and tell it where it is believed."""
        with self._telling:
            with self._lock:
                # A source without times of its own states the time at which it was heard, which measures nothing.
                said_at = None if quote.quoted_at_utc == quote.heard_at_utc else quote.quoted_at_utc
                market = self._of(quote.symbol, said_at)
                if market is None:
                    return
                counted, believed = market.take_quote(quote)
                self._counts[counted] += 1
            if believed is not None:
                self._tell(lambda listener: listener.on_quote(believed))

    def take_trade(self, trade: LiveTrade) -> None:
        """Take a trade."""
        with self._lock:
            market = self._of(trade.symbol, trade.traded_at_utc)
            if market is not None:
                self._counts[market.take_trade(trade)] += 1

    def correct_trade(self, symbol: str, trade_id: str, corrected: LiveTrade | None) -> None:
        """Take a trade's correction, or its cancellation."""
        with self._lock:
            market = self._of(symbol, None)
            if market is not None:
                self._counts[market.correct_trade(trade_id, corrected)] += 1

    def take_minute(self, minute: LiveMinute) -> None:
        """Take a bar, and tell it where it changes what is known."""
        with self._telling:
            with self._lock:
                market = self._of(minute.symbol, None)
                if market is None:
                    return
                counted, missed = market.take_minute(minute)
                self._counts[counted] += 1
                if missed:
                    self._counts[Counted.MISSED_TRADES] += missed
            if counted in _TOLD:
                self._tell(lambda listener: listener.on_minute(minute))

    def take_halt(self, halt: TradingHalt) -> None:
        """Take that a symbol was halted or trades again, and tell it where that is news."""
        with self._telling:
            with self._lock:
                market = self._of(halt.symbol, None)
                if market is None:
                    return
                is_news = market.take_halt(halt)
                self._counts[Counted.HALTS] += int(is_news)
            if is_news:
                self._tell(lambda listener: listener.on_halt(halt))

    def missing(self) -> dict[str, list[Span]]:
        """Return, for symbols that have any, the minutes that are over and that nobody knows."""
        with self._lock:
            self._settle()
            until = self.clock.now_utc() - timedelta(seconds=self._settings.minute_grace_seconds)
            found = {symbol: market.minutes.missing(until) for symbol, market in sorted(self._symbols.items())}
            return {symbol: spans for symbol, spans in found.items() if spans}

    def fill(self, symbol: str, span: Span, minutes: Iterable[LiveMinute]) -> None:
        """Take the bars of minutes that were missed; a minute of the span without one had no trade."""
        for minute in minutes:
            self.take_minute(minute)
        with self._lock:
            if (market := self._symbols.get(symbol)) is not None:
                self._counts[Counted.FILLED_MINUTES] += market.fill(span)

    def settle(self, symbol: str, span: Span) -> None:
        """Take it that all bars of a span came, as a source knows that tells each minute on time or asks for all."""
        with self._lock:
            if (market := self._symbols.get(symbol)) is not None:
                market.fill(span)

    def observe(self, symbol: str) -> MarketObservation:
        """Return what is known of a symbol; nothing of one that is not watched."""
        with self._lock:
            self._settle()
            market = self._symbols.get(symbol)
            return NOTHING_OBSERVED if market is None else market.observe()

    def quote(self, symbol: str) -> LiveQuote | None:
        """Return the newest quote that was believed."""
        with self._lock:
            market = self._symbols.get(symbol)
            return None if market is None else market.quote

    def last_trade(self, symbol: str) -> LiveTrade | None:
        """Return the newest trade."""
        with self._lock:
            market = self._symbols.get(symbol)
            return None if market is None else market.trade

    def minutes(self, symbol: str) -> tuple[LiveMinute, ...]:
        """Return the session's bars, ascending."""
        with self._lock:
            self._begin_session()
            market = self._symbols.get(symbol)
            return () if market is None else market.minutes.bars()

    def silence(self) -> timedelta:
        """Return for how long no message of any kind came; endless before the first."""
        with self._lock:
            return timedelta.max if self._heard_at is None else self.clock.now_utc() - self._heard_at

    def health(self) -> FeedHealth:
        """Return how the source is."""
        now = self.clock.now_utc()
        with self._lock:
            self._settle()
            silent = None if self._heard_at is None else (now - self._heard_at).total_seconds()
            return FeedHealth(
                source=self._source,
                at_utc=now,
                stream=StreamHealth(self._is_connected, self._connections, silent),
                problem=self._problem or self._note or self._refused_by_listener,
                least_delay_seconds=min(self._delays, default=None),
                counts=dict(self._counts),
                symbols={symbol: market.health(now) for symbol, market in sorted(self._symbols.items())},
            )

    def _of(self, symbol: str, told_at_utc: datetime | None) -> SymbolMarket | None:
        """Return the symbol's state, and measure how late the message is; the caller holds the lock."""
        now = self._heard_at = self.clock.now_utc()
        if told_at_utc is not None:
            self._delays.append((now - told_at_utc).total_seconds())
        self._begin_session()
        market = self._symbols.get(symbol)
        if market is None:
            self._counts[Counted.NOT_ASKED_FOR] += 1
        return market

    def _settle(self) -> None:
        self._begin_session()
        if self._is_connected and self._heard_at is not None:
            for market in self._symbols.values():
                market.settle(min(self._heard_at, self.clock.now_utc()))

    def _begin_session(self) -> None:
        now = self.clock.now_utc()
        if now < self._next_opening:
            return
        self._hours, self._next_opening = self._session_at(now)
        for market in self._symbols.values():
            market.begin_session(self._hours)

    def _session_at(self, now_utc: datetime) -> tuple[SessionHours, datetime]:
        """Return the hours of the session that is open or was last, and when the next one opens."""
        calendar = self._calendar
        session = calendar.previous(now_utc.date() + timedelta(days=2))
        while calendar.open_utc(session) > now_utc:
            session = calendar.previous(session)
        hours = SessionHours(calendar.open_utc(session), calendar.close_utc(session))
        return hours, calendar.open_utc(calendar.next(session))

    def _tell(self, tell: Callable[[MarketListener], None]) -> None:
        if self._listener is None:
            return
        try:
            tell(self._listener)
            self._refused_by_listener = ""
        except AegisError as error:
            with self._lock:
                self._counts[Counted.LISTENER_FAILED] += 1
                self._refused_by_listener = f"a listener refused a message: {error}"
