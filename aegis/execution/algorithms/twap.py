"""Time-weighted average price: the same quantity in the same time.

Belongs here: the weights of time and the jitter that hides the pattern.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from aegis.errors import ExecutionError
from aegis.execution.algorithms.intervals import Interval
from aegis.execution.algorithms.schedule import Schedule, schedule_of

_DIGITS = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Jitter:
    """How far a schedule strays from its pattern, so that others cannot see it coming.

    Parameters
    ----------
    seed : int
        With it and `key` the schedule is the same on every machine.
    key : str
        What tells one order from another: its client order id.
    time_fraction : float
        Slices begin up to this fraction of their interval late, from 0 to below 1.
    size_fraction : float
        Weights are up to this fraction larger or smaller, from 0 to below 1.

    Raises
    ------
    ExecutionError
        A fraction lies outside [0, 1).
    """

    seed: int
    key: str
    time_fraction: float = 0.0
    size_fraction: float = 0.0

    def __post_init__(self) -> None:
        for name, fraction in (("time_fraction", self.time_fraction), ("size_fraction", self.size_fraction)):
            if not 0 <= fraction < 1:
                raise ExecutionError(f"jitter of order {self.key}: {name} {fraction!r} must lie in [0, 1); correct it")

    def delayed(self, interval: Interval, number: int) -> Interval:
        """Return an interval that begins late, to the microsecond, and ends on time."""
        delay = timedelta(seconds=interval.seconds * self.time_fraction * self._draw("time", number))
        return Interval(interval.start_utc + delay, interval.end_utc)

    def weight_factor(self, number: int) -> float:
        """Return the factor of the weight of slice `number`."""
        return 1.0 + self.size_fraction * (2.0 * self._draw("size", number) - 1.0)

    def _draw(self, purpose: str, number: int) -> float:
        """Return a uniform number in [0, 1), hashed and not drawn: no draw depends on the draws before it."""
        digest = hashlib.sha256(f"{self.seed}/{self.key}/{purpose}/{number}".encode()).digest()
        return (int.from_bytes(digest[:8]) >> 11) / _DIGITS


def twap_schedule(total_lots: int, intervals: Sequence[Interval], *, jitter: Jitter | None = None) -> Schedule:
    """Return the schedule that trades evenly in time.

    Parameters
    ----------
    total_lots : int
        The whole order.
    intervals : sequence of Interval
        Of the session; an interval that is cut short gets proportionally less.
    jitter : Jitter, optional
        None for none. Sizes still add up to the order and slices stay within their intervals.
    """
    weights = [interval.seconds for interval in intervals]
    if jitter is not None:
        weights = [weight * jitter.weight_factor(n) for n, weight in enumerate(weights)]
        intervals = [jitter.delayed(interval, n) for n, interval in enumerate(intervals)]
    return schedule_of(total_lots, intervals, weights=weights)
