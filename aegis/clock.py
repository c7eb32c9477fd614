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


class SimulatedClock:
    """A clock that stands still until the simulation moves it, and never goes back.

    Parameters
    ----------
    start_utc : datetime
        Where it begins; aware UTC.
    """

    def __init__(self, start_utc: datetime) -> None:
        self._instant_utc = start_utc

    def now_utc(self) -> datetime:
        """Return the instant it was last moved to."""
        return self._instant_utc

    def advance_to(self, instant_utc: datetime) -> None:
        """Move the clock forward.

        Raises
        ------
        ValueError
            `instant_utc` is before the current instant.
        """
        if instant_utc < self._instant_utc:
            message = f"the clock stands at {self._instant_utc} and cannot go back to {instant_utc}"
            raise ValueError(message)
        self._instant_utc = instant_utc
