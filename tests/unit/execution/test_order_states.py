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


def _event(
    kind: OrderEventKind, *, quantity: float | None = None, number: int = 1, order=None, ratio: float | None = None
) -> OrderEvent:
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
        kind=kind,
        client_order_id="order-ABC",
        session=date(2014, 6, 6),
        at_utc=NOW,
        fill=fill,
        order=order,
        split_ratio=ratio,
    )


def _after(status: OrderStatus, *events: OrderEvent) -> OrderStatus:
    for event in events:
        status = apply_event(status, event)
    return status


def test_every_state_stands_in_the_transition_table():
    assert set(TRANSITIONS) == set(OrderState)


def test_terminal_states_are_the_six_ends_of_an_order():
    assert {
        OrderState.REFUSED,
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
        OrderState.WORKED,
    } == TERMINAL_STATES


def test_final_events_are_those_that_always_end_an_order():
    assert {str(kind) for kind in FINAL_EVENTS} == {"refused", "filled", "cancelled", "expired", "rejected", "worked"}


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


def test_a_partly_filled_order_keeps_its_fills_in_the_shares_of_after_a_split(order_of):
    # 30 of 100 are filled; two for one makes that 60 of 200, and 140 complete it.
    status = OrderStatus(order_of(time_in_force="GTC"), OrderState.ACCEPTED)
    status = _after(
        status,
        _event(OrderEventKind.PARTIALLY_FILLED, quantity=30.0),
        _event(OrderEventKind.RESCALED, order=order_of(time_in_force="GTC", quantity_shares=200.0), ratio=2.0),
    )
    assert (status.state, status.filled_shares, status.remaining_shares) == (OrderState.PARTIALLY_FILLED, 60.0, 140.0)
    done = apply_event(status, _event(OrderEventKind.FILLED, quantity=140.0, number=2))
    assert (done.state, done.filled_shares, done.fills) == (OrderState.FILLED, 200.0, 2)


def test_a_partly_filled_order_is_not_rescaled_by_an_unknown_ratio(order_of):
    status = OrderStatus(order_of(), OrderState.PARTIALLY_FILLED, 30.0, 1)
    with pytest.raises(IllegalTransition, match=r"30\.0 shares are filled, so 'rescaled' must carry the split ratio"):
        apply_event(status, _event(OrderEventKind.RESCALED, order=order_of(quantity_shares=200.0)))


def test_a_reduction_leaves_less_to_fill_and_the_next_fill_may_complete_it(order_of):
    status = OrderStatus(order_of(quantity_shares=-100.0), OrderState.PARTIALLY_FILLED, -40.0, 1)
    status = apply_event(status, _event(OrderEventKind.REDUCED, order=order_of(quantity_shares=-70.0)))
    assert (status.state, status.remaining_shares) == (OrderState.PARTIALLY_FILLED, -30.0)
    assert apply_event(status, _event(OrderEventKind.FILLED, quantity=-30.0, number=2)).state is OrderState.FILLED


@pytest.mark.parametrize("kind", [OrderEventKind.REDUCED, OrderEventKind.REPLACED])
@pytest.mark.parametrize("quantity", [40.0, 39.0])
def test_terms_that_leave_nothing_to_fill_are_an_end_and_not_a_change(order_of, kind, quantity):
    status = OrderStatus(order_of(), OrderState.PARTIALLY_FILLED, 40.0, 1)
    with pytest.raises(IllegalTransition, match=r"leaves nothing to fill, 40\.0 are filled; .* ends as 'cancelled'"):
        apply_event(status, _event(kind, order=order_of(quantity_shares=quantity)))
    ended = apply_event(status, _event(OrderEventKind.CANCELLED))
    assert (ended.state, ended.filled_shares) == (OrderState.CANCELLED, 40.0)


@pytest.mark.parametrize(
    "terms",
    [
        {"quantity_shares": 100.0},
        {"quantity_shares": 120.0},
        {"quantity_shares": 70.0, "order_type": "limit", "limit_price_usd": 9.0, "algorithm": "market"},
    ],
)
def test_a_reduction_lowers_the_quantity_and_nothing_else(order_of, terms):
    with pytest.raises(IllegalTransition, match="anything more is 'replaced'"):
        apply_event(
            OrderStatus(order_of(), OrderState.ACCEPTED), _event(OrderEventKind.REDUCED, order=order_of(**terms))
        )


def test_a_replacement_may_change_price_type_and_quantity(order_of):
    terms = {"algorithm": "market", "order_type": "limit", "limit_price_usd": 9.5, "quantity_shares": 250.0}
    status = apply_event(
        OrderStatus(order_of(), OrderState.PARTIALLY_FILLED, 40.0, 1),
        _event(OrderEventKind.REPLACED, order=order_of(**terms)),
    )
    assert status == OrderStatus(order_of(**terms), OrderState.PARTIALLY_FILLED, 40.0, 1)
    assert status.remaining_shares == 210.0


