"""A corporate action in the night at Alpaca, with a position, two resting orders and a committed one.

What Alpaca does is written down, with its sources, in ``tests/integration/venues/alpaca/corporate_actions.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aegis.backtesting.session_market import CorporateAction
from aegis.errors import ExecutionError
from aegis.execution.order_states import OrderState
from aegis.live_trading.held_positions import split_entry
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
from tests.integration.live_trading.alpaca_night import agrees, night_at, open_orders
from tests.integration.live_trading.trading_process import CALENDAR
from tests.integration.venues.alpaca import corporate_actions as overnight
from tests.integration.venues.alpaca.server import AlpacaVenue

SPLIT = CorporateAction(action="split", symbol="ABC", split_ratio=2.0)
REVERSE = CorporateAction(action="split", symbol="ABC", split_ratio=1 / 3)
NO_REASON = "venue: the venue gave no reason"
DIVIDEND = CorporateAction(action="dividend", symbol="ABC", dividend_usd=0.25, pay_session=MONDAY)
RENAME = CorporateAction(action="rename", symbol="ABC", new_ticker="XYZ")
MERGER = CorporateAction(action="merger", symbol="ABC", merger_cash_usd=2.0, merger_ratio=0.5, acquirer="DEF")


@pytest.fixture
def venue(venue: AlpacaVenue) -> AlpacaVenue:
    venue.book.now_utc = FRIDAY_MORNING
    return venue


Begin = Callable[..., ActionNight]


@pytest.fixture
def begin(venue: AlpacaVenue, tmp_path: Path) -> Iterator[Begin]:
    """Begin on Friday with shares of ABC at 10 USD and 10,000 USD; processes end with the test."""
    nights: list[ActionNight] = []

    def started(shares: int, *actions: CorporateAction) -> ActionNight:
        nights.append(night_at(venue, tmp_path, shares, actions))
        return nights[-1]

    yield started
    for night in nights:
        night.close()


@pytest.mark.parametrize(
    ("action", "ratio", "before", "after", "wanted", "in_lieu"),
    [
        (SPLIT, "2:1", 90, 180.0, "40", "0"),
        # 100/3 is 33 shares and a third of one, which Friday's close of 10 makes 10.00; Alpaca sold it for 9.97.
        # Of the 20 ordered 6 are whole.
        pytest.param(REVERSE, "1:3", 100, 33.0, "6", "9.97", marks=pytest.mark.long),
    ],
)
def test_a_split_leaves_no_break(
    venue: AlpacaVenue,
    begin: Begin,
    action: CorporateAction,
    ratio: str,
    before: int,
    after: float,
    wanted: str,
    in_lieu: str,
) -> None:
    night = begin(before, action)
    resting = night.rest_orders()
    committed = night.commit()
    night.until(NIGHT)
    overnight.split(venue.book, "ABC", ratio, in_lieu_usd=in_lieu)
    report = night.open_monday()
    assert report.failures == ()
    agrees(night, venue)
    assert night.held() == {"ABC": after}
    statuses = night.statuses()
    for name in (LIMIT, STOP):
        assert statuses[resting[name].client_order_id].state is OrderState.CANCELLED
        # Who tells first: the stream says why, an answer by REST does not.
        assert night.said_of(resting[name], "cancelled")[0] in ("venue: CORPORATE_ACTION", NO_REASON)
    assert open_orders(venue) == {committed.client_order_id: ("ABC", wanted, None)}
    (said,) = night.said_of(committed, "adjusted")
    assert f"20 shares become {wanted}" in said
    price = 10.0 / action.split_ratio
    venue.book.fill(committed.client_order_id, wanted, f"{price:.2f}")
    night.hear()
    agrees(night, venue)
    booked = night.book(before, {"ABC": price})
    assert booked.breaks == ()
    assert booked_shares(booked) == night.theirs() == {"ABC": after + float(wanted)}
    assert booked.account.cash_usd == pytest.approx(float(venue.book.cash), abs=1e-6)
    assert booked.account.cash_usd == pytest.approx(CASH_USD + float(in_lieu) - float(wanted) * price, abs=1e-6)


@pytest.mark.long
def test_a_dividend_that_reduces_a_resting_purchase_leaves_no_break(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin(90, DIVIDEND)
    resting = night.rest_orders()
    committed = night.commit()
    night.until(NIGHT)
    overnight.pay_dividend(venue.book, "ABC", "0.25")
    assert night.open_monday().failures == ()
    agrees(night, venue)
    assert night.held() == {"ABC": 90.0}
    limit, stop = (night.statuses()[resting[name].client_order_id] for name in (LIMIT, STOP))
    assert (limit.order.limit_price_usd, limit.is_final) == (7.75, False)
    assert night.said_of(resting[LIMIT], "replaced") == [
        "dividend: 10 ABC at 8.0 / None is 10 ABC at 7.75 / None at the venue"
    ]
    assert (stop.order.stop_price_usd, stop.is_final) == (7.5, False)
    (paid,) = night.journal.events(kinds=["cash paid"])
    assert paid.payload["amount_usd"] == paid.payload["expected_usd"] == 22.5
    venue.book.fill(committed.client_order_id, "20", "10.00")
    night.hear()
    agrees(night, venue)
    booked = night.book(90, {"ABC": 10.0})
    assert (booked.breaks, booked_shares(booked)) == ((), night.theirs())
    assert booked.account.cash_usd == pytest.approx(float(venue.book.cash)) == pytest.approx(CASH_USD + 22.5 - 200.0)


@pytest.mark.long
@pytest.mark.parametrize("cancels", [False, True])
def test_a_new_ticker_leaves_no_break(venue: AlpacaVenue, begin: Begin, cancels: bool) -> None:
    night = begin(90, RENAME)
    resting = night.rest_orders()
    committed = night.commit()
    night.until(NIGHT)
    overnight.rename(venue.book, "ABC", "XYZ", cancels=cancels)
    assert night.open_monday().failures == ()
    agrees(night, venue)
    assert night.held() == {"ABC": 90.0}
    for name in (LIMIT, STOP):
        status = night.statuses()[resting[name].client_order_id]
        assert status.is_final is cancels
        assert cancels or status.order.ticker == "XYZ"
    assert open_orders(venue)[committed.client_order_id] == ("XYZ", "20", None)
    venue.book.fill(committed.client_order_id, "20", "10.00")
    night.hear()
    night.restart()
    assert night.open_monday(60).failures == ()
    agrees(night, venue)
    booked = night.book(90, {"ABC": 10.0})
    assert (booked.breaks, booked_shares(booked)) == ((), {"ABC": 110.0})
    assert booked.account.cash_usd == pytest.approx(float(venue.book.cash))


@pytest.mark.long
def test_a_venue_that_did_not_split_blocks_by_name(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin(90, SPLIT)
    resting = night.rest_orders()
    night.commit()
    night.until(NIGHT)
    night.open_monday()
    said = night.system.reconcile().breaks
    assert any("ABC: our books say 180 shares, the broker 90 (difference -90)" in text for text in said)
    assert any(
        "ABC, session 2014-06-09: a split of ratio 2 makes 180 shares of what was held, and the broker shows 90; ask "
        "the broker whether it has made the split" in text
        for text in said
    )
    name = resting[LIMIT].client_order_id
    assert any(
        f"order {name} (ABC, session 2014-06-09): after split the venue holds 10 ABC at 8.0 / None, expected 20 ABC at "
        "4.0 / None; cancel it at the broker" in text
        for text in said
    )
    assert len(venue.book.accepted) == 2, "the committed order waits"
    with pytest.raises(ExecutionError, match="was not sent: account paper differs from the broker"):
        night.system.submit_order(night.system.order("DEF", 1, name="opens", arrival_price_usd=20.0))
    overnight.split(venue.book, "ABC", "2:1")
    night.hear()
    agrees(night, venue)


@pytest.mark.long
def test_a_split_that_the_source_does_not_know_blocks_by_name(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin(90)
    night.until(NIGHT)
    overnight.split(venue.book, "ABC", "2:1")
    night.commit()
    night.open_monday()
    (said,) = night.system.reconcile().breaks
    assert "ABC: our books say 90 shares, the broker 180 (difference +90); find the fill, action" in said
    assert not venue.book.accepted


@pytest.mark.long
def test_a_merger_is_booked_when_alpaca_has_made_it(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin(91, MERGER)
    night.rest_orders()
    committed = night.commit()
    night.until(NIGHT)
    # 91 shares become 45 DEF, half a share at 20 in cash, and 182 USD.
    overnight.exchange(venue.book, "ABC", cash_usd="192", acquirer="DEF", shares="45")
    assert night.open_monday().failures == ()
    agrees(night, venue)
    assert night.held() == {"DEF": 45.0}
    assert night.statuses()[committed.client_order_id].state is OrderState.CANCELLED
    assert "does not trade in session 2014-06-09 (merger)" in night.said_of(committed, "cancelled")[0]
    booked = night.book(91, {"DEF": 20.0})
    assert (booked.breaks, booked_shares(booked)) == ((), {"DEF": 45.0})
    assert booked.account.cash_usd == pytest.approx(CASH_USD + 192.0) == pytest.approx(float(venue.book.cash))


@pytest.mark.long
def test_a_restart_after_the_opening_books_nothing_twice(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin(90, SPLIT, DIVIDEND)
    night.rest_orders()
    committed = night.commit()
    night.until(NIGHT)
    overnight.pay_dividend(venue.book, "ABC", "0.25")
    overnight.split(venue.book, "ABC", "2:1")
    night.open_monday()
    venue.book.fill(committed.client_order_id, "40", "5.00")
    night.hear()
    for seconds in (60, 120):
        night.restart()
        assert night.open_monday(seconds).failures == ()
        agrees(night, venue)
    assert night.held() == {"ABC": 220.0}
    kinds = [
        row.kind for row in night.journal.events(kinds=["split booked", "dividend booked", "cash paid", "adjusted"])
    ]
    assert sorted(kinds) == ["adjusted", "cash paid", "dividend booked", "split booked"]


@pytest.mark.long
def test_a_process_that_slept_over_the_split_makes_up_for_it(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin(90, SPLIT)
    night.process.step()
    night.close()
    overnight.split(venue.book, "ABC", "2:1")
    night.until(CALENDAR.open_utc(CALENDAR.next(MONDAY)))
    night.start()
    assert night.process.step().failures == ()
    agrees(night, venue)
    assert night.held() == {"ABC": 180.0}


@pytest.mark.long
def test_a_split_that_was_booked_by_hand_is_not_booked_again(venue: AlpacaVenue, begin: Begin) -> None:
    night = begin(90, SPLIT, DIVIDEND)
    night.until(NIGHT)
    overnight.split(venue.book, "ABC", "2:1")
    with night.journal.batch() as batch:
        batch.append(split_entry("ABC", 2.0, session=MONDAY, at_utc=NIGHT))
    assert night.open_monday().failures == ()
    agrees(night, venue)
    assert night.held() == {"ABC": 180.0}
