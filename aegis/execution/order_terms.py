"""What an order asks of a venue: how it finds its price, how long it lives, and which of these go together.

Belongs here: the words and the table of what each needs. The order that carries them is
:class:`aegis.execution.orders.Order`; when each fills is written down in ``docs/fills.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

OrderType = Literal[
    "market",
    "limit",
    "stop",
    "stop_limit",
    "trailing_stop",
    "market_on_open",
    "market_on_close",
    "limit_on_open",
    "limit_on_close",
]
TimeInForce = Literal["DAY", "GTC", "GTD", "IOC", "FOK", "OPG", "CLS"]

FRACTION_OF_A_SHARE: Final = 1e-6
"""The lot in which fractional shares are traded and kept."""

PRICES_OF: Mapping[OrderType, tuple[str, ...]] = {
    "market": (),
    "limit": ("limit_price_usd",),
    "stop": ("stop_price_usd",),
    "stop_limit": ("limit_price_usd", "stop_price_usd"),
    "trailing_stop": ("trail_usd or trail_fraction",),
    "market_on_open": (),
    "market_on_close": (),
    "limit_on_open": ("limit_price_usd",),
    "limit_on_close": ("limit_price_usd",),
}
"""The prices that each type needs; it takes no others."""

RESTING: tuple[TimeInForce, ...] = ("DAY", "GTC", "GTD")
"""Times in force of orders that wait."""

TIMES_OF: Mapping[OrderType, tuple[TimeInForce, ...]] = {
    "market": (*RESTING, "IOC", "FOK", "OPG", "CLS"),
    "limit": (*RESTING, "IOC", "FOK", "OPG", "CLS"),
    # A stop waits for its price: it cannot be immediate, and it does not know of an auction beforehand.
    "stop": RESTING,
    "stop_limit": RESTING,
    "trailing_stop": RESTING,
    # These are for one auction, whatever else is said of their life.
    "market_on_open": ("DAY", "OPG"),
    "market_on_close": ("DAY", "CLS"),
    "limit_on_open": ("DAY", "OPG"),
    "limit_on_close": ("DAY", "CLS"),
}
"""The times in force that each type can have."""

STOP_TYPES: frozenset[OrderType] = frozenset({"stop", "stop_limit", "trailing_stop"})
"""Types that wait for a price before they act, and are 'triggered' by it."""

_TRAIL = PRICES_OF["trailing_stop"]


def why_not(
    *,
    quantity_shares: float,
    is_fractional: bool,
    order_type: OrderType,
    time_in_force: TimeInForce,
    limit_price_usd: float | None,
    stop_price_usd: float | None,
    trail_usd: float | None,
    trail_fraction: float | None,
    expires_at_utc: datetime | None,
) -> str | None:
    """Return why no order can have these terms and what to do about it, or None where it can.

    Parameters
    ----------
    quantity_shares : float
        Signed, never zero.
    is_fractional : bool
        Whether the quantity may be a fraction of a share.
    order_type, time_in_force : str
        See :data:`PRICES_OF` and :data:`TIMES_OF`.
    limit_price_usd, stop_price_usd, trail_usd : float, optional
        Positive, in USD per share.
    trail_fraction : float, optional
        Between 0 and 1, of the best price since the order began.
    expires_at_utc : datetime, optional
        Aware; for GTD only.
    """
    if order_type not in PRICES_OF:
        return f"order type {order_type!r} is not known; expected one of {', '.join(PRICES_OF)}"
    given = {
        "limit_price_usd": limit_price_usd,
        "stop_price_usd": stop_price_usd,
        "trail_usd": trail_usd,
        "trail_fraction": trail_fraction,
    }
    return (
        _wrong_quantity(quantity_shares, is_fractional=is_fractional)
        or _wrong_prices(order_type, {name: price for name, price in given.items() if price is not None})
        or _wrong_life(order_type, time_in_force, expires_at_utc)
    )


def _wrong_quantity(quantity: float, *, is_fractional: bool) -> str | None:
    if not math.isfinite(quantity) or quantity == 0:
        return f"quantity {quantity!r} must be a whole number of shares other than 0; leave the order out"
    if not is_fractional and not float(quantity).is_integer():
        return (
            f"quantity {quantity!r} must be a whole number of shares other than 0; round it before the order is made, "
            "or set is_fractional where the venue takes fractions"
        )
    return None


def _wrong_prices(order_type: OrderType, given: Mapping[str, float]) -> str | None:
    needed = PRICES_OF[order_type]
    if needed == _TRAIL:
        if len(given) != 1 or not given.keys() <= {"trail_usd", "trail_fraction"}:
            return f"a {order_type} order needs exactly one of {_TRAIL[0]}, found {_listed(given)}; give one of them"
    elif given.keys() != set(needed):
        return (
            f"a {order_type} order needs {' and '.join(needed) or 'no price'}, found {_listed(given)}; give exactly "
            "these, or another order type"
        )
    for name, price in given.items():
        highest = 1.0 if name == "trail_fraction" else math.inf
        if not 0 < price < highest:
            return f"{name} {price!r} must lie between 0 and {highest:g}, both excluded; correct it"
    return None


def _wrong_life(order_type: OrderType, time_in_force: TimeInForce, expires_at_utc: datetime | None) -> str | None:
    allowed = TIMES_OF[order_type]
    if time_in_force not in allowed:
        return f"a {order_type} order cannot be {time_in_force!r}; choose one of {', '.join(allowed)}"
    if time_in_force == "GTD":
        if expires_at_utc is None or expires_at_utc.tzinfo is None:
            return (
                f"GTD needs expires_at_utc with a time zone, found {expires_at_utc!r}; say when it expires, or use GTC"
            )
    elif expires_at_utc is not None:
        return f"{time_in_force} takes no expires_at_utc, found {expires_at_utc!r}; leave it out, or use GTD"
    return None


def _listed(given: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={price!r}" for name, price in given.items()) or "none"
