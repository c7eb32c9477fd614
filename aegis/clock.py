"""What time it is, as a value that is passed in.

Nothing in Aegis reads the wall clock except :class:`SystemClock`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the current instant."""

    def now_utc(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_utc(self) -> datetime:
        """Return the machine's current instant."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still; used for replays and tests."""

    instant_utc: datetime

    def now_utc(self) -> datetime:
        """Return the instant it was made with."""
        return self.instant_utc
