from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from aegis.errors import ExecutionError
from aegis.execution.order_book import OrderBook, ShareSplit
from aegis.execution.order_states import OrderState
from aegis.execution.orders import Fill, OrderEvent, OrderEventKind

K = OrderEventKind
FRIDAY, MONDAY = date(2014, 6, 6), date(2014, 6, 9)
OPEN = datetime(2014, 6, 6, 13, 30, tzinfo=UTC)


def _event(kind, *, minute=0, name="order-ABC", session=FRIDAY, **said):
    at = OPEN + (session - FRIDAY) + timedelta(minutes=minute)
    return OrderEvent(kind=kind, client_order_id=name, session=session, at_utc=at, **said)


def _executed(quantity, execution, *, minute=0, kind=K.PARTIALLY_FILLED, number=1, session=FRIDAY, **terms):
    at = OPEN + (session - FRIDAY) + timedelta(minutes=minute)
    name = terms.pop("name", "order-ABC")
    fill = Fill(
        **{
            "client_order_id": name,
            "decision_id": "d",
            "account": "simulated",
            "fill_number": number,
            "session": session,
            "symbol": "ABC",
            "ticker": "ABC",
            "quantity_shares": quantity,
            "price_usd": 10.0,
            "reference_price_usd": 10.0,
            "commission_usd": 0.0,
            "slippage_usd": 0.0,
            "arrival_price_usd": 10.0,
            "filled_at_utc": at,
            "execution_id": execution,
            **terms,
        }
    )
    return OrderEvent(kind=kind, client_order_id=name, session=session, at_utc=at, fill=fill)


def _book(*orders, told=()):
    book = OrderBook()
    for order in orders:
        book.add(order)
    for event in told:
        book.apply(event)
    return book


SENT = (_event(K.APPROVED, minute=-20), _event(K.SUBMITTED, minute=-10))
WORKING = (*SENT, _event(K.ACCEPTED, minute=-9))


def test_a_fill_before_the_acknowledgement_counts_and_the_late_acknowledgement_takes_nothing_back(order_of):
    fill = _executed(30.0, "x1")
    book = _book(order_of(), told=(*SENT, fill))
    assert (book.status("order-ABC").state, book.status("order-ABC").filled_shares) == ("partially filled", 30.0)
    assert book.apply(_event(K.ACCEPTED, minute=-9))
    assert (book.status("order-ABC").state, book.status("order-ABC").filled_shares) == ("partially filled", 30.0)
    assert book.breaks() == ()


def test_an_execution_told_twice_counts_once_whatever_its_number_and_word(order_of):
    fill = _executed(30.0, "x1")
    book = _book(order_of(), told=(*WORKING, fill))
    assert not book.apply(fill)
    book.apply(replace(fill, fill=replace(fill.fill, fill_number=2), at_utc=OPEN + timedelta(seconds=1)))
    assert (book.status("order-ABC").filled_shares, book.status("order-ABC").fills) == (30.0, 1)
    assert (book.positions(), book.breaks()) == ({"ABC": 30.0}, ())


def test_two_executions_of_the_same_size_are_two(order_of):
    book = _book(order_of(), told=(*WORKING, _executed(30.0, "x1"), _executed(30.0, "x2")))
    assert book.status("order-ABC").filled_shares == 60.0


def test_without_execution_ids_the_fill_number_says_what_is_the_same(order_of):
    first, second = _executed(30.0, None), _executed(30.0, None, number=2)
    book = _book(order_of(), told=(*WORKING, second, first, second))
    assert (book.status("order-ABC").filled_shares, book.breaks()) == (60.0, ())


def test_fills_are_in_the_order_of_the_venues_time_and_numbered_so(order_of):
    late, early = _executed(70.0, "a", minute=5, kind=K.FILLED), _executed(30.0, "b", minute=1, number=2)
    book = _book(order_of(), told=(*WORKING, late, early))
    assert [(f.execution_id, f.fill_number, f.quantity_shares) for f in book.fills()] == [
        ("b", 1, 30.0),
        ("a", 2, 70.0),
    ]
    assert [str(event.kind) for event in book.history("order-ABC").events[-2:]] == ["partially filled", "filled"]
    assert book.status("order-ABC").state is OrderState.FILLED


