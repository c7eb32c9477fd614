"""Percentage of volume: trade a fixed share of what everybody trades, after it was traded.

Belongs here: how the quantity follows the observed volume. There is no schedule: on a quiet day the order does not
fill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aegis.errors import ExecutionError
from aegis.execution.algorithms.actions import Step
from aegis.execution.algorithms.child_orders import settled, without_children
from aegis.execution.algorithms.intervals import Interval
from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.parent_state import NoteKind, Pace, ParentState, VolumeMark
from aegis.execution.algorithms.scheduled import send_in_interval

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipationOfVolume:
    """Follows the volume that is observed.

    Parameters
    ----------
    intervals : tuple of Interval
        When it looks: in each, at the first look at the market, it sends one child, and another only for what a child
        of an earlier interval did not fill.
    opens_utc : datetime
        Open of the session, when its volume is 0; aware.
    participation_rate : float
        Share of the volume since the order began. What is filled and what may still fill is never above it.
    catch_up_rate : float
        Share of the volume since the interval before, rounded up to a lot, that an interval may send at most. Equal to
        `participation_rate`, what an interval missed is not made up faster; above it, it is.
    max_data_age : timedelta
        Without a volume at least this fresh nothing is sent, and the parent's record says so.

    Raises
    ------
    ExecutionError
        The rates are not ``0 < participation_rate <= catch_up_rate <= 1``, or there is no interval.

    Notes
    -----
    Volume is counted from the open if the order begins with it, otherwise from the first look at the market. It
    includes the order's own fills where the venue reports them.
    """

    intervals: tuple[Interval, ...]
    opens_utc: datetime
    participation_rate: float
    catch_up_rate: float
    max_data_age: timedelta

    def __post_init__(self) -> None:
        if not 0 < self.participation_rate <= self.catch_up_rate <= 1 or not self.intervals:
            raise ExecutionError(
                f"participation of volume in {len(self.intervals)} intervals: rates {self.participation_rate!r} and "
                f"{self.catch_up_rate!r}; expected 0 < participation_rate <= catch_up_rate <= 1 and an interval"
            )

    def on_clock(self, now_utc: datetime, market: MarketObservation, *, state: ParentState) -> Step:
        """Decide what to do now; see :meth:`ExecutionAlgorithm.on_clock`."""
        if (ending := settled(state, now_utc=now_utc, ends_utc=self.intervals[-1].end_utc)) is not None:
            return ending
        found = [n for n, part in enumerate(self.intervals) if part.start_utc <= now_utc < part.end_utc]
        number = found[0] if found else None
        step = without_children(Step(state), now_utc=now_utc, where=lambda child: child.interval_number != number)
        if number is None:
            return step
        state = self._paced(step.state, now_utc, market, number)
        if state.pace is None or state.pace.interval_number != number:
            return Step(state, step.actions)
        return send_in_interval(Step(state, step.actions), now_utc=now_utc)

    def _paced(self, state: ParentState, now_utc: datetime, market: MarketObservation, number: int) -> ParentState:
        if state.pace is not None and state.pace.interval_number == number:
            return state
        counted, until = market.volume_shares, market.volume_at_utc
        if counted is None or until is None or not market.has_volume(now_utc, self.max_data_age):
            return state.noted(
                NoteKind.STALE_DATA,
                "no recent volume was observed: nothing is sent until there is",
                at_utc=now_utc,
                interval_number=number,
            )
        mark = VolumeMark(until, counted)
        begins_at_open = self.intervals[0].start_utc <= self.opens_utc
        first = state.first_mark or (VolumeMark(self.opens_utc, 0.0) if begins_at_open else mark)
        last = state.last_mark or first
        due = math.floor(self.participation_rate * (counted - first.volume_shares) / state.lot_shares + _ROUNDING)
        cap = math.ceil(self.catch_up_rate * (counted - last.volume_shares) / state.lot_shares - _ROUNDING)
        # A corrected volume may be lower than the one before it.
        pace = Pace(number, min(max(due, 0), state.total_lots), max(cap, 0))
        return replace(state, pace=pace, first_mark=first, last_mark=mark)
