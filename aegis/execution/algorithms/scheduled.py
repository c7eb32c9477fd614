"""Following a schedule: TWAP, VWAP, Implementation Shortfall, custom schedules and market orders are traded alike.

Belongs here: what is sent in a slice, what is carried over, and what happens where the market is not seen. How the
slices came about is each schedule's own module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aegis.errors import ExecutionError
from aegis.execution.algorithms.actions import Step
from aegis.execution.algorithms.child_orders import settled, with_child, without_children
from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.parent_state import NoteKind, Pace, ParentState, VolumeMark
from aegis.execution.algorithms.schedule import Schedule

SHORTEST_MEASURE = timedelta(seconds=30)
"""A rate of volume is not measured over less: one trade would decide it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledAlgorithm:
    """Sends each slice when it begins, and carries over what did not fill.

    Parameters
    ----------
    schedule : Schedule
        What to trade when; its lots are those of the order.
    opens_utc : datetime
        Open of the session, when its volume is 0; aware.
    participation_rate : float, optional
        Largest share of a slice's volume that its children may be, carried quantity included; None for no cap.
    expected_volume_shares : tuple of float, optional
        Volume that past sessions lead one to expect in each slice, for where none is observed.
    max_data_age : timedelta, optional
        Without anything newer from the market nothing is sent; None sends blindly.

    Raises
    ------
    ExecutionError
        The rate lies outside (0, 1], or there is not one expectation of volume for each slice.

    Notes
    -----
    At the first look at the market in a slice its pace is fixed: everything due by its end, at most the participation
    rate times the volume that the slice should see. That is the rate at which volume was traded since the begin of the
    slice before, times the slice's length; the expected volume where nothing was observed yet; and where there is
    neither, the slice is traded as planned, without what was carried over, and the parent's record says so. Children of
    an earlier slice are cancelled; what they did not fill is sent again once the venue has confirmed their end, never
    before. A child that the venue ends by itself is not followed by another in the same slice. What is left at the end
    of the schedule is not traded.
    """

    schedule: Schedule
    opens_utc: datetime
    participation_rate: float | None = None
    expected_volume_shares: tuple[float, ...] | None = None
    max_data_age: timedelta | None = None

    def __post_init__(self) -> None:
        rate, expected = self.participation_rate, self.expected_volume_shares
        if rate is not None and not 0 < rate <= 1:
            raise ExecutionError(f"schedule: participation_rate {rate!r} must lie in (0, 1]; correct it")
        if expected is not None and (
            len(expected) != len(self.schedule.slices) or not all(math.isfinite(v) and v >= 0 for v in expected)
        ):
            raise ExecutionError(
                f"schedule of {len(self.schedule.slices)} slices: {len(expected)} expected volumes {expected[:5]}; "
                "pass a finite number of at least 0 for each slice"
            )

    def on_clock(self, now_utc: datetime, market: MarketObservation, *, state: ParentState) -> Step:
        """Decide what to do now; see :meth:`ExecutionAlgorithm.on_clock`."""
        if (ending := settled(state, now_utc=now_utc, ends_utc=self.schedule.ends_utc)) is not None:
            return ending
        number = self.schedule.number_at(now_utc)
        step = without_children(Step(state), now_utc=now_utc, where=lambda child: child.interval_number != number)
        if number is None:
            return step
        if self.max_data_age is not None and not market.is_fresh(now_utc, self.max_data_age):
            return Step(_not_seen(step.state, now_utc, number), step.actions)
        state = self._paced(step.state, now_utc, market, number)
        return send_in_interval(Step(state, step.actions), now_utc=now_utc)

    def _paced(self, state: ParentState, now_utc: datetime, market: MarketObservation, number: int) -> ParentState:
        """Return the state with the pace of its slice, fixed by the first look at the market in it."""
        if state.pace is not None and state.pace.interval_number == number:
            return state
        if self.participation_rate is None:
            return replace(state, pace=Pace(number, self.schedule.due_lots(number), None))
        volume, mark = self._volume_of(state, now_utc, market, number)
        if volume is None:
            cap = self.schedule.slices[number].quantity_lots
            state = state.noted(
                NoteKind.NO_VOLUME,
                "neither observed nor expected volume: the slice is traded as planned, nothing is carried into it",
                at_utc=now_utc,
                interval_number=number,
            )
        else:
            cap = math.floor(self.participation_rate * volume / state.lot_shares)
        return replace(state, pace=Pace(number, self.schedule.due_lots(number), cap), last_mark=mark)

    def _volume_of(
        self, state: ParentState, now_utc: datetime, market: MarketObservation, number: int
    ) -> tuple[float | None, VolumeMark | None]:
        """Return the volume that a slice should see, None if nothing says, and up to where volume is known."""
        part, before = self.schedule.slices[number], state.last_mark or VolumeMark(self.opens_utc, 0.0)
        expected = None if self.expected_volume_shares is None else self.expected_volume_shares[number]
        age = timedelta.max if self.max_data_age is None else self.max_data_age
        counted, until = market.volume_shares, market.volume_at_utc
        if counted is None or until is None or not market.has_volume(now_utc, min(age, now_utc - self.opens_utc)):
            return expected, state.last_mark
        elapsed = until - before.at_utc
        if elapsed < SHORTEST_MEASURE or counted < before.volume_shares:
            return expected, state.last_mark
        rate = (counted - before.volume_shares) / elapsed.total_seconds()
        return rate * (part.end_utc - part.start_utc).total_seconds(), VolumeMark(until, counted)


def send_in_interval(step: Step, *, now_utc: datetime) -> Step:
    """Return the step with the child that the pace of the interval asks for, if any.

    Parameters
    ----------
    step : Step
        Its state has the pace of the current interval.
    now_utc : datetime
        The clock's instant.
    """
    state, pace = step.state, step.state.pace
    if pace is None:
        return step
    number = pace.interval_number
    if any(child.failed for child in state.children if child.interval_number == number):
        noted = state.noted(
            NoteKind.VENUE_ENDED_CHILD,
            "the venue or the gate ended a child: the rest waits for the next interval",
            at_utc=now_utc,
            interval_number=number,
        )
        return Step(noted, step.actions)
    committed = abs(state.order.quantity_shares) - state.uncommitted_shares
    wanted = pace.due_lots * state.lot_shares - committed
    if pace.cap_lots is not None:
        wanted = min(wanted, pace.cap_lots * state.lot_shares - state.sent_shares(number))
    return with_child(
        step,
        now_utc=now_utc,
        interval_number=number,
        shares=wanted,
        limit_price_usd=state.order.limit_price_usd,
    )


def _not_seen(state: ParentState, now_utc: datetime, number: int) -> ParentState:
    return state.noted(
        NoteKind.STALE_DATA,
        "nothing recent was heard of the market: nothing is sent, the slice is carried over",
        at_utc=now_utc,
        interval_number=number,
    )