@pytest.mark.parametrize(
    "terms",
    [
        {"client_order_id": "other"},
        {"account": "other"},
        {"decision_id": "other"},
        {"symbol": "XYZ", "client_order_id": "order-ABC"},
        {"parent_id": "other"},
        {"quantity_shares": -200.0},
    ],
)
@pytest.mark.parametrize("kind", [OrderEventKind.REPLACED, OrderEventKind.RESCALED, OrderEventKind.RELEASED])
def test_new_terms_are_never_another_orders(order_of, kind, terms):
    with pytest.raises(IllegalTransition, match="carries the terms of another order"):
        apply_event(OrderStatus(order_of(), OrderState.ACCEPTED), _event(kind, order=order_of(**terms)))


def test_a_child_waits_is_released_for_what_its_parent_filled_and_grows_with_the_next_fill(order_of):
    child = {"parent_id": "entry", "algorithm": "market", "order_type": "stop", "stop_price_usd": 9.0}
    status = OrderStatus(order_of(quantity_shares=-100.0, **child), OrderState.SUBMITTED)
    status = apply_event(status, _event(OrderEventKind.HELD))
    assert (status.state, status.is_working, status.is_final) == (OrderState.HELD, False, False)
    with pytest.raises(IllegalTransition, match="'partially filled' cannot follow state 'held'"):
        apply_event(status, _event(OrderEventKind.PARTIALLY_FILLED, quantity=-1.0))
    status = apply_event(status, _event(OrderEventKind.RELEASED, order=order_of(quantity_shares=-40.0, **child)))
    assert (status.state, status.is_working, status.remaining_shares) == (OrderState.ACCEPTED, True, -40.0)
    status = apply_event(status, _event(OrderEventKind.RELEASED, order=order_of(quantity_shares=-100.0, **child)))
    assert status.remaining_shares == -100.0
    assert apply_event(status, _event(OrderEventKind.RELEASED)) == status


def test_a_stop_remembers_that_it_was_triggered_and_a_market_order_has_no_stop(order_of):
    stop = order_of(algorithm="market", order_type="stop", stop_price_usd=9.0)
    assert apply_event(OrderStatus(stop, OrderState.ACCEPTED), _event(OrderEventKind.TRIGGERED)) == OrderStatus(
        stop, OrderState.ACCEPTED, is_triggered=True
    )
    with pytest.raises(IllegalTransition, match="a market order has no stop"):
        apply_event(OrderStatus(order_of(), OrderState.ACCEPTED), _event(OrderEventKind.TRIGGERED))


def test_an_order_works_on_while_the_venue_considers_a_request(order_of):
    status = OrderStatus(order_of(), OrderState.ACCEPTED)
    status = _after(
        status,
        _event(OrderEventKind.CANCEL_REQUESTED),
        _event(OrderEventKind.REPLACE_REQUESTED),
        _event(OrderEventKind.PARTIALLY_FILLED, quantity=30.0),
    )
    assert status == OrderStatus(
        order_of(), OrderState.PARTIALLY_FILLED, 30.0, 1, is_cancel_requested=True, is_replace_requested=True
    )
    declined = apply_event(status, _event(OrderEventKind.CANCEL_REJECTED))
    assert (declined.is_cancel_requested, declined.is_replace_requested) == (False, True)
    replaced = apply_event(declined, _event(OrderEventKind.REPLACED, order=order_of(quantity_shares=50.0)))
    assert (replaced.is_cancel_requested, replaced.is_replace_requested) == (False, False)
    declined = apply_event(status, _event(OrderEventKind.REPLACE_REJECTED))
    assert (declined.is_cancel_requested, declined.is_replace_requested) == (True, False)


@pytest.mark.parametrize("end", [OrderEventKind.CANCELLED, OrderEventKind.EXPIRED])
def test_an_end_answers_what_was_asked(order_of, end):
    asked = OrderStatus(order_of(), OrderState.ACCEPTED, is_cancel_requested=True, is_replace_requested=True)
    assert apply_event(asked, _event(end)) == OrderStatus(order_of(), OrderState(str(end)))


def test_fractions_of_a_share_add_up_though_their_floats_do_not(order_of):
    # In floating point 0.3 - 0.1 is less than 0.2.
    status = OrderStatus(order_of(quantity_shares=0.3, is_fractional=True), OrderState.ACCEPTED)
    status = apply_event(status, _event(OrderEventKind.PARTIALLY_FILLED, quantity=0.1))
    assert status.remaining_shares < 0.2
    status = apply_event(status, _event(OrderEventKind.FILLED, quantity=0.2, number=2))
    assert (status.filled_shares, status.remaining_shares) == (0.3, 0.0)
