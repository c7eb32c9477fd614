"""The order state machine: one table of transitions, and the status of an order that follows from its events.

Belongs here: which event may follow which state. Who causes events is the business of the gate, the order management
and the brokers; all of them go through :func:`apply_event`. The table is drawn in ``docs/orders.md``. Events that
arrive in another order than they happened are put right by :mod:`aegis.execution.order_history`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from aegis.errors import IllegalTransition
from aegis.execution.order_splits import shares_after_split
from aegis.execution.order_terms import STOP_TYPES
from aegis.execution.orders import Order, OrderEvent, OrderEventKind


class OrderState(StrEnum):
    """Where an order stands."""

    INTENT_RECORDED = "intent recorded"
    REFUSED = "refused"
    APPROVED = "approved"
    SUBMITTED = "submitted"
    HELD = "held"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    WORKED = "worked"


_S, _E = OrderState, OrderEventKind

REQUESTS = (_E.REPLACE_REQUESTED, _E.REPLACE_REJECTED, _E.CANCEL_REQUESTED, _E.CANCEL_REJECTED)
"""What is asked of a venue and what it declines: the order stays where it stands, and may fill meanwhile."""

CHANGES = (_E.ADJUSTED, _E.RELEASED, _E.RESCALED, _E.REPLACED, _E.REDUCED)
"""What gives an order new terms."""


def _stays(state: OrderState, *events: OrderEventKind) -> dict[OrderEventKind, OrderState]:
    return dict.fromkeys(events, state)


TRANSITIONS: Mapping[OrderState, Mapping[OrderEventKind, OrderState]] = {
    _S.INTENT_RECORDED: {_E.APPROVED: _S.APPROVED, _E.REFUSED: _S.REFUSED},
    # A child that we keep back ourselves stays approved: 'held' is what the venue does with what it was sent.
    # A parent that children work is never sent itself; it ends when all that could be done for it is done.
    # A split or a new ticker changes its terms before it is sent; what is at a venue is 'rescaled' there.
    _S.APPROVED: {
        **_stays(_S.APPROVED, _E.ADJUSTED),
        _E.SUBMITTED: _S.SUBMITTED,
        _E.WORKED: _S.WORKED,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    # A fill may overtake the acknowledgement, so a submitted order may do whatever an accepted one may.
    _S.SUBMITTED: {
        _E.ACCEPTED: _S.ACCEPTED,
        _E.REJECTED: _S.REJECTED,
        _E.HELD: _S.HELD,
        **_stays(_S.SUBMITTED, _E.TRIGGERED, _E.RESCALED, _E.REPLACED, _E.REDUCED, *REQUESTS),
        _E.PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
        _E.FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    # The venue has the child and keeps it from the market until its parent fills.
    _S.HELD: {
        _E.RELEASED: _S.ACCEPTED,
        _E.REJECTED: _S.REJECTED,
        **_stays(_S.HELD, _E.RESCALED, _E.REPLACED, _E.REDUCED, *REQUESTS),
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    # A venue may reject after it acknowledged, for instance when buying power is gone at the open. A released child
    # is released again, for more, with each further fill of its parent.
    _S.ACCEPTED: {
        _E.REJECTED: _S.REJECTED,
        **_stays(_S.ACCEPTED, _E.RELEASED, _E.TRIGGERED, _E.RESCALED, _E.REPLACED, _E.REDUCED, *REQUESTS),
        _E.PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
        _E.FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    # What is filled stays filled, so it cannot be rejected any more.
    _S.PARTIALLY_FILLED: {
        _E.PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
        **_stays(_S.PARTIALLY_FILLED, _E.RELEASED, _E.RESCALED, _E.REPLACED, _E.REDUCED, *REQUESTS),
        _E.FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.EXPIRED,
    },
    _S.REFUSED: {},
    _S.FILLED: {},
    _S.CANCELLED: {},
    _S.EXPIRED: {},
    _S.REJECTED: {},
    _S.WORKED: {},
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


FILL_TOLERANCE_SHARES = 1e-9
"""Fractional quantities that differ by no more are equal: 0.1 + 0.2 is an order of 0.3."""


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
        Signed like the order, in the shares of its terms: a split rescales it, see
        :mod:`aegis.execution.order_splits`.
    fills : int
        Number of fills so far.
    is_triggered : bool
        Whether the price reached the order's stop; it acts as a market or limit order since.
    is_cancel_requested, is_replace_requested : bool
        Whether the venue was asked and has not answered. The order works on until it does.
    """

    order: Order
    state: OrderState
    filled_shares: float = 0.0
    fills: int = 0
    is_triggered: bool = False
    is_cancel_requested: bool = False
    is_replace_requested: bool = False

    @property
    def remaining_shares(self) -> float:
        """Signed quantity that is not filled."""
        return self.order.quantity_shares - self.filled_shares

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self.state in TERMINAL_STATES

    @property
    def is_working(self) -> bool:
        """Whether a venue may fill it now."""
        return self.state in WORKING_STATES

    def is_completed_by(self, quantity_shares: float) -> bool:
        """Return whether a fill of this signed quantity leaves nothing."""
        tolerance = FILL_TOLERANCE_SHARES if self.order.is_fractional else 0.0
        return abs(self.remaining_shares - quantity_shares) <= tolerance


UNSENT = frozenset({_S.INTENT_RECORDED, _S.APPROVED})
"""States of an order that is committed and not sent."""
WORKING_STATES = frozenset({_S.SUBMITTED, _S.ACCEPTED, _S.PARTIALLY_FILLED})


