"""Why the simulated venue takes an order or other terms of it, or not, when they are given.

Belongs here: what is known between sessions: sessions, what is held and on sale, and the orders it depends on. Whether
the account can pay for it is asked when it would fill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from aegis.backtesting.rules import TradingRules
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.kernel_orders import is_exit
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderState, OrderStatus
from aegis.execution.orders import Order


def why_not(
    order: Order,
    *,
    account: AccountState,
    session: date | None,
    now_utc: datetime,
    known: Mapping[str, OrderStatus],
    waiting: Sequence[OrderStatus],
    rules: TradingRules,
) -> str:
    """Return why the venue rejects an order, empty if it does not.

    Parameters
    ----------
    order : Order
        Of an id that is new.
    account : AccountState
        What is held; its orders are not looked at.
    session : date or None
        The session that has opened last.
    now_utc : datetime
        When it is given.
    known : mapping of str to OrderStatus
        All orders that the broker knows.
    waiting : sequence of OrderStatus
        Those of them that are open.
    rules : TradingRules
        The venue's and the account's.
    """
    refusal = _why_not_sent(order, account.account, session, now_utc)
    if refusal:
        return refusal
    if order.is_fractional and not rules.fractional_shares:
        return reason_text(OrderReason.LOT_SIZE, f"{order.quantity_shares:g} shares, but the venue trades whole ones")
    if _is_too_small(order, account, rules):
        return reason_text(
            OrderReason.MINIMUM_NOTIONAL,
            f"{abs(order.quantity_shares) * order.arrival_price_usd:.2f} USD of {rules.min_notional_usd:g}",
        )
    if order.parent_id is not None:
        return _why_not_child(order, known.get(order.parent_id))
    if order.quantity_shares < 0 and rules.account_type == "cash":
        return _why_not_sell(order, account.quantity_shares(order.symbol), waiting)
    return ""


def why_not_replaced(
    status: OrderStatus,
    order: Order,
    *,
    is_trading: bool,
    account: AccountState,
    now_utc: datetime,
    known: Mapping[str, OrderStatus],
    waiting: Sequence[OrderStatus],
    rules: TradingRules,
) -> str:
    """Return why the venue declines other terms of an order, empty if it does not.

    Parameters
    ----------
    status : OrderStatus
        Where the order stands.
    order : Order
        What it shall be.
    is_trading : bool
        Whether it takes part in a session that is open.
    account, now_utc, known, rules
        As in :func:`why_not`.
    waiting : sequence of OrderStatus
        The other open orders.
    """
    before = status.order
    if is_trading:
        return reason_text(OrderReason.TOO_LATE, "it takes part in the session that is open")
    if not _differs_in_price_and_quantity_only(before, order):
        return reason_text(
            OrderReason.VENUE, "only quantity and prices of an order can be replaced; send another order"
        )
    if abs(order.quantity_shares) <= abs(status.filled_shares):
        return ""
    rest = replace(order, quantity_shares=order.quantity_shares - status.filled_shares)
    # Its own session may be long past, which is no reason against an order that lives.
    return why_not(rest, account=account, session=None, now_utc=now_utc, known=known, waiting=waiting, rules=rules)


def _differs_in_price_and_quantity_only(before: Order, after: Order) -> bool:
    same = replace(
        after,
        quantity_shares=before.quantity_shares,
        limit_price_usd=before.limit_price_usd,
        stop_price_usd=before.stop_price_usd,
        trail_usd=before.trail_usd,
        trail_fraction=before.trail_fraction,
    )
    return same == before and after != before and after.quantity_shares * before.quantity_shares > 0


def _why_not_sent(order: Order, account: str, session: date | None, now_utc: datetime) -> str:
    """Return why an order cannot have been meant for this account and this moment."""
    if order.account != account:
        return f"wrong account: expected {account}, found {order.account}"
    if order.execution_session <= order.session:
        return f"look-ahead: decided after the close of {order.session}, it cannot execute on a bar of that session"
    if session is not None and order.session < session:
        return f"too late: decided after {order.session}, but session {session} has opened since"
    if order.expires_at_utc is not None and order.expires_at_utc <= now_utc:
        return reason_text(OrderReason.CLOSED_SESSION, f"good till {order.expires_at_utc:%Y-%m-%dT%H:%M:%SZ}")
    return ""


def _is_too_small(order: Order, account: AccountState, rules: TradingRules) -> bool:
    """Whether an order is worth less at its decision than the venue takes; what closes a position never is."""
    if account.quantity_shares(order.symbol) + order.quantity_shares == 0:
        return False
    return abs(order.quantity_shares) * order.arrival_price_usd < rules.min_notional_usd


def _why_not_child(order: Order, parent: OrderStatus | None) -> str:
    """Return why an order cannot wait for its parent."""
    if parent is None:
        return reason_text(OrderReason.PARENT_ENDED, f"order {order.parent_id} is not known; submit it first")
    if parent.order.parent_id is not None:
        return reason_text(OrderReason.VENUE, f"order {order.parent_id} waits for a parent itself")
    if parent.is_final and parent.state is not OrderState.FILLED:
        return reason_text(OrderReason.PARENT_ENDED)
    if parent.state is OrderState.PARTIALLY_FILLED:
        return reason_text(OrderReason.TOO_LATE, f"order {order.parent_id} has begun to fill without it")
    closes = order.symbol == parent.order.symbol and order.quantity_shares * parent.order.quantity_shares < 0
    if is_exit(order) and not closes:
        return reason_text(
            OrderReason.VENUE, f"orders of a group that wait for {order.parent_id} close it; give the other side"
        )
    return ""


def _why_not_sell(order: Order, held: float, waiting: Sequence[OrderStatus]) -> str:
    selling = _on_sale(order, waiting)
    if held + selling + order.quantity_shares >= -FILL_TOLERANCE_SHARES:
        return ""
    return (
        f"short selling: {held:g} shares of {order.symbol} held and {-selling:g} on sale already, cannot sell "
        f"{-order.quantity_shares:g} more"
    )


def _on_sale(order: Order, waiting: Sequence[OrderStatus]) -> float:
    """Return the signed shares on sale already: children aside, and of orders that cancel each other the largest."""
    rings: dict[str, float] = {}
    for status in waiting:
        other = status.order
        if other.symbol != order.symbol or other.parent_id is not None:
            continue
        group = other.oco_group or other.client_order_id
        if group != order.oco_group:
            rings[group] = min(rings.get(group, 0.0), status.remaining_shares)
    return sum(rings.values())
