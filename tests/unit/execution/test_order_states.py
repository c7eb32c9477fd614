from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from aegis.errors import ExecutionError, IllegalTransition
from aegis.execution.order_states import (
    FINAL_EVENTS,
    TERMINAL_STATES,
    TRANSITIONS,
    OrderState,
    OrderStatus,
    apply_event,
    next_state,
)
from aegis.execution.orders import Fill, OrderEvent, OrderEventKind

NOW = datetime(2014, 6, 6, 20, tzinfo=UTC)


def _event(kind: OrderEventKind, *, quantity: float | None = None, number: int = 1, order=None) -> OrderEvent:
    fill = None
    if quantity is not None:
        fill = Fill(
            client_order_id="order-ABC",
            decision_id="d",
            account="simulated",
            fill_number=number,
            session=date(2014, 6, 6),
            symbol="ABC",
            ticker="ABC",
            quantity_shares=quantity,
            price_usd=10.0,
            reference_price_usd=10.0,
            commission_usd=0.0,
            slippage_usd=0.0,
            arrival_price_usd=10.0,
            filled_at_utc=NOW,
        )
    return OrderEvent(
        kind=kind, client_order_id="order-ABC", session=date(2014, 6, 6), at_utc=NOW, fill=fill, order=order
    )


def test_every_state_stands_in_the_transition_table():
    assert set(TRANSITIONS) == set(OrderState)


def test_terminal_states_are_the_five_ends_of_an_order():
    assert {
        OrderState.REFUSED,
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
    } == TERMINAL_STATES


def test_final_events_are_those_that_always_end_an_order():
    assert {str(kind) for kind in FINAL_EVENTS} == {"refused", "filled", "cancelled", "expired", "rejected"}


def test_every_state_but_the_first_can_be_reached_from_the_recorded_intent():
    reached, frontier = set(), [OrderState.INTENT_RECORDED]
    while frontier:
        state = frontier.pop()
        for target in TRANSITIONS[state].values():
            if target not in reached:
                reached.add(target)
                frontier.append(target)
    assert reached == set(OrderState) - {OrderState.INTENT_RECORDED}


@pytest.mark.parametrize(
    ("state", "event", "expected"),
    [
        (OrderState.INTENT_RECORDED, OrderEventKind.APPROVED, OrderState.APPROVED),
        (OrderState.APPROVED, OrderEventKind.SUBMITTED, OrderState.SUBMITTED),
        (OrderState.SUBMITTED, OrderEventKind.ACCEPTED, OrderState.ACCEPTED),
        (OrderState.SUBMITTED, OrderEventKind.FILLED, OrderState.FILLED),
        (OrderState.ACCEPTED, OrderEventKind.RESCALED, OrderState.ACCEPTED),
        (OrderState.ACCEPTED, OrderEventKind.PARTIALLY_FILLED, OrderState.PARTIALLY_FILLED),
        (OrderState.PARTIALLY_FILLED, OrderEventKind.EXPIRED, OrderState.EXPIRED),
    ],
)
def test_legal_events_lead_to_the_next_state(state, event, expected):
    assert next_state(state, event, client_order_id="x") is expected


def test_a_refused_order_is_never_submitted():
    with pytest.raises(IllegalTransition, match=r"order x: event 'submitted' cannot follow state 'refused'"):
        next_state(OrderState.REFUSED, OrderEventKind.SUBMITTED, client_order_id="x")


def test_an_order_is_not_submitted_twice():
    with pytest.raises(IllegalTransition, match=r"allowed are 'accepted', 'rejected'"):
        next_state(OrderState.SUBMITTED, OrderEventKind.SUBMITTED, client_order_id="x")


def test_an_intent_is_not_submitted_before_the_gate_approved_it():
    with pytest.raises(IllegalTransition, match=r"allowed are 'approved', 'refused'"):
        next_state(OrderState.INTENT_RECORDED, OrderEventKind.SUBMITTED, client_order_id="x")


def test_two_fills_complete_an_order(order_of):
    status = OrderStatus(order_of(quantity_shares=-100.0), OrderState.ACCEPTED)
    status = apply_event(status, _event(OrderEventKind.PARTIALLY_FILLED, quantity=-30.0))
    assert (status.remaining_shares, status.is_final) == (-70.0, False)
    status = apply_event(status, _event(OrderEventKind.FILLED, quantity=-70.0, number=2))
    assert (status.filled_shares, status.remaining_shares, status.is_final) == (-100.0, 0.0, True)


@pytest.mark.parametrize(
    ("kind", "quantity", "number"),
    [
        (OrderEventKind.FILLED, 101.0, 1),  # more than remains
        (OrderEventKind.PARTIALLY_FILLED, 101.0, 1),  # more than remains, said to be a part
        (OrderEventKind.FILLED, -100.0, 1),  # the other side
        (OrderEventKind.FILLED, 60.0, 1),  # says all, is not
        (OrderEventKind.PARTIALLY_FILLED, 100.0, 1),  # says part, is all
        (OrderEventKind.PARTIALLY_FILLED, 0.0, 1),
        (OrderEventKind.PARTIALLY_FILLED, 60.0, 2),  # fill 1 was lost
        (OrderEventKind.FILLED, None, 1),  # no fill at all
    ],
)
def test_a_fill_that_does_not_fit_its_order_is_refused(order_of, kind, quantity, number):
    status = OrderStatus(order_of(), OrderState.ACCEPTED)
    with pytest.raises(IllegalTransition, match="order-ABC"):
        apply_event(status, _event(kind, quantity=quantity, number=number))


def test_rescaling_replaces_the_terms_and_keeps_the_state(order_of):
    status = OrderStatus(order_of(), OrderState.ACCEPTED)
    doubled = order_of(quantity_shares=200.0)
    assert apply_event(status, _event(OrderEventKind.RESCALED, order=doubled)) == OrderStatus(
        doubled, OrderState.ACCEPTED
    )
    with pytest.raises(IllegalTransition, match="must carry the new terms"):
        apply_event(status, _event(OrderEventKind.RESCALED))


@pytest.mark.parametrize("quantity", [0.0, 1.5, float("nan"), float("inf")])
def test_an_order_of_no_whole_quantity_cannot_be_made(order_of, quantity):
    with pytest.raises(ExecutionError, match="whole number of shares"):
        order_of(quantity_shares=quantity)
