"""One order's history put right: what brokers told of it, in the order in which it can have happened.

Belongs here: venues repeat events, and tell them late or out of turn. The same events give the same history in
whatever order they arrive, because the history is a function of their set: they are put in the order of an order's
life and then followed by the state machine like any others. The orders of an account are
:mod:`aegis.execution.order_book`.

Notes
-----
An order's life is: the gate's verdict, submission, acknowledgement; then, session by session, a split, changes and
requests by their revision, fills by the venue's time; then the end. Between two fills of a session it does not matter
when the terms changed, because new terms always leave room for what is filled. The rules for what brokers really do:

- An execution counts however late it is told, because shares changed hands. Executions decide how much is filled and
  whether the order is FILLED; the words 'filled' and 'partially filled' of a venue do not.
- A fill told after the end belongs before it if the venue executed it no later. If it executed later by the venue's
  own clock it counts as well, and is a break.
- Whatever a venue says of an order proves that it was submitted and approved, told or not.
- An acknowledgement, a request or the answer to one that comes too late to matter says nothing new.
- What fits nowhere is a break: it is kept with its explanation, for reconciliation, and changes no state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from aegis.errors import IllegalTransition
from aegis.execution.order_states import REQUESTS, TRANSITIONS, OrderState, OrderStatus, apply_event
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind

_E = OrderEventKind
FILLS = (_E.PARTIALLY_FILLED, _E.FILLED)
ENDS = (_E.REJECTED, _E.CANCELLED, _E.EXPIRED)
"""What a venue ends an order with; that a parent was worked is said on this side."""

_PHASES: Mapping[OrderEventKind, int] = {
    _E.APPROVED: 0,
    _E.REFUSED: 0,
    _E.ADJUSTED: 0,
    _E.SUBMITTED: 1,
    _E.HELD: 2,
    _E.ACCEPTED: 3,
    **dict.fromkeys((*ENDS, _E.WORKED), 5),
}
_WORKING_PHASE = 4
_FILL_STEP = 3
_RANKS = {kind: rank for rank, kind in enumerate(OrderEventKind)}
_PROVES = {OrderState.INTENT_RECORDED: OrderState.APPROVED, OrderState.APPROVED: OrderState.SUBMITTED}
_MAY_SAY_NOTHING_NEW = frozenset({_E.ACCEPTED, *REQUESTS})


@dataclass(frozen=True, slots=True)
class OrderBreak:
    """Something told of an order that cannot have happened together with the rest.

    Parameters
    ----------
    client_order_id : str
        The order.
    kind : OrderEventKind
        What was told.
    explanation : str
        Why it does not fit.
    """

    client_order_id: str
    kind: OrderEventKind
    explanation: str


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """What happened to an order, as far as it was told.

    Parameters
    ----------
    status : OrderStatus
        Where it stands.
    events : tuple of OrderEvent
        What led there, in order, fills numbered from 1 and named by what they leave: the state machine follows them.
    fills : tuple of Fill
        All executions told, oldest first, those among the breaks included.
    breaks : tuple of OrderBreak
        What does not fit; empty where all is well.
    """

    status: OrderStatus
    events: tuple[OrderEvent, ...]
    fills: tuple[Fill, ...]
    breaks: tuple[OrderBreak, ...]


def order_history(order: Order, told: Iterable[OrderEvent]) -> OrderHistory:
    """Return the history of an order from what was told of it.

    Parameters
    ----------
    order : Order
        As it was committed.
    told : iterable of OrderEvent
        Each thing once, in any order.
    """
    status = OrderStatus(order, OrderState.INTENT_RECORDED)
    ordered = sorted(told, key=_place)
    if not ordered:  # one that is about to be sent waits for this
        return OrderHistory(status, (), (), ())
    events: list[OrderEvent] = []
    breaks: list[OrderBreak] = []
    for event in ordered:
        status = _with_what_it_proves(status, event)
        fitted = _as_it_fits(status, event)
        try:
            status = apply_event(status, fitted)
        except IllegalTransition as why:
            if not _says_nothing_new(status, event):
                breaks.append(OrderBreak(order.client_order_id, event.kind, str(why)))
        else:
            events.append(fitted)
    fills = _numbered(event.fill for event in ordered if event.fill is not None)
    breaks += _contradictions(status, ordered)
    return OrderHistory(status, tuple(events), fills, tuple(breaks))


def _place(event: OrderEvent) -> tuple[int, date, int, int, datetime, int, str]:
    """Return where an event belongs in the life of its order."""
    fill = event.fill
    if event.kind in FILLS and fill is not None:
        # Numbers are given in the order of arrival, so they count only where the venue names no executions.
        number = fill.fill_number if fill.execution_id is None else 0
        return _WORKING_PHASE, fill.session, _FILL_STEP, 0, fill.filled_at_utc, number, fill.execution_id or ""
    phase = _PHASES.get(event.kind, _WORKING_PHASE)
    session = event.session if phase == _WORKING_PHASE else date.min
    return phase, session, _step(event), event.revision, event.at_utc, _RANKS[event.kind], ""


def _step(event: OrderEvent) -> int:
    """Return the place of a change, request or trigger among those of its session."""
    if event.kind is _E.RESCALED:
        return 0
    # A trigger that the sender does not count comes after the release of the child that is triggered.
    return _FILL_STEP - 1 if event.kind is _E.TRIGGERED and event.revision == 0 else 1


def _with_what_it_proves(status: OrderStatus, event: OrderEvent) -> OrderStatus:
    while event.kind not in TRANSITIONS[status.state] and status.state in _PROVES:
        status = replace(status, state=_PROVES[status.state])
    return status


def _as_it_fits(status: OrderStatus, event: OrderEvent) -> OrderEvent:
    """Return a fill numbered and named by what it leaves of the order, anything else as it is."""
    if event.fill is None or event.kind not in FILLS:
        return event
    kind = _E.FILLED if status.is_completed_by(event.fill.quantity_shares) else _E.PARTIALLY_FILLED
    number = status.fills + 1
    if event.kind is kind and event.fill.fill_number == number:
        return event
    return replace(event, kind=kind, fill=replace(event.fill, fill_number=number))


def _says_nothing_new(status: OrderStatus, event: OrderEvent) -> bool:
    return event.kind in _MAY_SAY_NOTHING_NEW and status.state is not OrderState.REFUSED


def _numbered(fills: Iterable[Fill]) -> tuple[Fill, ...]:
    return tuple(
        fill if fill.fill_number == number else replace(fill, fill_number=number)
        for number, fill in enumerate(fills, start=1)
    )


def _contradictions(status: OrderStatus, ordered: list[OrderEvent]) -> Iterator[OrderBreak]:
    """Yield what the state machine cannot see: executions that are missing, or later than the end."""
    name = status.order.client_order_id
    if status.state is not OrderState.FILLED and any(event.kind is _E.FILLED for event in ordered):
        yield OrderBreak(
            name,
            _E.FILLED,
            f"order {name} ({status.order.symbol}): the venue says that it is filled, but executions of "
            f"{status.remaining_shares} shares were not told; ask the venue for its executions",
        )
    end = min((event.at_utc for event in ordered if event.kind in ENDS), default=None)
    for event in ordered:
        if end is not None and event.fill is not None and event.fill.filled_at_utc > end:
            yield OrderBreak(
                name,
                event.kind,
                f"order {name} ({status.order.symbol}): {event.fill.quantity_shares} shares executed at "
                f"{event.fill.filled_at_utc.isoformat()}, after the order's end at {end.isoformat()}; they are booked, "
                "ask the venue whether the end or the execution stands",
            )
