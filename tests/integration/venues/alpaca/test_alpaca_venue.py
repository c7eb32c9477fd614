"""The venue of these tests against alpaca-py itself: what the real client reads from it is what happened."""

from __future__ import annotations

import queue
import threading
import warnings
from collections.abc import Iterator

import pytest

from tests.integration.vendors.vendor_server import Reset, Status
from tests.integration.venues.alpaca.rest import KEY_ID, SECRET_KEY, After, Before
from tests.integration.venues.alpaca.server import AlpacaVenue

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "websockets", DeprecationWarning)
    from alpaca.common.exceptions import APIError
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, ReplaceOrderRequest
    from alpaca.trading.stream import TradingStream


@pytest.fixture
def client(venue: AlpacaVenue) -> Iterator[TradingClient]:
    found = TradingClient(KEY_ID, SECRET_KEY, url_override=venue.rest.url)
    found._retry_wait = 0
    yield found
    found._session.close()


def _bought(client: TradingClient, name: str, shares: float = 5, symbol: str = "ABC"):
    return client.submit_order(
        MarketOrderRequest(
            symbol=symbol, qty=shares, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, client_order_id=name
        )
    )


def test_the_client_reads_orders_positions_and_cash_as_they_were_traded(venue, client):
    venue.book.is_open = True
    assert _bought(client, "x").status == "pending_new"
    venue.book.fill("x", "2", "10")
    venue.book.fill("x", "3", "11")
    order = client.get_order_by_client_id("x")
    assert (order.status, order.filled_qty, order.filled_avg_price) == ("filled", "5", "11")
    (position,) = client.get_all_positions()
    assert (position.symbol, position.qty, float(position.avg_entry_price)) == ("ABC", "5", 10.6)
    assert client.get_account().cash == "9947"  # 10 000 - 2 x 10 - 3 x 11
    assert client.get_clock().is_open
    assert [row["cum_qty"] for row in client.get("/account/activities/FILL", {"direction": "asc"})] == ["2", "5"]


@pytest.mark.parametrize("frames", ["binary", "text"])
def test_the_stream_tells_the_client_what_happens_in_either_kind_of_frame(venue, client, frames):
    venue.stream.frames = frames
    told: queue.Queue = queue.Queue()
    stream = TradingStream(KEY_ID, SECRET_KEY, url_override=venue.stream.url)

    async def note(update) -> None:
        told.put(update)

    stream.subscribe_trade_updates(note)
    thread = threading.Thread(target=stream.run)
    thread.start()
    venue.stream.wait_for_listener()
    venue.book.is_open = True
    _bought(client, "x")
    venue.book.fill("x", "2", "10")
    venue.book.fill("x", "3", "10")
    _bought(client, "y")
    client.cancel_order_by_id(client.get_order_by_client_id("y").id)
    events = [told.get(timeout=10) for _ in range(5)]
    stream._should_run = False
    venue.stream.disconnect()
    stream.stop()
    thread.join()
    assert [event.event for event in events] == ["new", "partial_fill", "fill", "new", "canceled"]
    assert [event.qty for event in events] == [None, 2.0, 3.0, None, None]
    assert events[1].execution_id != events[2].execution_id


@pytest.mark.parametrize(
    ("symbol", "shares", "status", "code", "words"),
    [
        ("ABC", 1001, 403, 40310000, "insufficient buying power"),
        ("NIL", 1, 422, 42210000, "not found"),
        ("DEF", 1, 403, 40310000, "halted"),
    ],
)
def test_the_venue_refuses_in_words_that_the_client_reads(venue, client, symbol, shares, status, code, words):
    venue.book.halted.add("DEF")
    with pytest.raises(APIError) as refusal:
        _bought(client, "x", shares, symbol)
    assert (refusal.value.status_code, refusal.value.code) == (status, code)
    assert words in refusal.value.message
    assert venue.book.accepted["x"] == 0


def test_a_second_order_under_one_client_id_is_refused_though_the_first_lives(venue, client):
    _bought(client, "x")
    with pytest.raises(APIError, match="client_order_id must be unique") as refusal:
        _bought(client, "x")
    assert (refusal.value.status_code, refusal.value.code) == (422, 40010001)
    assert venue.book.accepted == {"x": 1}


def test_the_client_posts_again_by_itself_after_a_504_that_came_after_acceptance(venue, client):
    venue.book.refuses_duplicates = False
    venue.rest.script("POST", After(Status(504)))
    _bought(client, "x")
    assert venue.book.accepted == {"x": 2}


@pytest.mark.parametrize(("fault", "accepted"), [(Before(Reset()), 0), (After(Reset()), 1)])
def test_a_reset_befalls_the_request_or_its_answer(venue, client, fault, accepted):
    venue.rest.script("POST", fault)
    with pytest.raises(OSError, match=r"[Cc]onnection"):
        _bought(client, "x")
    assert venue.book.accepted["x"] == accepted


def test_a_replacement_is_another_order_that_the_first_one_names(venue, client):
    venue.book.is_open = True
    order = client.submit_order(
        LimitOrderRequest(
            symbol="ABC", qty=5, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, client_order_id="x", limit_price=9.0
        )
    )
    after = client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=6, client_order_id="x.r1"))
    before = client.get_order_by_client_id("x")
    assert (before.status, before.replaced_by) == ("replaced", after.id)
    assert (after.client_order_id, after.qty, f"{float(after.limit_price):g}", after.replaces) == (
        "x.r1",
        "6",
        "9",
        before.id,
    )


def test_the_account_outlives_a_restart_of_the_venue(venue, client):
    _bought(client, "x")
    venue.restart()
    assert client.get_order_by_client_id("x").qty == "5"
