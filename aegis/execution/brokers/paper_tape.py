"""What the paper venue trades on: minutes of a market, as they become known.

Belongs here: the values and the port. Who fills it, the simulated market or a vendor's stream, stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from aegis.backtesting.session_market import CorporateAction

MinuteBar = tuple[float, float, float, float, float]
"""Open, high, low, close, USD a share as traded; volume, shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One minute of a session in all symbols that traded in it.

    Parameters
    ----------
    session : date
        Whose it is.
    opens_at_utc, closes_at_utc : datetime
        Its beginning and its end; aware.
    bars : mapping of str to MinuteBar
        By permanent symbol.
    """

    session: date
    opens_at_utc: datetime
    closes_at_utc: datetime
    bars: Mapping[str, MinuteBar]

    def to_record(self) -> dict[str, Any]:
        """Return the minute as a mapping that JSON can hold; :meth:`from_record` restores it."""
        return {
            "session": self.session.isoformat(),
            "opens_at_utc": self.opens_at_utc.isoformat(),
            "closes_at_utc": self.closes_at_utc.isoformat(),
            "bars": {symbol: list(bar) for symbol, bar in sorted(self.bars.items())},
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Minute:
        """Return the minute that :meth:`to_record` described."""
        return cls(
            session=date.fromisoformat(record["session"]),
            opens_at_utc=datetime.fromisoformat(record["opens_at_utc"]),
            closes_at_utc=datetime.fromisoformat(record["closes_at_utc"]),
            bars={symbol: (o, h, low, c, v) for symbol, (o, h, low, c, v) in record["bars"].items()},
        )


class MinuteTape(Protocol):
    """A market's minutes."""

    def known_until(self, now_utc: datetime, symbols: frozenset[str]) -> datetime:
        """Return up to when all minutes of some symbols are known at an instant; never later than it."""
        ...

    def minutes(
        self, session: date, symbols: frozenset[str], *, after_utc: datetime, until_utc: datetime
    ) -> Sequence[Minute]:
        """Return the minutes of a session in which some symbols traded, closed in ``(after_utc, until_utc]``."""
        ...

    def symbols(self, session: date) -> Sequence[str]:
        """Return the permanent symbols that may trade in a session."""
        ...

    def actions(self, session: date) -> tuple[CorporateAction, ...]:
        """Return the corporate actions with their ex-date in a session."""
        ...
