"""Implementation Shortfall: trade early what is risky to hold, late what is dear to hurry.

Belongs here: from the optimal trajectory to a schedule. The model is :mod:`aegis.execution.algorithms.almgren_chriss`;
what an order did cost is :mod:`aegis.execution.algorithms.shortfall_report`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aegis.errors import ExecutionError
from aegis.execution.algorithms.almgren_chriss import LinearImpact, holdings, urgency
from aegis.execution.algorithms.intervals import Interval
from aegis.execution.algorithms.schedule import Schedule, schedule_of


def implementation_shortfall_schedule(
    total_lots: int,
    intervals: Sequence[Interval],
    *,
    impact: LinearImpact,
    risk_aversion: float,
    session_seconds: float,
) -> Schedule:
    """Return the schedule that minimises expected cost plus risk aversion times variance.

    Parameters
    ----------
    total_lots : int
        The whole order. Neither the shape of the trajectory nor its urgency depends on the size: impact is linear.
    intervals : sequence of Interval
        They follow each other without time between them, as those of a session do.
    impact : LinearImpact
        The market, its day being a full session.
    risk_aversion : float
        1/USD; 0 is TWAP.
    session_seconds : float
        Length of the session that the parameters' day means: of a full one, also on a half day.

    Raises
    ------
    ExecutionError
        There is time between intervals, or a parameter is out of its bounds.

    Notes
    -----
    The closed form is for equal steps. Where the first or the last interval is cut short it is evaluated at their own
    times with the urgency of a full step: exact for TWAP, near the optimum otherwise.
    """
    edges = [interval.start_utc for interval in intervals] + [intervals[-1].end_utc]
    if any(interval.end_utc != edge for interval, edge in zip(intervals, edges[1:], strict=True)):
        raise ExecutionError(
            f"implementation shortfall from {edges[0]} to {edges[-1]}: the intervals leave time between them; pass "
            "those of one session"
        )
    days = [(edge - edges[0]).total_seconds() / session_seconds for edge in edges]
    tau = max(interval.seconds for interval in intervals) / session_seconds
    kappa = urgency(impact, risk_aversion=risk_aversion, tau=tau)
    if kappa == 0.0:
        # The differences of a straight line have rounding errors that would break ties between equal slices.
        weights = [interval.seconds for interval in intervals]
    else:
        weights = (-np.diff(holdings(days, kappa=kappa))).tolist()
    return schedule_of(total_lots, intervals, weights=weights)
