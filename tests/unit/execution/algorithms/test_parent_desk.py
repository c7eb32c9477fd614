"""The desk around an algorithm: kept before sent, restarts, children told from other orders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aegis.clock import SimulatedClock
from aegis.errors import ExecutionError
from aegis.execution.algorithms.actions import Step
from aegis.execution.algorithms.observation import NOTHING_OBSERVED, MarketObservation
from aegis.execution.algorithms.parent_desk import ParentDesk
from aegis.execution.algorithms.parent_records import algorithm_from_record
from aegis.execution.algorithms.parent_state import NoteKind, ParentPhase, ParentState
from aegis.execution.algorithms.schedule import Schedule, Slice
from aegis.execution.algorithms.scheduled import ScheduledAlgorithm
from aegis.execution.order_ids import client_order_id
from tests.property.child_venue import ChildVenue, TextStore

OPENS = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)
DECISION = "simulated/main/2014-06-05/rebalance/1"
TEN = timedelta(minutes=10)
ALGORITHM = ScheduledAlgorithm(
    schedule=Schedule(tuple(Slice(OPENS + n * TEN, OPENS + (n + 1) * TEN, 10) for n in range(3))), opens_utc=OPENS
)
PARENT = client_order_id("simulated", DECISION, symbol="ABC")


@pytest.fixture
def state(order_of) -> ParentState:
    return ParentState(
        order=order_of(client_order_id=PARENT, decision_id=DECISION, quantity_shares=30.0, algorithm="twap")
    )


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(OPENS)


class Crashed(RuntimeError):
    """The process died."""


class CrashingVenue(ChildVenue):
    """Dies before or after it takes a child."""

    def __init__(self, clock: SimulatedClock, *, after_taking: bool) -> None:
        super().__init__(clock)
        self._after_taking = after_taking
        self.alive = True

    def submit(self, order) -> None:
        if self.alive and not self._after_taking:
            self.alive = False
            raise Crashed
        super().submit(order)
        if self.alive:
            self.alive = False
            raise Crashed


class CrashingStore(TextStore):
    """Dies instead of keeping a state that has children."""

    def keep(self, state, algorithm) -> None:
        if state.children:
            raise Crashed
        super().keep(state, algorithm)


def _desk(venue, store, clock) -> ParentDesk:
    return ParentDesk(venue, store, clock=clock, observe=lambda _: NOTHING_OBSERVED)


def _sent(venue: ChildVenue) -> list[tuple[str, float]]:
    return [(order.client_order_id, order.quantity_shares) for _, order in venue.sent]


def test_children_fill_and_the_parent_is_complete(state, clock):
    venue, store = ChildVenue(clock), TextStore()
    desk = _desk(venue, store, clock)
    desk.take(state, ALGORITHM)
    for number in range(1, 4):
        desk.on_clock()
        venue.fill(state.child_id(number), 10.0)
        clock.advance_to(OPENS + number * TEN - timedelta(seconds=1) if number == 3 else OPENS + number * TEN)
    desk.on_clock()
    (found,) = desk.states()
    assert (found.phase, found.filled_shares) == (ParentPhase.COMPLETED, 30.0)
    assert _sent(venue) == [(state.child_id(number), 10.0) for number in (1, 2, 3)]
    assert store.read(PARENT) == (found, ALGORITHM)


@pytest.mark.parametrize("after_taking", [False, True])
def test_a_crash_around_the_sending_leaves_one_child(state, clock, after_taking):
    venue, store = CrashingVenue(clock, after_taking=after_taking), TextStore()
    desk = _desk(venue, store, clock)
    desk.take(state, ALGORITHM)
    with pytest.raises(Crashed):
        desk.on_clock()
    restarted = _desk(venue, store, clock)
    restarted.take(*store.read(PARENT))
    restarted.on_clock()
    assert _sent(venue) == [(state.child_id(1), 10.0)]


def test_a_child_that_the_state_has_lost_is_adopted_and_not_sent_again(state, clock):
    venue = ChildVenue(clock)
    before = _desk(venue, TextStore(), clock)
    before.take(state, ALGORITHM)
    before.on_clock()
    store = TextStore()
    restarted = _desk(venue, store, clock)
    restarted.take(state, ALGORITHM)  # as it was before the child
    restarted.on_clock()
    assert _sent(venue) == [(state.child_id(1), 10.0)]
    (found,) = restarted.states()
    assert [note.kind for note in found.notes] == [NoteKind.ADOPTED_CHILD]


def test_nothing_is_sent_that_was_not_kept(state, clock):
    venue = ChildVenue(clock)
    desk = _desk(venue, CrashingStore(), clock)
    desk.take(state, ALGORITHM)
    with pytest.raises(Crashed):
        desk.on_clock()
    assert venue.sent == []


def test_cancelling_a_parent_ends_its_children(state, clock):
    venue = ChildVenue(clock)
    desk = _desk(venue, TextStore(), clock)
    desk.take(state, ALGORITHM)
    desk.on_clock()
    venue.fill(state.child_id(1), 4.0)
    assert desk.cancel(PARENT, reason="kill switch").phase is ParentPhase.WINDING_DOWN
    venue.answer_cancels()
    desk.on_clock()
    (found,) = desk.states()
    assert (found.phase, found.filled_shares, len(venue.sent)) == (ParentPhase.CANCELLED, 4.0, 1)


def test_a_parent_is_taken_once_and_only_parents_are_cancelled(state, clock):
    desk = _desk(ChildVenue(clock), TextStore(), clock)
    desk.take(state, ALGORITHM)
    with pytest.raises(ExecutionError, match="is worked already; take it once"):
        desk.take(state, ALGORITHM)
    with pytest.raises(ExecutionError, match="parent order other is not worked here"):
        desk.cancel("other", reason="kill switch")


def test_only_a_parent_that_has_ended_is_released(state, clock):
    venue = ChildVenue(clock)
    desk = _desk(venue, TextStore(), clock)
    desk.take(state, ALGORITHM)
    desk.on_clock()
    with pytest.raises(ExecutionError, match="is 'working'; only one that has ended is released"):
        desk.release(PARENT)
    venue.fill(state.child_id(1), 10.0)
    desk.cancel(PARENT, reason="drill")
    assert desk.release(PARENT).filled_shares == 10.0
    assert desk.states() == ()
    with pytest.raises(ExecutionError, match="is not worked here"):
        desk.release(PARENT)


def test_an_algorithm_of_another_version_is_refused():
    with pytest.raises(ExecutionError, match="algorithm of kind 'iceberg' is not known"):
        algorithm_from_record({"kind": "iceberg"})


def test_where_the_rates_leave_room_for_one_order_the_parents_take_turns(order_of, clock):
    venue, names = (
        ChildVenue(clock),
        {symbol: client_order_id("simulated", DECISION, symbol=symbol) for symbol in "ABC"},
    )
    desk = _desk(venue, TextStore(), clock)
    for symbol, name in names.items():
        terms = {"client_order_id": name, "decision_id": DECISION, "symbol": symbol, "ticker": symbol}
        desk.take(ParentState(order=order_of(**terms, quantity_shares=30.0, algorithm="twap")), ALGORITHM)
    served = []
    for _ in range(3):
        left = iter([True, False])
        before = len(venue.sent)
        desk.on_clock(lambda left=left: next(left))
        served += [order.symbol for _, order in venue.sent[before:]]
    assert sorted(served) == ["A", "B", "C"]
    assert len(venue.sent) == 3


def test_without_room_nothing_is_sent_and_nothing_is_lost(state, clock):
    venue = ChildVenue(clock)
    desk = _desk(venue, TextStore(), clock)
    desk.take(state, ALGORITHM)
    desk.on_clock(lambda: False)
    assert venue.sent == []
    desk.on_clock()
    assert _sent(venue) == [(state.child_id(1), 10.0)]


def test_a_quote_of_the_very_moment_at_which_the_market_is_asked_is_none_of_the_future(state, clock) -> None:
    """A clock on the wall goes on between two looks at it, and a simulated market quotes as of its own look."""

    class TickingClock:
        def now_utc(self) -> datetime:
            clock.advance_to(clock.now_utc() + timedelta(microseconds=1))
            return clock.now_utc()

    ticking, venue = TickingClock(), ChildVenue(clock)
    seen = []

    class Watching:
        def on_clock(self, now_utc, market, *, state):
            seen.append(market.has_quote(now_utc, timedelta(seconds=60)))
            return Step(state, ())

    desk = ParentDesk(
        venue,
        TextStore(),
        clock=ticking,
        observe=lambda _: MarketObservation(bid_usd=9.0, ask_usd=10.0, quoted_at_utc=ticking.now_utc()),
    )
    desk.take(state, ALGORITHM)
    desk._parents[PARENT].algorithm = Watching()
    desk.on_clock()
    assert seen == [True]
