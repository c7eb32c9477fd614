"""Percentage of volume by hand: four intervals of five minutes from 13:30 UTC, a tenth of the volume."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aegis.errors import ExecutionError
from aegis.execution.algorithms.actions import CancelChild, SubmitChild
from aegis.execution.algorithms.child_orders import told
from aegis.execution.algorithms.intervals import Interval
from aegis.execution.algorithms.observation import NOTHING_OBSERVED, MarketObservation
from aegis.execution.algorithms.parent_state import NoteKind, ParentPhase, ParentState
from aegis.execution.algorithms.pov import ParticipationOfVolume
from aegis.execution.order_ids import client_order_id
from aegis.execution.order_states import OrderState

OPENS = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)
DECISION = "simulated/main/2014-06-05/rebalance/1"
FIVE = timedelta(minutes=5)


def _intervals(first: int = 0) -> tuple[Interval, ...]:
    return tuple(Interval(OPENS + n * FIVE, OPENS + (n + 1) * FIVE) for n in range(first, 4))


def _algorithm(catch_up_rate: float = 0.1, first: int = 0) -> ParticipationOfVolume:
    return ParticipationOfVolume(
        intervals=_intervals(first),
        opens_utc=OPENS,
        participation_rate=0.1,
        catch_up_rate=catch_up_rate,
        max_data_age=timedelta(minutes=1),
    )


@pytest.fixture
def parent(order_of) -> ParentState:
    name = client_order_id("simulated", DECISION, symbol="ABC")
    return ParentState(
        order=order_of(client_order_id=name, decision_id=DECISION, quantity_shares=-1000.0, algorithm="pov")
    )


def _step(algorithm, state, minute: float, volume: float):
    at = OPENS + timedelta(minutes=minute)
    return algorithm.on_clock(at, MarketObservation(volume_shares=volume, volume_at_utc=at), state=state)


def _sold(step) -> list[float]:
    return [-action.order.quantity_shares for action in step.actions if isinstance(action, SubmitChild)]


def _hear(state: ParentState, number: int, stands: OrderState, filled: float) -> ParentState:
    status = replace(state.children[number - 1].status, state=stands, filled_shares=filled, fills=1)
    return told(state, {status.order.client_order_id: status}, now_utc=OPENS)


def test_it_sells_a_tenth_of_what_was_traded_before_rounded_down(parent):
    state, sold = parent, []
    for number, volume in enumerate((0.0, 999.0, 1500.0, 1509.0)):
        step = _step(_algorithm(), state, 5 * number, volume)
        sold.append(sum(_sold(step)))
        state = step.state
        for child in state.open_children:
            state = _hear(state, child.number, OrderState.FILLED, child.status.order.quantity_shares)
    assert sold == [0, 99, 51, 0]
    step = _step(_algorithm(), state, 20, 3000.0)
    assert (step.state.phase, step.state.filled_shares) == (ParentPhase.EXPIRED, -150.0)


def test_one_child_an_interval_however_the_volume_grows_in_it(parent):
    step = _step(_algorithm(), parent, 5, 1000.0)
    assert _sold(step) == [100.0]
    assert _step(_algorithm(), step.state, 7, 9000.0).actions == ()


def test_an_order_that_begins_late_counts_from_its_first_look(parent):
    algorithm = _algorithm(first=1)
    step = _step(algorithm, parent, 6, 50_000.0)
    assert step.actions == ()
    assert _sold(_step(algorithm, step.state, 10, 50_300.0)) == [30.0]


@pytest.mark.parametrize(("catch_up_rate", "second"), [(0.1, 20.0), (0.3, 60.0), (1.0, 100.0)])
def test_what_an_interval_missed_is_made_up_for_within_the_catch_up_rate(parent, catch_up_rate, second):
    algorithm = _algorithm(catch_up_rate)
    step = _step(algorithm, parent, 5, 1000.0)
    state = _hear(step.state, 1, OrderState.PARTIALLY_FILLED, -20.0)
    step = _step(algorithm, state, 10, 1200.0)
    # The first child may still sell its 80, so only 120 - 100 are free until the venue confirms its end.
    assert step.actions[0] == CancelChild(state.child_id(1))
    assert _sold(step) == [20.0]
    step = _step(algorithm, _hear(step.state, 1, OrderState.CANCELLED, -20.0), 11, 1250.0)
    assert 20.0 + sum(_sold(step)) == second


def test_without_recent_volume_it_stands_still_and_says_so(parent):
    at = OPENS + timedelta(minutes=5)
    old = MarketObservation(volume_shares=1000.0, volume_at_utc=at - timedelta(minutes=2))
    for market in (old, NOTHING_OBSERVED):
        step = _algorithm().on_clock(at, market, state=parent)
        assert step.actions == ()
        assert [(note.kind, note.interval_number) for note in step.state.notes] == [(NoteKind.STALE_DATA, 1)]
    assert _sold(_step(_algorithm(), step.state, 6, 1000.0)) == [100.0]


def test_a_volume_that_is_corrected_downwards_sells_nothing(parent):
    step = _step(_algorithm(), parent, 5, 1000.0)
    state = _hear(step.state, 1, OrderState.FILLED, -100.0)
    assert _step(_algorithm(), state, 10, 900.0).actions == ()


def test_it_never_sells_more_than_the_order(parent):
    assert _sold(_step(_algorithm(), parent, 5, 1e9)) == [1000.0]


@pytest.mark.parametrize(("rate", "catch_up"), [(0.0, 0.1), (0.2, 0.1), (0.5, 1.1)])
def test_rates_that_contradict_each_other_are_refused(rate, catch_up):
    with pytest.raises(ExecutionError, match="0 < participation_rate <= catch_up_rate <= 1"):
        ParticipationOfVolume(
            intervals=_intervals(),
            opens_utc=OPENS,
            participation_rate=rate,
            catch_up_rate=catch_up,
            max_data_age=timedelta(minutes=1),
        )
