"""How an order at Interactive Brokers ended: rejected, cancelled or expired, and why; or why nobody can say.

Belongs here: what the few words of TWS mean, which has one status for whatever ends without a fill, and what its
silence proves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from aegis.execution.brokers.interactive_brokers_reports import GatewayRefusal, refusal_reason
from aegis.execution.order_reasons import OrderReason, reason_text, remedy_of_missing
from aegis.execution.order_states import FILL_TOLERANCE_SHARES
from aegis.execution.orders import Order, OrderEventKind

_WHY_ENDED = {
    "IOC": OrderReason.NOT_IMMEDIATE,
    "FOK": OrderReason.NOT_WHOLE,
    "OPG": OrderReason.MISSED_AUCTION,
    "CLS": OrderReason.MISSED_AUCTION,
}
_AUCTIONS = frozenset({"market_on_open", "limit_on_open", "market_on_close", "limit_on_close"})
_BY_PERSON = "by trader"
"""What the status of an order that is over says after any request to cancel it, whoever made it."""


def lost(client_order_id: str) -> str:
    """Return what is said of an order that is neither open nor over there."""
    return (
        f"order {client_order_id}: Interactive Brokers acknowledged it and tells of it no more; it tells of today's "
        f"orders and executions only: {remedy_of_missing(client_order_id)}"
    )


def why_unproven(order: Order, *, today: date) -> str:
    """Return why it proves nothing that Interactive Brokers does not tell of an order; empty where it proves something.

    Parameters
    ----------
    order : Order
        As it may have been sent.
    today : date
        The day at the venue.
    """
    if today <= order.execution_session:
        return ""
    return (
        f"order {order.client_order_id} ({order.quantity_shares:g} {order.symbol}): it may have been sent in session "
        f"{order.execution_session}, and Interactive Brokers tells of today's executions only; "
        f"{remedy_of_missing(order.client_order_id)}"
    )


def unexplained_fills(client_order_id: str, *, filled: float, told: float) -> str:
    """Return what is said where executions do not explain what the venue counts as filled; empty where they do.

    Parameters
    ----------
    client_order_id : str
        The order.
    filled, told : float
        Unsigned shares, by its status and by its executions.
    """
    if filled <= told + FILL_TOLERANCE_SHARES:
        return ""
    return (
        f"order {client_order_id}: Interactive Brokers counts {filled:g} shares filled and tells executions of "
        f"{told:g}; it tells those of today only: compare the statement"
    )


def end_of(
    order: Order,
    *,
    at_utc: datetime,
    words: str,
    refusal: GatewayRefusal | None,
    is_inactive: bool,
    has_fills: bool,
    was_asked_for: bool,
    closes: Callable[[date], datetime],
) -> tuple[OrderEventKind, str]:
    """Return the kind of an order's end, and the reason as events carry it.

    Parameters
    ----------
    order : Order
        On its terms of now.
    at_utc : datetime
        When it ended, or when that was told.
    words : str
        The venue's.
    refusal : GatewayRefusal, optional
        An error that said why the order was not taken.
    is_inactive : bool
        Whether the venue calls it inactive rather than cancelled.
    has_fills : bool
        Whether some of it filled: what is filled cannot be rejected any more.
    was_asked_for : bool
        Whether we asked for it.
    closes : callable
        When a session closes, UTC.
    """
    if not has_fills and (refusal is not None or is_inactive):
        why = refusal.reason if refusal is not None else refusal_reason(words or "the order is inactive")
        return OrderEventKind.REJECTED, why
    if was_asked_for:
        return OrderEventKind.CANCELLED, str(OrderReason.BY_REQUEST)
    ended = _ran_out(order, at_utc, closes)
    if ended is not None:
        return OrderEventKind.EXPIRED, reason_text(ended)
    return OrderEventKind.CANCELLED, _why_cancelled(order, words, refusal)


def _why_cancelled(order: Order, words: str, refusal: GatewayRefusal | None) -> str:
    if _BY_PERSON in words.lower():
        return reason_text(OrderReason.BY_REQUEST, words)
    known = OrderReason.MISSED_AUCTION if order.order_type in _AUCTIONS else _WHY_ENDED.get(order.time_in_force)
    if known is not None:
        return reason_text(known)
    if refusal is not None:
        return refusal.reason
    return refusal_reason(words) if words else reason_text(OrderReason.VENUE)


def _ran_out(order: Order, at_utc: datetime, closes: Callable[[date], datetime]) -> OrderReason | None:
    if order.expires_at_utc is not None:
        return OrderReason.END_OF_LIFE if at_utc >= order.expires_at_utc else None
    if order.time_in_force == "DAY" and order.order_type not in _AUCTIONS and at_utc >= closes(order.execution_session):
        return OrderReason.END_OF_SESSION
    return None
