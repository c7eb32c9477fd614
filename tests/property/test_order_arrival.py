"""In whatever order and however often a venue's events arrive, the book ends in the same state, and never with a naked
or doubled exit.

A small venue in whole numbers plays brackets over several sessions: partial fills, splits, triggers, replacements,
cancels, children released and reduced. Its own counts are what the book must come to.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.execution.order_book import OrderBook, ShareSplit
from aegis.execution.order_families import family_violations
from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind

K = OrderEventKind
DECIDED = date(2014, 6, 5)
ENTRY, STOP, TARGET = "entry", "stop", "target"
EXITS = (STOP, TARGET)
ENDED = ("filled", "cancelled")

MOVES = (
    *("fill entry",) * 3,
    *("fill stop", "fill target") * 2,
    *("trigger", "session", "replace", "ask", "cancel declined", "cancel"),
    *("split",) * 3,
)
plans = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(1, 40), st.integers(0, 1)), min_size=5, max_size=14)
sizes = st.integers(2, 100)


class Venue:
    """Counts of one bracket, and the stream that tells of them."""

    def __init__(self, order_of, *, side: int, shares: int) -> None:
        self.side = side
        self.day = 0
        self.now = self._open()
        exits = {
            "algorithm": "market",
            "time_in_force": "GTC",
            "parent_id": ENTRY,
            "oco_group": "exits",
            "is_reducing": True,
            "quantity_shares": float(-side * shares),
        }
        self.orders: dict[str, Order] = {
            ENTRY: order_of(
                client_order_id=ENTRY, algorithm="market", time_in_force="GTC", quantity_shares=float(side * shares)
            ),
            STOP: order_of(client_order_id=STOP, order_type="stop", stop_price_usd=9.0, **exits),
            TARGET: order_of(client_order_id=TARGET, order_type="limit", limit_price_usd=12.0, **exits),
        }
        self.committed = dict(self.orders)
        self.state = {ENTRY: "accepted", STOP: "held", TARGET: "held"}
        self.quantity = dict.fromkeys(self.orders, shares)
        self.filled = dict.fromkeys(self.orders, 0)
        self.fills = dict.fromkeys(self.orders, 0)
        self.revision = dict.fromkeys(self.orders, 0)
        self.held = 0
        self.is_triggered = False
        self.asked: set[str] = set()
        self.splits: list[ShareSplit] = []
        self.stream: list[OrderEvent] = []
        for name in self.orders:
            for kind in (K.APPROVED, K.SUBMITTED, K.ACCEPTED if name == ENTRY else K.HELD):
                self._tell(name, kind)

    def play(self, move: str, amount: int, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        if move in {"session", "split"}:
            self._next_session(
                Fraction(1) if move == "session" else [Fraction(2), Fraction(3), Fraction(1, 2)][amount % 3]
            )
        elif move == "fill entry":
            self._fill_entry(amount)
        elif move in ("fill stop", "fill target"):
            self._fill_exit(move.removeprefix("fill "), amount)
        elif move == "trigger":
            self._trigger()
        elif move == "replace" and self.state[TARGET] not in ENDED:
            self.revision[TARGET] += 1
            wanted = replace(self.orders[TARGET], limit_price_usd=float(amount))
            self._tell(TARGET, K.REPLACE_REQUESTED, order=wanted, revision=self.revision[TARGET])
            self.orders[TARGET] = wanted
            self._tell(TARGET, K.REPLACED, order=wanted, revision=self.revision[TARGET])
        elif move in ("ask", "cancel declined", "cancel") and self.state[ENTRY] not in ENDED:
            self._cancel(move)

    def remaining(self, name: str) -> int:
        return self.quantity[name] - self.filled[name]

    def _open(self) -> datetime:
        return datetime(2014, 6, 6, 13, 30, tzinfo=UTC) + timedelta(days=self.day)

    @property
    def session(self) -> date:
        return DECIDED + timedelta(days=1 + self.day)

    def _tell(self, name: str, kind: OrderEventKind, **said) -> None:
        self.stream.append(OrderEvent(kind=kind, client_order_id=name, session=self.session, at_utc=self.now, **said))

    def _change(self, name: str, kind: OrderEventKind, shares: int, **said) -> None:
        self.quantity[name] = shares
        self.revision[name] += 1
        sign = 1 if self.orders[name].quantity_shares > 0 else -1
        prices = said.pop("prices", {})
        self.orders[name] = replace(self.orders[name], quantity_shares=float(sign * shares), **prices)
        self._tell(name, kind, order=self.orders[name], revision=self.revision[name], **said)

    def _end(self, name: str) -> None:
        self.state[name] = "cancelled"
        self._tell(name, K.CANCELLED)
        if name == ENTRY and self.fills[ENTRY] == 0:
            for child in EXITS:
                if self.state[child] not in ENDED:
                    self._end(child)

    def _fill(self, name: str, shares: int) -> None:
        self.fills[name] += 1
        self.filled[name] += shares
        done = self.remaining(name) == 0
        self.state[name] = "filled" if done else "partially filled"
        signed = shares if self.orders[name].quantity_shares > 0 else -shares
        self.held += signed
        fill = Fill(
            client_order_id=name,
            decision_id=self.orders[name].decision_id,
            account="simulated",
            fill_number=self.fills[name],
            session=self.session,
            symbol="ABC",
            ticker="ABC",
            quantity_shares=float(signed),
            price_usd=10.0,
            reference_price_usd=10.0,
            commission_usd=0.0,
            slippage_usd=0.0,
            arrival_price_usd=10.0,
            filled_at_utc=self.now,
            # Venues number executions over all their customers: the names do not sort by time.
            execution_id=f"{len(self.stream) * 7919 % 1009:04d}",
        )
        self._tell(name, K.FILLED if done else K.PARTIALLY_FILLED, fill=fill)

    def _fill_entry(self, amount: int) -> None:
        if self.state[ENTRY] in ENDED:
            return
        shares = min(amount, self.remaining(ENTRY))
        self._fill(ENTRY, shares)
        for child in EXITS:
            if self.state[child] == "held":
                self.state[child] = "accepted"
                self._change(child, K.RELEASED, shares)
            elif self.state[child] not in ENDED:
                self._change(child, K.RELEASED, self.quantity[child] + shares)

    def _fill_exit(self, name: str, amount: int) -> None:
        if self.state[name] in (*ENDED, "held"):
            return
        if name == STOP:
            self._trigger()
        shares, sibling = min(amount, self.remaining(name)), STOP if name == TARGET else TARGET
        self._fill(name, shares)
        if self.state[sibling] not in ENDED:
            if self.remaining(sibling) > shares:
                self._change(sibling, K.REDUCED, self.quantity[sibling] - shares)
            else:
                self._end(sibling)
        if self.state[name] == "filled" and self.state[ENTRY] not in ENDED:
            self._end(ENTRY)  # or what it still bought would have no exit

    def _trigger(self) -> None:
        if self.state[STOP] == "accepted" and not self.is_triggered:
            self.is_triggered = True
            self._tell(STOP, K.TRIGGERED)

    def _cancel(self, move: str) -> None:
        self.revision[ENTRY] += 1
        self._tell(ENTRY, K.CANCEL_REQUESTED, revision=self.revision[ENTRY])
        self.asked.add(ENTRY)
        if move == "cancel declined":
            self._tell(ENTRY, K.CANCEL_REJECTED, revision=self.revision[ENTRY])
            self.asked.discard(ENTRY)
        elif move == "cancel":
            self._end(ENTRY)

    def _next_session(self, ratio: Fraction) -> None:
        self.day += 1
        self.now = self._open()
        if ratio == 1:
            return
        self.splits.append(ShareSplit("ABC", self.session, float(ratio)))
        self.held = int(self.held * ratio)
        for name in (*EXITS, ENTRY):
            if self.state[name] in ENDED:
                continue
            left, done = floor(self.remaining(name) * ratio), floor(self.filled[name] * ratio)
            if left == 0:
                self._end(name)
                continue
            self.filled[name] = done
            order = self.orders[name]
            prices = {
                price: getattr(order, price) / float(ratio)
                for price in ("arrival_price_usd", "limit_price_usd", "stop_price_usd")
                if getattr(order, price) is not None
            }
            self._change(name, K.RESCALED, left + done, prices=prices, split_ratio=float(ratio))


def _played(order_of, plan, *, side: int, shares: int) -> Venue:
    venue = Venue(order_of, side=side, shares=shares)
    for move in plan:
        venue.play(*move)
    return venue


def _tell(book: OrderBook, items: list[Order | OrderEvent | ShareSplit]) -> OrderBook:
    for item in items:
        if isinstance(item, Order):
            book.add(item)
        elif isinstance(item, OrderEvent):
            book.apply(item)
        else:
            book.apply_split(item)
    return book


def _retold(event: OrderEvent) -> OrderEvent:
    """The same execution from another source: counted anew, and never called the last."""
    if event.fill is None:
        return event
    return replace(event, kind=K.PARTIALLY_FILLED, fill=replace(event.fill, fill_number=77))


def _state(book: OrderBook) -> tuple[object, ...]:
    return book.statuses(), book.fills(), book.positions(), book.breaks()


@pytest.mark.parametrize("examples", [100, pytest.param(2000, marks=pytest.mark.long)])
def test_events_in_any_order_and_told_twice_end_in_the_venues_own_state(order_of, examples):
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(plan=plans, side=st.sampled_from([1, -1]), shares=sizes, seed=st.integers(0, 2**32))
    def holds(plan, side, shares, seed):
        venue = _played(order_of, plan, side=side, shares=shares)
        items = [*venue.committed.values(), *venue.splits, *venue.stream]
        straight = _tell(OrderBook(), items)
        for name, status in straight.statuses().items():
            sign = 1 if venue.orders[name].quantity_shares > 0 else -1
            assert (str(status.state), status.fills) == (venue.state[name], venue.fills[name])
            assert status.filled_shares == sign * venue.filled[name]
            assert status.order == venue.orders[name]
            assert status.is_cancel_requested is (name in venue.asked and venue.state[name] not in ENDED)
            assert status.is_triggered is (name == STOP and venue.is_triggered)
        assert straight.positions() == ({"ABC": float(venue.held)} if venue.held else {})
        assert straight.breaks() == ()

        generator = random.Random(seed)  # noqa: S311 - reproducible, nothing secret
        again = [_retold(item) if isinstance(item, OrderEvent) else item for item in items]
        jumbled = [*items, *generator.sample(again, k=generator.randint(0, len(again)))]
        generator.shuffle(jumbled)
        book = OrderBook()
        for item in jumbled:
            _tell(book, [item])
            if generator.random() < 0.2:
                _state(book)  # whatever is known so far has an answer
        assert _state(book) == _state(straight)

    holds()


@pytest.mark.parametrize("examples", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_a_venues_own_order_of_events_is_legal_and_gives_the_same_orders(order_of, examples):
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(plan=plans, side=st.sampled_from([1, -1]), shares=sizes)
    def holds(plan, side, shares):
        venue = _played(order_of, plan, side=side, shares=shares)
        statuses = {
            name: OrderStatus(order, OrderState.INTENT_RECORDED) for name, order in sorted(venue.committed.items())
        }
        for event in venue.stream:
            statuses[event.client_order_id] = apply_event(statuses[event.client_order_id], event)
        assert _tell(OrderBook(), [*venue.committed.values(), *venue.stream]).statuses() == statuses

    holds()


@pytest.mark.parametrize("examples", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_there_is_never_a_naked_or_doubled_exit(order_of, examples):
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(plan=plans, side=st.sampled_from([1, -1]), shares=sizes)
    def holds(plan, side, shares):
        venue = Venue(order_of, side=side, shares=shares)
        book = _tell(OrderBook(), [*venue.committed.values(), *venue.stream])
        for move in plan:
            told = len(venue.stream)
            venue.play(*move)
            _tell(book, [*venue.splits, *venue.stream[told:]])
            assert family_violations(book) == ()

    holds()
