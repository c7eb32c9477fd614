"""The order state machine: one table of transitions, and the status of an order that follows from its events.

Belongs here: which event may follow which state. Who causes events is the business of the gate, the order management
and the brokers; all of them go through :func:`apply_event`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from aegis.errors import IllegalTransition
from aegis.execution.orders import Order, OrderEvent, OrderEventKind


class OrderState(StrEnum):
    """Where an order stands."""

    INTENT_RECORDED = "intent recorded"
    REFUSED = "refused"
    APPROVED = "approved"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


_S, _E = OrderState, OrderEventKind

TRANSITIONS: Mapping[OrderState, Mapping[OrderEventKind, OrderState]] = {
    _S.INTENT_RECORDED: {_E.APPROVED: _S.APPROVED, _E.REFUSED: _S.REFUSED},
    _S.APPROVED: {_E.SUBMITTED: _S.SUBMITTED, _E.CANCELLED: _S.CANCELLED, _E.EXPIRED: _S.EXPIRED},
    # A fill may overtake the acknowledgement, so a submitted order may do whatever an accepted one may.
    _S.SUBMITTED: {
        _E.ACCEPTED: _S.ACCEPTED,
        _E.REJECTED: _S.REJECTED,
        _E.RESCALED: _S.SUBMITTED,
        _E.PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
        _E.FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    # A venue may reject after it acknowledged, for instance when buying power is gone at the open.
    _S.ACCEPTED: {
        _E.REJECTED: _S.REJECTED,
        _E.RESCALED: _S.ACCEPTED,
        _E.PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
        _E.FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    _S.PARTIALLY_FILLED: {
        _E.PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
        _E.FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    _S.REFUSED: {},
    _S.FILLED: {},
    _S.CANCELLED: {},
    _S.EXPIRED: {},
    _S.REJECTED: {},
}

TERMINAL_STATES = frozenset(state for state, edges in TRANSITIONS.items() if not edges)
FINAL_EVENTS = frozenset(
    event
    for event in OrderEventKind
    if {edges[event] for edges in TRANSITIONS.values() if event in edges} <= TERMINAL_STATES
)
"""Events after which nothing happens to an order, whatever its state was."""


def next_state(state: OrderState, event: OrderEventKind, *, client_order_id: str) -> OrderState:
    """Return the state that `event` leads to.

    Raises
    ------
    IllegalTransition
        The table has no such edge; the message names the order and the events that are allowed.
    """
    edges = TRANSITIONS[state]
    found = edges.get(event)
    if found is None:
        allowed = ", ".join(f"'{kind}'" for kind in edges) or "none: the state is final"
        raise IllegalTransition(
            f"order {client_order_id}: event '{event}' cannot follow state '{state}'; allowed are {allowed}. "
            "Find out who sent the event before booking it"
        )
    return found


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """An order, where it stands, and how much of it is done.

    Parameters
    ----------
    order : Order
        Its terms as they are now: after a split those of the new shares.
    state : OrderState
        Where it stands.
    filled_shares : float
        Signed like the order.
    fills : int
        Number of fills so far.
    """

    order: Order
    state: OrderState
    filled_shares: float = 0.0
    fills: int = 0

    @property
    def remaining_shares(self) -> float:
        """Signed quantity that is not filled."""
        return self.order.quantity_shares - self.filled_shares

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self.state in TERMINAL_STATES


def apply_event(status: OrderStatus, event: OrderEvent) -> OrderStatus:
    """Return the status after `event`.

    Raises
    ------
    IllegalTransition
        The state has no such edge; or the event's fill is missing, out of order, on the wrong side, larger than what
        remains, or does not agree with its kind ('filled' leaves nothing, 'partially filled' leaves something).
    """
    order = status.order
    state = next_state(status.state, event.kind, client_order_id=order.client_order_id)
    if event.kind in (OrderEventKind.FILLED, OrderEventKind.PARTIALLY_FILLED):
        return _apply_fill(status, event, state)
    if event.kind is OrderEventKind.RESCALED:
        if event.order is None:
            raise IllegalTransition(f"order {order.client_order_id}: 'rescaled' must carry the new terms, found none")
        order = event.order
    return OrderStatus(order, state, status.filled_shares, status.fills)


def _apply_fill(status: OrderStatus, event: OrderEvent, state: OrderState) -> OrderStatus:
    fill, remaining = event.fill, status.remaining_shares
    name = f"order {status.order.client_order_id} ({status.order.symbol})"
    if fill is None or fill.fill_number != status.fills + 1:
        found = "none" if fill is None else str(fill.fill_number)
        raise IllegalTransition(f"{name}: expected fill number {status.fills + 1}, found {found}; a fill was lost")
    quantity = fill.quantity_shares
    if quantity == 0 or quantity * remaining < 0 or abs(quantity) > abs(remaining):
        raise IllegalTransition(f"{name}: {remaining} shares remain, a fill of {quantity} cannot be one of its fills")
    if (quantity == remaining) is not (event.kind is OrderEventKind.FILLED):
        raise IllegalTransition(f"{name}: event '{event.kind}' of {quantity} shares where {remaining} remain")
    return OrderStatus(status.order, state, status.filled_shares + quantity, fill.fill_number)
