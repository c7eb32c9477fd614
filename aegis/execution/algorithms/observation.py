"""What an algorithm knows of a symbol's market when its clock ticks.

Belongs here: the value and what counts as fresh. Who observes, a stream of quotes or a simulated bar, is the business
of whoever drives the algorithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketObservation:
    """The last that is known of a market.

    Parameters
    ----------
    bid_usd, ask_usd : float, optional
        Best prices, USD per share; None where nothing is quoted.
    quoted_at_utc : datetime, optional
        When they were quoted; aware.
    volume_shares : float, optional
        Shares traded by everybody since the session's open; None where it is not known.
    volume_at_utc : datetime, optional
        Up to when they are counted: the close of the last bar or the time of the last trade; aware.

    Notes
    -----
    *Known when*: at the clock's instant. An observation from after it is a fault of the driver and counts as not fresh.
    """

    bid_usd: float | None = None
    ask_usd: float | None = None
    quoted_at_utc: datetime | None = None
    volume_shares: float | None = None
    volume_at_utc: datetime | None = None

    def has_quote(self, now_utc: datetime, max_age: timedelta) -> bool:
        """Return whether both sides were quoted no longer than `max_age` ago and are not crossed."""
        if self.bid_usd is None or self.ask_usd is None or not 0 < self.bid_usd <= self.ask_usd:
            return False
        return _is_recent(self.quoted_at_utc, now_utc, max_age)

    def has_volume(self, now_utc: datetime, max_age: timedelta) -> bool:
        """Return whether the volume is known up to `max_age` ago."""
        known = self.volume_shares is not None and self.volume_shares >= 0
        return known and _is_recent(self.volume_at_utc, now_utc, max_age)

    def is_fresh(self, now_utc: datetime, max_age: timedelta) -> bool:
        """Return whether anything at all was heard of the market no longer than `max_age` ago."""
        return self.has_quote(now_utc, max_age) or self.has_volume(now_utc, max_age)


NOTHING_OBSERVED = MarketObservation()
"""What is known of a market of which nothing was heard."""


def _is_recent(instant_utc: datetime | None, now_utc: datetime, max_age: timedelta) -> bool:
    return instant_utc is not None and instant_utc <= now_utc <= instant_utc + max_age
