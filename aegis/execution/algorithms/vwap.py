"""Volume-weighted average price: as much of the order as of the volume that is expected.

Belongs here: from a volume curve to a schedule. The curve is :mod:`aegis.execution.algorithms.volume_curve`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aegis.execution.algorithms.intervals import Interval
from aegis.execution.algorithms.schedule import Schedule, schedule_of
from aegis.execution.algorithms.volume_curve import VolumeCurve


def vwap_schedule(
    total_lots: int, intervals: Sequence[Interval], *, curve: VolumeCurve, opens_utc: datetime
) -> Schedule:
    """Return the schedule that trades in proportion to the expected volume.

    Parameters
    ----------
    total_lots : int
        The whole order.
    intervals : sequence of Interval
        Of the session; the order is spread over their part of the curve only.
    curve : VolumeCurve
        Of this session's length, known before its open.
    opens_utc : datetime
        When the session opens; aware.

    Raises
    ------
    ExecutionError
        An interval lies outside the curve, or no volume is expected in any of them.

    References
    ----------
    Konishi, H. (2002), Optimal slice of a VWAP trade, Journal of Financial Markets 5(2), 197-221: without correlation
    of volume and volatility the best static slices are the expected fractions of volume.
    """
    return schedule_of(total_lots, intervals, weights=curve.weights(intervals, opens_utc=opens_utc))
