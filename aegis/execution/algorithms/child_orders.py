"""How children come and go, whatever the algorithm: sent, heard of, replaced, cancelled; and when a parent has ended.

Belongs here: the rules that every algorithm shares, so that none can send too much or leave a child behind. When and
how much is each algorithm's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from aegis.execution.algorithms.actions import Action, CancelChild, ReplaceChild, Step, SubmitChild
from aegis.execution.algorithms.parent_state import Child, NoteKind, ParentPhase, ParentState
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderState, OrderStatus
from aegis.execution.orders import Order
from aegis.execution.whole_lots import whole_lots

CANCEL_RETRY = timedelta(seconds=30)
"""A venue that has not answered is asked again: cancelling is idempotent, and a child left behind is not hedged."""

MOST_FAILURES = 3
"""Children in a row that the venue or the gate turned down before the parent stops trying."""


def told(state: ParentState, statuses: Mapping[str, OrderStatus], *, now_utc: datetime) -> ParentState:
    """Return the state after hearing where its children stand.

    Parameters
    ----------
    state : ParentState
        Before.
    statuses : mapping of str to OrderStatus
        By client order id, as an :class:`aegis.execution.order_book.OrderBook` holds them; other orders are ignored.
    now_utc : datetime
        When it is heard.

    Notes
    -----
    A child that is known to the book but not to the state was sent before the state was kept. It is adopted, and counts
    in the interval of the last decision, so that it is never sent twice.
    """
    for child in state.children:
        status = statuses.get(child.status.order.client_order_id)
        if status is not None and status != child.status:
            declined = child.status.is_cancel_requested and not status.is_cancel_requested and not status.is_final
            asked = None if declined else child.cancel_asked_at_utc
            state = state.with_child(replace(child, status=status, cancel_asked_at_utc=asked))
    while (unknown := statuses.get(state.child_id(len(state.children) + 1))) is not None:
        number = len(state.children) + 1
        interval = 0 if state.pace is None else state.pace.interval_number
        state = state.with_child(
            Child(
                number=number,
                interval_number=interval,
                sent_at_utc=now_utc,
                priced_at_utc=now_utc,
                status=unknown,
            )
        ).noted(
            NoteKind.ADOPTED_CHILD,
            f"child {number} was sent before this state was kept",
            at_utc=now_utc,
            interval_number=interval,
        )
    return state


def cancelled(state: ParentState, *, now_utc: datetime, reason: str) -> Step:
    """Return the step that ends a parent and its children; what has filled stays filled.

    Parameters
    ----------
    state : ParentState
        Any; one that has ended, or is ending already, goes on as it is.
    now_utc : datetime
        When.
    reason : str
        Why, for a person.
    """
    if state.phase is not ParentPhase.WORKING:
        return Step(state)
    state = state.noted(NoteKind.CANCEL_REQUESTED, reason, at_utc=now_utc)
    return _wound_down(state, now_utc, ParentPhase.CANCELLED)


def settled(state: ParentState, *, now_utc: datetime, ends_utc: datetime) -> Step | None:
    """Return the step of a parent that is ending or has ended, None for one that is to be worked on.

    Parameters
    ----------
    state : ParentState
        Where it stands.
    now_utc : datetime
        The clock's instant.
    ends_utc : datetime
        From then on nothing is sent.
    """
    if state.has_ended:
        return Step(state)
    if state.phase is ParentPhase.WINDING_DOWN and state.ends_as is not None:
        return _wound_down(state, now_utc, state.ends_as)
    if state.remaining_shares * state.side <= 0:
        if state.remaining_shares != 0:
            state = state.noted(
                NoteKind.OVERFILLED,
                f"{state.filled_shares:g} shares filled of {state.order.quantity_shares:g}; nothing more is sent",
                at_utc=now_utc,
            )
        return _wound_down(state, now_utc, ParentPhase.COMPLETED)
    if _failures_in_a_row(state) >= MOST_FAILURES:
        state = state.noted(
            NoteKind.TOO_MANY_FAILURES,
            f"{MOST_FAILURES} children in a row were turned down; find out why before the rest is ordered again",
            at_utc=now_utc,
        )
        return _wound_down(state, now_utc, ParentPhase.HALTED)
    if now_utc >= ends_utc:
        return _wound_down(state, now_utc, ParentPhase.EXPIRED)
    return None


def without_children(step: Step, *, now_utc: datetime, where: Callable[[Child], bool]) -> Step:
    """Return the step with a request to end each open child that `where` picks, and has not been asked lately."""
    state, actions = step.state, list[Action](step.actions)
    for child in state.open_children:
        asked = child.cancel_asked_at_utc
        if where(child) and (asked is None or now_utc - asked >= CANCEL_RETRY):
            state = state.with_child(replace(child, cancel_asked_at_utc=now_utc))
            actions.append(CancelChild(child.status.order.client_order_id))
    return Step(state, tuple(actions))


def with_child(
    step: Step, *, now_utc: datetime, interval_number: int, shares: float, limit_price_usd: float | None
) -> Step:
    """Return the step with a new child.

    Parameters
    ----------
    step : Step
        So far.
    now_utc : datetime
        The clock's instant.
    interval_number : int
        The interval that it counts in.
    shares : float
        Wanted, positive. It is cut to whole lots and to what no other child is for; what is left of a lot that a venue
        broke goes with the last of the order. Nothing is sent where that leaves nothing.
    limit_price_usd : float, optional
        None for a market order.
    """
    state = step.state
    free = state.uncommitted_shares
    quantity = min(whole_lots(min(shares, free), state.lot_shares), free)
    if free - quantity < state.lot_shares - FILL_TOLERANCE_SHARES and shares >= free:
        quantity = free
    if quantity <= 0:
        return step
    number = len(state.children) + 1
    parent = state.order
    order = Order(
        client_order_id=state.child_id(number),
        decision_id=parent.decision_id,
        account=parent.account,
        session=parent.session,
        execution_session=parent.execution_session,
        symbol=parent.symbol,
        ticker=parent.ticker,
        quantity_shares=state.side * quantity,
        algorithm="market",
        time_in_force="DAY",
        arrival_price_usd=parent.arrival_price_usd,
        target_weight=parent.target_weight,
        is_reducing=parent.is_reducing,
        reason=f"child {number} of {parent.client_order_id} by {parent.algorithm}",
        order_type="market" if limit_price_usd is None else "limit",
        limit_price_usd=limit_price_usd,
        is_fractional=parent.is_fractional,
    )
    child = Child(
        number=number,
        interval_number=interval_number,
        sent_at_utc=now_utc,
        priced_at_utc=now_utc,
        status=OrderStatus(order, OrderState.INTENT_RECORDED),
    )
    return Step(state.with_child(child), (*step.actions, SubmitChild(order)))


def with_price(step: Step, child: Child, *, now_utc: datetime, limit_price_usd: float) -> Step:
    """Return the step with a request to give an open child another price."""
    order = replace(child.status.order, limit_price_usd=limit_price_usd)
    asked = replace(child, revision=child.revision + 1, priced_at_utc=now_utc)
    return Step(step.state.with_child(asked), (*step.actions, ReplaceChild(order, asked.revision)))


def unsent(state: ParentState, statuses: Mapping[str, OrderStatus]) -> tuple[Order, ...]:
    """Return the children that the state wanted and of which the book has never heard.

    Notes
    -----
    After a restart they are sent again under the same id: whether the crash came before or after the sending, the venue
    has one order. A child that was asked to end meanwhile is sent and then cancelled, for the same reason.
    """
    wanted = (child.status for child in state.children if child.status.state is OrderState.INTENT_RECORDED)
    return tuple(status.order for status in wanted if status.order.client_order_id not in statuses)


def _wound_down(state: ParentState, now_utc: datetime, ends_as: ParentPhase) -> Step:
    """Return the step that ends all children, and the parent once they have ended."""
    step = without_children(Step(state), now_utc=now_utc, where=lambda _: True)
    if step.state.open_children:
        return Step(replace(step.state, phase=ParentPhase.WINDING_DOWN, ends_as=ends_as), step.actions)
    # The last child may have filled the rest while it was asked to end.
    phase = ParentPhase.COMPLETED if state.remaining_shares * state.side <= 0 else ends_as
    return Step(replace(step.state, phase=phase, ends_as=None), step.actions)


def _failures_in_a_row(state: ParentState) -> int:
    count = 0
    for child in reversed(state.children):
        if not (child.failed and child.status.fills == 0):
            break
        count += 1
    return count
