"""Whole lots and ticks.

Belongs here: what counts as whole in floating point, said once for orders, splits and buying power.
"""

from __future__ import annotations

import numpy as np

from aegis.backtesting.compilation import compiled

QUANTITY_TOLERANCE = 1e-9
"""A quantity this far below a whole lot counts as that lot: 49 * (1/49) is not 1 in floating point."""

_RATIO_TOLERANCE = 1e-9
"""A number this far from a multiple of the step, in steps, is one."""


@compiled
def whole_lots(quantity: float, lot: float) -> float:
    """Return a signed quantity rounded towards zero to a multiple of `lot`."""
    lots = np.floor(abs(quantity) / lot + QUANTITY_TOLERANCE) * lot
    return lots if quantity > 0 else 0.0 - lots  # not -lots, which is a negative zero for nothing


@compiled
def is_multiple(value: float, step: float) -> bool:
    """Whether a positive number is a multiple of `step`."""
    ratio = value / step
    return abs(ratio - np.floor(ratio + 0.5)) <= _RATIO_TOLERANCE * max(1.0, ratio)


@compiled
def is_on_tick(price: float, tick: float) -> bool:
    """Whether a price is a multiple of `tick`; no price (NaN) is."""
    return np.isnan(price) or is_multiple(price, tick)
