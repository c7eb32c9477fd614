"""Which breakers of a live account stand, since when and why, and who released one.

Belongs here: the state. When a breaker trips is :mod:`aegis.risk.live_breakers`; what a tripped one stops is
:mod:`aegis.risk.exit_rules`.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from aegis.errors import RiskError
from aegis.execution.orders import OrderEvent, OrderEventKind
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.live_breakers import (
    DAILY_LOSS,
    DRAWDOWN,
    RUNAWAY,
    BreakerName,
    EquityMarks,
    OrderOutcome,
    Outcome,
    losses,
    marks_with,
    runaway,
)

_OUTCOMES: Mapping[OrderEventKind, Outcome] = {
    OrderEventKind.ACCEPTED: "accepted",
    OrderEventKind.REJECTED: "rejected",
    OrderEventKind.PARTIALLY_FILLED: "executed",
    OrderEventKind.FILLED: "executed",
}
_NAMES: tuple[BreakerName, ...] = (DAILY_LOSS, DRAWDOWN, RUNAWAY)


@dataclass(frozen=True, slots=True)
class Tripped:
    """A breaker that stands: its name, since when, aware UTC, and what happened and what to do."""

    name: BreakerName
    since_utc: datetime
    told: str


@dataclass(frozen=True, slots=True)
class BreakerRecord:
    """What orders and their events cannot tell after a restart: what losses are measured from, and what stands."""

    marks: EquityMarks | None = None
    tripped: tuple[Tripped, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return the values as a mapping that JSON can hold; :meth:`from_record` restores it."""
        marks = None if self.marks is None else {**asdict(self.marks), "session": self.marks.session.isoformat()}
        tripped = [{**asdict(item), "since_utc": item.since_utc.isoformat()} for item in self.tripped]
        return {"marks": marks, "tripped": tripped}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> BreakerRecord:
        """Return the values that :meth:`to_record` described.

        Raises
        ------
        RiskError
            The record is malformed; nothing may be sent on a guess of what was lost before.
        """
        try:
            marks = record["marks"]
            return cls(
                marks=None
                if marks is None
                else EquityMarks(
                    session=date.fromisoformat(marks["session"]),
                    first_usd=float(marks["first_usd"]),
                    peak_usd=float(marks["peak_usd"]),
                    now_usd=float(marks["now_usd"]),
                ),
                tripped=tuple(
                    Tripped(
                        _NAMES[_NAMES.index(item["name"])], datetime.fromisoformat(item["since_utc"]), str(item["told"])
                    )
                    for item in record["tripped"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RiskError(
                f"breakers of a live account: the record is malformed ({error!r}); restore it from the journal"
            ) from error


class StandingBreakers:
    """The breakers of one live account.

    Parameters
    ----------
    limits : ExitLimits
        Of the account.
    """

    def __init__(self, limits: ExitLimits) -> None:
        self._limits = limits
        self._outcomes: list[OrderOutcome] = []
        self._tripped: dict[BreakerName, Tripped] = {}
        self.marks: EquityMarks | None = None

    def observe_equity(self, equity_usd: float, session: date, at_utc: datetime) -> None:
        """Take note of an equity of a session; trip what it trips."""
        self.marks = marks_with(self.marks, equity_usd, session)
        for name, told in losses(self.marks, self._limits).items():
            self._trip(name, at_utc, told)

    def observe_event(self, event: OrderEvent, now_utc: datetime) -> None:
        """Take note of what a venue did with an order; trip the runaway guard where it is too much of it."""
        outcome = _OUTCOMES.get(event.kind)
        if outcome is None or RUNAWAY in self._tripped:
            return
        insort(self._outcomes, OrderOutcome(event.at_utc, event.client_order_id, event.number, outcome))
        begins = now_utc - timedelta(seconds=self._limits.runaway_window_seconds)
        self._outcomes = [item for item in self._outcomes if item.at_utc > begins]
        told = runaway(self._outcomes, now_utc, self._limits)
        if told is not None:
            self._trip(RUNAWAY, event.at_utc, told)

    def standing(self) -> tuple[Tripped, ...]:
        """Return the breakers that stand, in the order of their names' importance."""
        return tuple(self._tripped[name] for name in _NAMES if name in self._tripped)

    def told(self) -> dict[str, str]:
        """Return what each standing breaker says, by name."""
        return {item.name: f"breaker '{item.name}' since {item.since_utc}: {item.told}" for item in self.standing()}

    def release(self, name: BreakerName, *, actor: str, reason: str) -> str:
        """Release a breaker and return the event to record.

        Raises
        ------
        RiskError
            It does not stand, actor or reason is empty, or the equity it would be measured from is not known.

        Notes
        -----
        What tripped a breaker cannot trip it again at once: the day's loss and the drawdown are measured from the
        newest equity on, and the runaway guard counts anew.
        """
        if name not in self._tripped:
            raise RiskError(f"breaker '{name}' does not stand; there is nothing to release")
        if not actor.strip() or not reason.strip():
            raise RiskError(f"breaker '{name}': a release needs who releases and why; found {actor!r}, {reason!r}")
        if name == RUNAWAY:
            self._outcomes.clear()
        elif self.marks is not None:
            now = self.marks.now_usd
            if not math.isfinite(now) or now <= 0.0:
                raise RiskError(f"breaker '{name}': equity {now} USD is not above 0; reconcile the account first")
            marks = self.marks
            self.marks = replace(marks, first_usd=now) if name == DAILY_LOSS else replace(marks, peak_usd=now)
        tripped = self._tripped.pop(name)
        return f"breaker '{name}' of {tripped.since_utc} released by {actor}: {reason}"

    def record(self) -> BreakerRecord:
        """Return what has to survive a restart."""
        return BreakerRecord(self.marks, self.standing())

    def restore(self, record: BreakerRecord) -> None:
        """Take over what survived; what stands already stays."""
        self.marks = record.marks
        for item in record.tripped:
            self._tripped.setdefault(item.name, item)

    def _trip(self, name: BreakerName, at_utc: datetime, told: str) -> None:
        self._tripped.setdefault(name, Tripped(name, at_utc, told))
