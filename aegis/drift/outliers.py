"""Whether one session is unlike any before it: a robust outlier rule for counts, volumes and moves of the data.

Belongs here: the rule for single values. Bars that are wrong by themselves are found by the quality gate's checks; this
sees a whole delivery that is odd while each of its rows could be true.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from aegis.drift.measures import DriftMeasure, finite_values
from aegis.errors import DriftError

OUTLIER = "outlier"
ROBUST_DEVIATIONS = 8.0
BEYOND_ALL_SEEN = 3.0
MINIMUM_REFERENCE = 60

_MAD_TO_DEVIATION = 1.4826
_NO_DIFFERENCE = 1e-9


def outlier(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    robust_deviations: float = ROBUST_DEVIATIONS,
    beyond_all_seen: float = BEYOND_ALL_SEEN,
) -> DriftMeasure:
    """Judge the current values one by one against the reference.

    Parameters
    ----------
    reference, current : array_like of float, shapes (n,) and (m,)
        At least 60 of the reference, one of the current ones.
    robust_deviations : float
        Distance from the median, in robust standard deviations, from which a value can be an outlier.
    beyond_all_seen : float
        Multiple of the largest distance in the reference from which it can be.

    Returns
    -------
    DriftMeasure
        `observed` and `threshold` are distances from the reference's median, in the unit of the values.

    Raises
    ------
    DriftError
        Values are too few or not finite, or a setting is not above 0.

    Notes
    -----
    Both must hold: the first rule alone alarms on every heavy tail, the second alone on every light one. If tails fall
    as a power a, unchanged values pass the second with a chance of about ``beyond_all_seen ** -a`` in as many sessions
    as the reference has. A reference that never changed makes any change an outlier.
    """
    if not (robust_deviations > 0.0 and beyond_all_seen > 0.0):
        raise DriftError(
            f"outlier: {robust_deviations} deviations, {beyond_all_seen} times all seen; expected numbers above 0"
        )
    old = finite_values(reference, "reference", minimum=MINIMUM_REFERENCE)
    new = finite_values(current, "current", minimum=1)
    middle = float(np.median(old))
    distances = np.abs(old - middle)
    limit = max(
        robust_deviations * _MAD_TO_DEVIATION * float(np.median(distances)),
        beyond_all_seen * float(distances.max()),
        _NO_DIFFERENCE * max(abs(middle), 1.0),
    )
    moves = new - middle
    beyond = np.flatnonzero(np.abs(moves) > limit)
    at = int(beyond[0]) if beyond.size else int(np.argmax(np.abs(moves)))
    return DriftMeasure(
        detector=OUTLIER,
        observed=float(abs(moves[at])),
        threshold=limit,
        is_drift=bool(beyond.size),
        is_judged=math.isfinite(limit),
        at=at,
        direction=int(np.sign(moves[at])),
    )
