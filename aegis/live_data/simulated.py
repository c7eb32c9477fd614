"""The simulated market as a feed: a session's minute bars, played by the clock.

Belongs here: what of a session is known at an instant. The bars are :mod:`aegis.live_data.session_history`. This is
what paper trading and replays of the past listen to.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import date, datetime, timedelta

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.config_live_data import LiveDataSettings
from aegis.errors import LakeError, MarketDataError
from aegis.execution.algorithms.observation import MarketObservation
from aegis.live_data.live_market import LiveMarket
from aegis.live_data.market_readings import MarketReadings
from aegis.live_data.messages import LiveMinute, LiveQuote, TradingHalt
from aegis.live_data.port import MarketListener
from aegis.live_data.session_history import PlayedSession, SessionHistory

SOURCE_NAME = "simulated"
_BASIS_POINT = 1e-4


class SimulatedMarketData(MarketReadings):
    """A simulated market, or a past session, at the pace of a clock.

    Parameters
    ----------
    history : SessionHistory
        Gives the minutes of each session.
    clock : Clock
        The machine's, or a simulation's.
    calendar : TradingCalendar
        Sessions and hours.
    settings : LiveDataSettings
        Half spread, and from when before the opening on there are quotes.
    listener : MarketListener, optional
        Told in the thread that steps.

    Notes
    -----
    At instant t the minutes that ended by t are known, and no others. The quote is the last close of them, plus and
    minus half a spread; before the first of a session, the close of the session before. It is a standing quote: it is
    of t itself from ``quotes_before_open_minutes`` before the opening until the close, and grows old after it. A symbol
    without a trade in the whole session is halted from the opening on, as a venue would say. There is no thread: what
    is known changes when :meth:`step`, :meth:`watch` or :meth:`observe` is called.
    """

    def __init__(
        self,
        history: SessionHistory,
        *,
        clock: Clock,
        calendar: TradingCalendar,
        settings: LiveDataSettings,
        listener: MarketListener | None = None,
    ) -> None:
        # These quotes are made here of bars that passed their checks: a minute that jumps did jump.
        believed = settings.model_copy(update={"max_jump_fraction": float("inf"), "minute_grace_seconds": 0.0})
        super().__init__(LiveMarket(SOURCE_NAME, clock=clock, calendar=calendar, settings=believed, listener=listener))
        self._history = history
        self._clock = clock
        self._calendar = calendar
        self._half_spread = settings.simulated.half_spread_bps * _BASIS_POINT
        self._early = timedelta(minutes=settings.simulated.quotes_before_open_minutes)
        self._lock = threading.RLock()
        self._session: date | None = None
        self._to_come: dict[str, deque[LiveMinute]] = {}
        self._last_usd: dict[str, float] = {}
        self._halted: set[str] = set()
        self._stepped_at: datetime | None = None
        self._is_closed = False

    def start(self) -> None:
        """Begin: the market is there from the first question on."""
        self._market.connected()

    def close(self) -> None:
        """Tell nothing any more."""
        with self._lock:
            if not self._is_closed:
                self._market.lost("closed")
            self._is_closed = True

    def watch(self, symbols: frozenset[str]) -> None:
        """Watch these symbols; what is known of new ones is told at once."""
        with self._lock:
            added, removed = self._market.watch(symbols)
            for symbol in removed:
                self._to_come.pop(symbol, None)
                self._last_usd.pop(symbol, None)
            self._halted -= removed
            if added and not self._is_closed:
                self._enter_session()
                self._load(added)
                self._play()

    def step(self) -> None:
        """Tell what has become known by the clock."""
        with self._lock:
            if not self._is_closed and self._stepped_at != self._clock.now_utc():
                if self._enter_session():
                    self._load(self._market.watched)
                self._play()

    def observe(self, symbol: str) -> MarketObservation:
        """Return what is known of a symbol at the clock's instant."""
        self.step()
        return super().observe(symbol)

    def _enter_session(self) -> bool:
        """Return whether another session has come than the one that is being played."""
        now = self._clock.now_utc()
        session = self._calendar.previous(now.date() + timedelta(days=2))
        while self._calendar.open_utc(session) - self._early > now:
            session = self._calendar.previous(session)
        if session == self._session:
            return False
        self._session = session
        self._to_come, self._last_usd, self._halted = {}, {}, set()
        return True

    def _load(self, symbols: frozenset[str]) -> None:
        """Read the session of these symbols; one of which nothing is known is told to have a problem."""
        if not symbols or self._session is None:
            return
        try:
            played = self._history.session(self._session, sorted(symbols))
        except (MarketDataError, LakeError) as error:
            self._market.refuse(symbols, str(error))
            return
        self._market.refuse(symbols & played.symbols, "")
        self._market.refuse(symbols - played.symbols, f"no bar of {self._session}; take it out of the orders")
        self._last_usd |= {name: usd for name, usd in played.closes_before_usd.items() if name in played.symbols}
        self._to_come |= _by_symbol(played, symbols)
        self._halted |= {symbol for symbol in symbols & played.symbols if not self._to_come[symbol]}

    def _play(self) -> None:
        now = self._stepped_at = self._clock.now_utc()
        assert self._session is not None  # noqa: S101 - entered before
        self._market.heard()
        opens, closes = self._calendar.open_utc(self._session), self._calendar.close_utc(self._session)
        for symbol in sorted(self._to_come):
            waiting = self._to_come[symbol]
            while waiting and waiting[0].closes_at_utc <= now:
                minute = waiting.popleft()
                self._last_usd[symbol] = minute.close_usd
                self._market.take_minute(minute)
            is_halted = symbol in self._halted and now >= opens
            self._market.take_halt(
                TradingHalt(
                    symbol=symbol,
                    is_halted=is_halted,
                    reason=f"does not trade on {self._session}" if is_halted else "trades",
                    told_at_utc=now,
                    heard_at_utc=now,
                )
            )
            if not is_halted and symbol in self._last_usd:
                self._market.take_quote(self._quote_of(symbol, quoted_at_utc=min(now, closes), heard_at_utc=now))
        for symbol in self._to_come:
            self._market.settle(symbol, (opens, min(max(now, opens), closes)))

    def _quote_of(self, symbol: str, *, quoted_at_utc: datetime, heard_at_utc: datetime) -> LiveQuote:
        last = self._last_usd[symbol]
        return LiveQuote(
            symbol=symbol,
            bid_usd=last * (1.0 - self._half_spread),
            ask_usd=last * (1.0 + self._half_spread),
            quoted_at_utc=quoted_at_utc,
            heard_at_utc=heard_at_utc,
        )


def _by_symbol(played: PlayedSession, symbols: frozenset[str]) -> dict[str, deque[LiveMinute]]:
    rows = played.minutes.sort_values("closes_at_utc", kind="stable")
    found: dict[str, deque[LiveMinute]] = {symbol: deque() for symbol in symbols & played.symbols}
    columns = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares")
    numbers = zip(*(rows[name].tolist() for name in columns), strict=True)
    for symbol, stamp, values in zip(rows["symbol"], rows["closes_at_utc"], numbers, strict=True):
        if symbol in found:
            closes_at = stamp.to_pydatetime()
            opened, high, low, close, volume = values
            found[symbol].append(
                LiveMinute(
                    symbol=symbol,
                    closes_at_utc=closes_at,
                    open_usd=opened,
                    high_usd=high,
                    low_usd=low,
                    close_usd=close,
                    volume_shares=volume,
                    heard_at_utc=closes_at,
                )
            )
    return found
