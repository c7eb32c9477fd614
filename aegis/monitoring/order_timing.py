"""How long orders take from the decision to the wire, to the venue's word and to the first fill.

Belongs here: the instants of an order and the quantiles over orders. Where the instants come from is
:mod:`aegis.monitoring.journal_projection`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

MEDIAN, TAIL = 0.5, 0.99


@dataclass(slots=True)
class OrderInstants:
    """When an order was decided, submitted, acknowledged and first filled; aware UTC, None until it was.

    Notes
    -----
    The first two are of this machine's clock, as the journal has them, the others are as the venue dates them: a clock
    that is wrong moves them against each other. A fill or a rejection that comes first acknowledges as well.
    """

    decided_at_utc: datetime
    submitted_at_utc: datetime | None = None
    acknowledged_at_utc: datetime | None = None
    filled_at_utc: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLatency:
    """How long one stage took, over the newest orders that passed it.

    Parameters
    ----------
    stage : str
        ``decided to submitted``, ``submitted to acknowledged``, ``acknowledged to filled`` or ``decided to filled``.
    orders : int
        How many were counted.
    p50_seconds, p99_seconds, longest_seconds : float or None
        Quantiles by nearest rank, and the longest; None without an order.
    """

    stage: str
    orders: int
    p50_seconds: float | None
    p99_seconds: float | None
    longest_seconds: float | None


STAGES = (
    ("decided to submitted", "decided_at_utc", "submitted_at_utc"),
    ("submitted to acknowledged", "submitted_at_utc", "acknowledged_at_utc"),
    ("acknowledged to filled", "acknowledged_at_utc", "filled_at_utc"),
    ("decided to filled", "decided_at_utc", "filled_at_utc"),
)


def stage_latencies(orders: Iterable[OrderInstants]) -> tuple[StageLatency, ...]:
    """Return the latency of each stage, in the order of :data:`STAGES`."""
    known = list(orders)
    return tuple(_latency(stage, _seconds(known, begin, end)) for stage, begin, end in STAGES)


def nearest_rank(values: Sequence[float], quantile: float) -> float | None:
    """Return the smallest of the values that at least this share of them does not exceed; None of no values.

    Parameters
    ----------
    values : sequence of float
        Ascending.
    quantile : float
        In (0, 1].

    References
    ----------
    Hyndman, R. and Fan, Y. (1996), Sample quantiles in statistical packages, The American Statistician 50(4), type 1.
    """
    # ceil(0.99 · 100) would be 100 in binary only if 0.99 · 100 were above 99; it is taken back by the last digits.
    return values[max(0, math.ceil(round(quantile * len(values), 9)) - 1)] if values else None


def _seconds(orders: Iterable[OrderInstants], begin: str, end: str) -> list[float]:
    spans = ((getattr(order, begin), getattr(order, end)) for order in orders)
    return sorted((last - first).total_seconds() for first, last in spans if first is not None and last is not None)


def _latency(stage: str, seconds: Sequence[float]) -> StageLatency:
    return StageLatency(
        stage=stage,
        orders=len(seconds),
        p50_seconds=nearest_rank(seconds, MEDIAN),
        p99_seconds=nearest_rank(seconds, TAIL),
        longest_seconds=seconds[-1] if seconds else None,
    )
