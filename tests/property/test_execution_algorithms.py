"""Whatever venue, market and clock do: no child too many, too large, too early or too late, and none after a cancel.

A random session: an algorithm on a full or a half day, a clock that ticks irregularly and sleeps, quotes and volumes
that come, stay away, are late or wrong, and a venue that fills, rejects, cancels by itself and answers late. Everything
is drawn from one seed, so that the same session can be played twice: once in one piece, and once by a process that dies
after every step and starts again from the JSON text that was kept.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config_eval import ExecutionEval
from aegis.execution.algorithms.almgren_chriss import LinearImpact
from aegis.execution.algorithms.limit import Chase, WorkedLimit
from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.parent_desk import ParentDesk
from aegis.execution.algorithms.parent_records import WorkingAlgorithm
from aegis.execution.algorithms.parent_state import ENDS, ParentPhase, ParentState
from aegis.execution.algorithms.planning import PastMarket, plan
from aegis.execution.algorithms.pov import ParticipationOfVolume
from aegis.execution.algorithms.schedule import ScheduledFraction
from aegis.execution.algorithms.scheduled import ScheduledAlgorithm
from aegis.execution.algorithms.volume_curve import SessionVolume
from aegis.execution.order_ids import client_order_id
from aegis.execution.orders import OrderEventKind
from tests.property.child_venue import ChildVenue, TextStore

NYSE = trading_calendar("XNYS")
SESSIONS = (date(2014, 6, 6), date(2014, 7, 3), date(2014, 11, 28))
ALGORITHMS = ("market", "twap", "vwap", "implementation_shortfall", "schedule", "pov", "limit")
DECISION = "simulated/main/2014-06-05/rebalance/1"
PARENT = client_order_id("simulated", DECISION, symbol="ABC")
RATE = 0.1


@dataclass(frozen=True)
class Tick:
    """One moment: what is known, and what the venue does before it."""

    at_utc: datetime
    market: MarketObservation
    fills: float
    rejects: bool
    answers: bool
    ends: bool
    cancels_parent: bool


def _ticks(rng: random.Random, opens: datetime, closes: datetime) -> list[Tick]:
    volume, price, now = 0.0, 10.0, opens - timedelta(minutes=rng.choice((0, 0, 7)))
    known = MarketObservation()
    can_reject, cancel_at = rng.random() < 0.3, rng.random() if rng.random() < 0.2 else 2.0
    ticks = []
    while now < closes + timedelta(minutes=5):
        if rng.random() < 0.9:  # else nothing new is heard
            if now >= opens:
                volume += rng.choice((0, 0, 100, 1_000, 20_000)) * rng.random()
            price = max(1.0, price * math.exp(rng.gauss(0, 0.002)))
            bid = round(price, 2)
            ask = bid + rng.choice((0.01, 0.05, -0.02))
            known = MarketObservation(
                bid_usd=bid,
                ask_usd=round(ask, 2),
                quoted_at_utc=now - timedelta(seconds=rng.choice((0, 1, 30))),
                volume_shares=volume if rng.random() < 0.9 else None,
                volume_at_utc=now - timedelta(seconds=rng.choice((0, 20))),
            )
        ticks.append(
            Tick(
                now,
                known,
                fills=rng.choice((0.0, 0.0, 0.4, 1.0)),
                rejects=can_reject and rng.random() < 0.2,
                answers=rng.random() < 0.7,
                ends=rng.random() < 0.02,
                cancels_parent=(now - opens) / (closes - opens) > cancel_at,
            )
        )
        now += timedelta(seconds=rng.choice((20, 60, 60, 61, 200, 1800)))
    return ticks


def _planned(rng: random.Random, order_of, *, name: str) -> tuple[ParentState, WorkingAlgorithm, date]:
    session = rng.choice(SESSIONS)
    opens, closes = NYSE.open_utc(session), NYSE.close_utc(session)
    minutes = round((closes - opens).total_seconds() / 60)
    quantity = float(rng.choice((1, -7, 100, -5_000, 12_345, 100_000)))
    terms = {"order_type": "limit", "limit_price_usd": 10.0} if name == "limit" or rng.random() < 0.2 else {}
    lot = rng.choice((1.0, 1.0, 5.0)) if quantity % 5 == 0 else 1.0
    order = order_of(
        client_order_id=PARENT,
        decision_id=DECISION,
        session=date(2014, 6, 5),
        execution_session=session,
        quantity_shares=quantity,
        algorithm=name,
        **terms,
    )
    past = PastMarket(
        volumes=[
            SessionVolume(date(2014, 5, day), tuple(float(rng.randrange(5_000)) for _ in range(minutes)))
            for day in range(1, rng.choice((1, 6)))
        ],
        daily_volume_shares=rng.choice((None, 100_000.0, 1_000_000.0)),
        impact=rng.choice((None, LinearImpact(sigma=0.2, epsilon=0.01, eta=2e-6, gamma=2e-7))),
    )
    state = ParentState(order=order, lot_shares=lot)
    steps = ()
    if name == "schedule":
        steps = (ScheduledFraction(timedelta(0), 0.25), ScheduledFraction(timedelta(hours=2), 0.75))
    found = plan(
        state,
        settings=ExecutionEval(participation_rate=RATE, interval_minutes=rng.choice((5, 13, 60)), risk_aversion=1e-5),
        calendar=NYSE,
        past=past,
        released_at_utc=opens + timedelta(minutes=rng.choice((-60, 0, 0, 33))),
        steps=steps,
    )
    algorithm = found.algorithm
    if isinstance(algorithm, WorkedLimit):
        algorithm = WorkedLimit(
            begins_utc=algorithm.begins_utc,
            expires_utc=algorithm.expires_utc,
            worst_price_usd=10.0,
            reference=rng.choice(("limit", "bid", "mid", "ask")),
            improvement_usd=0.03,
            chase=rng.choice((None, Chase(timedelta(minutes=5), 0.01, 6))),
        )
    elif isinstance(algorithm, ParticipationOfVolume):
        algorithm = replace(algorithm, catch_up_rate=rng.choice((RATE, 0.5)))
    return found.state, algorithm, session


class Session:
    """One random session, played by a desk that may die after every tick."""

    def __init__(self, seed: int, order_of, *, dies: bool) -> None:
        rng = random.Random(seed)  # noqa: S311 - reproducible, nothing secret
        state, self.algorithm, self.session = _planned(rng, order_of, name=ALGORITHMS[seed % len(ALGORITHMS)])
        self.opens, self.closes = NYSE.open_utc(self.session), NYSE.close_utc(self.session)
        self.ticks = _ticks(rng, self.opens, self.closes)
        self.clock = SimulatedClock(self.ticks[0].at_utc)
        self.venue, self.store = ChildVenue(self.clock), TextStore()
        self._market = MarketObservation()
        self._dies = dies
        self._desk = self._new_desk()
        self._desk.take(state, self.algorithm)
        self.paces: dict[int, tuple[int, int | None]] = {}
        self.cancelled_at: datetime | None = None

    def play(self) -> None:
        """Go through all ticks."""
        for tick in self.ticks:
            self.clock.advance_to(tick.at_utc)
            self._market = tick.market
            self._venue_acts(tick)
            self._desk.on_clock()
            if tick.cancels_parent and self.cancelled_at is None:
                self._desk.cancel(PARENT, reason="drill")
                self.cancelled_at = tick.at_utc
            self._check(tick)
            if self._dies:
                self._desk = self._new_desk()
                self._desk.take(*self.store.read(PARENT))
        for _ in range(2):
            self.clock.advance_to(max(self.clock.now_utc(), self.closes) + timedelta(minutes=1))
            self.venue.answer_cancels()
            self._desk.on_clock()

    @property
    def state(self) -> ParentState:
        """Where the parent stands."""
        return self._desk.states()[0]

    def _new_desk(self) -> ParentDesk:
        return ParentDesk(self.venue, self.store, clock=self.clock, observe=lambda _: self._market)

    def _venue_acts(self, tick: Tick) -> None:
        for name, status in sorted(self.venue.statuses().items()):
            if status.is_final:
                continue
            if tick.rejects and status.fills == 0:
                self.venue.tell(name, OrderEventKind.REJECTED, reason="venue")
            elif tick.ends:
                self.venue.tell(name, OrderEventKind.CANCELLED, reason="venue")
            elif shares := math.copysign(math.ceil(abs(status.remaining_shares) * tick.fills), status.remaining_shares):
                self.venue.fill(name, shares)
        if tick.answers:
            self.venue.answer_cancels()

    def _check(self, tick: Tick) -> None:
        """What must hold after every tick."""
        state, total = self.state, abs(self.state.order.quantity_shares)
        committed = sum(child.committed_shares for child in state.children) * state.side
        assert committed <= total + 1e-9
        assert state.filled_shares == pytest.approx(
            sum(status.filled_shares for status in self.venue.statuses().values()), abs=1e-9
        )
        pace = state.pace
        if pace is not None:
            # Fixed by the first look, the same after a restart, and never sent beyond.
            assert self.paces.setdefault(pace.interval_number, (pace.due_lots, pace.cap_lots)) == (
                *(pace.due_lots, pace.cap_lots),
            )
            assert committed <= pace.due_lots * state.lot_shares + 1e-9
            if pace.cap_lots is not None:
                assert state.sent_shares(pace.interval_number) <= pace.cap_lots * state.lot_shares + 1e-9
        if isinstance(self.algorithm, ParticipationOfVolume) and tick.market.volume_shares is not None:
            assert committed <= RATE * max(tick.market.volume_shares, self._most_volume()) + 1e-6

    def _most_volume(self) -> float:
        return max((t.market.volume_shares or 0.0) for t in self.ticks if t.at_utc <= self.clock.now_utc())


def _check_played(played: Session) -> None:
    """What must hold of the whole session."""
    state = played.state
    order = state.order
    sent = played.venue.sent
    assert state.phase in ENDS
    assert not state.open_children
    assert (state.phase is ParentPhase.COMPLETED) == (state.remaining_shares == 0)
    assert [child.client_order_id for _, child in sent] == [state.child_id(n + 1) for n in range(len(sent))]
    limit = order.limit_price_usd
    for at_utc, child in sent:
        assert played.opens <= at_utc < played.closes
        assert child.quantity_shares * order.quantity_shares > 0
        assert (child.symbol, child.account, child.decision_id) == (order.symbol, order.account, order.decision_id)
        if limit is not None:
            assert child.limit_price_usd is not None
            assert (child.limit_price_usd - limit) * state.side <= 0
        assert played.cancelled_at is None or at_utc <= played.cancelled_at
    for child, _ in played.venue.asked_to_change:
        assert limit is not None
        assert (child.limit_price_usd - limit) * state.side <= 0
    if isinstance(played.algorithm, ScheduledAlgorithm):
        assert played.algorithm.schedule.total_lots == state.total_lots
        assert played.algorithm.schedule.ends_utc <= played.closes


def _play(seed: int, order_of) -> Session:
    whole, in_pieces = Session(seed, order_of, dies=False), Session(seed, order_of, dies=True)
    for played in (whole, in_pieces):
        played.play()
        _check_played(played)
    assert in_pieces.venue.sent == whole.venue.sent
    assert in_pieces.venue.asked_to_change == whole.venue.asked_to_change
    assert in_pieces.store.texts == whole.store.texts
    return whole


@pytest.mark.parametrize("count", [84, pytest.param(2_000, marks=pytest.mark.long)])
def test_no_session_sends_a_child_too_many_and_a_restart_changes_nothing(order_of, count):
    ends, names = Counter(), Counter()
    for seed in range(count):
        played = _play(seed, order_of)
        ends[played.state.phase] += 1
        names[played.state.order.algorithm] += 1
    assert set(names) == set(ALGORITHMS)
    assert set(ends) == ENDS
