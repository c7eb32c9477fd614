"""What a source tells of a market, with the vendor's time and the time at which it was heard.

Belongs here: the values. Which of them are believed is :mod:`aegis.live_data.quote_checks` and
:mod:`aegis.live_data.session_minutes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveQuote:
    """Best prices of a symbol.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    bid_usd, ask_usd : float
        USD per share.
    bid_shares, ask_shares : float, optional
        Shares offered at these prices; None where the source does not say.
    quoted_at_utc : datetime
        The vendor's time; aware. Never later than `heard_at_utc` once it was believed.
    heard_at_utc : datetime
        Ours; aware.
    """

    symbol: str
    bid_usd: float
    ask_usd: float
    bid_shares: float | None = None
    ask_shares: float | None = None
    quoted_at_utc: datetime
    heard_at_utc: datetime

    @property
    def middle_usd(self) -> float:
        """Halfway between the two."""
        return (self.bid_usd + self.ask_usd) / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTrade:
    """A trade; `trade_id` is empty where the vendor gives none."""

    symbol: str
    price_usd: float
    shares: float
    traded_at_utc: datetime
    heard_at_utc: datetime
    trade_id: str = ""


class MinuteOrigin(IntEnum):
    """How a minute came; a lower one never replaces a higher one."""

    STREAM = 0
    """Told when the minute ended."""
    UPDATE = 1
    """Told again because of late trades, or asked for afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveMinute:
    """A bar of one minute as traded, named by its end as in ``market_data/minute_bars``.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    closes_at_utc : datetime
        End of the minute; aware.
    open_usd, high_usd, low_usd, close_usd : float
        USD per share, as traded.
    volume_shares : float
        Shares traded in the minute.
    trades : int, optional
        How many trades it was; None where the vendor does not say.
    heard_at_utc : datetime
        Ours; aware.
    origin : MinuteOrigin
        How it came.
    """

    symbol: str
    closes_at_utc: datetime
    open_usd: float
    high_usd: float
    low_usd: float
    close_usd: float
    volume_shares: float
    trades: int | None = None
    heard_at_utc: datetime
    origin: MinuteOrigin = MinuteOrigin.STREAM

    def says_the_same(self, other: LiveMinute) -> bool:
        """Return whether the other bar has the same numbers."""
        return self._numbers() == other._numbers()

    def _numbers(self) -> tuple[object, ...]:
        prices = (self.open_usd, self.high_usd, self.low_usd, self.close_usd)
        return (self.symbol, self.closes_at_utc, *prices, self.volume_shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingHalt:
    """That a symbol's trading was halted, or goes on."""

    symbol: str
    is_halted: bool
    reason: str
    told_at_utc: datetime
    heard_at_utc: datetime
