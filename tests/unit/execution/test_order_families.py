from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from aegis.execution.order_book import OrderBook, ShareSplit
from aegis.execution.order_families import exit_shares, family_violations
from aegis.execution.orders import Fill, OrderEvent, OrderEventKind

K = OrderEventKind
FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
NOW = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)


@pytest.fixture
def orders(order_of):
    exits = {"algorithm": "market", "parent_id": "entry", "oco_group": "exits", "quantity_shares": -100.0}
    return {
        "entry": order_of(client_order_id="entry", algorithm="market"),
        "stop": order_of(client_order_id="stop", order_type="stop", stop_price_usd=9.0, **exits),
        "target": order_of(client_order_id="target", order_type="limit", limit_price_usd=12.0, **exits),
    }


def _book(orders, *told):
    """Tell of (order, kind) or (order, shares filled)."""
    book = OrderBook()
    for order in orders.values():
        book.add(order)
    for number, (name, what) in enumerate(told):
        about = {"client_order_id": name, "session": FRIDAY, "at_utc": NOW}
        if isinstance(what, str):
            book.apply(OrderEvent(kind=what, **about))
            continue
        fill = Fill(
            client_order_id=name,
            decision_id="d",
            account="simulated",
            fill_number=1,
            session=FRIDAY,
            symbol="ABC",
            ticker="ABC",
            quantity_shares=what,
            price_usd=10.0,
            reference_price_usd=10.0,
            commission_usd=0.0,
            slippage_usd=0.0,
            arrival_price_usd=10.0,
            filled_at_utc=NOW,
            execution_id=str(number),
        )
        book.apply(OrderEvent(kind=K.PARTIALLY_FILLED, fill=fill, **about))
    return book


HELD = (("entry", K.ACCEPTED), ("stop", K.HELD), ("target", K.HELD))
RELEASED = (*HELD, ("entry", 100.0), ("stop", K.RELEASED), ("target", K.RELEASED))


def test_a_bracket_that_is_held_released_or_done_breaks_nothing(orders):
    assert family_violations(_book(orders, *HELD)) == ()
    assert family_violations(_book(orders, *RELEASED)) == ()
    assert family_violations(_book(orders, *RELEASED, ("target", -100.0), ("stop", K.CANCELLED))) == ()


def test_siblings_that_cancel_each_other_count_once(orders):
    assert exit_shares(_book(orders, *HELD), "entry") == 0.0
    assert exit_shares(_book(orders, *RELEASED), "entry") == 100.0


def test_an_exit_that_works_before_its_entry_filled_is_naked(orders):
    found = family_violations(_book(orders, *HELD, ("stop", K.RELEASED)))
    assert found == ("order entry: its exits close up to 100.0 shares, but 0.0 are filled",)


def test_two_exits_that_do_not_cancel_each_other_are_doubled(orders):
    alone = {name: replace(order, oco_group=None) for name, order in orders.items()}
    assert family_violations(_book(alone, *RELEASED)) == (
        "order entry: its exits close up to 200.0 shares, but 100.0 are filled",
    )


def test_a_sibling_that_was_not_reduced_is_a_doubled_exit(orders):
    # 40 are closed at the target, and the stop would still sell 100.
    assert family_violations(_book(orders, *RELEASED, ("target", -40.0))) == (
        "order entry: its exits close up to 140.0 shares, but 100.0 are filled",
    )


def test_both_exits_filled_is_a_doubled_exit(orders):
    found = family_violations(_book(orders, *RELEASED, ("target", -100.0), ("stop", -100.0)))
    assert found == ("order entry: its exits close up to 200.0 shares, but 100.0 are filled",)


def test_a_sibling_that_stays_open_when_the_other_is_filled_is_found(orders):
    found = family_violations(_book(orders, *RELEASED, ("target", -100.0)))
    assert "order stop: open, though another order of OCO group exits is filled" in found


def test_a_child_does_not_outlive_a_parent_without_a_fill(orders):
    found = family_violations(_book(orders, *HELD, ("entry", K.CANCELLED)))
    assert found == (
        "order stop: open, though its parent entry ended as 'cancelled' without a fill",
        "order target: open, though its parent entry ended as 'cancelled' without a fill",
    )


def test_a_child_does_not_wait_for_a_parent_that_is_filled(orders):
    found = family_violations(_book(orders, *HELD, ("entry", 100.0)))
    assert found == (
        "order stop: held, though its parent entry is filled",
        "order target: held, though its parent entry is filled",
    )


def test_a_child_on_the_parents_side_is_no_exit(orders):
    second = {"entry": orders["entry"], "more": replace(orders["entry"], client_order_id="more", parent_id="entry")}
    book = _book(second, ("entry", K.ACCEPTED), ("entry", 100.0), ("more", K.ACCEPTED))
    assert (exit_shares(book, "entry"), family_violations(book)) == (0.0, ())


def test_the_entry_is_counted_in_the_shares_of_after_a_split(orders):
    book = _book(orders, *RELEASED)
    book.apply_split(ShareSplit("ABC", MONDAY, 2.0))
    for name in ("stop", "target"):
        book.apply(
            OrderEvent(
                kind=K.RESCALED,
                client_order_id=name,
                session=MONDAY,
                at_utc=NOW,
                order=replace(orders[name], quantity_shares=-200.0),
                split_ratio=2.0,
            )
        )
    assert (exit_shares(book, "entry"), family_violations(book)) == (200.0, ())


def test_an_order_whose_parent_is_not_in_the_book_is_judged_by_itself(orders):
    book = _book({"stop": orders["stop"]}, ("stop", K.HELD))
    assert family_violations(book) == ()
