"""A committed order whose symbol splits before its session opens: sent once, on the terms of the session, or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aegis.backtesting.session_market import CorporateAction
from aegis.errors import OrderRejected
from aegis.execution.order_states import OrderState
from aegis.live_trading.opening_terms import terms_at_opening
from tests.integration.live_trading.action_night import (
    FRIDAY_MORNING,
    MONDAY,
    MONDAY_EVENING,
    MONDAY_OPEN,
    NIGHT,
    ActionNight,
)
from tests.integration.live_trading.alpaca_night import agrees, night_at, open_orders
from tests.integration.vendors.vendor_server import Reset
from tests.integration.venues.alpaca import corporate_actions as overnight
from tests.integration.venues.alpaca.rest import After
from tests.integration.venues.alpaca.server import AlpacaVenue

pytestmark = pytest.mark.long
SPLIT = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
Begin = Callable[..., ActionNight]


@pytest.fixture
def venue(venue: AlpacaVenue) -> AlpacaVenue:
    venue.book.now_utc = FRIDAY_MORNING
    return venue


@pytest.fixture
def begin(venue: AlpacaVenue, tmp_path: Path) -> Iterator[Begin]:
    """Begin on Friday with 90 ABC, which split in the night; processes end with the test."""
    nights: list[ActionNight] = []

    def started(*actions: CorporateAction) -> ActionNight:
        nights.append(night_at(venue, tmp_path, 90, actions or (SPLIT,)))
        return nights[-1]

    yield started
    for night in nights:
        night.close()


def split_overnight(night: ActionNight, venue: AlpacaVenue) -> None:
    night.until(NIGHT)
    overnight.split(venue.book, "ABC", "2:1")


def test_nothing_leaves_while_the_source_does_not_say_what_the_night_did(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin()
    committed = night.commit()
    split_overnight(night, venue)
    night.source_is_silent = True
    for seconds in (0, 1, 30):
        report = night.open_monday(seconds)
        assert "2014-06-09: the source is silent" in report.failures
    assert open_orders(venue) == {}
    night.source_is_silent = False
    assert night.open_monday(31).failures != (), "it is asked once a minute"
    assert night.open_monday(70).failures == ()
    assert open_orders(venue) == {committed.client_order_id: ("ABC", "40", None)}
    agrees(night, venue)


def test_the_evening_sends_nothing_and_the_morning_goes_by_what_is_announced(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin(CorporateAction(action="split", symbol="DEF", split_ratio=2.0))
    committed = night.commit(symbol="DEF", ticker="DEF")
    assert night.process.step().failures == ()
    assert open_orders(venue) == {}
    assert night.statuses()[committed.client_order_id].order == committed
    night.until(NIGHT)
    assert night.process.step().failures == ()
    assert open_orders(venue) == {committed.client_order_id: ("DEF", "40", None)}
    assert night.open_monday().failures == ()
    agrees(night, venue)


def test_an_order_that_was_adjusted_and_not_sent_is_sent_by_the_next_process(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin()
    committed = night.commit()
    split_overnight(night, venue)
    night.system.door.adjust(committed, terms_at_opening(committed, (SPLIT,)))
    night.restart()
    assert night.open_monday().failures == ()
    assert open_orders(venue) == {committed.client_order_id: ("ABC", "40", None)}
    assert len(night.said_of(committed, "adjusted")) == 1
    night.restart()
    night.open_monday(60)
    agrees(night, venue)
    # Whoever asks for the same order again, on its first terms or on those of now, asks for this one.
    adjusted = night.statuses()[committed.client_order_id].order
    assert night.system.submit_order(committed).order == night.system.submit_order(adjusted).order == adjusted
    with pytest.raises(OrderRejected, match=r"40 ABC market was committed under this id, found 41 ABC"):
        night.system.submit_order(replace(adjusted, quantity_shares=41.0))
    agrees(night, venue)


def test_an_adjusted_order_of_which_nobody_knows_whether_it_arrived_is_found(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin()
    committed = night.commit()
    split_overnight(night, venue)
    venue.rest.script("POST", After(Reset()))
    night.until(MONDAY_OPEN)
    night.system.book_actions((SPLIT,), session=MONDAY)
    venue.rest.script("GET", *[After(Reset())] * 60)
    assert any("no usable answer" in said for said in night.process.step().failures)
    assert venue.book.accepted == {committed.client_order_id: 1}
    venue.rest.heal()
    night.restart()
    night.open_monday(60)
    agrees(night, venue)
    assert open_orders(venue) == {committed.client_order_id: ("ABC", "40", None)}
    assert venue.book.accepted == {committed.client_order_id: 1}


def test_another_ratio_than_it_was_adjusted_by_keeps_it_back(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin()
    committed = night.commit()
    night.until(NIGHT)
    night.feed.is_quoting = False  # it is adjusted, and waits for a quote
    night.process.step()
    assert night.statuses()[committed.client_order_id].order.quantity_shares == 40.0
    overnight.split(venue.book, "ABC", "3:1")
    night.actions[MONDAY] = (CorporateAction(action="split", symbol="ABC", split_ratio=3.0),)
    night.feed.is_quoting = True
    report = night.open_monday()
    assert report.failures == ()
    status = night.statuses()[committed.client_order_id]
    assert status.state is OrderState.CANCELLED
    (said,) = night.said_of(committed, "cancelled")
    assert "when the session's actions were others: split: ratio 3: 20 shares become 60" in said
    assert open_orders(venue) == {}
    agrees(night, venue)


def test_a_restart_that_learns_another_ratio_sends_nothing_and_says_so(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin()
    committed = night.commit()
    split_overnight(night, venue)
    night.system.door.adjust(committed, terms_at_opening(committed, (SPLIT,)))
    night.close()
    night.actions[MONDAY] = (CorporateAction(action="split", symbol="ABC", split_ratio=4.0),)
    venue.book.positions["ABC"] = (Decimal(360), Decimal("2.5"))
    night.start()
    report = night.open_monday()
    assert any(
        "it was adjusted to 40 ABC, and the session's corporate actions now make it 80" in f for f in report.failures
    )
    assert open_orders(venue) == {}


def test_the_children_of_a_parent_that_split_add_up_to_the_shares_of_after(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin()
    committed = night.commit(65.0, algorithm="twap")
    split_overnight(night, venue)
    at: datetime = MONDAY_OPEN
    while at < MONDAY_EVENING - timedelta(minutes=20):
        night.until(at)
        night.process.step()
        for order in [row for row in venue.book.orders.values() if row["status"] in ("new", "pending_new")]:
            venue.book.fill(order["client_order_id"], order["qty"], "5.00")
        night.hear()
        at += timedelta(minutes=30)
    night.until(MONDAY_EVENING)
    night.process.step()
    quantities = [Decimal(order["qty"]) for order in venue.book.orders.values()]
    assert sum(quantities) == 130
    assert night.statuses()[committed.client_order_id].state is OrderState.WORKED
    agrees(night, venue)
    assert night.held() == {"ABC": 310.0}
