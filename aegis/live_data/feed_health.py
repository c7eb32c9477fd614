"""How a source of live data is, as a value for whoever watches it.

Belongs here: what is counted and what is told of the connection and of each symbol. Nothing here judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from aegis.execution.brokers.stream_health import StreamHealth


class Counted(StrEnum):
    """What is counted of messages since the start; a refused quote counts under its reason alone."""

    QUOTES = "quotes"
    TRADES = "trades"
    MINUTES = "minutes"
    HALTS = "halts and resumptions"
    DUPLICATES = "said twice"
    OUT_OF_ORDER = "older than what was known"
    LATE_MINUTES = "minutes after they counted as quiet"
    CORRECTED = "corrected"
    CANCELLED = "cancelled"
    MISSED_TRADES = "trades that a bar counts and nobody told"
    FILLED_MINUTES = "minutes that were not listened to and asked for"
    NOT_ASKED_FOR = "of symbols not watched"
    OUTSIDE_HOURS = "minutes outside the session"
    UNREADABLE = "that cannot be read"
    NO_NUMBER = "quotes whose prices are no numbers above 0"
    CROSSED = "crossed quotes"
    STUB = "quotes with an absurd spread"
    JUMP = "quotes that jump and were not said again"
    FUTURE = "quotes of the future"
    BAD_MINUTES = "minutes whose numbers cannot be"
    LISTENER_FAILED = "that a listener refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolHealth:
    """What is known of one symbol.

    Parameters
    ----------
    symbol : str
        Permanent symbol.
    problem : str
        Why nothing is heard of it: no ticker, refused by the vendor; empty otherwise.
    is_halted : bool
        Whether the vendor said that it is halted.
    quoted_at_utc, heard_at_utc : datetime or None
        Vendor's and our time of the newest quote that was believed, and of the last message of any kind.
    minutes_known_until_utc : datetime or None
        End of the minutes of this session without a gap since its opening.
    missing_minutes : int
        Minutes of this session that are over and that nobody knows.
    refused_quotes : int
        Since the start.
    """

    symbol: str
    problem: str
    is_halted: bool
    quoted_at_utc: datetime | None
    heard_at_utc: datetime | None
    minutes_known_until_utc: datetime | None
    missing_minutes: int
    refused_quotes: int

    def quote_age_seconds(self, now_utc: datetime) -> float | None:
        """Return how old the newest quote is by the vendor's time; None without one."""
        return None if self.quoted_at_utc is None else (now_utc - self.quoted_at_utc).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedHealth:
    """How a source is.

    Parameters
    ----------
    source : str
        Its name.
    at_utc : datetime
        When this was told.
    stream : StreamHealth
        Its connection; of a source that asks, whether the last answer was one.
    problem : str
        What went wrong last and still stands; empty when all is well.
    least_delay_seconds : float or None
        Smallest difference of our time and the vendor's over the last messages. Below 0 our clock is behind the
        vendor's by at least so much; far above 0 the feed is delayed, or our clock ahead. None before the first.
    counts : mapping of Counted to int
        Messages since the start; what did not happen is left out.
    symbols : mapping of str to SymbolHealth
        Of each symbol that is watched.
    """

    source: str
    at_utc: datetime
    stream: StreamHealth
    problem: str = ""
    least_delay_seconds: float | None = None
    counts: Mapping[Counted, int] = field(default_factory=dict)
    symbols: Mapping[str, SymbolHealth] = field(default_factory=dict)