def apply_event(status: OrderStatus, event: OrderEvent) -> OrderStatus:
    """Return the status after `event`.

    Raises
    ------
    IllegalTransition
        The state has no such edge; or the event's fill is missing, out of order, on the wrong side, larger than what
        remains, or does not agree with its kind ('filled' leaves nothing, 'partially filled' leaves something); or its
        new terms are missing, are another order's, leave nothing to fill, or 'reduce' by anything but quantity.

    Notes
    -----
    An order is FILLED only by a fill. Terms that leave nothing to fill are not a change: a sibling's fill, a split or
    a request that takes all the rest of an order is its end as CANCELLED, with the reason. An end answers whatever was
    asked of the venue.
    """
    kind = event.kind
    state = next_state(status.state, kind, client_order_id=status.order.client_order_id)
    if kind in (_E.FILLED, _E.PARTIALLY_FILLED):
        after = _filled(status, event, state)
    elif kind in CHANGES:
        after = _changed(status, event, state)
    elif kind is _E.TRIGGERED and status.order.order_type not in STOP_TYPES:
        raise IllegalTransition(
            f"{_name(status)}: a {status.order.order_type} order has no stop, so it cannot be triggered; find the "
            "order that the venue means"
        )
    else:
        after = replace(status, state=state)
    return _answered(after, kind)


def _answered(status: OrderStatus, kind: OrderEventKind) -> OrderStatus:
    """Return the status with what the event says of its stop, of requests and of their answers."""
    if status.is_final:
        asked = status.is_cancel_requested or status.is_replace_requested
        return replace(status, is_cancel_requested=False, is_replace_requested=False) if asked else status
    match kind:
        case _E.TRIGGERED:
            return replace(status, is_triggered=True)
        case _E.CANCEL_REQUESTED | _E.CANCEL_REJECTED:
            return replace(status, is_cancel_requested=kind is _E.CANCEL_REQUESTED)
        case _E.REPLACE_REQUESTED | _E.REPLACE_REJECTED | _E.REPLACED:
            return replace(status, is_replace_requested=kind is _E.REPLACE_REQUESTED)
    return status


def _filled(status: OrderStatus, event: OrderEvent, state: OrderState) -> OrderStatus:
    fill, remaining, name = event.fill, status.remaining_shares, _name(status)
    if fill is None or fill.fill_number != status.fills + 1:
        found = "none" if fill is None else str(fill.fill_number)
        raise IllegalTransition(f"{name}: expected fill number {status.fills + 1}, found {found}; a fill was lost")
    quantity, completes = fill.quantity_shares, status.is_completed_by(fill.quantity_shares)
    if quantity == 0 or quantity * remaining < 0 or (abs(quantity) > abs(remaining) and not completes):
        raise IllegalTransition(f"{name}: {remaining} shares remain, a fill of {quantity} cannot be one of its fills")
    if completes is not (event.kind is _E.FILLED):
        raise IllegalTransition(f"{name}: event '{event.kind}' of {quantity} shares where {remaining} remain")
    # The rounding of a sum of fractions is not a share that remains.
    filled = status.order.quantity_shares if completes else status.filled_shares + quantity
    return replace(status, state=state, filled_shares=filled, fills=fill.fill_number)


def _changed(status: OrderStatus, event: OrderEvent, state: OrderState) -> OrderStatus:
    kind, name, before, after = event.kind, _name(status), status.order, event.order
    if after is None:
        if kind is _E.RELEASED:
            return replace(status, state=state)
        raise IllegalTransition(f"{name}: '{kind}' must carry the new terms, found none")
    filled = _rescaled_fills(status, event) if kind is _E.RESCALED else status.filled_shares
    if _identity(after) != _identity(before) or after.quantity_shares * before.quantity_shares < 0:
        raise IllegalTransition(
            f"{name}: '{kind}' carries the terms of another order: {after.client_order_id}, {after.quantity_shares} "
            f"{after.symbol}; account, symbol, side, decision and parent of an order never change"
        )
    if abs(after.quantity_shares) <= abs(filled):
        raise IllegalTransition(
            f"{name}: '{kind}' to {after.quantity_shares} shares leaves nothing to fill, {filled} are filled; such an "
            "order ends as 'cancelled'"
        )
    if kind is _E.REDUCED and not _is_reduction(before, after):
        raise IllegalTransition(
            f"{name}: 'reduced' from {before.quantity_shares} to {after.quantity_shares} shares; it lowers the "
            "quantity and changes nothing else, anything more is 'replaced'"
        )
    return replace(status, order=after, state=state, filled_shares=filled)


def _rescaled_fills(status: OrderStatus, event: OrderEvent) -> float:
    """Return what is filled in the shares of after a split."""
    if status.filled_shares == 0:
        return status.filled_shares
    if event.split_ratio is None:
        raise IllegalTransition(
            f"{_name(status)}: {status.filled_shares} shares are filled, so 'rescaled' must carry the split ratio"
        )
    return shares_after_split(status.filled_shares, event.split_ratio, is_fractional=status.order.is_fractional)


def _is_reduction(before: Order, after: Order) -> bool:
    return abs(after.quantity_shares) < abs(before.quantity_shares) and (
        replace(before, quantity_shares=after.quantity_shares) == after
    )


def _identity(order: Order) -> tuple[str | None, ...]:
    return order.client_order_id, order.account, order.decision_id, order.symbol, order.parent_id


def _name(status: OrderStatus) -> str:
    return f"order {status.order.client_order_id} ({status.order.symbol})"
