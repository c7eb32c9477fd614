"""The half of the port that is the same for every source: reading what is known.

Belongs here: delegation to the :class:`~aegis.live_data.live_market.LiveMarket` that a source fills.
"""

from __future__ import annotations

from aegis.execution.algorithms.observation import MarketObservation
from aegis.live_data.feed_health import FeedHealth
from aegis.live_data.live_market import LiveMarket
from aegis.live_data.messages import LiveMinute, LiveQuote, LiveTrade


class MarketReadings:
    """Reads what a source has filled.

    Parameters
    ----------
    market : LiveMarket
        Filled by the source.
    """

    def __init__(self, market: LiveMarket) -> None:
        self._market = market

    def step(self) -> None:
        """Do nothing: the source has a thread of its own."""

    def observe(self, symbol: str) -> MarketObservation:
        """Return the last that is known of a symbol's market."""
        return self._market.observe(symbol)

    def quote(self, symbol: str) -> LiveQuote | None:
        """Return the newest quote that was believed."""
        return self._market.quote(symbol)

    def last_trade(self, symbol: str) -> LiveTrade | None:
        """Return the newest trade."""
        return self._market.last_trade(symbol)

    def minutes(self, symbol: str) -> tuple[LiveMinute, ...]:
        """Return the session's bars, ascending."""
        return self._market.minutes(symbol)

    def health(self) -> FeedHealth:
        """Return how the source is."""
        return self._market.health()
