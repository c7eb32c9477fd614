"""A market order as an execution algorithm: everything at once, at any price.

Belongs here: the one slice that it is. What follows it is :mod:`aegis.execution.algorithms.scheduled`.
"""

from __future__ import annotations

from collections.abc import Sequence

from aegis.execution.algorithms.intervals import Interval
from aegis.execution.algorithms.schedule import Schedule, Slice


def market_schedule(total_lots: int, intervals: Sequence[Interval]) -> Schedule:
    """Return the schedule of one slice that is due from the first interval's begin.

    Parameters
    ----------
    total_lots : int
        The whole order.
    intervals : sequence of Interval
        Of the session; what has not filled at their end is not traded.
    """
    return Schedule((Slice(intervals[0].start_utc, intervals[-1].end_utc, total_lots),))
