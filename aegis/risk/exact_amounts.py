"""Amounts that are compared at a limit, as the decimal numbers that people write.

Belongs here: the step from binary to decimal, and the comparison. Which amounts are compared is
:mod:`aegis.risk.exit_rules`.

Notes
-----
In binary 20.20 × 1.05 is not 21.21, and a sum depends on its order: an order exactly at its limit would be refused, and
a total that orders are added to and taken from would drift. A price of 20.2 is meant as 20.2, so each number is read as
its shortest decimal, and dollars are kept to :data:`SMALLEST_USD`, rounded up. Sums of such amounts are exact.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Final

from aegis.risk.rule_finding import RuleFinding

UNMEASURED: Final = Decimal("Infinity")
"""What cannot be measured; it is within no limit."""

SMALLEST_USD: Final = Decimal("1e-8")
_LARGEST = Decimal("1e15")
"""Of a quantity, a price and a notional; sums up to a hundred thousand times as much are still exact."""
_NONE = Decimal(0)
_KEPT_AMOUNTS = 8_192
"""Limits, prices and quantities whose decimals are kept: an order is asked about the same ones again and again."""


@lru_cache(_KEPT_AMOUNTS)
def exact(value: float | None) -> Decimal:
    """Return the shortest decimal that reads as `value`; :data:`UNMEASURED` for None, NaN and the infinities."""
    return UNMEASURED if value is None or not math.isfinite(value) else Decimal(repr(float(value)))


def notional_usd(shares: Decimal, price_usd: Decimal) -> Decimal:
    """Return what shares are worth at a price, without sign, rounded up to :data:`SMALLEST_USD`.

    Returns
    -------
    Decimal
        :data:`UNMEASURED` where a number is beyond 1e15 or not known, or the price is not above 0.
    """
    if shares == 0:
        return _NONE
    if not (_NONE < abs(shares) <= _LARGEST and _NONE < price_usd <= _LARGEST):
        return UNMEASURED
    value = abs(shares) * price_usd
    return value.quantize(SMALLEST_USD, ROUND_CEILING) if value <= _LARGEST else UNMEASURED


def at_most(observed: Decimal, threshold: Decimal) -> RuleFinding:
    """Return the finding of a rule that holds when ``observed <= threshold``; whoever asks says why it does not.

    Parameters
    ----------
    observed, threshold : Decimal
        Measured and allowed, in one unit. Where it is not known what is allowed, nothing is.
    """
    if threshold.is_infinite():
        return _beyond(math.inf, 0.0)
    if observed <= threshold:
        return _within(float(observed), float(threshold))
    return _beyond(float(observed), float(threshold))


def share_at_most(amount: Decimal, whole: Decimal, threshold: Decimal) -> RuleFinding:
    """Return the finding of a rule that holds when ``amount / whole <= threshold``; whoever asks says why it does not.

    Parameters
    ----------
    amount : Decimal
        Measured; no share of anything is 0.
    whole : Decimal
        What it is a share of. Not above 0 or not known, no share but 0 can be measured.
    threshold : Decimal
        Largest share allowed.

    Notes
    -----
    Decided by ``amount <= threshold × whole``, which a division would round.
    """
    if amount == 0:
        return _within(0.0, float(threshold))
    if amount.is_infinite() or whole.is_infinite() or whole <= 0:
        return _beyond(math.inf, float(threshold))
    if amount <= threshold * whole:
        return _within(float(amount / whole), float(threshold))
    return _beyond(float(amount / whole), float(threshold))


def _within(observed: float, threshold: float) -> RuleFinding:
    """Return that a rule holds; what is beyond the threshold by the rounding to binary is shown at it."""
    return RuleFinding._make((True, min(observed, threshold), threshold, None))


def _beyond(observed: float, threshold: float) -> RuleFinding:
    """Return that a rule does not hold; a difference that the rounding to binary loses is shown as one bit."""
    return RuleFinding._make((False, max(observed, math.nextafter(threshold, math.inf)), threshold, None))
