"""What an order asks for in Alpaca's words, and which orders Alpaca has no words for.

Belongs here: the translation of terms on the way out. Nothing is rounded: an order whose price or quantity does not fit
is refused before it is sent. What Alpaca answers is :mod:`aegis.execution.brokers.alpaca_reports`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
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
_CENT, _FINE_TICK = Decimal("0.01"), Decimal("0.0001")
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
    if order.account != account:
        return reason_text(OrderReason.WRONG_ACCOUNT, f"expected {account}, found {order.account}")
    if order.execution_session <= order.session:
        return reason_text(
            OrderReason.LOOK_AHEAD, f"decided after the close of {order.session}, it cannot execute in that session"
        )
    return _why_no_words(order) or _why_wrong_quantity(order) or _why_wrong_price(order)


def why_not_now(order: Order, *, clock: Clock, calendar: TradingCalendar) -> str:
    """Return why an order would not execute in its session if it were sent now, empty if it would."""
    if order.time_in_force == "GTC":
        return ""
    closes = calendar.close_utc(order.execution_session)
    now = clock.now_utc()
    if now >= closes:
        return reason_text(OrderReason.TOO_LATE, f"session {order.execution_session} closed at {closes.isoformat()}")
    before = calendar.close_utc(calendar.previous(order.execution_session))
    if now < before:
        return reason_text(
            OrderReason.CLOSED_SESSION,
            f"sent before {before.isoformat()} it would execute in a session before {order.execution_session}",
        )
    return ""


def why_not_replaced(before: Order, after: Order, *, filled_shares: float) -> str:
    """Return why Alpaca cannot be asked for other terms, empty if it can.

    Notes
    -----
    Alpaca does not say whether the quantity of a replacement counts what is filled, so the quantity of an order that
    has begun to fill is never changed: a guess would buy twice.
    """
    same = replace(
        after,
        quantity_shares=before.quantity_shares,
        limit_price_usd=before.limit_price_usd,
        stop_price_usd=before.stop_price_usd,
        trail_usd=before.trail_usd,
        trail_fraction=before.trail_fraction,
    )
    if same != before or after.quantity_shares * before.quantity_shares < 0:
        return reason_text(
            OrderReason.VENUE, "only quantity and prices of an order can be replaced; send another order"
        )
    if after == before:
        return reason_text(OrderReason.VENUE, "nothing of it would change")
    if (before.trail_usd is None) is not (after.trail_usd is None):
        return reason_text(OrderReason.VENUE, "a trail in USD cannot become one in percent; send another order")
    if after.quantity_shares != before.quantity_shares:
        if filled_shares != 0:
            return reason_text(
                OrderReason.VENUE,
                f"{abs(filled_shares):g} shares are filled, and Alpaca does not say whether the new quantity counts "
                "them; cancel the rest and send another order",
            )
        if after.is_fractional:
            return reason_text(OrderReason.VENUE, "Alpaca does not change the quantity of fractional orders")
    return _why_wrong_quantity(after) or _why_wrong_price(after)


def exact(number: float) -> str:
    """Return a number as the shortest decimal text that stands for it, without an exponent."""
    text = f"{Decimal(repr(float(number))):f}"
    return text.removesuffix(".0")


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


def _why_wrong_price(order: Order) -> str:
    for name, price in (("limit_price_usd", order.limit_price_usd), ("stop_price_usd", order.stop_price_usd)):
        if price is not None:
            number = Decimal(repr(float(price)))
            tick = _CENT if number >= 1 else _FINE_TICK
            if number % tick != 0:
                return reason_text(OrderReason.TICK_SIZE, f"{name} {price!r} is not a multiple of {tick}; round it")
    if order.trail_usd is not None and Decimal(repr(float(order.trail_usd))) % _CENT != 0:
        return reason_text(OrderReason.TICK_SIZE, f"trail_usd {order.trail_usd!r} is not a multiple of {_CENT}")
    return ""
