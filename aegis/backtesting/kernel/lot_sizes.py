"""Whole lots and ticks, compiled.

Belongs here: what counts as a multiple of a lot or a tick, and as nothing. How a quantity is rounded to lots is
:mod:`aegis.execution.whole_lots`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aegis.backtesting.compilation import compiled
from aegis.execution.whole_lots import LOT_TOLERANCE, ROUNDING
from aegis.execution.whole_lots import whole_lots as plain_whole_lots

QUANTITY_TOLERANCE: Final = LOT_TOLERANCE
"""Shares that are nothing."""

_RATIO_TOLERANCE, _LARGEST_TOLERANCE = 1e-9, 1e-3
"""So far from a multiple of the step, as a share of it and in steps, a number is one; the smaller counts. A difference
of two positions is off by more than its own rounding: 16,190 less 16,126 shares by two millionths of a lot of 1e-6."""

whole_lots = compiled(plain_whole_lots)


@compiled
def is_multiple(value: float, step: float) -> bool:
    """Whether a positive number is a multiple of `step`, and at least one of it."""
    ratio = value / step
    nearest = np.floor(ratio + 0.5)
    tolerance = max(min(_RATIO_TOLERANCE * max(1.0, ratio), _LARGEST_TOLERANCE), ROUNDING * ratio)
    return nearest >= 1.0 and abs(ratio - nearest) <= tolerance


@compiled
def is_on_tick(price: float, tick: float) -> bool:
    """Whether a price is a multiple of `tick`; no price (NaN) is."""
    return np.isnan(price) or is_multiple(price, tick)


@compiled
def is_nothing(quantity: float, summed: float) -> bool:
    """Whether a quantity is what rounding leaves of the difference to a sum of about `summed` shares."""
    return abs(quantity) <= max(QUANTITY_TOLERANCE, 4.0 * ROUNDING * abs(summed))
