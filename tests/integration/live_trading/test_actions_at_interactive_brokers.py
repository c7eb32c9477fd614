"""A corporate action in the night at Interactive Brokers, with a position, two resting orders and a committed one.

What Interactive Brokers does is written down, with its sources, in
``tests/integration/venues/interactive_brokers/corporate_actions.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from aegis.backtesting.session_market import CorporateAction
from aegis.clock import SimulatedClock
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from aegis.execution.order_states import OrderState
from aegis.execution.orders import Order
from aegis.live_trading.cash_balance import cash_balance
from aegis.live_trading.cash_bookings import CashBooking, CashKind, book_cash
from tests.integration.live_trading.action_night import (
    CASH_USD,
    FRIDAY_MORNING,
    LIMIT,
    MONDAY,
    NIGHT,
    STOP,
    ActionNight,
    booked_shares,
)
from tests.integration.live_trading.interactive_brokers_process import broker_at
from tests.integration.live_trading.trading_process import CALENDAR
from tests.integration.venues.interactive_brokers import corporate_actions as overnight
from tests.integration.venues.interactive_brokers.venue import ABC, DEF, InteractiveBrokersVenue

SPLIT = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
REVERSE = CorporateAction(action="split", symbol="ABC", split_ratio=1 / 3)
DIVIDEND = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.25, pay_session=MONDAY)
RENAME = CorporateAction(action="rename", symbol="ABC", new_ticker="XYZ")
DELISTING = CorporateAction(action="delisting", symbol="ABC")
Begin = Callable[..., ActionNight]


@pytest.fixture(scope="module")
def running() -> Iterator[InteractiveBrokersVenue]:
    with InteractiveBrokersVenue() as started:
        yield started


@pytest.fixture
def venue(running: InteractiveBrokersVenue) -> InteractiveBrokersVenue:
    running.begin_again()
    running.desk.move_to(FRIDAY_MORNING)
    return running


@pytest.fixture
def begin(venue: InteractiveBrokersVenue, tmp_path: Path) -> Iterator[Begin]:
    """Begin on Friday with shares of ABC at 10 USD and 10,000 USD."""
    nights: list[ActionNight] = []

    def connected(clock: SimulatedClock) -> InteractiveBrokersBroker:
        broker = broker_at(venue.gateway.port, clock)
        broker.connect()
        return broker

    def moved(at: datetime) -> None:
        venue.desk.move_to(at)

    def started(shares: int, *actions: CorporateAction) -> ActionNight:
        venue.desk.positions[ABC.con_id] = (float(shares), 10.0)
        night = ActionNight(connected, tmp_path, {MONDAY: actions}, move_venue=moved)
        nights.append(night)
        return night

    yield started
    for night in nights:
        night.close()


def open_orders(venue: InteractiveBrokersVenue) -> dict[str, tuple[str, float, str]]:
    """Return what is open at the venue, by order reference."""
    return {
        order.reference: (order.contract.symbol, order.shares, order.limit_price)
        for order in venue.desk.orders
        if order.is_open
    }


def fill(venue: InteractiveBrokersVenue, order: Order, price: float) -> None:
    """Fill an order whole, and tell it."""
    found = venue.desk.order_of(order.client_order_id)
    venue.tell(*venue.desk.fill(found, found.remaining, price))


def agrees(night: ActionNight, venue: InteractiveBrokersVenue) -> None:
    """Say that there is no break, and that positions, orders and cash are the venue's."""
    review = night.system.reconcile()
    assert review.breaks == ()
    assert night.held() == night.theirs()
    names = {status.order.client_order_id for status in night.system.sent_orders()}
    assert names == open_orders(venue).keys()
    assert set(venue.desk.accepted.values()) <= {1}, "no order went out twice"


@pytest.mark.parametrize(
    ("action", "ratio", "before", "after", "wanted", "in_lieu"),
    [
        (SPLIT, "2:1", 90, 180.0, 40.0, 0.0),
        # 100/3 is 33 shares and a third of one, which Friday's close of 10 makes 10.00; it was sold for 10.02.
        pytest.param(REVERSE, "1:3", 100, 33.0, 6.0, 10.02, marks=pytest.mark.long),
    ],
)
def test_a_split_leaves_no_break(
    venue: InteractiveBrokersVenue,
    begin: Begin,
    action: CorporateAction,
    ratio: str,
    before: int,
    after: float,
    wanted: float,
    in_lieu: float,
) -> None:
    night = begin(before, action)
    resting = night.rest_orders()
    committed = night.commit()
    night.until(NIGHT)
    venue.tell(*overnight.split(venue.desk, ABC, ratio, in_lieu_usd=in_lieu))
    assert night.open_monday().failures == ()
    agrees(night, venue)
    assert night.held() == {"ABC": after}
    for name in (LIMIT, STOP):
        assert night.statuses()[resting[name].client_order_id].state is OrderState.CANCELLED
    assert {name: terms[:2] for name, terms in open_orders(venue).items()} == {
        committed.client_order_id: ("ABC", wanted)
    }
    price = 10.0 / action.split_ratio
    fill(venue, committed, price)
    night.hear()
    agrees(night, venue)
    booked = night.book(before, {"ABC": price})
    assert (booked.breaks, booked_shares(booked)) == ((), night.theirs())
    assert booked_shares(booked) == {"ABC": after + wanted}
    assert booked.account.cash_usd == pytest.approx(venue.desk.cash_usd, abs=1e-6)
    assert booked.account.cash_usd == pytest.approx(CASH_USD + in_lieu - wanted * price, abs=1e-6)


