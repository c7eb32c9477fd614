"""What a message of Alpaca's stock stream means for the market.

Belongs here: quotes, trades, corrections, bars and trading statuses, from Alpaca's letters to our values. What is said
of the connection and the subscription is :mod:`aegis.live_data.alpaca_stream`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from aegis.live_data.feed_health import Counted
from aegis.live_data.live_market import LiveMarket
from aegis.live_data.messages import LiveMinute, LiveQuote, LiveTrade, MinuteOrigin, TradingHalt
from aegis.live_data.ticker_names import TickerNames

Json = Mapping[str, Any]

_MINUTE = timedelta(minutes=1)
_HALTED = frozenset({"2", "H", "P"})
"""Tapes A and B: trading halt. Tape C: halted, volatility trading pause."""
_TRADES_AGAIN = frozenset({"3", "T"})
"""Tapes A and B: resume. Tape C: trading resumption; quotes resume before it, with Q."""


class AlpacaMessages:
    """Takes messages about symbols.

    Parameters
    ----------
    market : LiveMarket
        Where they go.
    names : TickerNames
        Whom Alpaca means.
    quote_unit_shares : int
        What sizes of quotes count.
    """

    def __init__(self, market: LiveMarket, names: TickerNames, *, quote_unit_shares: int) -> None:
        self._market = market
        self._names = names
        self._unit = quote_unit_shares
        self._takers: Mapping[str, Callable[[str, Json], None]] = {
            "q": self._quote,
            "t": self._trade,
            "c": self._correction,
            "x": self._cancellation,
            "b": self._bar,
            "u": self._updated_bar,
            "s": self._status,
        }

    def take(self, message: Json) -> None:
        """Take a message; one of another kind, such as a daily bar or a price band, changes nothing."""
        taker = self._takers.get(message.get("T", ""))
        if taker is None:
            return
        symbol = self._names.symbol_of(message.get("S"))
        if symbol is None:
            self._market.count(Counted.NOT_ASKED_FOR)
            return
        try:
            taker(symbol, message)
        except (KeyError, TypeError, ValueError, OverflowError):
            self._market.count(Counted.UNREADABLE)

    def _quote(self, symbol: str, message: Json) -> None:
        self._market.take_quote(
            LiveQuote(
                symbol=symbol,
                bid_usd=float(message["bp"]),
                ask_usd=float(message["ap"]),
                bid_shares=float(message["bs"]) * self._unit,
                ask_shares=float(message["as"]) * self._unit,
                quoted_at_utc=instant(message["t"]),
                heard_at_utc=self._market.clock.now_utc(),
            )
        )

    def _trade(self, symbol: str, message: Json) -> None:
        self._market.take_trade(self._trade_of(symbol, message, price="p", shares="s", name="i"))

    def _correction(self, symbol: str, message: Json) -> None:
        corrected = self._trade_of(symbol, message, price="cp", shares="cs", name="ci")
        self._market.correct_trade(symbol, str(message["oi"]), corrected)

    def _cancellation(self, symbol: str, message: Json) -> None:
        self._market.correct_trade(symbol, str(message["i"]), None)

    def _trade_of(self, symbol: str, message: Json, *, price: str, shares: str, name: str) -> LiveTrade:
        return LiveTrade(
            symbol=symbol,
            price_usd=float(message[price]),
            shares=float(message[shares]),
            traded_at_utc=instant(message["t"]),
            heard_at_utc=self._market.clock.now_utc(),
            trade_id=str(message[name]),
        )

    def _bar(self, symbol: str, message: Json) -> None:
        self._market.take_minute(minute_of(symbol, message, MinuteOrigin.STREAM, self._market.clock.now_utc()))

    def _updated_bar(self, symbol: str, message: Json) -> None:
        self._market.take_minute(minute_of(symbol, message, MinuteOrigin.UPDATE, self._market.clock.now_utc()))

    def _status(self, symbol: str, message: Json) -> None:
        code = str(message["sc"])
        if code not in _HALTED | _TRADES_AGAIN:
            return
        words = (message.get(name) for name in ("sm", "rc", "rm"))
        self._market.take_halt(
            TradingHalt(
                symbol=symbol,
                is_halted=code in _HALTED,
                reason=", ".join(str(word) for word in words if word),
                told_at_utc=instant(message["t"]),
                heard_at_utc=self._market.clock.now_utc(),
            )
        )


def minute_of(symbol: str, bar: Json, origin: MinuteOrigin, heard_at_utc: datetime) -> LiveMinute:
    """Return a bar of the stream or of the history; Alpaca names it by its opening.

    Raises
    ------
    KeyError, TypeError, ValueError
        It is not as documented.
    """
    trades = bar.get("n")
    return LiveMinute(
        symbol=symbol,
        closes_at_utc=instant(bar["t"]) + _MINUTE,
        open_usd=float(bar["o"]),
        high_usd=float(bar["h"]),
        low_usd=float(bar["l"]),
        close_usd=float(bar["c"]),
        volume_shares=float(bar["v"]),
        trades=None if trades is None else int(trades),
        heard_at_utc=heard_at_utc,
        origin=origin,
    )


def instant(text: object) -> datetime:
    """Return a time such as ``2021-02-22T15:51:44.208123456Z``, aware, cut to microseconds.

    Raises
    ------
    ValueError
        It has another form, or no time zone.
    """
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return found
