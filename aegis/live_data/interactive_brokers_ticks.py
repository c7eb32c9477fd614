"""One stock as Interactive Brokers' ticks and bars tell it.

Belongs here: the two sides of a quote, which come one by one, and the minute that is not over yet. Requests and errors
are :mod:`aegis.live_data.interactive_brokers`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aegis.live_data.live_market import LiveMarket
from aegis.live_data.messages import LiveMinute, LiveQuote, MinuteOrigin, TradingHalt

BID_SIZE, BID, ASK, ASK_SIZE, HALTED = 0, 1, 2, 3, 49
"""Numbers of ticks; delayed ones have others, and are not read."""
_MINUTE = timedelta(minutes=1)
_SIDES = {BID: 0, ASK: 1, BID_SIZE: 0, ASK_SIZE: 1}


class StockTicks:
    """What was told of one stock over one connection; for the connection's thread.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    market : LiveMarket
        Where it goes.
    quote_unit_shares, volume_unit_shares : int
        What sizes of quotes, and volumes of bars, count.
    """

    def __init__(self, symbol: str, market: LiveMarket, *, quote_unit_shares: int, volume_unit_shares: int) -> None:
        self.symbol = symbol
        self.is_live = True
        self._market = market
        self._quote_unit = quote_unit_shares
        self._volume_unit = volume_unit_shares
        self._prices: list[float | None] = [None, None]
        self._sizes: list[float | None] = [None, None]
        self._forming: LiveMinute | None = None
        self._history_came = False

    def take_price(self, kind: int, price: float, size: float) -> None:
        """Take one side of the quote; a price of -1 says that there is none."""
        if kind in (BID, ASK):
            side = _SIDES[kind]
            self._prices[side] = price if price != -1.0 else None
            self._sizes[side] = size * self._quote_unit
            self._tell_quote()

    def take_size(self, kind: int, size: float) -> None:
        """Take the shares of one side; the quote is of now all the same."""
        if kind in (BID_SIZE, ASK_SIZE):
            self._sizes[_SIDES[kind]] = size * self._quote_unit
            self._tell_quote()

    def take_halt(self, value: float) -> None:
        """Take whether it is halted: 0 no, 1 yes, 2 for its volatility; below 0 nothing is known."""
        if value >= 0.0:
            now = self._market.clock.now_utc()
            reasons = {0.0: "trades", 2.0: "volatility"}
            halt = TradingHalt(
                symbol=self.symbol,
                is_halted=value != 0.0,
                reason=reasons.get(value, "halted"),
                told_at_utc=now,
                heard_at_utc=now,
            )
            self._market.take_halt(halt)

    def take_bar(self, bar: Any, *, is_update: bool) -> None:
        """Take a bar; the newest one is told again and again until its minute is over.

        Raises
        ------
        ValueError
            It is not one.
        """
        opens_at = datetime.fromtimestamp(int(bar.date), UTC)
        forming, self._forming = self._forming, None
        if forming is not None and forming.closes_at_utc <= opens_at:
            self._market.take_minute(forming)
        if is_update and self._history_came:
            self._market.settle(self.symbol, (self._market.hours.opens_utc, opens_at))
        if opens_at < self._market.hours.opens_utc or float(bar.volume) <= 0.0:
            return  # of the session before, or without a trade
        self._forming = LiveMinute(
            symbol=self.symbol,
            closes_at_utc=opens_at + _MINUTE,
            open_usd=float(bar.open),
            high_usd=float(bar.high),
            low_usd=float(bar.low),
            close_usd=float(bar.close),
            volume_shares=float(bar.volume) * self._volume_unit,
            trades=int(bar.barCount),
            heard_at_utc=self._market.clock.now_utc(),
            origin=MinuteOrigin.UPDATE,  # every answer repeats the session's bars, in their last version
        )

    def end_bars(self, grace: timedelta) -> None:
        """Take that the session's bars until now were told."""
        self._history_came = True
        self.finish(grace)
        ended = self._market.clock.now_utc().replace(second=0, microsecond=0)
        if self._forming is not None:
            ended = min(ended, self._forming.closes_at_utc - _MINUTE)
        self._market.settle(self.symbol, (self._market.hours.opens_utc, ended))

    def finish(self, grace: timedelta) -> None:
        """Take the newest bar as whole when its minute has been over for a while."""
        if self._forming is not None and self._forming.closes_at_utc + grace <= self._market.clock.now_utc():
            whole, self._forming = self._forming, None
            self._market.take_minute(whole)

    def _tell_quote(self) -> None:
        bid, ask = self._prices
        if bid is None or ask is None or not self.is_live:
            return
        now = self._market.clock.now_utc()
        self._market.take_quote(
            LiveQuote(
                symbol=self.symbol,
                bid_usd=bid,
                ask_usd=ask,
                bid_shares=self._sizes[0],
                ask_shares=self._sizes[1],
                quoted_at_utc=now,
                heard_at_utc=now,
            )
        )
