"""Minutes written down by hand or drawn by a seed, as a tape that the paper venue trades on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from aegis.backtesting.session_market import CorporateAction
from aegis.execution.brokers.paper_tape import Minute, MinuteTape


@dataclass
class WrittenTape(MinuteTape):
    """Every minute is known when it closes."""

    written: list[Minute] = field(default_factory=list)
    traded: tuple[str, ...] = ("ABC",)
    booked: dict[date, tuple[CorporateAction, ...]] = field(default_factory=dict)

    def known_until(self, now_utc: datetime, symbols: frozenset[str]) -> datetime:  # noqa: ARG002 - all the same
        return now_utc

    def minutes(
        self, session: date, symbols: frozenset[str], *, after_utc: datetime, until_utc: datetime
    ) -> Sequence[Minute]:
        asked = (m for m in self.written if m.session == session and after_utc < m.closes_at_utc <= until_utc)
        seen = (replace(m, bars={name: bar for name, bar in m.bars.items() if name in symbols}) for m in asked)
        return [m for m in seen if m.bars]

    def symbols(self, session: date) -> Sequence[str]:  # noqa: ARG002 - the same in all
        return self.traded

    def actions(self, session: date) -> tuple[CorporateAction, ...]:
        return self.booked.get(session, ())


def flat(price_usd: float, volume_shares: float) -> tuple[float, float, float, float, float]:
    """Return a minute at one price."""
    return (price_usd, price_usd, price_usd, price_usd, volume_shares)


def minute(session: date, opens_at_utc: datetime, closes_at_utc: datetime, bars: Mapping[str, tuple]) -> Minute:
    return Minute(session=session, opens_at_utc=opens_at_utc, closes_at_utc=closes_at_utc, bars=bars)
