"""When how much of an order is to be traded, as a value; and schedules that a user writes down.

Belongs here: the slices and what must hold of them. TWAP, VWAP and Implementation Shortfall make such schedules from
their models; :mod:`aegis.execution.algorithms.scheduled` trades them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from aegis.errors import ExecutionError
from aegis.execution.algorithms.apportionment import apportioned
from aegis.execution.algorithms.intervals import Interval

FRACTION_TOLERANCE = 1e-9
"""Fractions of a custom schedule that add up to 1 within this do: 0.1 ten times is not 1 in floating point."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an order and the time in which to trade it.

    Parameters
    ----------
    start_utc, end_utc : datetime
        Aware; the end is excluded.
    quantity_lots : int
        Not negative, whatever the side of the order.
    """

    start_utc: datetime
    end_utc: datetime
    quantity_lots: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The slices of an order, oldest first.

    Parameters
    ----------
    slices : tuple of Slice
        At least one; they do not overlap, but may leave time between them. A slice may be of no lots.

    Raises
    ------
    ExecutionError
        A slice ends before it begins, begins before the one before it ends, or is of less than nothing.
    """

    slices: tuple[Slice, ...]

    def __post_init__(self) -> None:
        if not self.slices:
            raise ExecutionError("a schedule needs at least one slice; found none")
        for part in self.slices:
            if not part.start_utc < part.end_utc or part.quantity_lots < 0:
                raise ExecutionError(
                    f"slice from {part.start_utc} to {part.end_utc} of {part.quantity_lots} lots: it must end after it "
                    "begins and be of at least 0 lots; correct it"
                )
        for before, after in pairwise(self.slices):
            if after.start_utc < before.end_utc:
                raise ExecutionError(
                    f"slice from {after.start_utc} begins before the one before it ends, at {before.end_utc}; slices "
                    "follow each other"
                )

    @property
    def total_lots(self) -> int:
        """Return the lots of all slices."""
        return sum(part.quantity_lots for part in self.slices)

    @property
    def begins_utc(self) -> datetime:
        """Return when the first slice begins."""
        return self.slices[0].start_utc

    @property
    def ends_utc(self) -> datetime:
        """Return when the last slice ends."""
        return self.slices[-1].end_utc

    def number_at(self, instant_utc: datetime) -> int | None:
        """Return the number of the slice that an instant lies in, from 0; None outside all of them."""
        number = bisect_right(self.slices, instant_utc, key=lambda part: part.start_utc) - 1
        return number if number >= 0 and instant_utc < self.slices[number].end_utc else None

    def due_lots(self, number: int) -> int:
        """Return the lots of the slices up to and including slice `number`."""
        return sum(part.quantity_lots for part in self.slices[: number + 1])


def schedule_of(total_lots: int, intervals: Sequence[Interval], *, weights: Sequence[float]) -> Schedule:
    """Return the schedule that gives each interval its share of an order.

    Parameters
    ----------
    total_lots : int
        The whole order.
    intervals : sequence of Interval, length n
        Oldest first.
    weights : sequence of float, length n
        See :func:`aegis.execution.algorithms.apportionment.apportioned`.
    """
    lots = apportioned(total_lots, weights)
    return Schedule(
        tuple(Slice(part.start_utc, part.end_utc, count) for part, count in zip(intervals, lots, strict=True))
    )


@dataclass(frozen=True, slots=True)
class ScheduledFraction:
    """A step of a custom schedule: this fraction of the order, this long after the session's open."""

    after_open: timedelta
    fraction: float


def custom_schedule(
    total_lots: int, steps: Sequence[ScheduledFraction], *, opens_utc: datetime, closes_utc: datetime
) -> Schedule:
    """Return the schedule that a user wrote down as times and fractions.

    Parameters
    ----------
    total_lots : int
        The whole order.
    steps : sequence of ScheduledFraction
        Oldest first. Each is traded from its time until the next one's, the last until the close. Fractions lie in
        [0, 1] and add up to 1.
    opens_utc, closes_utc : datetime
        Of the session; aware.

    Raises
    ------
    ExecutionError
        There is no step, the times do not ascend within the session, or the fractions do not add up to 1. A schedule
        written for a full day does not fit a half day: whoever wrote it decides what then is to be traded.
    """
    times = [opens_utc + step.after_open for step in steps]
    inside = all(opens_utc <= time < closes_utc for time in times)
    if not steps or not inside or any(later <= earlier for earlier, later in pairwise(times)):
        raise ExecutionError(
            f"custom schedule at {[str(step.after_open) for step in steps]} after the open: expected ascending times "
            f"within the session, which lasts {closes_utc - opens_utc}; correct them"
        )
    fractions = [step.fraction for step in steps]
    if not all(0 <= part <= 1 for part in fractions) or abs(math.fsum(fractions) - 1) > FRACTION_TOLERANCE:
        raise ExecutionError(
            f"custom schedule: fractions {fractions} add up to {math.fsum(fractions)!r}; expected numbers from 0 to 1 "
            "that add up to 1"
        )
    ends = [*times[1:], closes_utc]
    return schedule_of(
        total_lots, [Interval(start, end) for start, end in zip(times, ends, strict=True)], weights=fractions
    )
