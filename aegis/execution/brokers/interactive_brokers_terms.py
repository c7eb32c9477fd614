"""What an order asks for in TWS's words, and which orders TWS has no words for.

Belongs here: the translation of terms on the way out, and whether an order that the gateway holds has them. What the
gateway answers is :mod:`aegis.execution.brokers.interactive_brokers_reports`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from aegis.execution.brokers.followed_actions import HeldTerms
from aegis.execution.brokers.interactive_brokers_reports import GatewayOrder
from aegis.execution.brokers.us_stock_terms import why_not_changed, why_not_meant, why_wrong_price
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import FILL_TOLERANCE_SHARES
from aegis.execution.order_terms import OrderType
from aegis.execution.orders import Order

_TYPES: Mapping[OrderType, tuple[str, str | None]] = {
    "market": ("MKT", None),
    "limit": ("LMT", None),
    "stop": ("STP", None),
    "stop_limit": ("STP LMT", None),
    "trailing_stop": ("TRAIL", None),
    "market_on_open": ("MKT", "OPG"),
    "limit_on_open": ("LMT", "OPG"),
    "market_on_close": ("MOC", "DAY"),
    "limit_on_close": ("LOC", "DAY"),
}
"""TWS's type, and its time in force where ours lies in the type."""
_AT_THE_CLOSE = {"MKT": "MOC", "LMT": "LOC"}
_PRICE_TOLERANCE = 1e-9


def order_terms(order: Order, *, account_code: str) -> dict[str, Any]:
    """Return the fields of the library's ``Order`` that ask for an order.

    Parameters
    ----------
    order : Order
        One that :func:`why_not` has nothing against.
    account_code : str
        Interactive Brokers' name of the account.
    """
    kind, time_in_force = _TYPES[order.order_type]
    time_in_force = time_in_force or order.time_in_force
    if time_in_force == "CLS":
        kind, time_in_force = _AT_THE_CLOSE[kind], "DAY"
    terms: dict[str, Any] = {
        "action": "BUY" if order.quantity_shares > 0 else "SELL",
        "totalQuantity": int(abs(order.quantity_shares)),
        "orderType": kind,
        "tif": time_in_force,
        "orderRef": order.client_order_id,
        "account": account_code,
        "outsideRth": False,
        "transmit": True,
    }
    if order.expires_at_utc is not None:
        terms["goodTillDate"] = f"{order.expires_at_utc.astimezone(UTC):%Y%m%d-%H:%M:%S}"
    return {**terms, **_prices(order)}


def contract_terms(order: Order, primary_exchanges: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the library's ``Contract`` that name an order's stock."""
    return stock_terms(order.ticker, primary_exchanges)


def stock_terms(ticker: str, primary_exchanges: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the library's ``Contract`` that name a stock by its ticker."""
    return {
        "symbol": ticker.replace(".", " "),
        "secType": "STK",
        "exchange": "SMART",
        "currency": "USD",
        "primaryExchange": primary_exchanges.get(ticker, ""),
    }


def has_terms(held: GatewayOrder, order: Order) -> bool:
    """Whether the gateway holds an order on exactly these terms: ticker, quantity and prices."""
    wanted = _prices(order)
    return is_same_order(held, order) and all(
        _is_same(found, wanted.get(name))
        for name, found in (
            ("lmtPrice", held.limit_price_usd),
            ("auxPrice", held.auxiliary_usd),
            ("trailingPercent", held.trail_percent),
        )
        if name in wanted
    )


def held_terms(held: GatewayOrder) -> HeldTerms:
    """Return the terms that the gateway holds an order on."""
    return HeldTerms(
        ticker=held.ticker,
        quantity_shares=held.quantity_shares,
        limit_price_usd=held.limit_price_usd,
        stop_price_usd=held.auxiliary_usd,
    )


def is_same_order(held: GatewayOrder, order: Order) -> bool:
    """Whether the gateway holds an order of this ticker, side and quantity."""
    return held.ticker == order.ticker and abs(held.quantity_shares - order.quantity_shares) <= FILL_TOLERANCE_SHARES


def why_not(order: Order, *, account: str) -> str:
    """Return why TWS cannot be sent an order, empty if it can."""
    return why_not_meant(order, account=account) or _why_no_words(order) or why_wrong_price(order)


def why_not_replaced(before: Order, after: Order, *, filled_shares: float) -> str:
    """Return why TWS cannot be asked for other terms, empty if it can; its quantities count what is filled."""
    refusal = why_not_changed(before, after)
    if refusal:
        return refusal
    if abs(after.quantity_shares) <= abs(filled_shares):
        return reason_text(
            OrderReason.VENUE,
            f"{abs(filled_shares):g} shares are filled, so {abs(after.quantity_shares):g} leave nothing; cancel the "
            "rest instead",
        )
    return _why_no_words(after) or why_wrong_price(after)


def _prices(order: Order) -> dict[str, float]:
    given = {
        "lmtPrice": order.limit_price_usd,
        "auxPrice": order.stop_price_usd if order.stop_price_usd is not None else order.trail_usd,
        "trailingPercent": None if order.trail_fraction is None else round(order.trail_fraction * 100, 9),
    }
    return {name: price for name, price in given.items() if price is not None}


def _is_same(found: float | None, wanted: float | None) -> bool:
    return found is not None and wanted is not None and abs(found - wanted) <= _PRICE_TOLERANCE


def _why_no_words(order: Order) -> str:
    if order.algorithm != "market":
        return reason_text(
            OrderReason.VENUE,
            f"algorithm {order.algorithm!r} is worked by child orders; send those to Interactive Brokers",
        )
    if order.parent_id is not None or order.oco_group is not None:
        return reason_text(
            OrderReason.VENUE,
            "an order that waits for another, or that another cancels, is not sent to Interactive Brokers: after a "
            "lost connection nobody could say which of them it has; keep exits back until their entry fills",
        )
    if order.is_fractional and not float(order.quantity_shares).is_integer():
        return reason_text(OrderReason.LOT_SIZE, "TWS takes no fractions of shares from programs (error 10243)")
    return ""
