"""The port to live market data. The trader reads it; what stands behind it is a vendor's stream or a simulated market.

Belongs here: the protocols. Each source is a module of its own beside this one.
"""

from __future__ import annotations

from typing import Protocol

from aegis.execution.algorithms.observation import MarketObservation
from aegis.live_data.feed_health import FeedHealth
from aegis.live_data.messages import LiveMinute, LiveQuote, LiveTrade, TradingHalt


class MarketFeed(Protocol):
    """What is known of markets now."""

    def watch(self, symbols: frozenset[str]) -> None:
        """Say which permanent symbols are of interest; others may be forgotten."""
        ...

    def observe(self, symbol: str) -> MarketObservation:
        """Return the last that is known of a symbol's market."""
        ...


class MarketListener(Protocol):
    """Is told of each message that was believed, in the order in which it was heard.

    Notes
    -----
    Called in the source's thread, one message at a time, after the source itself has taken it. It has to return soon.
    An :class:`~aegis.errors.AegisError` is counted and told by :meth:`LiveMarketData.health`; any other exception is a
    fault of the program and ends the source, so that its quotes grow old and stop what needs them.
    """

    def on_quote(self, quote: LiveQuote) -> None:
        """Take a quote."""
        ...

    def on_halt(self, halt: TradingHalt) -> None:
        """Take that a symbol was halted, or trades again."""
        ...

    def on_minute(self, minute: LiveMinute) -> None:
        """Take a minute bar, or another version of one."""
        ...


class LiveMarketData(MarketFeed, Protocol):
    """A source of live data; every method may be called from any thread.

    Notes
    -----
    A source never raises because a vendor is silent, wrong or gone: it says so in :meth:`health`, tries again, and what
    it knows grows old. Whether something is too old for an order is decided where orders are, by the vendor's time.
    """

    def start(self) -> None:
        """Begin; returns at once.

        Raises
        ------
        ConfigurationError
            A key or setting is missing.
        """
        ...

    def step(self) -> None:
        """Take what has become known by the clock since the last step; sources with their own thread do nothing."""
        ...

    def quote(self, symbol: str) -> LiveQuote | None:
        """Return the newest quote that was believed; None before the first."""
        ...

    def last_trade(self, symbol: str) -> LiveTrade | None:
        """Return the newest trade, where the source tells of single trades."""
        ...

    def minutes(self, symbol: str) -> tuple[LiveMinute, ...]:
        """Return the bars of the session that is open or was last, ascending; a minute without a trade has none."""
        ...

    def health(self) -> FeedHealth:
        """Return how the source is."""
        ...

    def close(self) -> None:
        """Let go of connections and threads. Closing again does nothing."""
        ...
