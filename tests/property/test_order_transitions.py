"""Whatever events arrive, an order moves along its table or not at all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aegis.errors import IllegalTransition
from aegis.execution.order_states import TERMINAL_STATES, TRANSITIONS, OrderState, next_state
from aegis.execution.orders import OrderEventKind


@given(st.lists(st.sampled_from(list(OrderEventKind)), max_size=12))
def test_any_sequence_of_events_keeps_to_the_table_and_never_leaves_an_end(events):
    state, submissions = OrderState.INTENT_RECORDED, 0
    for event in events:
        was = state
        try:
            state = next_state(state, event, client_order_id="x")
        except IllegalTransition:
            assert event not in TRANSITIONS[was]
            assert state is was
            continue
        assert was not in TERMINAL_STATES
        submissions += event is OrderEventKind.SUBMITTED
    assert submissions <= 1