def test_filled_in_the_venues_words_is_not_filled_until_its_executions_add_up(order_of):
    last = _executed(70.0, "x2", kind=K.FILLED, minute=5)
    book = _book(order_of(), told=(*WORKING, last))
    assert (book.status("order-ABC").state, book.positions()) == (OrderState.PARTIALLY_FILLED, {"ABC": 70.0})
    (missing,) = book.breaks()
    assert "executions of 30.0 shares were not told; ask the venue" in missing.explanation
    book.apply(_executed(30.0, "x1", minute=2))
    assert (book.status("order-ABC").state, book.breaks()) == (OrderState.FILLED, ())


def test_a_fill_told_after_the_cancel_but_executed_before_it_belongs_before_it(order_of):
    cancelled = _event(K.CANCELLED, minute=10)
    book = _book(order_of(), told=(*WORKING, cancelled))
    assert book.status("order-ABC").state is OrderState.CANCELLED
    book.apply(_executed(30.0, "x1", minute=10))
    status = book.status("order-ABC")
    assert (status.state, status.filled_shares, book.positions()) == (OrderState.CANCELLED, 30.0, {"ABC": 30.0})
    assert book.breaks() == ()


def test_a_fill_executed_after_the_cancel_by_the_venues_own_clock_counts_and_is_a_break(order_of):
    book = _book(order_of(), told=(*WORKING, _event(K.CANCELLED, minute=10), _executed(30.0, "x1", minute=11)))
    assert (book.status("order-ABC").state, book.positions()) == (OrderState.CANCELLED, {"ABC": 30.0})
    (found,) = book.breaks()
    assert "after the order's end at 2014-06-06T13:40:00+00:00" in found.explanation


def test_a_cancel_that_lost_against_the_last_fill_changes_nothing_and_is_a_break(order_of):
    book = _book(order_of(), told=(*WORKING, _event(K.CANCELLED, minute=10), _executed(100.0, "x1", minute=9)))
    assert book.status("order-ABC").state is OrderState.FILLED
    assert [found.kind for found in book.breaks()] == [K.CANCELLED]


def test_too_late_to_cancel_says_nothing_new(order_of):
    asked = _event(K.CANCEL_REQUESTED, minute=8, revision=1)
    declined = _event(K.CANCEL_REJECTED, minute=11, session=MONDAY, revision=1)
    book = _book(order_of(), told=(*WORKING, asked, _executed(100.0, "x1", minute=9), declined))
    assert (book.status("order-ABC").state, book.status("order-ABC").is_cancel_requested) == ("filled", False)
    assert book.breaks() == ()


def test_what_a_venue_says_proves_that_the_order_was_sent(order_of):
    book = _book(order_of(), told=(_executed(30.0, "x1"),))
    assert (book.status("order-ABC").state, book.breaks()) == (OrderState.PARTIALLY_FILLED, ())
    assert _book(order_of(), told=(SENT[1],)).status("order-ABC").state is OrderState.SUBMITTED
    assert _book(order_of()).status("order-ABC").state is OrderState.INTENT_RECORDED


def test_an_order_that_the_gate_refused_and_a_venue_filled_is_a_break_and_the_shares_are_held(order_of):
    book = _book(order_of(), told=(_event(K.REFUSED), _event(K.ACCEPTED), _executed(100.0, "x1", kind=K.FILLED)))
    assert (book.status("order-ABC").state, book.positions()) == (OrderState.REFUSED, {"ABC": 100.0})
    assert {str(found.kind) for found in book.breaks()} == {"accepted", "filled"}


def test_more_executed_than_ordered_is_held_and_is_a_break(order_of):
    told = (*WORKING, _executed(60.0, "x1"), _executed(50.0, "x2", minute=1))
    book = _book(order_of(), told=told)
    assert (book.status("order-ABC").filled_shares, book.positions()) == (60.0, {"ABC": 110.0})
    (found,) = book.breaks()
    assert "40.0 shares remain, a fill of 50.0 cannot be one of its fills" in found.explanation


@pytest.mark.parametrize("told", list(itertools.permutations(range(3))))
def test_the_earlier_of_two_versions_stands_and_the_contradiction_is_a_break(order_of, told):
    versions = (
        _executed(30.0, "x1", minute=1, price_usd=10.0),
        _executed(30.0, "x1", minute=2, price_usd=11.0),
        _executed(30.0, "x1", minute=1, price_usd=10.0, fill_number=3),
    )
    book = _book(order_of(), told=(*WORKING, *(versions[k] for k in told)))
    assert [fill.price_usd for fill in book.fills()] == [10.0]
    (found,) = book.breaks()
    assert found.explanation.startswith("order order-ABC: 'execution' x1 was told with different contents")


