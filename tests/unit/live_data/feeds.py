"""A live market of two symbols on a clock that tests move, messages for it, and a listener that writes down."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config_live_data import LiveDataSettings
from aegis.live_data.live_market import LiveMarket
from aegis.live_data.messages import LiveMinute, LiveQuote, LiveTrade, TradingHalt

CALENDAR = trading_calendar("XNYS")
OPENS = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)
NOW = datetime(2014, 6, 6, 15, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class WrittenDown:
    """A listener that keeps all that it is told."""

    def __init__(self) -> None:
        self.quotes: list[LiveQuote] = []
        self.halts: list[TradingHalt] = []
        self.minutes: list[LiveMinute] = []

    def on_quote(self, quote: LiveQuote) -> None:
        self.quotes.append(quote)

    def on_halt(self, halt: TradingHalt) -> None:
        self.halts.append(halt)

    def on_minute(self, minute: LiveMinute) -> None:
        self.minutes.append(minute)


class Market:
    """ABC and XYZ are watched and listened to since `at_utc`."""

    def __init__(self, at_utc: datetime = NOW, **settings: Any) -> None:
        self.clock = SimulatedClock(at_utc)
        self.listener = WrittenDown()
        self.settings = LiveDataSettings.model_validate(settings)
        self.market = LiveMarket(
            "trial", clock=self.clock, calendar=CALENDAR, settings=self.settings, listener=self.listener
        )
        self.market.watch(frozenset({"ABC", "XYZ"}))
        self.market.connected()
        self.market.begin(["ABC", "XYZ"])

    def after(self, seconds: float) -> Market:
        """Let time pass."""
        self.clock.advance_to(self.clock.now_utc() + timedelta(seconds=seconds))
        return self

    def quote(self, bid: float = 19.99, ask: float = 20.01, *, age_seconds: float = 0.0, symbol: str = "ABC") -> None:
        """Tell a quote of so long ago."""
        now = self.clock.now_utc()
        said = now - timedelta(seconds=age_seconds)
        self.market.take_quote(LiveQuote(symbol=symbol, bid_usd=bid, ask_usd=ask, quoted_at_utc=said, heard_at_utc=now))

    def trade(self, price: float, trade_id: str, *, at_utc: datetime | None = None) -> None:
        now = self.clock.now_utc()
        self.market.take_trade(
            LiveTrade(
                symbol="ABC", price_usd=price, shares=100, traded_at_utc=at_utc or now, heard_at_utc=now,
                trade_id=trade_id,
            )
        )  # fmt: skip

    def count(self, what: str) -> int:
        return self.market.health().counts.get(what, 0)  # type: ignore[call-overload]


def minute_of(number: int, volume: float = 100.0, *, symbol: str = "ABC", **terms: Any) -> LiveMinute:
    """Return the bar of the session's minute number `number`, the first is 1."""
    given: dict[str, Any] = {
        "symbol": symbol, "closes_at_utc": OPENS + number * MINUTE, "open_usd": 20.0, "high_usd": 20.5,
        "low_usd": 19.5, "close_usd": 20.25, "volume_shares": volume, "heard_at_utc": OPENS + number * MINUTE,
    }  # fmt: skip
    return LiveMinute(**{**given, **terms})


def halt_of(*, is_halted: bool, symbol: str = "ABC") -> TradingHalt:
    return TradingHalt(symbol=symbol, is_halted=is_halted, reason="news", told_at_utc=NOW, heard_at_utc=NOW)


class Refuses(WrittenDown):
    """A listener that raises what a test wants."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        super().__init__()
        self._error = error

    def on_quote(self, _: LiveQuote) -> None:
        raise self._error()
