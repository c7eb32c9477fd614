"""Whole lots and ticks.

Belongs here: what counts as whole in floating point, said once for orders, splits and buying power.
"""

from __future__ import annotations

import numpy as np

from aegis.backtesting.compilation import compiled

QUANTITY_TOLERANCE = 1e-9
"""A quantity this far below a whole lot counts as that lot: 49 * (1/49) is not 1 in floating point."""

_RATIO_TOLERANCE, _LARGEST_TOLERANCE = 1e-9, 1e-3
"""So far from a multiple of the step, as a share of it and in steps, a number is one; the smaller counts. A difference
of two positions is off by more than its own rounding: 16,190 less 16,126 shares by two millionths of a lot of 1e-6."""

_ROUNDING = 4e-16
"""What two roundings can be off, as a share of the number: more than any tolerance in steps where they are many."""


@compiled
def whole_lots(quantity: float, lot: float) -> float:
    """Return a signed quantity rounded towards zero to a multiple of `lot`."""
    ratio = abs(quantity) / lot
    lots = np.floor(ratio + max(QUANTITY_TOLERANCE, _ROUNDING * ratio)) * lot
    return lots if quantity > 0 else 0.0 - lots  # not -lots, which is a negative zero for nothing


@compiled
def is_multiple(value: float, step: float) -> bool:
    """Whether a positive number is a multiple of `step`, and at least one of it."""
    ratio = value / step
    nearest = np.floor(ratio + 0.5)
    tolerance = max(min(_RATIO_TOLERANCE * max(1.0, ratio), _LARGEST_TOLERANCE), _ROUNDING * ratio)
    return nearest >= 1.0 and abs(ratio - nearest) <= tolerance


@compiled
def is_on_tick(price: float, tick: float) -> bool:
    """Whether a price is a multiple of `tick`; no price (NaN) is."""
    return np.isnan(price) or is_multiple(price, tick)


@compiled
def is_nothing(quantity: float, summed: float) -> bool:
    """Whether a quantity is what rounding leaves of the difference to a sum of about `summed` shares."""
    return abs(quantity) <= max(QUANTITY_TOLERANCE, 4.0 * _ROUNDING * abs(summed))
