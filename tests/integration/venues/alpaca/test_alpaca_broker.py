"""What Alpaca refuses, what it says of the account, and whom the broker may reach with which keys."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config_brokers import AlpacaBrokerSettings
from aegis.errors import BrokerUnavailable, ConfigurationError, OrderRejected
from aegis.execution.brokers.account_fees import AccountFee
from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.brokers.live_confirmation import LiveTradingConfirmation
from aegis.execution.order_states import OrderState
from tests.integration.vendors.vendor_server import Status
from tests.integration.venues.alpaca.connections import alpaca_settings
from tests.integration.venues.alpaca.faults import FAULTS
from tests.integration.venues.alpaca.rest import KEY_ID, SECRET_KEY, Before
from tests.integration.venues.alpaca.server import AFTER_THE_CLOSE

ALWAYS = 50


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"quantity_shares": 1001.0}, "buying power: insufficient buying power"),
        ({"quantity_shares": -1.0}, "short selling: account is not allowed to short"),
        ({"symbol": "NIL"}, 'venue: asset "NIL" not found'),
        ({"symbol": "DEF"}, 'halted: asset "DEF" is halted'),
    ],
)
def test_what_the_venue_refuses_is_rejected_in_its_own_words(venue, broker_of, order_of, terms, reason):
    venue.book.halted.add("DEF")
    broker = broker_of()
    assert broker.submit(order_of(**terms)).state is OrderState.REJECTED
    (item,) = broker.events_since(0)
    assert item.event.reason == reason
    assert broker.unknown_orders() == ()


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"order_type": "limit", "limit_price_usd": 10.001}, "tick size"),
        ({"algorithm": "vwap"}, "venue: algorithm 'vwap'"),
        ({"parent_id": "entry"}, "venue: Alpaca ties orders together only within one submission"),
        ({"account": "other"}, "wrong account: expected simulated, found other"),
        ({"execution_session": date(2014, 6, 5)}, "look-ahead"),
        ({"execution_session": date(2014, 6, 9)}, "closed session: sent before 2014-06-06T20:00"),
        ({"session": date(2014, 6, 3), "execution_session": date(2014, 6, 4)}, "too late: session 2014-06-04 closed"),
        ({"is_fractional": True, "quantity_shares": 0.5, "time_in_force": "GTC"}, "lot size"),
    ],
)
def test_what_alpaca_has_no_words_for_is_rejected_before_anything_is_sent(venue, broker_of, order_of, terms, reason):
    broker = broker_of()
    assert broker.submit(order_of(**terms)).state is OrderState.REJECTED
    assert broker.events_since(0)[0].event.reason.startswith(reason)
    assert venue.rest.calls == []


def test_fractions_of_shares_are_ordered_and_filled_exactly(venue, broker_of, order_of):
    broker = broker_of()
    broker.submit(order_of(quantity_shares=0.3, is_fractional=True))
    assert venue.book.named("order-ABC")["qty"] == "0.3"
    venue.book.fill("order-ABC", "0.1", "10")
    venue.book.fill("order-ABC", "0.2", "10")
    status = broker.find_order("order-ABC")
    assert (status.state, status.filled_shares) == (OrderState.FILLED, 0.3)


def test_a_cancellation_that_the_venue_has_not_confirmed_is_a_request(venue, broker_of, order_of):
    venue.book.cancels_at_once = False
    broker = broker_of()
    broker.submit(order_of())
    status = broker.cancel("order-ABC")
    assert (status.state, status.is_cancel_requested) == (OrderState.ACCEPTED, True)
    assert broker.cancel("order-ABC").is_cancel_requested
    venue.book.fill("order-ABC", "100", "10")
    assert broker.find_order("order-ABC").state is OrderState.FILLED


def test_a_cancellation_that_comes_after_the_fill_finds_the_fill(venue, broker_of, order_of):
    broker = broker_of()
    broker.submit(order_of())
    venue.book.fill("order-ABC", "100", "10")
    assert broker.cancel("order-ABC").state is OrderState.FILLED
    assert venue.rest.count("DELETE") == 1


def test_a_cancellation_that_nobody_answers_is_an_error_that_says_so(venue, broker_of, order_of):
    broker = broker_of(attempts=2)
    broker.submit(order_of())
    venue.rest.script("DELETE", *[Before(Status(503))] * ALWAYS)
    with pytest.raises(BrokerUnavailable, match=r"order-ABC \(ABC\).*still open; cancel it again"):
        broker.cancel("order-ABC")


def test_fills_before_and_after_a_replacement_belong_to_one_order(venue, broker_of, order_of):
    broker = broker_of()
    venue.book.is_open = True
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    venue.book.fill("order-ABC", "30", "9")
    asked = replace(order, limit_price_usd=9.5)
    status = broker.replace(asked, revision=1)
    assert (status.order, status.filled_shares) == (asked, 30.0)
    assert venue.book.named("order-ABC.r1")["qty"] == "70"
    venue.book.fill("order-ABC.r1", "70", "9.5")
    status = broker.find_order("order-ABC")
    assert (status.state, status.filled_shares, status.fills) == (OrderState.FILLED, 100.0, 2)
    assert broker.contradictions() == ()


def test_a_chain_of_replacements_leaves_no_question_open_once_all_its_fills_are_told(venue, broker_of, order_of):
    broker = broker_of()
    venue.book.is_open = True
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    for revision, shares in ((1, "30"), (2, "20")):
        named = "order-ABC" if revision == 1 else "order-ABC.r1"
        venue.book.fill(named, shares, "9")
        broker.replace(replace(order, limit_price_usd=9.0 + revision / 10), revision=revision)
    venue.book.fill("order-ABC.r2", "50", "9.2")
    status = broker.find_order("order-ABC")
    assert (status.state, status.filled_shares, status.fills) == (OrderState.FILLED, 100.0, 3)
    asked = venue.rest.count("GET")
    broker.catch_up()
    assert venue.rest.count("GET") == asked + 1  # the list of open orders, and no activities
    assert venue.book.accepted == {"order-ABC": 1, "order-ABC.r1": 1, "order-ABC.r2": 1}


def test_the_quantity_of_an_order_that_has_begun_to_fill_is_not_replaced(venue, broker_of, order_of):
    broker = broker_of()
    venue.book.is_open = True
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)
    venue.book.fill("order-ABC", "30", "9")
    broker.find_order("order-ABC")
    status = broker.replace(replace(order, quantity_shares=60.0), revision=1)
    assert (status.order, venue.rest.count("PATCH")) == (order, 0)
    last = broker.events_since(0)[-1].event
    assert (str(last.kind), last.revision) == ("replace rejected", 1)
    assert "cancel the rest and send another order" in last.reason


def test_a_replacement_that_the_venue_declines_leaves_the_order_as_it_was(broker_of, order_of):
    broker = broker_of()
    order = order_of(order_type="limit", limit_price_usd=9.0)
    broker.submit(order)  # the market is closed, and Alpaca replaces nothing that is only accepted
    status = broker.replace(replace(order, limit_price_usd=9.5), revision=1)
    assert (status.order, status.state) == (order, OrderState.ACCEPTED)
    assert 'order in "accepted" status cannot be replaced' in broker.events_since(1)[0].event.reason


def test_a_replacement_is_known_to_a_process_that_did_not_ask_for_it(venue, broker_of, order_of):
    venue.book.is_open = True
    order = order_of(order_type="limit", limit_price_usd=9.0)
    first = broker_of()
    first.submit(order)
    first.replace(replace(order, limit_price_usd=9.5), revision=1)
    later = broker_of()
    later.adopt(order)
    assert later.find_order("order-ABC").order.limit_price_usd == 9.5
    assert later.cancel("order-ABC").state is OrderState.CANCELLED
    assert [order["status"] for order in venue.book.orders.values()] == ["replaced", "canceled"]


def test_an_order_of_other_terms_under_our_id_at_the_venue_is_refused(venue, broker_of, order_of):
    broker_of().submit(order_of(quantity_shares=50.0))
    with pytest.raises(OrderRejected, match=r"order-ABC.*an order of 50 ABC at Alpaca already, found 100"):
        broker_of().submit(order_of())
    assert venue.book.accepted == {"order-ABC": 1}


def test_fees_are_the_accounts(venue, broker_of):
    venue.book.charge("0.02", "TAF fee")
    (fee,) = broker_of().fees(date(2014, 6, 5))
    assert fee == AccountFee(fee.fee_id, date(2014, 6, 5), 0.02, "TAF fee")


def test_more_open_orders_than_a_page_holds_are_all_found(venue, broker_of):
    venue.book.cash += 10_000
    for number in range(501):
        venue.book.submit(
            {"symbol": "ABC", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day",
             "client_order_id": str(number)}
        )  # fmt: skip
    broker = broker_of()
    broker.catch_up()
    assert len(broker.foreign_orders()) == 501


def test_more_executions_than_a_page_holds_are_all_found(venue, broker_of, order_of):
    broker = broker_of()
    broker.submit(order_of(quantity_shares=150.0))
    for _ in range(150):
        venue.book.now_utc += timedelta(milliseconds=1)
        venue.book.fill("order-ABC", "1", "10")
    assert broker.find_order("order-ABC").fills == 150


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_question_is_asked_again(venue, broker_of, fault):
    venue.rest.script("GET", Before(FAULTS[fault]))
    assert broker_of(read_timeout_seconds=0.4).account().cash_usd == 10_000.0


def test_a_question_that_stays_unanswered_is_an_error(venue, broker_of):
    venue.rest.script("GET", *[Before(Status(500))] * ALWAYS)
    with pytest.raises(BrokerUnavailable, match="HTTP 500"):
        broker_of(attempts=3).positions()
    assert venue.rest.count("GET") == 3


def test_keys_that_are_refused_are_named_and_not_shown(broker_of):
    broker = broker_of(secret_key="another-canary")  # noqa: S106 - a key that is none
    with pytest.raises(ConfigurationError, match="AEGIS_BROKERS__ALPACA__SECRET_KEY") as refusal:
        broker.connect()
    assert "another-canary" not in str(refusal.value)


def test_a_venue_that_repeats_the_keys_does_not_make_them_known(venue, broker_of):
    words = {"message": f"{KEY_ID} and {SECRET_KEY} are busy"}
    venue.rest.script("GET", *[Before(Status(500, body=words))] * ALWAYS)
    with pytest.raises(BrokerUnavailable, match=r"\*\*\* and \*\*\* are busy") as error:
        broker_of(attempts=1).account()
    assert SECRET_KEY not in repr(error.value)


def test_a_stream_that_does_not_begin_is_an_error_and_closes(broker_of):
    broker = broker_of(stream_url="ws://127.0.0.1:9/stream", connect_timeout_seconds=0.1, read_timeout_seconds=0.1)
    with pytest.raises(BrokerUnavailable, match=r"trade updates at ws://127\.0\.0\.1:9/stream did not begin"):
        broker.connect()


def _sockets() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own is gone by now
            found.add(str(entry.readlink()))
    return {name for name in found if name.startswith("socket:")}


def test_a_broker_that_cannot_begin_leaves_no_connection_open(broker_of):
    broker = broker_of(stream_url="ws://127.0.0.1:9/stream", connect_timeout_seconds=0.1, read_timeout_seconds=0.1)
    before = _sockets()
    with pytest.raises(BrokerUnavailable, match="did not begin"), broker:
        pytest.fail("it began")
    deadline = time.monotonic() + 5
    while _sockets() - before and time.monotonic() < deadline:  # the venue's own ends follow
        time.sleep(0.01)
    assert _sockets() - before == set()


LIVE = {"url": "https://api.alpaca.markets", "key_id": "k", "secret_key": "s"}
CONFIRMED = LiveTradingConfirmation(
    account="simulated", confirmed_by="Ada", expires_at_utc=AFTER_THE_CLOSE + timedelta(minutes=5)
)


def _broker(settings, confirmation=None) -> AlpacaBroker:
    return AlpacaBroker(
        AlpacaBrokerSettings.model_validate(settings),
        account="simulated",
        calendar=trading_calendar("XNYS"),
        clock=SimulatedClock(AFTER_THE_CLOSE),
        confirmation=confirmation,
    )


@pytest.mark.parametrize(
    "settings",
    [
        LIVE,
        {**LIVE, "url": "https://paper-api.alpaca.markets", "stream_url": "wss://api.alpaca.markets/stream"},
        {**LIVE, "url": "https://paper-api.alpaca.markets.example.org"},
        {**LIVE, "url": "https://api.alpaca.markets:443"},
        {**LIVE, "url": "https://API.ALPACA.MARKETS"},
    ],
)
def test_no_host_of_real_money_is_reached_without_a_confirmation(settings):
    with pytest.raises(ConfigurationError, match="may trade real money, and nobody has confirmed"):
        _broker(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {**LIVE, "url": "https://paper-api.alpaca.markets@api.alpaca.markets"},
        # urllib3 ends the host at the backslash, urllib.parse at the slash: one sees the live host, the other paper.
        {**LIVE, "url": "https://api.alpaca.markets\\@paper-api.alpaca.markets"},
        {**LIVE, "url": "https://api.alpaca.markets?paper-api.alpaca.markets"},
        {**LIVE, "stream_url": "wss://paper-api.alpaca.markets@api.alpaca.markets/stream"},
    ],
)
def test_an_address_that_may_be_read_in_two_ways_is_reached_with_no_confirmation_at_all(settings):
    with pytest.raises(ConfigurationError, match="found one with other parts"):
        _broker(settings, CONFIRMED)


@pytest.mark.parametrize("address", [{"url": "http://paper-api.alpaca.markets"}, {"stream_url": "ws://example.org/s"}])
def test_keys_travel_to_other_machines_encrypted_only(address):
    with pytest.raises(ConfigurationError, match="would carry the keys unencrypted"):
        _broker({**LIVE, **address}, CONFIRMED)


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"account": "other"}, "confirmed for account 'other'"),
        ({"confirmed_by": " "}, "confirmed by nobody"),
        ({"expires_at_utc": AFTER_THE_CLOSE}, "ended at"),
        ({"expires_at_utc": CONFIRMED.expires_at_utc.replace(tzinfo=None)}, "ended at"),
    ],
)
def test_a_confirmation_of_something_else_confirms_nothing(terms, why):
    with pytest.raises(ConfigurationError, match=why):
        _broker(LIVE, replace(CONFIRMED, **terms))


def test_paper_trading_needs_no_confirmation_and_real_money_a_valid_one():
    paper = {"key_id": "k", "secret_key": "s"}
    for broker in (_broker(paper), _broker(LIVE, CONFIRMED)):
        broker.close()


def test_without_keys_the_settings_are_named():
    with pytest.raises(ConfigurationError, match="AEGIS_BROKERS__ALPACA__KEY_ID"):
        _broker({})


def test_settings_show_no_key(venue):
    assert SECRET_KEY not in f"{alpaca_settings(venue)!r}{alpaca_settings(venue).model_dump_json()}"
