"""What a share split does to an order: its quantity, what is filled of it, and its prices.

Belongs here: the terms of after. That they changed is the event 'rescaled' of :mod:`aegis.execution.order_states`.

Notes
-----
After a split both the quantity of an order and its filled shares are in the shares of after. What is filled and what
remains are rescaled one by one, each rounded towards zero to whole lots as positions are, and the new quantity is
their sum. So what remains is whole, an exit never asks for more than the position that the same split left, and the
rounding of what is filled is the custodian's cash in lieu, not an order. Of 25 filled and 75 open shares, one for ten
leaves 2 filled and 7 open: an order of 9. Fills keep the shares of their own session.
"""

from __future__ import annotations

import math
from dataclasses import replace

from aegis.errors import ExecutionError
from aegis.execution.order_terms import FRACTION_OF_A_SHARE
from aegis.execution.orders import Order
from aegis.execution.whole_lots import whole_lots


def shares_after_split(quantity_shares: float, ratio: float, *, is_fractional: bool = False) -> float:
    """Return a quantity in the shares of after a split.

    Parameters
    ----------
    quantity_shares : float
        Signed.
    ratio : float
        New shares for one old share: 2 for a two-for-one split, 0.1 for a one-for-ten reverse split.
    is_fractional : bool
        Whether fractions of a share stay, down to a millionth; otherwise they are cut off.

    Raises
    ------
    ExecutionError
        The ratio is not a positive finite number.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise ExecutionError(f"split ratio {ratio!r} must be positive and finite; correct the corporate action")
    return whole_lots(quantity_shares * ratio, FRACTION_OF_A_SHARE if is_fractional else 1.0)


def order_after_split(order: Order, ratio: float, *, filled_shares: float = 0.0) -> Order | None:
    """Return the terms of an open order after a split, or None where nothing is left to fill.

    Parameters
    ----------
    order : Order
        Its terms before.
    ratio : float
        New shares for one old share.
    filled_shares : float
        What is filled of it, in the shares of before.

    Raises
    ------
    ExecutionError
        The ratio is not a positive finite number.

    Notes
    -----
    Prices, and a trail in USD, are divided by the ratio and not rounded to a tick; a trail as a fraction stays.
    """
    fractional = order.is_fractional
    remaining = shares_after_split(order.quantity_shares - filled_shares, ratio, is_fractional=fractional)
    if remaining == 0:
        return None
    return replace(
        order,
        quantity_shares=shares_after_split(filled_shares, ratio, is_fractional=fractional) + remaining,
        arrival_price_usd=order.arrival_price_usd / ratio,
        limit_price_usd=_divided(order.limit_price_usd, ratio),
        stop_price_usd=_divided(order.stop_price_usd, ratio),
        trail_usd=_divided(order.trail_usd, ratio),
    )


def _divided(price: float | None, ratio: float) -> float | None:
    return None if price is None else price / ratio