@pytest.mark.long
def test_orders_that_a_split_ended_while_nobody_listened_are_ended_here_too(
    venue: InteractiveBrokersVenue, begin: Begin
) -> None:
    night = begin(90, SPLIT)
    resting = night.rest_orders()
    night.close()
    night.until(NIGHT)
    overnight.split(venue.desk, ABC, "2:1")
    overnight.forget_ended_orders(venue.desk)  # the gateway tells of today's only, and the weekend is over
    night.start()
    assert any("acknowledged it and tells of it no more" in said for said in night.system.reconcile().breaks)
    assert night.open_monday().failures == ()
    agrees(night, venue)
    for name in (LIMIT, STOP):
        (said,) = night.said_of(resting[name], "cancelled")
        assert said == (
            "venue: the venue has it no more since the split of ABC in session 2014-06-09, and tells no fill"
        )


@pytest.mark.long
def test_a_dividend_leaves_no_break(venue: InteractiveBrokersVenue, begin: Begin) -> None:
    night = begin(90, DIVIDEND)
    resting = night.rest_orders()
    committed = night.commit()
    night.until(NIGHT)
    overnight.pay_dividend(venue.desk, ABC, 0.25)
    assert night.open_monday().failures == ()
    agrees(night, venue)
    limit = night.statuses()[resting[LIMIT].client_order_id]
    assert (limit.order.limit_price_usd, limit.is_final) == (8.0, False)
    fill(venue, committed, 10.0)
    night.hear()
    agrees(night, venue)
    booked = night.book(90, {"ABC": 10.0})
    assert (booked.breaks, booked_shares(booked)) == ((), night.theirs())
    assert booked.account.cash_usd == pytest.approx(venue.desk.cash_usd) == pytest.approx(CASH_USD + 22.5 - 200.0)


@pytest.mark.long
def test_a_new_ticker_leaves_no_break(venue: InteractiveBrokersVenue, begin: Begin) -> None:
    night = begin(90, RENAME)
    resting = night.rest_orders()
    committed = night.commit()
    night.until(NIGHT)
    overnight.rename(venue.desk, ABC, "XYZ")
    assert night.open_monday().failures == ()
    agrees(night, venue)
    assert night.held() == {"ABC": 90.0}
    for name in (LIMIT, STOP):
        status = night.statuses()[resting[name].client_order_id]
        assert (status.order.ticker, status.is_final) == ("XYZ", False)
    assert open_orders(venue)[committed.client_order_id][:2] == ("XYZ", 20.0)
    fill(venue, committed, 10.0)
    night.hear()
    night.restart()
    assert night.open_monday(60).failures == ()
    agrees(night, venue)
    booked = night.book(90, {"ABC": 10.0})
    assert (booked.breaks, booked_shares(booked)) == ((), {"ABC": 110.0})
    assert booked.account.cash_usd == pytest.approx(venue.desk.cash_usd)


@pytest.mark.long
def test_a_stale_order_that_survived_the_split_blocks_until_it_is_gone(
    venue: InteractiveBrokersVenue, begin: Begin
) -> None:
    night = begin(90, SPLIT)
    resting = night.rest_orders()
    night.commit()
    night.until(NIGHT)
    overnight.split(venue.desk, ABC, "2:1", cancels=False)
    night.open_monday()
    name = resting[STOP].client_order_id
    breaks = night.system.reconcile().breaks
    assert any(
        f"order {name} (ABC, session 2014-06-09): after split the venue holds -30 ABC at None / 7.5, expected -60 ABC "
        "at None / 3.75; cancel it at the broker, and order again" in said
        for said in breaks
    )
    assert len(venue.desk.accepted) == 2, "the committed order waits"
    venue.tell(*overnight.cancel_orders(venue.desk, ABC))
    night.hear()
    assert night.open_monday(90).failures == ()
    agrees(night, venue)
    assert len(venue.desk.accepted) == 3