def test_an_acknowledgement_told_again_with_another_time_is_no_contradiction(order_of):
    book = _book(order_of(), told=WORKING)
    book.apply(_event(K.ACCEPTED, minute=3))
    assert (book.status("order-ABC").state, book.breaks()) == (OrderState.ACCEPTED, ())


def test_changes_follow_each_other_by_revision_and_not_by_arrival(order_of):
    gtc = order_of(time_in_force="GTC")
    first = _event(K.REPLACED, minute=4, revision=1, order=replace(gtc, quantity_shares=80.0))
    second = _event(K.REPLACED, minute=4, revision=2, order=replace(gtc, quantity_shares=120.0))
    book = _book(gtc, told=(*WORKING, second, first))
    assert book.status("order-ABC").remaining_shares == 120.0


def test_events_of_an_unknown_order_wait_for_it_and_are_breaks_meanwhile(order_of):
    book = _book(told=(*WORKING, _executed(30.0, "x1")))
    assert [str(found.kind) for found in book.breaks()] == ["accepted", "approved", "partially filled", "submitted"]
    assert (book.fills(), book.statuses()) == ((), {})
    with pytest.raises(ExecutionError, match=r"not an order of this book; .* reconcile it as a foreign order"):
        book.status("order-ABC")
    assert book.add(order_of())
    assert (book.status("order-ABC").filled_shares, book.breaks()) == (30.0, ())


def test_an_order_is_added_once_and_never_with_other_terms(order_of):
    book = _book(order_of())
    assert not book.add(order_of())
    with pytest.raises(ExecutionError, match=r"order order-ABC \(ABC\): the id belongs to an order of 100\.0 ABC"):
        book.add(order_of(quantity_shares=101.0))


def test_positions_are_split_with_their_fractions_cut_off_before_the_sessions_own_fills(order_of):
    # 25 bought on Friday, one for ten on Monday leaves 2, and 4 more are bought on Monday.
    told = (*WORKING, _executed(25.0, "x1"), _executed(4.0, "y1", session=MONDAY, name="more"))
    book = _book(order_of(), order_of(client_order_id="more"), told=told)
    assert book.apply_split(ShareSplit("ABC", MONDAY, 0.1))
    assert not book.apply_split(ShareSplit("ABC", MONDAY, 0.1))
    assert book.positions() == {"ABC": 6.0}
    assert (book.filled_today_shares("order-ABC"), book.filled_today_shares("more")) == (2.5, 4.0)
    with pytest.raises(ExecutionError, match=r"ABC 2014-06-09: a split of 0\.1 is known, found 0\.2"):
        book.apply_split(ShareSplit("ABC", MONDAY, 0.2))


def test_fractional_positions_keep_their_fractions_in_a_split(order_of):
    fractional = order_of(quantity_shares=2.5, is_fractional=True)
    book = _book(fractional, told=(*WORKING, _executed(2.5, "x1", kind=K.FILLED)))
    book.apply_split(ShareSplit("ABC", MONDAY, 0.1))
    assert book.positions() == {"ABC": 0.25}


def test_a_position_that_is_closed_is_none(order_of):
    sale = order_of(client_order_id="sale", quantity_shares=-100.0)
    told = (*WORKING, _executed(100.0, "x1"), _executed(-100.0, "y1", minute=1, name="sale"))
    assert _book(order_of(), sale, told=told).positions() == {}


def test_families_and_groups_are_found(order_of):
    stop = order_of(client_order_id="stop", parent_id="order-ABC", oco_group="exits", quantity_shares=-100.0)
    target = replace(stop, client_order_id="target")
    book = _book(order_of(), target, stop, told=(_event(K.SUBMITTED, name="stop"), _event(K.HELD, name="stop")))
    assert [status.order.client_order_id for status in book.children("order-ABC")] == ["stop", "target"]
    assert [str(status.state) for status in book.oco_group("exits")] == ["held", "intent recorded"]
    assert [status.order.client_order_id for status in book.open_orders()] == ["order-ABC", "stop", "target"]
