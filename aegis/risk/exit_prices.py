"""Which prices an order is judged and counted at when it is about to be sent.

Belongs here: the quote, the side of it that an order takes, and the collar around it. What is bought and sold at these
prices is :mod:`aegis.risk.exit_sizes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aegis.execution.orders import Order
from aegis.risk.exact_amounts import UNMEASURED, exact


@dataclass(frozen=True, slots=True)
class Quote:
    """Best prices of a symbol: what buyers offer, what sellers ask, in USD per share, and since when, aware UTC."""

    bid_usd: float
    ask_usd: float
    quoted_at_utc: datetime

    @property
    def is_usable(self) -> bool:
        """Whether both prices are finite and above 0, and the bid is not above the ask."""
        return 0.0 < self.bid_usd <= self.ask_usd < float("inf")

    @property
    def middle_usd(self) -> Decimal:
        """Halfway between the two; unmeasured where the quote is not usable."""
        return (exact(self.bid_usd) + exact(self.ask_usd)) / 2 if self.is_usable else UNMEASURED


def touch_usd(order: Order, quote: Quote | None) -> Decimal:
    """Return the price that an order takes when it trades at once: the ask of a purchase, the bid of a sale."""
    if quote is None or not quote.is_usable:
        return UNMEASURED
    return exact(quote.ask_usd if order.quantity_shares > 0 else quote.bid_usd)


def counted_price_usd(order: Order, touch: Decimal) -> Decimal:
    """Return the price at which an order counts towards limits: the highest that is expected of it.

    Parameters
    ----------
    order : Order
        Its terms.
    touch : Decimal
        See :func:`touch_usd`; unmeasured without a quote.

    Returns
    -------
    Decimal
        A purchase with a limit costs at most that. Without one it costs the ask, or the stop that starts it where that
        is higher, and a trailing stop starts above the ask by its distance. A sale brings the bid, or its limit or stop
        where that is higher.
    """
    stop, limit = exact(order.stop_price_usd or 0.0), exact(order.limit_price_usd or 0.0)
    if order.quantity_shares < 0:
        return max(touch, stop, limit)
    if order.limit_price_usd is not None:
        return limit
    return max(touch, stop) + exact(order.trail_usd or 0.0) + _share(touch, order.trail_fraction or 0.0)


def collar_usd(order: Order, touch: Decimal, *, fraction: float) -> tuple[Decimal, Decimal]:
    """Return how far an order's price is beyond its reference on the dear side, and how far it may be, in USD.

    Parameters
    ----------
    order : Order
        Its terms.
    touch : Decimal
        See :func:`touch_usd`.
    fraction : float
        Of the reference.

    Returns
    -------
    tuple of Decimal
        An order with a limit: the limit against the touch, or against the stop that starts it where the market has
        still to come to it. Any other: the touch against the arrival price. Dear is above for purchases, below for
        sales. Unmeasured without a usable quote.
    """
    arrival = exact(order.arrival_price_usd)
    if touch.is_infinite() or arrival.is_infinite() or arrival <= 0:
        return UNMEASURED, Decimal(0)
    side = 1 if order.quantity_shares > 0 else -1
    if order.limit_price_usd is None:
        price, reference = touch, arrival
    else:
        price, reference = exact(order.limit_price_usd), touch
        if order.stop_price_usd is not None:
            stop = exact(order.stop_price_usd)
            reference = max(touch, stop) if side > 0 else min(touch, stop)
    return side * (price - reference), exact(fraction) * reference


def _share(amount: Decimal, fraction: float) -> Decimal:
    return Decimal(0) if fraction == 0.0 else amount * exact(fraction)
