"""What counts as a whole lot in floating point.

Belongs here: the one rule, for orders, splits and buying power, in plain Python. The matching kernel compiles this very
function (:mod:`aegis.backtesting.kernel.lot_sizes`): two roundings of one split would differ by a lot.
"""

from __future__ import annotations

from typing import Final

import numpy as np

LOT_TOLERANCE: Final = 1e-9
"""A quantity this far below a whole lot, in lots, counts as that lot: 49 * (1/49) is not 1 in floating point."""

ROUNDING: Final = 4e-16
"""What two roundings can be off, as a share of the number: more than any tolerance in lots where they are many."""


def whole_lots(quantity: float, lot: float) -> float:
    """Return a signed quantity rounded towards zero to a multiple of `lot`, both in shares."""
    ratio = abs(quantity) / lot
    lots = float(np.floor(ratio + max(LOT_TOLERANCE, ROUNDING * ratio))) * lot
    return lots if quantity > 0 else 0.0 - lots  # not -lots, which is a negative zero for nothing
