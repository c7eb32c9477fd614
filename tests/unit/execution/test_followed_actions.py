"""What follows for an open order from the terms that its venue holds after a corporate action."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from aegis.backtesting.session_market import CorporateAction
from aegis.calendars import trading_calendar
from aegis.execution.brokers.begun_sessions import begun_sessions
from aegis.execution.brokers.broker_book import BrokerBook, Execution
from aegis.execution.brokers.followed_actions import FollowedActions, HeldTerms
from aegis.execution.orders import Order, OrderEvent, OrderEventKind

CALENDAR = trading_calendar("XNYS")
MONDAY = date(2014, 6, 9)
FRIDAY_NOON, MONDAY_OPEN = datetime(2014, 6, 6, 16, tzinfo=UTC), datetime(2014, 6, 9, 13, 30, tzinfo=UTC)
SPLIT = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
DIVIDEND = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.30)
K = OrderEventKind


class Venue:
    """A book with one order, acknowledged at an instant."""

    def __init__(self, order: Order, accepted_at_utc: datetime = FRIDAY_NOON) -> None:
        self.book = BrokerBook(begun_sessions(CALENDAR))
        self.order, self.name = order, order.client_order_id
        self.book.know(order)
        self.book.tell(OrderEvent(kind=K.ACCEPTED, client_order_id=self.name, session=MONDAY, at_utc=accepted_at_utc))
        self.followed = FollowedActions(self.book, {"ABC": "ABC"}, calendar=CALENDAR, now=lambda: MONDAY_OPEN)

    def follow(self, held: HeldTerms | None, *actions: CorporateAction) -> None:
        found = {} if held is None else {self.name: held}
        self.followed.follow(actions, session=MONDAY, held=found, absent=[self.name] if held is None else [])

    @property
    def told(self) -> list[OrderEventKind]:
        return [item.event.kind for item in self.book.events_since(0)]


@pytest.fixture
def resting(order_of: Callable[..., Order]) -> Order:
    """Buy 100 at 8.00 until cancelled."""
    return order_of(algorithm="market", time_in_force="GTC", order_type="limit", limit_price_usd=8.0)


def held(quantity: float, limit: float | None, ticker: str = "ABC", stop: float | None = None) -> HeldTerms:
    return HeldTerms(ticker=ticker, quantity_shares=quantity, limit_price_usd=limit, stop_price_usd=stop)


def test_terms_of_after_the_split_are_told_once(resting: Order) -> None:
    venue = Venue(resting)
    for _ in range(2):
        venue.follow(held(200.0, 4.0), SPLIT)
    assert venue.told == [K.ACCEPTED, K.RESCALED]
    status = venue.book.status(venue.name)
    assert (status.order.quantity_shares, status.order.limit_price_usd) == (200.0, 4.0)
    assert venue.book.contradictions() == ()


def test_what_is_filled_of_a_rescaled_order_is_in_the_new_shares(resting: Order) -> None:
    venue = Venue(resting)
    venue.book.tell_execution(
        Execution(
            client_order_id=venue.name, execution_id="e1", quantity_shares=25.0, price_usd=8.0, commission_usd=0.0,
            executed_at_utc=FRIDAY_NOON,
        )
    )  # fmt: skip
    venue.follow(held(200.0, 4.0), SPLIT)
    assert (venue.book.status(venue.name).filled_shares, venue.book.status(venue.name).remaining_shares) == (
        50.0,
        150.0,
    )


@pytest.mark.parametrize("terms", [held(100.0, 8.0), held(200.0, 8.0), held(200.0, 4.0, "XYZ"), held(150.0, 4.0)])
def test_terms_that_no_split_explains_are_a_doubt_until_the_order_ends(resting: Order, terms: HeldTerms) -> None:
    venue = Venue(resting)
    venue.follow(terms, SPLIT)
    (said,) = venue.book.contradictions()
    assert f"order {venue.name} (ABC, session 2014-06-09): after split the venue holds" in said
    assert "expected 200 ABC at 4.0 / None; cancel it at the broker" in said
    ended = OrderEvent(kind=K.CANCELLED, client_order_id=venue.name, session=MONDAY, at_utc=MONDAY_OPEN)
    venue.book.tell(ended)
    assert venue.book.contradictions() == ()


def test_an_order_that_came_on_the_day_of_the_split_is_in_its_shares(resting: Order) -> None:
    venue = Venue(resting, accepted_at_utc=datetime(2014, 6, 9, 12, tzinfo=UTC))
    venue.follow(held(100.0, 8.0), SPLIT)
    assert (venue.told, venue.book.contradictions()) == ([K.ACCEPTED], ())


@pytest.mark.parametrize(
    ("limit", "told"), [(8.0, []), (7.70, [K.REPLACED]), (7.75, [K.REPLACED]), (7.68, None), (8.30, None)]
)
def test_a_price_falls_by_a_dividend_at_most(resting: Order, limit: float, told: list[OrderEventKind] | None) -> None:
    venue = Venue(resting)
    venue.follow(held(100.0, limit), DIVIDEND)
    assert venue.told == [K.ACCEPTED, *(told or [])]
    assert bool(venue.book.contradictions()) is (told is None)
    if told:
        assert venue.book.status(venue.name).order.limit_price_usd == limit


def test_a_new_ticker_is_taken_over_and_names_the_symbol(resting: Order) -> None:
    rename = CorporateAction(action="rename", symbol="ABC", new_ticker="XYZ")
    venue = Venue(resting)
    venue.followed.rename((rename,))
    venue.follow(held(100.0, 8.0, "XYZ"), rename)
    assert venue.followed.tickers == {"XYZ": "ABC"}
    assert (venue.told, venue.book.status(venue.name).order.ticker) == ([K.ACCEPTED, K.REPLACED], "XYZ")
    stays = Venue(resting)
    stays.follow(held(100.0, 8.0, "ABC"), rename)
    assert (stays.told, stays.book.contradictions()) == ([K.ACCEPTED], ()), "a venue may name it later"


@pytest.mark.parametrize(("action", "ends"), [(SPLIT, True), (DIVIDEND, False)])
def test_an_order_that_is_told_of_no_more_was_ended_by_a_split_only(
    resting: Order, action: CorporateAction, ends: bool
) -> None:
    venue = Venue(resting)
    venue.follow(None, action)
    assert venue.book.status(venue.name).is_final is ends


def test_the_distance_of_a_trailing_stop_is_no_terms(order_of: Callable[..., Order]) -> None:
    trailing = order_of(
        quantity_shares=-100.0, algorithm="market", time_in_force="GTC", order_type="trailing_stop", trail_usd=1.0
    )
    venue = Venue(trailing)
    venue.follow(held(-200.0, None, stop=4.5), SPLIT)
    assert (venue.told, venue.book.contradictions()) == ([K.ACCEPTED, K.RESCALED], ())
