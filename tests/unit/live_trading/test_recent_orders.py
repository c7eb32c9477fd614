"""What was let through lately, against a plain list that is searched from end to end. Windows are worked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.live_trading.recent_orders import RecentOrders
from aegis.risk.exit_view import SentOrder
from tests.unit.risk.exit_cases import LIMITS, NOW, order_with

MICRO = timedelta(microseconds=1)


def recent_of(sent: list[tuple[datetime, str]], **limits: float) -> RecentOrders:
    """Return the orders of instants and symbols, named by their place."""
    recent = RecentOrders(replace(LIMITS, **limits))
    for number, (at_utc, symbol) in enumerate(sent):
        recent.add(order_with(client_order_id=f"s-{number}", symbol=symbol), at_utc)
    return recent


def names(recent: RecentOrders, symbol: str) -> list[str]:
    return [sent.order.client_order_id for sent in recent.of_symbol(symbol)]


@pytest.mark.parametrize("inside", [0, 1, 3])
def test_the_beginning_of_a_window_is_outside_of_it(inside):
    second, minute = timedelta(seconds=1), timedelta(minutes=1)
    recent = recent_of([(NOW - minute, "A"), *[(NOW - minute + MICRO, "A")] * inside])
    assert (recent.within_second(NOW), recent.within_minute(NOW)) == (0, inside)
    recent = recent_of([(NOW - second, "A"), *[(NOW - second + MICRO, "B")] * inside])
    assert (recent.within_second(NOW), recent.within_minute(NOW)) == (inside, inside + 1)


def test_there_is_room_for_one_more_up_to_the_rate():
    sent = [(NOW, "A"), (NOW, "B")]
    assert recent_of(sent, max_orders_per_second=3, max_orders_per_minute=3).has_room(NOW)
    assert not recent_of(sent, max_orders_per_second=2, max_orders_per_minute=3).has_room(NOW)
    assert not recent_of(sent, max_orders_per_second=3, max_orders_per_minute=2).has_room(NOW)
    assert recent_of(sent, max_orders_per_second=2, max_orders_per_minute=3).has_room(NOW + timedelta(seconds=1))


def test_an_order_is_kept_as_long_as_an_equal_one_counts_as_a_duplicate():
    recent = recent_of([(NOW, "A")], duplicate_window_seconds=90.0)
    recent.forget_old(NOW + timedelta(seconds=90))
    assert names(recent, "A") == ["s-0"]
    recent.forget_old(NOW + timedelta(seconds=90) + MICRO)
    assert names(recent, "A") == []


def test_what_was_let_through_last_under_an_id_is_withdrawn():
    recent = RecentOrders(LIMITS)
    first, terms = order_with(client_order_id="o"), order_with(client_order_id="o", quantity_shares=7.0)
    recent.add(first, NOW)
    recent.add(terms, NOW + MICRO)
    recent.withdraw("o")
    assert recent.of_symbol(first.symbol) == (SentOrder(first, NOW),)
    assert recent.within_second(NOW + MICRO) == 1
    recent.withdraw("another")
    recent.withdraw("o")
    assert recent.of_symbol(first.symbol) == ()
    assert recent.within_second(NOW + MICRO) == 0


STEPS = st.lists(st.tuples(st.integers(-70, 70), st.sampled_from("ABC"), st.sampled_from(["add", "withdraw", "old"])))


@given(STEPS)
def test_whatever_happens_it_is_what_a_plain_list_holds(steps):
    recent, kept = RecentOrders(LIMITS), []
    for number, (second, symbol, action) in enumerate(steps):
        at_utc = NOW + timedelta(seconds=second)
        if action == "add":
            order = order_with(client_order_id=f"s-{number}", symbol=symbol)
            recent.add(order, at_utc)
            kept.append(SentOrder(order, at_utc))
        elif action == "withdraw" and kept:
            name = kept[number % len(kept)].order.client_order_id
            recent.withdraw(name)
            kept = [sent for sent in kept if sent.order.client_order_id != name]
        else:
            recent.forget_old(at_utc)
            kept = [sent for sent in kept if sent.sent_at_utc >= at_utc - timedelta(minutes=1)]
        instants = [sent.sent_at_utc for sent in kept]
        assert recent.within_minute(at_utc) == sum(instant > at_utc - timedelta(minutes=1) for instant in instants)
        assert recent.within_second(at_utc) == sum(instant > at_utc - timedelta(seconds=1) for instant in instants)
        for name in "ABC":
            of_symbol = sorted((s for s in kept if s.order.symbol == name), key=lambda sent: sent.sent_at_utc)
            assert list(recent.of_symbol(name)) == of_symbol