@pytest.mark.long
def test_a_delisting_is_booked_when_the_broker_has_made_it(venue: InteractiveBrokersVenue, begin: Begin) -> None:
    night = begin(90, DELISTING)
    night.rest_orders()
    night.commit()
    venue.tell(*overnight.cancel_orders(venue.desk, ABC))
    assert night.open_monday().failures == ()
    agrees(night, venue)
    assert night.held() == {"ABC": 90.0}, "the broker shows them still"
    night.until(NIGHT.replace(hour=20, minute=2))
    (said,) = night.system.reconcile().breaks
    assert "ABC, session 2014-06-09: a delisting takes 90 shares for cash, and the broker shows none of it" in said
    assert 'aegis positions take-over --reason "..."' in said
    overnight.exchange(venue.desk, ABC, cash_usd=891.0)  # 9.90 a share, where Friday's close was 10
    agrees(night, venue)
    assert night.held() == {}
    booked = night.book(90, {"DEF": 20.0})
    assert (booked.breaks, booked_shares(booked)) == ((), {})
    assert venue.desk.cash_usd == CASH_USD + 891.0
    # What was paid below the estimate came after the close: it is in Tuesday's book.
    assert booked.account.cash_usd == pytest.approx(CASH_USD + 900.0)
    (paid,) = night.journal.events(kinds=["cash paid"])
    assert (paid.session, paid.payload["amount_usd"], paid.payload["expected_usd"]) == ("2014-06-10", 891.0, 900.0)


@pytest.mark.long
def test_cash_that_nothing_explains_blocks_and_is_booked_by_a_person(
    venue: InteractiveBrokersVenue, begin: Begin
) -> None:
    night = begin(90)
    venue.desk.cash_usd -= 12.34
    (said,) = night.system.reconcile().breaks
    assert "paper cash: our books say 10,000.00 USD, the broker 9,987.66 (difference -12.34, tolerance 0.05)" in said
    assert "`aegis cash book -12.34 --kind interest|fee|transfer|other" in said
    venue.desk.cash_usd += 12.30
    assert night.system.reconcile().is_clean, "four cents are rounding"
    venue.desk.cash_usd += 50.0
    (said,) = night.system.reconcile().breaks
    assert night.system.take_over_positions(reason="a deposit", actor="ada").is_clean
    (row,) = night.journal.events(kinds=["cash booked"])
    assert row.payload["cash_kind"] == "transfer"
    assert row.payload["amount_usd"] == pytest.approx(50.0 - 0.04)
    assert DEF.symbol not in night.held()


@pytest.mark.long
def test_a_dividend_that_never_comes_is_a_break_until_a_person_books_the_loss(
    venue: InteractiveBrokersVenue, begin: Begin
) -> None:
    night = begin(90, DIVIDEND)
    assert night.open_monday().failures == ()
    agrees(night, venue)
    night.until(CALENDAR.open_utc(CALENDAR.offset(MONDAY, 9)))
    agrees(night, venue)
    tenth = CALENDAR.offset(MONDAY, 10)
    night.until(CALENDAR.open_utc(tenth))
    (said,) = night.system.reconcile().breaks
    assert (
        "dividend of ABC, ex 2014-06-09, on 90 shares, 22.50 USD, was due in session 2014-06-09 and did not come in 10 "
        "sessions"
    ) in said
    assert "`aegis cash book -22.50 --kind other" in said
    loss = CashBooking(
        session=tenth, amount_usd=-22.5, kind=CashKind.OTHER, reason="paper pays no dividends", actor="ada"
    )
    assert book_cash(night.journal, loss, booked_up_to=CALENDAR.previous(tenth), at_utc=night.clock.now_utc())
    agrees(night, venue)
    assert cash_balance(night.journal.events()).dues == ()


@pytest.mark.long
def test_a_tax_that_is_withheld_from_a_dividend_is_booked_by_a_person(
    venue: InteractiveBrokersVenue, begin: Begin
) -> None:
    night = begin(90, DIVIDEND)
    overnight.pay_dividend(venue.desk, ABC, 0.25 * 0.85)
    assert night.open_monday().failures == ()
    (said,) = night.system.reconcile().breaks
    assert "(difference +19.12, tolerance 0.05)" in said
    assert "Not seen yet: dividend of ABC, ex 2014-06-09, on 90 shares, 22.50 USD." in said
    tax = CashBooking(session=MONDAY, amount_usd=-3.38, kind=CashKind.FEE, reason="tax withheld, 15 %", actor="ada")
    assert book_cash(night.journal, tax, booked_up_to=None, at_utc=night.clock.now_utc())
    agrees(night, venue)
    booked = night.book(90, {"ABC": 10.0})
    assert booked.account.cash_usd == pytest.approx(venue.desk.cash_usd, abs=0.01)
