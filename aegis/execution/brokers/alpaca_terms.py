"""What an order asks for in Alpaca's words, and which orders Alpaca has no words for.

Belongs here: the translation of terms on the way out. Nothing is rounded: an order whose price or quantity does not fit
is refused before it is sent. What Alpaca answers is :mod:`aegis.execution.brokers.alpaca_reports`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from aegis.execution.brokers.us_stock_terms import exact, why_not_changed, why_not_meant, why_wrong_price
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_terms import OrderType, TimeInForce
from aegis.execution.orders import Order

_TYPES: Mapping[OrderType, tuple[str, str | None]] = {
    "market": ("market", None),
    "limit": ("limit", None),
    "stop": ("stop", None),
    "stop_limit": ("stop_limit", None),
    "trailing_stop": ("trailing_stop", None),
    "market_on_open": ("market", "opg"),
    "market_on_close": ("market", "cls"),
    "limit_on_open": ("limit", "opg"),
    "limit_on_close": ("limit", "cls"),
}
"""Alpaca's type, and its time in force where ours lies in the type."""

_TIMES: Mapping[TimeInForce, str] = {
    "DAY": "day",
    "GTC": "gtc",
    "IOC": "ioc",
    "FOK": "fok",
    "OPG": "opg",
    "CLS": "cls",
}
"""Alpaca knows no GTD."""

_FRACTIONAL_TYPES = frozenset({"market", "limit", "stop", "stop_limit"})
_FRACTION_PLACES = 9
_MOST_LETTERS: Final = 128
"""Of a client order id."""


def order_request(order: Order) -> dict[str, Any]:
    """Return the body that submits an order; all numbers as exact decimal text.

    Notes
    -----
    Only for orders that :func:`why_not` has nothing against.
    """
    kind, time_in_force = _TYPES[order.order_type]
    body = {
        "symbol": order.ticker,
        "side": "buy" if order.quantity_shares > 0 else "sell",
        "type": kind,
        "time_in_force": time_in_force or _TIMES[order.time_in_force],
        "qty": exact(abs(order.quantity_shares)),
        "client_order_id": order.client_order_id,
        "extended_hours": False,
    }
    return {**body, **_prices(order)}


def replacement_request(before: Order, after: Order, *, client_order_id: str) -> dict[str, Any]:
    """Return the body that asks for other terms: what changes, and the replacement's own id."""
    body: dict[str, Any] = {"client_order_id": client_order_id}
    if after.quantity_shares != before.quantity_shares:
        body["qty"] = exact(abs(after.quantity_shares))
    old, new = _prices(before), _prices(after)
    trail = next((new[name] for name in ("trail_price", "trail_percent") if new.get(name) != old.get(name)), None)
    if trail is not None:
        body["trail"] = trail
    for name in ("limit_price", "stop_price"):
        if new.get(name) != old.get(name):
            body[name] = new[name]
    return body


def why_not(order: Order, *, account: str) -> str:
    """Return why Alpaca cannot be sent an order, empty if it can."""
    return (
        why_not_meant(order, account=account)
        or _why_no_words(order)
        or _why_wrong_quantity(order)
        or why_wrong_price(order)
    )


def why_not_replaced(before: Order, after: Order, *, filled_shares: float) -> str:
    """Return why Alpaca cannot be asked for other terms, empty if it can.

    Notes
    -----
    Alpaca does not say whether the quantity of a replacement counts what is filled, so the quantity of an order that
    has begun to fill is never changed: a guess would buy twice.
    """
    refusal = why_not_changed(before, after)
    if refusal:
        return refusal
    if after.quantity_shares != before.quantity_shares:
        if filled_shares != 0:
            return reason_text(
                OrderReason.VENUE,
                f"{abs(filled_shares):g} shares are filled, and Alpaca does not say whether the new quantity counts "
                "them; cancel the rest and send another order",
            )
        if after.is_fractional:
            return reason_text(OrderReason.VENUE, "Alpaca does not change the quantity of fractional orders")
    return _why_wrong_quantity(after) or why_wrong_price(after)


def _prices(order: Order) -> dict[str, str]:
    given = {
        "limit_price": order.limit_price_usd,
        "stop_price": order.stop_price_usd,
        "trail_price": order.trail_usd,
    }
    prices = {name: exact(price) for name, price in given.items() if price is not None}
    if order.trail_fraction is not None:
        prices["trail_percent"] = f"{(Decimal(repr(order.trail_fraction)) * 100).normalize():f}"
    return prices


def _why_no_words(order: Order) -> str:
    if order.algorithm != "market":
        return reason_text(
            OrderReason.VENUE, f"algorithm {order.algorithm!r} is worked by child orders; send those to Alpaca"
        )
    if order.parent_id is not None or order.oco_group is not None:
        return reason_text(
            OrderReason.VENUE,
            "Alpaca ties orders together only within one submission; keep exits back until their entry fills",
        )
    if order.time_in_force not in _TIMES:
        return reason_text(OrderReason.VENUE, f"Alpaca takes no {order.time_in_force} orders; use GTC and cancel it")
    if len(order.client_order_id) > _MOST_LETTERS:
        return reason_text(OrderReason.VENUE, f"a client order id has at most {_MOST_LETTERS} letters")
    return ""


def _why_wrong_quantity(order: Order) -> str:
    if not order.is_fractional or float(order.quantity_shares).is_integer():
        return ""
    kind, time_in_force = _TYPES[order.order_type]
    if (time_in_force or _TIMES[order.time_in_force]) != "day" or kind not in _FRACTIONAL_TYPES:
        return reason_text(
            OrderReason.LOT_SIZE,
            f"Alpaca takes fractions of shares in DAY orders only, of type {', '.join(sorted(_FRACTIONAL_TYPES))}",
        )
    if len(exact(abs(order.quantity_shares)).partition(".")[2]) > _FRACTION_PLACES:
        return reason_text(
            OrderReason.LOT_SIZE,
            f"{order.quantity_shares!r} shares have more than {_FRACTION_PLACES} decimal places; round them",
        )
    return ""
