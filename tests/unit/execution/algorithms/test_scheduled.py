"""Following a schedule, slice by slice, by hand: three slices of ten minutes from 13:30 UTC, ten shares each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aegis.errors import ExecutionError
from aegis.execution.algorithms.actions import CancelChild, SubmitChild
from aegis.execution.algorithms.child_orders import cancelled, told
from aegis.execution.algorithms.observation import NOTHING_OBSERVED, MarketObservation
from aegis.execution.algorithms.parent_state import NoteKind, ParentPhase, ParentState
from aegis.execution.algorithms.schedule import Schedule, Slice
from aegis.execution.algorithms.scheduled import ScheduledAlgorithm
from aegis.execution.order_ids import client_order_id
from aegis.execution.order_states import OrderState

OPENS = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)
DECISION = "simulated/main/2014-06-05/rebalance/1"
TEN = timedelta(minutes=10)
SCHEDULE = Schedule(tuple(Slice(OPENS + n * TEN, OPENS + (n + 1) * TEN, 10) for n in range(3)))
UNCAPPED = ScheduledAlgorithm(schedule=SCHEDULE, opens_utc=OPENS)
CAPPED = ScheduledAlgorithm(
    schedule=SCHEDULE, opens_utc=OPENS, participation_rate=0.1, max_data_age=timedelta(minutes=2)
)


def _at(minute: float) -> datetime:
    return OPENS + timedelta(minutes=minute)


def _volume(shares: float, minute: float) -> MarketObservation:
    return MarketObservation(volume_shares=shares, volume_at_utc=_at(minute))


def _quote(minute: float) -> MarketObservation:
    return MarketObservation(bid_usd=9.99, ask_usd=10.01, quoted_at_utc=_at(minute))


@pytest.fixture
def parent(order_of):
    def make(quantity: float = 30.0, **terms) -> ParentState:
        name = client_order_id("simulated", DECISION, symbol="ABC")
        order = order_of(
            client_order_id=name, decision_id=DECISION, quantity_shares=quantity, algorithm="twap", **terms
        )
        return ParentState(order=order)

    return make


def _heard(state: ParentState, number: int, stands: OrderState, filled: float = 0.0, *, fills: int = 0) -> ParentState:
    """Hear where a child stands."""
    status = state.children[number - 1].status
    status = replace(status, state=stands, filled_shares=filled, fills=fills or int(filled != 0))
    return told(state, {status.order.client_order_id: status}, now_utc=OPENS)


def _filled(state: ParentState, number: int) -> ParentState:
    return _heard(state, number, OrderState.FILLED, state.children[number - 1].status.order.quantity_shares)


def _sent(step) -> list[float]:
    return [action.order.quantity_shares for action in step.actions if isinstance(action, SubmitChild)]


def test_each_slice_is_sent_once_when_it_begins_and_fills_add_up_to_the_parent(parent):
    state = parent()
    assert UNCAPPED.on_clock(_at(-0.1), NOTHING_OBSERVED, state=state).actions == ()
    for number in range(3):
        step = UNCAPPED.on_clock(_at(10 * number), NOTHING_OBSERVED, state=state)
        assert _sent(step) == [10.0]
        again = UNCAPPED.on_clock(_at(10 * number + 5), NOTHING_OBSERVED, state=step.state)
        assert again.actions == ()
        state = _filled(again.state, number + 1)
    step = UNCAPPED.on_clock(_at(20.5), NOTHING_OBSERVED, state=state)
    assert (step.state.phase, step.state.filled_shares, step.actions) == (ParentPhase.COMPLETED, 30.0, ())


def test_a_child_is_a_market_order_of_the_parents_decision_under_its_own_id(parent):
    (action,) = UNCAPPED.on_clock(OPENS, NOTHING_OBSERVED, state=parent(-30.0)).actions
    order = action.order
    assert order.client_order_id == client_order_id("simulated", DECISION, symbol="ABC", child=1)
    assert (order.quantity_shares, order.algorithm, order.order_type, order.time_in_force) == (
        *(-10.0, "market", "market", "DAY"),
    )
    assert (order.decision_id, order.parent_id) == (DECISION, None)


def test_children_of_a_limited_parent_have_its_limit(parent):
    state = parent(order_type="limit", limit_price_usd=9.5)
    (action,) = UNCAPPED.on_clock(OPENS, NOTHING_OBSERVED, state=state).actions
    assert (action.order.order_type, action.order.limit_price_usd) == ("limit", 9.5)


def test_what_a_slice_left_is_carried_over_only_after_the_venue_confirmed_its_end(parent):
    state = UNCAPPED.on_clock(OPENS, NOTHING_OBSERVED, state=parent()).state
    state = _heard(state, 1, OrderState.PARTIALLY_FILLED, 4.0)
    step = UNCAPPED.on_clock(_at(10), NOTHING_OBSERVED, state=state)
    # Six may still fill: only the second slice's own ten are sent beside the request to end the first child.
    assert step.actions[0] == CancelChild(state.child_id(1))
    assert _sent(step) == [10.0]
    state = _heard(step.state, 1, OrderState.CANCELLED, 5.0, fills=2)
    step = UNCAPPED.on_clock(_at(11), NOTHING_OBSERVED, state=state)
    assert _sent(step) == [5.0]
    assert step.state.children[2].interval_number == 1


def test_slices_that_were_slept_through_are_caught_up_with(parent):
    assert _sent(UNCAPPED.on_clock(_at(25), NOTHING_OBSERVED, state=parent())) == [30.0]


def test_a_venue_that_does_not_answer_is_asked_again_after_half_a_minute(parent):
    state = UNCAPPED.on_clock(OPENS, NOTHING_OBSERVED, state=parent()).state
    counts = []
    for minute in (10, 10.25, 10.5, 10.75, 11):
        step = UNCAPPED.on_clock(_at(minute), NOTHING_OBSERVED, state=state)
        counts.append(sum(isinstance(action, CancelChild) for action in step.actions))
        state = step.state
    assert counts == [1, 0, 1, 0, 1]


def test_a_slice_is_at_most_the_participation_in_the_volume_of_the_slice_before(parent):
    # 60 shares in the first ten minutes: at most 6 of the 10 of the second slice, and of the 14 of the third in 40
    # shares in ten minutes at most 4.
    algorithm = replace(CAPPED, expected_volume_shares=(50.0, 50.0, 50.0))
    state, sent = parent(), []
    for minute, volume in ((0, 0.0), (10, 60.0), (20, 100.0)):
        step = algorithm.on_clock(_at(minute), _volume(volume, minute), state=state)
        sent += _sent(step)
        state = _filled(step.state, len(sent))
    assert sent == [5.0, 6.0, 4.0]  # the first by expectation: nothing was observed yet
    assert state.notes == ()


def test_the_rate_of_volume_is_measured_since_the_last_slice_that_was_looked_at(parent):
    # 300 shares in 20 minutes are 150 in the ten of the third slice: 15 of the 30 that are due.
    assert _sent(CAPPED.on_clock(_at(20), _volume(300.0, 20), state=parent())) == [15.0]


def test_the_cap_of_a_slice_is_fixed_by_the_first_look_in_it(parent):
    step = CAPPED.on_clock(_at(10), _volume(50.0, 10), state=parent())
    assert _sent(step) == [5.0]
    assert CAPPED.on_clock(_at(12), _volume(5000.0, 12), state=_filled(step.state, 1)).actions == ()


def test_without_any_volume_a_slice_is_traded_as_planned_and_the_record_says_so(parent):
    step = CAPPED.on_clock(_at(10), _quote(10), state=parent())
    assert _sent(step) == [10.0]  # not the ten of the first slice as well
    assert [(note.kind, note.interval_number) for note in step.state.notes] == [(NoteKind.NO_VOLUME, 1)]


def test_volume_of_before_the_open_is_not_the_sessions(parent):
    step = CAPPED.on_clock(_at(0.5), _volume(10_000.0, -1), state=parent())
    assert _sent(step) == [10.0]
    assert step.state.notes[0].kind is NoteKind.NO_VOLUME


def test_stale_data_sends_nothing_says_so_and_is_made_up_for(parent):
    algorithm = replace(CAPPED, participation_rate=None)
    step = algorithm.on_clock(_at(5), _quote(2.9), state=parent())
    assert step.actions == ()
    assert [(note.kind, note.at_utc) for note in step.state.notes] == [(NoteKind.STALE_DATA, _at(5))]
    step = algorithm.on_clock(_at(6), _quote(2.9), state=step.state)
    assert len(step.state.notes) == 1
    assert _sent(algorithm.on_clock(_at(12), _quote(10), state=step.state)) == [20.0]


def test_a_quote_of_the_future_is_not_fresh(parent):
    assert CAPPED.on_clock(_at(5), _quote(5.1), state=parent()).actions == ()


@pytest.mark.parametrize("stands", [OrderState.REJECTED, OrderState.REFUSED, OrderState.CANCELLED, OrderState.EXPIRED])
def test_a_child_that_the_venue_ends_is_not_followed_by_another_in_its_slice(parent, stands):
    state = UNCAPPED.on_clock(OPENS, NOTHING_OBSERVED, state=parent()).state
    step = UNCAPPED.on_clock(_at(1), NOTHING_OBSERVED, state=_heard(state, 1, stands))
    assert step.actions == ()
    assert step.state.notes[0].kind is NoteKind.VENUE_ENDED_CHILD
    assert _sent(UNCAPPED.on_clock(_at(10), NOTHING_OBSERVED, state=step.state)) == [20.0]


def test_three_children_turned_down_in_a_row_halt_the_parent(parent):
    state = parent()
    for number in range(3):
        step = UNCAPPED.on_clock(_at(10 * number), NOTHING_OBSERVED, state=state)
        assert len(_sent(step)) == 1
        state = _heard(step.state, number + 1, OrderState.REJECTED)
    step = UNCAPPED.on_clock(_at(21), NOTHING_OBSERVED, state=state)
    assert (step.state.phase, step.actions) == (ParentPhase.HALTED, ())
    assert step.state.notes[-1].kind is NoteKind.TOO_MANY_FAILURES


def test_cancelling_the_parent_cancels_its_children_and_keeps_what_filled(parent):
    state = UNCAPPED.on_clock(OPENS, NOTHING_OBSERVED, state=parent()).state
    state = _heard(state, 1, OrderState.PARTIALLY_FILLED, 3.0)
    step = cancelled(state, now_utc=_at(4), reason="the strategist changed her mind")
    assert step.actions == (CancelChild(state.child_id(1)),)
    assert (step.state.phase, step.state.ends_as) == (ParentPhase.WINDING_DOWN, ParentPhase.CANCELLED)
    step = UNCAPPED.on_clock(_at(10), NOTHING_OBSERVED, state=step.state)
    assert _sent(step) == []
    step = UNCAPPED.on_clock(_at(11), NOTHING_OBSERVED, state=_heard(step.state, 1, OrderState.CANCELLED, 4.0, fills=2))
    assert (step.state.phase, step.state.filled_shares) == (ParentPhase.CANCELLED, 4.0)
    assert step.state.notes[0].text == "the strategist changed her mind"
    assert UNCAPPED.on_clock(_at(12), NOTHING_OBSERVED, state=step.state).actions == ()


def test_a_parent_that_fills_while_it_is_cancelled_is_completed(parent):
    state = UNCAPPED.on_clock(_at(25), NOTHING_OBSERVED, state=parent()).state
    step = cancelled(state, now_utc=_at(26), reason="kill switch")
    step = UNCAPPED.on_clock(_at(27), NOTHING_OBSERVED, state=_filled(step.state, 1))
    assert step.state.phase is ParentPhase.COMPLETED


def test_a_declined_cancel_is_asked_again_at_once(parent):
    state = UNCAPPED.on_clock(OPENS, NOTHING_OBSERVED, state=parent()).state
    state = cancelled(_heard(state, 1, OrderState.ACCEPTED), now_utc=_at(1), reason="stop").state
    status = state.children[0].status
    for asked in (True, False):
        status = replace(status, is_cancel_requested=asked)
        state = told(state, {status.order.client_order_id: status}, now_utc=_at(1))
    assert UNCAPPED.on_clock(_at(1.1), NOTHING_OBSERVED, state=state).actions == (CancelChild(state.child_id(1)),)


def test_at_the_end_of_the_schedule_the_rest_is_given_up(parent):
    state = UNCAPPED.on_clock(_at(20), NOTHING_OBSERVED, state=parent()).state
    step = UNCAPPED.on_clock(_at(30), NOTHING_OBSERVED, state=_heard(state, 1, OrderState.PARTIALLY_FILLED, 12.0))
    assert step.actions == (CancelChild(state.child_id(1)),)
    step = UNCAPPED.on_clock(
        _at(30.1), NOTHING_OBSERVED, state=_heard(step.state, 1, OrderState.CANCELLED, 12.0, fills=1)
    )
    assert (step.state.phase, step.state.remaining_shares) == (ParentPhase.EXPIRED, 18.0)


def test_a_fill_told_after_the_end_of_a_child_is_not_ordered_twice(parent):
    state = UNCAPPED.on_clock(_at(10), NOTHING_OBSERVED, state=parent()).state
    state = UNCAPPED.on_clock(_at(20), NOTHING_OBSERVED, state=state).state  # asks the first child, of 20, to end
    state = _heard(state, 1, OrderState.CANCELLED, 8.0)
    step = UNCAPPED.on_clock(_at(21), NOTHING_OBSERVED, state=state)
    assert _sent(step) == [12.0]
    late = _heard(step.state, 1, OrderState.CANCELLED, 20.0, fills=2)
    step = UNCAPPED.on_clock(_at(22), NOTHING_OBSERVED, state=late)
    assert _sent(step) == []
    for number in (2, 3):
        late = _filled(late, number)
    step = UNCAPPED.on_clock(_at(23), NOTHING_OBSERVED, state=late)
    assert (step.state.phase, step.state.filled_shares) == (ParentPhase.COMPLETED, 42.0)
    assert step.state.notes[-1].kind is NoteKind.OVERFILLED


def test_children_are_whole_lots_and_what_is_left_of_a_broken_lot_goes_last(order_of):
    name = client_order_id("simulated", DECISION, symbol="ABC")
    order = order_of(client_order_id=name, decision_id=DECISION, quantity_shares=3000.0, algorithm="twap")
    state = ParentState(order=order, lot_shares=100.0)
    step = UNCAPPED.on_clock(OPENS, NOTHING_OBSERVED, state=state)
    assert _sent(step) == [1000.0]
    step = UNCAPPED.on_clock(_at(10), NOTHING_OBSERVED, state=_heard(step.state, 1, OrderState.PARTIALLY_FILLED, 930.0))
    state = _heard(step.state, 1, OrderState.CANCELLED, 930.0)
    step = UNCAPPED.on_clock(_at(20), NOTHING_OBSERVED, state=_filled(state, 2))
    assert _sent(step) == [1070.0]


def test_an_id_of_another_leg_is_not_the_parents(parent):
    with pytest.raises(ExecutionError, match="its id is not that of leg 1"):
        ParentState(order=parent().order, leg=1)


@pytest.mark.parametrize("lot", [7.0, 0.0, float("nan")])
def test_an_order_that_is_no_number_of_lots_is_refused(parent, lot):
    with pytest.raises(ExecutionError, match=r"30\.0 shares are not a number of lots"):
        ParentState(order=parent().order, lot_shares=lot)


@pytest.mark.parametrize("wrong", [{"participation_rate": 0.0}, {"expected_volume_shares": (1.0,)}])
def test_settings_that_make_no_cap_are_refused(wrong):
    with pytest.raises(ExecutionError, match="schedule"):
        ScheduledAlgorithm(**{"schedule": SCHEDULE, "opens_utc": OPENS, "participation_rate": 0.1, **wrong})
