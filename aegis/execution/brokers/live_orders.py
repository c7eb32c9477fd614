"""Which orders may leave for real money after a person's confirmation has ended: those that only reduce a position.

Belongs here: the judgement of one order against what the broker says that the account holds. Whether the confirmation
stands is :mod:`aegis.execution.brokers.live_confirmation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aegis.errors import ConfigurationError
from aegis.execution.account_state import Position
from aegis.execution.order_reasons import OrderReason, reason_text
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderStatus
from aegis.execution.orders import Order


def why_not_live(
    order: Order,
    *,
    require: Callable[[], None],
    positions: Callable[[], Iterable[Position]],
    open_orders: Callable[[], Iterable[OrderStatus]],
) -> str:
    """Return why an order may not leave for real money now; empty where it may, or where there is none at stake.

    Parameters
    ----------
    order : Order
        As it shall be sent.
    require : callable
        Raises ConfigurationError where real money is reached and nobody's confirmation stands.
    positions : callable
        Asks the broker what the account holds; called only where the confirmation does not stand.
    open_orders : callable
        Returns our orders that may still execute; called only where the confirmation does not stand. `order` among
        them is left out.

    Raises
    ------
    BrokerUnavailable
        The broker does not say what the account holds.
    """
    try:
        require()
    except ConfigurationError as error:
        # Before the positions: what fills between the two questions counts twice, never not at all.
        waiting = open_orders()
        if reduces_only(order, positions(), waiting):
            return ""
        return reason_text(OrderReason.NOT_CONFIRMED, f"{error}; until then only orders that reduce a position leave")
    return ""


def reduces_only(order: Order, positions: Iterable[Position], open_orders: Iterable[OrderStatus]) -> bool:
    """Whether an order takes from a position and cannot turn it over, whatever else of ours fills before it.

    Notes
    -----
    The order's own word (``is_reducing``) is not taken for it. All that is still open on the order's side counts as
    filled; what is open on the other side does not.
    """
    held = sum(position.quantity_shares for position in positions if position.symbol == order.symbol)
    same_side = sum(
        status.order.quantity_shares - status.filled_shares
        for status in open_orders
        if status.order.symbol == order.symbol
        and status.order.client_order_id != order.client_order_id
        and status.order.quantity_shares * order.quantity_shares > 0
        and not status.is_final
    )
    after = held + same_side + order.quantity_shares
    return held * order.quantity_shares < 0 and after * held >= -FILL_TOLERANCE_SHARES * abs(held)
