"""Whatever events arrive, an order moves along the legal pairs or not at all.

The pairs are spelt out here by what happens to orders at a venue, not read from the table under test.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.errors import IllegalTransition
from aegis.execution.order_states import FINAL_EVENTS, TERMINAL_STATES, OrderState, next_state
from aegis.execution.orders import OrderEventKind

LEGAL = {
    # The gate decides once.
    ("intent recorded", "approved"): "approved",
    ("intent recorded", "refused"): "refused",
    # Before it is sent, an approved order can be withdrawn or outlive its session.
    ("approved", "submitted"): "submitted",
    ("approved", "cancelled"): "cancelled",
    ("approved", "expired"): "expired",
    # A parent is worked by its children and is never sent itself.
    ("approved", "worked"): "worked",
    # The venue takes it or not; a fill, a cancel or the close may overtake the acknowledgement.
    ("submitted", "accepted"): "accepted",
    ("submitted", "rejected"): "rejected",
    ("submitted", "partially filled"): "partially filled",
    ("submitted", "filled"): "filled",
    ("submitted", "cancelled"): "cancelled",
    ("submitted", "expired"): "expired",
    # A venue may reject after it acknowledged.
    ("accepted", "rejected"): "rejected",
    ("accepted", "partially filled"): "partially filled",
    ("accepted", "filled"): "filled",
    ("accepted", "cancelled"): "cancelled",
    ("accepted", "expired"): "expired",
    # What is filled stays filled: the rest can only be filled, cancelled or run out of time.
    ("partially filled", "partially filled"): "partially filled",
    ("partially filled", "filled"): "filled",
    ("partially filled", "cancelled"): "cancelled",
    ("partially filled", "expired"): "expired",
    # A split or a new ticker changes the terms of what was not sent yet.
    ("approved", "adjusted"): "approved",
    # The venue may hold a child until its parent fills, and releases it for more with each further fill.
    ("submitted", "held"): "held",
    ("held", "released"): "accepted",
    ("accepted", "released"): "accepted",
    ("partially filled", "released"): "partially filled",
    # A held child may end without ever having worked; it cannot fill or be triggered.
    ("held", "rejected"): "rejected",
    ("held", "cancelled"): "cancelled",
    ("held", "expired"): "expired",
    # A stop is triggered before anything of it fills.
    ("submitted", "triggered"): "submitted",
    ("accepted", "triggered"): "accepted",
    # A split, a request of the sender or a sibling's fill changes the terms of what is at the venue, wherever it stands
    # there; and whoever asked the venue for a change or a cancel may be told no.
    **{
        (state, event): state
        for state in ("submitted", "held", "accepted", "partially filled")
        for event in (
            "rescaled",
            "replaced",
            "reduced",
            "replace requested",
            "replace rejected",
            "cancel requested",
            "cancel rejected",
        )
    },
}
ENDS = {"refused", "rejected", "filled", "cancelled", "expired", "worked"}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(OrderState, OrderEventKind)))
def test_each_pair_of_state_and_event_is_legal_or_refused(state: OrderState, event: OrderEventKind) -> None:
    if (state, event) in LEGAL:
        assert next_state(state, event, client_order_id="x") == LEGAL[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"order x: event '{event}' cannot follow state '{state}'"):
            next_state(state, event, client_order_id="x")


def test_the_ends_and_what_leads_only_to_them() -> None:
    assert TERMINAL_STATES == ENDS
    assert FINAL_EVENTS == ENDS  # each end is named after the event that leads there


@given(st.lists(st.sampled_from(list(OrderEventKind)), max_size=12))
def test_any_sequence_of_events_submits_once_and_never_leaves_an_end(events: list[OrderEventKind]) -> None:
    state, submissions = OrderState.INTENT_RECORDED, 0
    for event in events:
        was = state
        try:
            state = next_state(state, event, client_order_id="x")
        except IllegalTransition:
            assert (was, event) not in LEGAL
            continue
        assert was not in ENDS
        submissions += event is OrderEventKind.SUBMITTED
    assert submissions <= 1
