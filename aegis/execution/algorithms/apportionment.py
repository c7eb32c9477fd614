"""Dividing a whole number of lots by weights.

Belongs here: the one rule by which quantities are parted. What the weights are is the business of each schedule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from aegis.errors import ExecutionError


def apportioned(total_lots: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Divide lots in proportion to weights; the parts add up to the whole.

    Parameters
    ----------
    total_lots : int
        Not negative.
    weights : sequence of float, length n
        Finite, not negative, not all zero; only their proportions count.

    Returns
    -------
    tuple of int, length n
        Each part is its exact share rounded down or up. Where shares have the same remainder the earlier one is
        rounded up, so that what is in doubt is traded sooner.

    Raises
    ------
    ExecutionError
        The lots or the weights are not as described.

    Notes
    -----
    The arithmetic is exact: no weight gets more than a larger one before it, whatever their rounding.

    References
    ----------
    The method of largest remainders: Balinski, M. and Young, H. (1982), Fair Representation, appendix A (Hamilton).
    """
    if total_lots < 0:
        raise ExecutionError(f"{total_lots} lots cannot be divided; pass the size without its side")
    if not weights or not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise ExecutionError(
            f"{total_lots} lots cannot be divided by {len(weights)} weights {list(weights)[:5]}: expected finite "
            "numbers of at least 0, one of them above; correct the schedule"
        )
    shares = [Fraction(weight) for weight in weights]
    whole = sum(shares)
    quotas = [total_lots * share / whole for share in shares]
    parts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(parts)), key=lambda n: (parts[n] - quotas[n], n))
    for n in by_remainder[: total_lots - sum(parts)]:
        parts[n] += 1
    return tuple(parts)
