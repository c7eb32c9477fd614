"""Whatever orders and events come in whatever order: what is reserved is what a sum from scratch says."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.execution.orders import Order, OrderEvent, OrderEventKind
from aegis.live_trading.live_book import LiveBook
from tests.unit.live_trading.doors import Door, named
from tests.unit.risk.exit_cases import NOW

_E = OrderEventKind
PRICES = [20.01, 19.99, 20.0, 20.37]
ends = st.sampled_from([_E.CANCELLED, _E.EXPIRED, _E.REJECTED])


@dataclass
class _Modelled:
    """An order as a person would keep it on paper."""

    order: Order
    touch: Fraction
    sent: datetime
    filled: Fraction = Fraction(0)
    fills: list[tuple[datetime, Fraction, Fraction]] = field(default_factory=list)
    is_open: bool = True

    @property
    def rest(self) -> Fraction:
        return _exact(self.order.quantity_shares) - self.filled if self.is_open else Fraction(0)

    @property
    def price(self) -> Fraction:
        limit = self.order.limit_price_usd
        if limit is None:
            return self.touch
        return _exact(limit) if self.order.quantity_shares > 0 else max(self.touch, _exact(limit))


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))


class _Session:
    """A door, all that was sent and told, and the paper that both are compared with."""

    def __init__(self, **limits: float) -> None:
        self.door = Door(positions={"ABC": 300.0, "XYZ": -200.0}, **limits)
        self.stated = self.door.manager._book.bounds.stated_at_utc
        self.held = {"ABC": Fraction(300), "XYZ": Fraction(-200), "OTHER": Fraction(0)}
        self.orders: dict[str, _Modelled] = {}
        self.events: list[OrderEvent] = []
        self.touches: dict[str, float] = {}
        self.let_go_names: set[str] = set()
        self.number = 0

    @property
    def book(self) -> LiveBook:
        return self.door.manager._book

    def tell(self, event: OrderEvent) -> None:
        self.events.append(event)
        self.door.manager.settle(event)

    def submit(self, symbol: str, shares: float, limit: float | None) -> None:
        self.number += 1
        terms = {"order_type": "market"} if limit is None else {"order_type": "limit", "limit_price_usd": limit}
        order = named(f"o-{self.number:03}", shares, symbol=symbol, time_in_force="GTC", is_fractional=True, **terms)
        verdict = self.door.manager.review(order)
        if not verdict.is_allowed:
            return
        sent = verdict.decided_at_utc
        self.touches[order.client_order_id] = verdict.touch_usd
        self.orders[order.client_order_id] = _Modelled(order, _exact(verdict.touch_usd), sent)
        self.tell(replace(self.door.event(_E.SUBMITTED, order), at_utc=sent))

    def fill(self, chosen: int, part: Fraction, price: float) -> None:
        found = [item for item in self.orders.values() if item.is_open]
        if not found:
            return
        item = found[chosen % len(found)]
        shares = float(round(item.rest * part, 3))
        if shares == 0 or abs(shares) >= abs(item.rest):
            shares = float(item.rest)
        event = self.door.fill(
            item.order, shares, price=price, number=len(item.fills) + 1, ends=_exact(shares) == item.rest
        )
        assert event.fill is not None
        item.fills.append((event.fill.filled_at_utc, _exact(shares), _exact(price)))
        item.is_open = _exact(shares) != item.rest
        item.filled += _exact(shares)
        self.tell(event)

    def end(self, chosen: int, kind: OrderEventKind) -> None:
        found = [item for item in self.orders.values() if item.is_open]
        if found:
            item = found[chosen % len(found)]
            item.is_open = False
            self.tell(self.door.event(_E.CANCELLED if item.fills else kind, item.order))

    def repeat(self, chosen: int) -> None:
        told = [event for event in self.events if event.client_order_id not in self.let_go_names]
        if told:
            self.door.manager.settle(told[chosen % len(told)])

    def let_go(self) -> None:
        """Let go all that have ended; what was told of them is not told again."""
        ended = {name for name, item in self.orders.items() if not item.is_open}
        self.door.manager.let_go(ended - self.let_go_names)
        self.let_go_names |= ended

    def state_account(self) -> None:
        for symbol in self.held:
            self.held[symbol] += self.traded(symbol)
        self.door.positions = {symbol: float(shares) for symbol, shares in self.held.items() if shares != 0}
        self.door.tell()
        self.stated = self.book.bounds.stated_at_utc

    def go_on(self, span: timedelta) -> None:
        self.door.go_to(self.door.clock.instant_utc + span)
        self.door.tell_feeds()

    def traded(self, symbol: str) -> Fraction:
        assert self.stated is not None
        return sum(
            (shares for item in self.of(symbol) for at, shares, _ in item.fills if at >= self.stated), start=Fraction(0)
        )

    def of(self, symbol: str) -> list[_Modelled]:
        return [item for item in self.orders.values() if item.order.symbol == symbol]

    def compare(self) -> None:
        """Compare the door's sums with the paper's, and with its own from scratch."""
        view = self.door.manager.view(named("probe"))
        begins, ends = self.book.bounds.begins_at_utc, self.book.bounds.ends_at_utc
        day = shares_of_day = sent = Fraction(0)
        for item in self.orders.values():
            today = [(shares, price) for at, shares, price in item.fills if begins <= at < ends]
            day += sum((abs(shares) * price for shares, price in today), start=abs(item.rest) * item.price)
            shares_of_day += sum((abs(shares) for shares, _ in today), start=abs(item.rest))
            sent += begins <= item.sent < ends
        # Each amount is rounded up to 1e-8 USD, and the amounts here have fewer digits: they are equal.
        assert Fraction(view.day_notional_usd) == day
        assert Fraction(view.day_shares) == shares_of_day
        assert view.day_orders == sent
        for symbol in self.held:
            found = self.book.of_symbol(symbol)
            assert Fraction(found.open_bought_shares) == sum(max(item.rest, 0) for item in self.of(symbol))
            assert Fraction(found.open_sold_shares) == sum(max(-item.rest, 0) for item in self.of(symbol))
            assert Fraction(found.position_shares) == self.held[symbol] + self.traded(symbol)
        total, exposure, shorts = self.book.from_scratch()
        assert total == self.book.orders.total
        assert exposure == self.book.exposure_usd()
        assert self.book.committed_usd() == total.purchases_usd + shorts

    def restored(self) -> Door:
        """Return another door that learns all this after a restart, events in another order."""
        again = copy.copy(self.door)
        again.start(self.door.clock.instant_utc)
        again.positions = self.door.positions
        again.tell(at_utc=self.stated)
        again.tell_feeds()
        orders = [item.order for item in self.orders.values()]
        again.manager.restore(
            orders, reversed(self.events), touches_usd=self.touches, record=self.door.manager.record()
        )
        return again


steps = st.one_of(
    st.tuples(
        st.just("submit"),
        st.sampled_from(["ABC", "XYZ", "OTHER"]),
        st.sampled_from([100.0, -100.0, 37.0, -412.0, 0.125]),
        st.sampled_from([None, None, 20.11, 19.5]),
    ),
    st.tuples(
        st.just("fill"),
        st.integers(0, 9),
        st.sampled_from([Fraction(1, 10), Fraction(1, 3), Fraction(5, 7), Fraction(1)]),
        st.sampled_from(PRICES),
    ),
    st.tuples(st.just("end"), st.integers(0, 9), ends),
    st.tuples(st.just("repeat"), st.integers(0, 99)),
    st.tuples(st.just("state_account")),
    st.tuples(st.just("let_go")),
    st.tuples(st.just("go_on"), st.sampled_from([timedelta(seconds=1), timedelta(minutes=2), timedelta(days=1)])),
)


def _run(played: list[tuple[object, ...]], **limits: float) -> _Session:
    session = _Session(**limits)
    session.compare()
    for name, *arguments in played:
        getattr(session, str(name))(*arguments)
        session.compare()
    return session


def _same(session: _Session) -> None:
    again = session.restored()
    ours, theirs = session.door.manager, again.manager
    probe = named("probe")
    now = session.door.clock.instant_utc
    session.door.go_to(now)
    # Of quotes, stream and clock a new process knows nothing.
    unknown = {"quote": None, "stream_silence_seconds": None, "clock_skew_seconds": None}
    before = replace(ours.view(probe), **unknown)
    again.go_to(now)
    assert replace(theirs.view(probe), **unknown) == before
    assert theirs._book.orders.total == ours._book.orders.total
    for symbol in session.held:
        assert theirs._book.of_symbol(symbol) == ours._book.of_symbol(symbol)


@given(st.lists(steps, min_size=8, max_size=25))
@settings(max_examples=25, deadline=None)
def test_reserved_totals_equal_those_from_scratch_and_those_of_a_restart(played: list[tuple[object, ...]]) -> None:
    _same(_run(played))


@given(st.lists(steps, min_size=8, max_size=25))
@settings(max_examples=15, deadline=None)
def test_tight_limits_are_kept_after_every_step(played: list[tuple[object, ...]]) -> None:
    session = _Session(max_day_orders=4, max_day_notional_usd=6_000.0)
    for name, *arguments in played:
        getattr(session, str(name))(*arguments)
        session.compare()
        view = session.door.manager.view(named("probe"))
        assert view.day_orders <= 4


@pytest.mark.long
@given(st.lists(steps, min_size=20, max_size=80))
@settings(max_examples=1_000, deadline=None)
def test_reserved_totals_of_many_long_sessions(played: list[tuple[object, ...]]) -> None:
    _same(_run(played))


def test_the_model_sees_orders_go_through() -> None:
    session = _run([("submit", "ABC", 100.0, None), ("fill", 0, Fraction(1, 2), 20.0), ("state_account",)])
    assert session.held["ABC"] == 350
    assert session.door.clock.instant_utc > NOW
