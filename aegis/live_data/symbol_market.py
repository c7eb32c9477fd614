"""What is known of one symbol: quote, last trade, minutes, whether it is halted, and since when it is heard.

Belongs here: one symbol's state and what each message does to it. Locks, listeners and the other symbols are
:mod:`aegis.live_data.live_market`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from aegis.config_live_data import LiveDataSettings
from aegis.execution.algorithms.observation import MarketObservation
from aegis.live_data.feed_health import Counted, SymbolHealth
from aegis.live_data.messages import LiveMinute, LiveQuote, LiveTrade, TradingHalt
from aegis.live_data.quote_checks import FAULTS, judge_quote
from aegis.live_data.session_minutes import SessionMinutes, Span

_REMEMBERED_TRADES = 256
_REMEMBERED_MINUTES = 4
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class SessionHours:
    """A session's own hours, aware UTC."""

    opens_utc: datetime
    closes_utc: datetime


class SymbolMarket:
    """One symbol; not for several threads.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    hours : SessionHours
        Of the session that is open or was last.
    settings : LiveDataSettings
        What is believed.
    """

    def __init__(self, symbol: str, hours: SessionHours, settings: LiveDataSettings) -> None:
        self.symbol = symbol
        self.problem = ""
        self.is_halted = False
        self.quote: LiveQuote | None = None
        self.trade: LiveTrade | None = None
        self.minutes = SessionMinutes(hours.opens_utc, hours.closes_utc)
        self._settings = settings
        self._doubted: LiveQuote | None = None
        self._heard_at: datetime | None = None
        self._listening_since: datetime | None = None
        self._refused_quotes = 0
        self._trade_ids: deque[str] = deque(maxlen=_REMEMBERED_TRADES)
        self._trades_in: dict[datetime, int] = {}

    def begin_session(self, hours: SessionHours) -> None:
        """Forget the minutes of the session before."""
        self.minutes = SessionMinutes(hours.opens_utc, hours.closes_utc)
        self._trades_in.clear()

    def listen(self, at_utc: datetime) -> None:
        """Take note that from now on whatever happens is heard."""
        if self._listening_since is None:
            self._listening_since = at_utc

    def lose(self, heard_until_utc: datetime) -> None:
        """Take note that nothing after an instant was heard, until :meth:`listen` again."""
        self.settle(heard_until_utc)
        self._listening_since = None

    def settle(self, heard_until_utc: datetime) -> None:
        """Take it that minutes of which nothing came, although everything was heard, had no trade."""
        if self._listening_since is not None:
            grace = timedelta(seconds=self._settings.minute_grace_seconds)
            self.minutes.settle(self._listening_since, heard_until_utc - grace)

    def take_quote(self, quote: LiveQuote) -> tuple[Counted, LiveQuote | None]:
        """Return what a quote counts as, and the one that counts from now on where that changed."""
        self._heard_at = quote.heard_at_utc
        verdict = judge_quote(quote, self.quote, self._doubted, self._settings)
        self._doubted = verdict.doubted
        if verdict.counted in FAULTS:
            self._refused_quotes += 1
        if verdict.believed is not None:
            self.quote = verdict.believed
        return verdict.counted, verdict.believed

    def take_trade(self, trade: LiveTrade) -> Counted:
        """Return what a trade counts as."""
        self._heard_at = trade.heard_at_utc
        if trade.trade_id and trade.trade_id in self._trade_ids:
            return Counted.DUPLICATES
        self._trade_ids.append(trade.trade_id)
        ends = _end_of_minute(trade.traded_at_utc)
        self._trades_in[ends] = self._trades_in.get(ends, 0) + 1
        while len(self._trades_in) > _REMEMBERED_MINUTES:
            del self._trades_in[min(self._trades_in)]
        if self.trade is not None and trade.traded_at_utc < self.trade.traded_at_utc:
            return Counted.OUT_OF_ORDER
        self.trade = trade
        return Counted.TRADES

    def correct_trade(self, trade_id: str, corrected: LiveTrade | None) -> Counted:
        """Put another trade in the place of one that was told, or nothing; its minute is told again by the vendor."""
        if self.trade is not None and self.trade.trade_id == trade_id:
            self.trade = corrected
        return Counted.CANCELLED if corrected is None else Counted.CORRECTED

    def take_minute(self, minute: LiveMinute) -> tuple[Counted, int]:
        """Return what a bar counts as, and how many of its trades were not told although trades are."""
        self._heard_at = minute.heard_at_utc
        counted = self.minutes.take(minute)
        begins, told = minute.closes_at_utc - _MINUTE, self._trades_in.get(minute.closes_at_utc)
        was_heard = self._listening_since is not None and self._listening_since <= begins
        if counted is not Counted.MINUTES or minute.trades is None or told is None or not was_heard:
            return counted, 0
        return counted, max(0, minute.trades - told)

    def take_halt(self, halt: TradingHalt) -> bool:
        """Return whether a halt or resumption is news."""
        self._heard_at = halt.heard_at_utc
        is_news = self.is_halted != halt.is_halted
        self.is_halted = halt.is_halted
        return is_news

    def fill(self, span: Span) -> int:
        """Take it that all bars of a span came, and return how many minutes it has."""
        self.minutes.settle(*span)
        return round((span[1] - span[0]) / _MINUTE)

    def observe(self) -> MarketObservation:
        """Return what an algorithm may know; a halted symbol is not quoted."""
        quote = None if self.is_halted else self.quote
        volume, until = self.minutes.known()
        return MarketObservation(
            bid_usd=None if quote is None else quote.bid_usd,
            ask_usd=None if quote is None else quote.ask_usd,
            quoted_at_utc=None if quote is None else quote.quoted_at_utc,
            volume_shares=volume,
            volume_at_utc=until,
        )

    def health(self, now_utc: datetime) -> SymbolHealth:
        """Return how it is."""
        until = now_utc - timedelta(seconds=self._settings.minute_grace_seconds)
        missing = self.minutes.missing(until)
        return SymbolHealth(
            symbol=self.symbol,
            problem=self.problem,
            is_halted=self.is_halted,
            quoted_at_utc=None if self.quote is None else self.quote.quoted_at_utc,
            heard_at_utc=self._heard_at,
            minutes_known_until_utc=self.minutes.known()[1],
            missing_minutes=sum(round((end - begin) / _MINUTE) for begin, end in missing),
            refused_quotes=self._refused_quotes,
        )


def _end_of_minute(instant_utc: datetime) -> datetime:
    """Return the end of the minute that an instant lies in, as vendors cut them: the start belongs to it."""
    return instant_utc.replace(second=0, microsecond=0) + _MINUTE
