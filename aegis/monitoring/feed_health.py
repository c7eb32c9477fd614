"""What a monitor asks of the sources of market data.

Belongs here: the port, and the live market data of this house behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from aegis.live_data.feed_health import FeedHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReading:
    """How one source of market data is.

    Parameters
    ----------
    source : str
        Its name.
    heard_at_utc : datetime or None
        When anything came from it last, aware UTC; None for never.
    problem : str
        What is wrong with it and what to do; empty where nothing is.
    counts : mapping of str to int
        What it counts: messages, gaps, refused quotes.
    """

    source: str
    heard_at_utc: datetime | None
    problem: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


class WatchedFeeds(Protocol):
    """Sources of market data that can say how they are."""

    def readings(self) -> Sequence[FeedReading]:
        """Return how each source is now; answered from memory."""
        ...


class Healthy(Protocol):
    """A source of live market data: :class:`~aegis.live_data.port.LiveMarketData`."""

    def health(self) -> FeedHealth:
        """Return how it is."""
        ...


class LiveDataFeeds:
    """Sources of live market data as a monitor reads them.

    Parameters
    ----------
    *sources : Healthy
        Each is asked at every reading, from memory.
    """

    def __init__(self, *sources: Healthy) -> None:
        self._sources = sources

    def readings(self) -> tuple[FeedReading, ...]:
        """Return how each source is now."""
        return tuple(_reading(source.health()) for source in self._sources)


def _reading(health: FeedHealth) -> FeedReading:
    heard = [symbol.heard_at_utc for symbol in health.symbols.values() if symbol.heard_at_utc is not None]
    if health.stream.silent_seconds is not None:
        heard.append(health.at_utc - timedelta(seconds=health.stream.silent_seconds))
    if not health.symbols:
        heard.append(health.at_utc)  # nothing was asked for, so nothing is missed
    troubled = sorted(f"{symbol.symbol}: {symbol.problem}" for symbol in health.symbols.values() if symbol.problem)
    broken = [] if health.stream.is_connected or not health.symbols else ["not connected"]
    return FeedReading(
        source=health.source,
        heard_at_utc=max(heard) if heard else None,
        problem="; ".join(said for said in (*broken, health.problem, *troubled) if said),
        counts={str(counted): number for counted, number in health.counts.items()},
    )
