"""What a monitor asks of the sources of market data.

Belongs here: the port. Sources are no business of a monitor, so it imports none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


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


class FeedHealth(Protocol):
    """Sources of market data that can say how they are."""

    def readings(self) -> Sequence[FeedReading]:
        """Return how each source is now; answered from memory."""
        ...
