"""Whether the mean of a series moved, noticed as soon as it can be: a two-sided CUSUM.

Belongs here: the chart and its threshold. Live performance against a band is :mod:`aegis.drift.performance_band`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from aegis.drift.dependence import cautious_time
from aegis.drift.measures import DriftMeasure, FloatArray, finite_values
from aegis.errors import DriftError

CUSUM = "cusum"
ALLOWANCE = 0.25
HORIZON_SESSIONS = 252
FALSE_ALARM_RATE = 0.05
MINIMUM_REFERENCE = 60

_CLIP = 3.0
_BOUNDARY = 1.166
"""Siegmund's correction for a walk that is looked at in steps: the overshoot beyond both boundaries."""
_REFERENCE_CONFIDENCE = 1.645
_OVERFLOWS = 600.0


def cusum(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    allowance: float = ALLOWANCE,
    horizon_sessions: int = HORIZON_SESSIONS,
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> DriftMeasure:
    """Sum how far current values lie from the reference's mean, in both directions, and judge the largest sum.

    Parameters
    ----------
    reference, current : array_like of float, shapes (n,) and (m,)
        Oldest first; at least 60 of the reference, one of the current ones.
    allowance : float
        Shift that is let pass, in long-run standard deviations; the chart is quickest for one twice as large.
    horizon_sessions : int
        Sessions for which the chart is kept before it starts afresh.
    false_alarm_rate : float
        Probability that an unchanged series alarms within the horizon.

    Returns
    -------
    DriftMeasure
        `at` is the first current value at which a sum was beyond the threshold.

    Raises
    ------
    DriftError
        Values are too few or not finite, the reference never changes, or a setting is out of bounds.

    Notes
    -----
    Values are standardised by the reference's mean and *long-run* deviation, so that a series that repeats itself does
    not pass for one that moved, and cut at three of its own deviations, so that one outlier is not a shift.

    References
    ----------
    Page (1954), Biometrika 41; Siegmund (1985), Sequential Analysis, equation 2.56 for the run length; see
    :func:`threshold`.
    """
    old = finite_values(reference, "reference", minimum=MINIMUM_REFERENCE)
    new = finite_values(current, "current", minimum=1)
    limit = threshold(
        old.size, allowance=allowance, horizon_sessions=horizon_sessions, false_alarm_rate=false_alarm_rate
    )
    steps = standardised(old, new, clip=_CLIP)
    up, down = _sums(steps - allowance), _sums(-steps - allowance)
    path = np.maximum(up, down)
    beyond = np.flatnonzero(path > limit)
    at = int(beyond[0]) if beyond.size else int(np.argmax(path))
    return DriftMeasure(
        detector=CUSUM,
        observed=float(path.max()),
        threshold=limit,
        is_drift=bool(beyond.size),
        is_judged=True,
        at=at,
        direction=1 if up[at] >= down[at] else -1,
    )


def threshold(
    reference_values: int,
    *,
    allowance: float = ALLOWANCE,
    horizon_sessions: int = HORIZON_SESSIONS,
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> float:
    """Return the height of the chart, in long-run standard deviations.

    Notes
    -----
    The run length of an unchanged one-sided chart is (exp(2kb) - 2kb - 1) / 2k^2 with b = h + 1.166; alarms come about
    as exponential waiting times. The mean of the reference is itself an estimate: the allowance that counts is smaller
    by 1.645 of its standard errors.
    """
    if not (allowance > 0.0 and horizon_sessions >= 1 and 0.0 < false_alarm_rate < 1.0):
        raise DriftError(
            f"cusum: allowance {allowance}, horizon {horizon_sessions} sessions, false-alarm rate {false_alarm_rate}; "
            "expected an allowance above 0, a session at least and a rate between 0 and 1"
        )
    sure = max(allowance - _REFERENCE_CONFIDENCE / math.sqrt(reference_values), 0.1 * allowance)
    wanted = 2.0 * horizon_sessions / -math.log1p(-false_alarm_rate)
    low, high = 0.0, 1e4
    while high - low > 1e-10 * high:
        middle = 0.5 * (low + high)
        exponent = 2.0 * sure * middle
        length = math.inf if exponent > _OVERFLOWS else (math.expm1(exponent) - exponent) / (2.0 * sure * sure)
        low, high = (middle, high) if length < wanted else (low, middle)
    return max(high - _BOUNDARY, 1.0)


def standardised(reference: FloatArray, current: FloatArray, *, clip: float) -> FloatArray:
    """Return current values in long-run deviations from the reference's mean, cut at `clip` of its own deviations.

    Raises
    ------
    DriftError
        The reference never changes.
    """
    centre, deviation = float(reference.mean()), float(reference.std(ddof=1))
    if deviation <= 1e-12 * max(abs(centre), 1.0):
        raise DriftError(
            f"reference: all {reference.size} values are {centre:g}; a series that never moves has no scale"
        )
    old = np.clip((reference - centre) / deviation, -clip, clip)
    new = np.clip((current - centre) / deviation, -clip, clip)
    scale = float(old.std(ddof=1)) * math.sqrt(cautious_time(reference))
    moved: FloatArray = (new - old.mean()) / scale
    return moved


def _sums(steps: FloatArray) -> FloatArray:
    """Return sums that start again at 0 whenever they fall below it."""
    total = np.cumsum(steps)
    sums: FloatArray = total - np.minimum(np.minimum.accumulate(total), 0.0)
    return sums
