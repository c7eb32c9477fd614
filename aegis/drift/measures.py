"""What a drift detector answers.

Belongs here: the value that all detectors return, and the checks of what they are given. How a detector decides is its
own module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aegis.errors import DriftError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftMeasure:
    """One detector's answer about one series.

    Parameters
    ----------
    detector : str
        'population stability', 'kolmogorov smirnov', 'cusum', 'sequential mean' or 'outlier'.
    observed, threshold : float
        What was measured, and from where on it is drift, in the detector's own unit. The threshold is infinite where
        the numbers cannot tell: then nothing is drift, and `is_judged` says so.
    is_drift : bool
        Whether the series left what it was.
    is_judged : bool
        Whether there was enough independent evidence to decide.
    at : int
        Position in the current values at which it was noticed; the last one where the detector looks at all of them.
    direction : int
        1 where the current values are higher, -1 where they are lower, 0 where the detector does not tell.
    """

    detector: str
    observed: float
    threshold: float
    is_drift: bool
    is_judged: bool
    at: int
    direction: int = 0


def finite_values(values: ArrayLike, name: str, *, minimum: int) -> FloatArray:
    """Return `values` as a one-dimensional array of finite float64.

    Raises
    ------
    DriftError
        There are fewer than `minimum`, or one of them is not a finite number.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size < minimum:
        raise DriftError(
            f"{name}: expected at least {minimum} numbers in one row, found shape {array.shape}; give a longer history"
        )
    broken = np.flatnonzero(~np.isfinite(array))
    if broken.size:
        raise DriftError(f"{name}: value {array[broken[0]]} at position {broken[0]}; leave out what is not known")
    return array
