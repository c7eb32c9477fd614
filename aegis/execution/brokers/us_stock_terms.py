"""What any venue of US shares asks of an order, whatever its protocol.

Belongs here: whom an order is meant for and when, the tick, and which terms may change. A venue's own words and gaps
are its broker's. Nothing is rounded: an order whose price does not fit is refused before it is sent.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.orders import Order

_CENT, _FINE_TICK = Decimal("0.01"), Decimal("0.0001")
"""From 1 USD on, and below (Regulation NMS, rule 612)."""
_POINTED = re.compile(r"-?\d+\.\d+")
"""The text of a float that has no exponent."""


def why_not_meant(order: Order, *, account: str) -> str:
    """Return why an order cannot have been meant for this account, or for its session; empty if it can."""
    if order.account != account:
        return reason_text(OrderReason.WRONG_ACCOUNT, f"expected {account}, found {order.account}")
    if order.execution_session <= order.session:
        return reason_text(
            OrderReason.LOOK_AHEAD, f"decided after the close of {order.session}, it cannot execute in that session"
        )
    return ""


def why_not_now(order: Order, *, clock: Clock, calendar: TradingCalendar) -> str:
    """Return why an order would not execute in its session if it were sent now, empty if it would."""
    if order.time_in_force == "GTC":
        return ""
    closes = calendar.close_utc(order.execution_session)
    now = clock.now_utc()
    if order.expires_at_utc is not None and now >= order.expires_at_utc:
        return reason_text(OrderReason.TOO_LATE, f"good till {order.expires_at_utc.isoformat()}")
    if order.expires_at_utc is None and now >= closes:
        return reason_text(OrderReason.TOO_LATE, f"session {order.execution_session} closed at {closes.isoformat()}")
    before = _close_before_utc(calendar, order.execution_session)
    if now < before:
        return reason_text(
            OrderReason.CLOSED_SESSION,
            f"sent before {before.isoformat()} it would execute in a session before {order.execution_session}",
        )
    return ""


def why_not_changed(before: Order, after: Order) -> str:
    """Return why no venue can be asked for other terms of an order, empty if one can: quantity and prices change."""
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
    return ""


def why_wrong_price(order: Order) -> str:
    """Return why a price of an order is not one that US shares trade at, empty if all are."""
    for name, price in (("limit_price_usd", order.limit_price_usd), ("stop_price_usd", order.stop_price_usd)):
        if price is not None:
            tick = tick_usd(price)
            if Decimal(repr(float(price))) % tick != 0:
                return reason_text(OrderReason.TICK_SIZE, f"{name} {price!r} is not a multiple of {tick}; round it")
    if order.trail_usd is not None and Decimal(repr(float(order.trail_usd))) % _CENT != 0:
        return reason_text(OrderReason.TICK_SIZE, f"trail_usd {order.trail_usd!r} is not a multiple of {_CENT}")
    return ""


@lru_cache(maxsize=8)
def _close_before_utc(calendar: TradingCalendar, session: date) -> datetime:
    """Return when the session before a session closes; looked up once, as every order asks for it."""
    return calendar.close_utc(calendar.previous(session))


def tick_usd(price_usd: float) -> Decimal:
    """Return the smallest step of a price, USD."""
    return _CENT if price_usd >= 1 else _FINE_TICK


def exact(number: float) -> str:
    """Return a number as the shortest decimal text that stands for it, without an exponent."""
    text = repr(float(number))
    if not _POINTED.fullmatch(text):
        text = f"{Decimal(text):f}"
    return text.removesuffix(".0")
