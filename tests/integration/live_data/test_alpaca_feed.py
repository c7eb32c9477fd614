"""Alpaca's live data: messages, gaps and history, against servers here that speak its stream and its REST."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from aegis.execution.brokers.alpaca_requests import load_alpaca_py
from aegis.live_data.feed_health import Counted
from tests.integration.live_data.alpaca_bench import MINUTE, OPENS, SECOND, AlpacaFeed, bar, iso, quote
from tests.integration.live_data.waiting import until
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer
from tests.integration.vendors.alpaca_stock_stream import AlpacaStockStream
from tests.integration.vendors.transport_faults import SOME_FAULTS
from tests.integration.vendors.vendor_server import Altered, Fault, Status


def test_the_server_speaks_to_alpacas_own_client(stream: AlpacaStockStream) -> None:
    """Checked with alpaca-py's stream as it is: its keys, its subscriptions in msgpack, its models."""
    load_alpaca_py()
    from alpaca.data.live.stock import StockDataStream  # noqa: PLC0415

    found: list[Any] = []
    client = StockDataStream(KEY_ID, SECRET_KEY, url_override=f"{stream.url}/v2/iex")

    async def take(message: Any) -> None:
        found.append(message)

    client.subscribe_quotes(take, "ABC")
    client.subscribe_bars(take, "ABC", "XYZ")
    thread = threading.Thread(target=client.run)
    thread.start()
    stream.wait_for({"ABC"})
    stream.tell(quote(OPENS), bar(1, ticker="XYZ"), quote(OPENS, ticker="XYZ"))
    until(lambda: len(found) == 2)
    while thread.is_alive():
        if client._loop is not None and client._loop.is_running():
            asyncio.run_coroutine_threadsafe(_stopped(client), client._loop)
        thread.join(0.05)
    told = sorted((type(message).__name__, message.symbol, message.timestamp) for message in found)
    assert told == [("Bar", "XYZ", OPENS), ("Quote", "ABC", OPENS)]


async def _stopped(client: Any) -> None:
    await client.stop_ws()
    await client.close()


def test_quotes_come_by_permanent_symbol_with_both_times_and_sizes_in_shares(feed: AlpacaFeed) -> None:
    found = feed.data.quote("OLD")
    assert found is not None
    assert (found.bid_usd, found.ask_usd, found.bid_shares, found.ask_shares) == (9.99, 10.01, 300.0, 200.0)
    assert (found.quoted_at_utc, found.heard_at_utc) == (OPENS, OPENS)
    assert sorted(told.symbol for told in feed.heard.quotes) == ["ABC", "OLD"]


def test_only_what_is_watched_is_subscribed(feed: AlpacaFeed, stream: AlpacaStockStream) -> None:
    feed.data.watch(frozenset({"ABC", "XYZ"}))
    stream.wait_for({"ABC", "XYZ"})
    channels = {"quotes", "bars", "updatedBars", "statuses", "trades"}
    assert [(request["action"], request["quotes"]) for request in stream.requests] == [
        ("subscribe", ["ABC", "NEW"]),
        ("unsubscribe", ["NEW"]),
        ("subscribe", ["XYZ"]),
    ]
    assert all(set(request) == {"action", *channels} for request in stream.requests)
    assert stream.paths == ["/v2/iex"]


def test_a_session_is_told_minute_by_minute_and_what_was_corrected(feed: AlpacaFeed, stream: AlpacaStockStream) -> None:
    feed.go_to(OPENS + 2 * MINUTE)
    # Minute 1 of NEW had no trade. Trade 8 of ABC was corrected to 9 and taken back; its bar was told again.
    at = iso(OPENS + 30 * SECOND)
    stream.tell(
        {"T": "t", "S": "ABC", "i": 7, "x": "D", "p": 10.0, "s": 5, "c": ["@"], "z": "C", "t": at},
        {"T": "t", "S": "ABC", "i": 7, "x": "D", "p": 10.0, "s": 5, "c": ["@"], "z": "C", "t": at},
        {"T": "t", "S": "ABC", "i": 8, "x": "D", "p": 10.1, "s": 90, "c": ["@"], "z": "C", "t": at},
        {
            "T": "c", "S": "ABC", "x": "D", "oi": 8, "op": 10.1, "os": 90, "oc": ["@"], "ci": 9, "cp": 10.1, "cs": 40,
            "cc": ["@"], "z": "C", "t": at,
        },
        {"T": "x", "S": "ABC", "i": 9, "x": "D", "p": 10.1, "s": 40, "a": "C", "z": "C", "t": at},
        bar(1, 95.0, trades=4),
        bar(2, 30.0),
        bar(2, 30.0),
        bar(1, 5.0, kind="u"),
        bar(2, 40.0, ticker="NEW"),
    )  # fmt: skip
    until(lambda: len(feed.heard.minutes) == 4)
    assert feed.data.observe("ABC").volume_shares == 35.0
    assert [minute.volume_shares for minute in feed.data.minutes("ABC")] == [5.0, 30.0]
    feed.go_to(OPENS + 2 * MINUTE + 6 * SECOND)
    stream.tell(quote(feed.clock.now_utc()))
    until(lambda: feed.data.observe("OLD").volume_at_utc == OPENS + 2 * MINUTE)
    assert feed.data.observe("OLD").volume_shares == 40.0
    counts = feed.data.health().counts
    expected = {
        Counted.TRADES: 2, Counted.CORRECTED: 2, Counted.CANCELLED: 1, Counted.DUPLICATES: 2, Counted.MINUTES: 3,
        Counted.MISSED_TRADES: 2,
    }  # fmt: skip
    assert {kind: counts.get(kind, 0) for kind in expected} == expected
    assert feed.data.last_trade("ABC") is None


@pytest.mark.parametrize(("halts", "resumes"), [("2", "3"), ("H", "T"), ("P", "T")])
def test_halts_and_resumptions_are_told(feed: AlpacaFeed, stream: AlpacaStockStream, halts: str, resumes: str) -> None:
    def status(code: str, words: str) -> dict[str, Any]:
        said = {"sc": code, "sm": words, "rc": "T1", "rm": "News Pending", "z": "C", "t": iso(OPENS)}
        return {"T": "s", "S": "NEW", **said}

    stream.tell(status(halts, "Trading Halt"), status("Q", "Quotation Resumption"), status(resumes, "Resume"))
    until(lambda: len(feed.heard.halts) == 2)
    assert [(halt.symbol, halt.is_halted, halt.reason) for halt in feed.heard.halts] == [
        ("OLD", True, "Trading Halt, T1, News Pending"),
        ("OLD", False, "Resume, T1, News Pending"),
    ]


def test_wrong_old_doubled_and_foreign_messages_are_counted_and_passed_to_nobody(
    feed: AlpacaFeed, stream: AlpacaStockStream
) -> None:
    feed.go_to(OPENS + 10 * SECOND)
    now = feed.clock.now_utc()
    stream.tell(
        quote(now, bid=10.02),
        quote(now, bid=0),
        quote(OPENS - SECOND, bid=9.5),
        quote(OPENS),
        quote(now + 2 * SECOND),
        quote(now, bid=0.01, ask=199_999.99),
        {**quote(now), "bp": None},
        {**quote(now), "t": "yesterday"},
        {**quote(now), "t": "2024-06-10T09:30:00"},
        {key: value for key, value in quote(now).items() if key != "ap"},
    )
    stream.tell_anyway(quote(now, ticker="STRANGER"), {"T": "d", "S": "ABC"}, {"T": "?"}, {})
    stream.send_bytes(b'[{"T":"q","S":"ABC"')
    stream.send_bytes(b'{"T":"q","S":"ABC"}')
    stream.send_bytes(b"[1, 2]")
    stream.tell(quote(now, bid=9.98))
    until(lambda: len(feed.heard.quotes) == 3)
    assert feed.heard.quotes[-1].bid_usd == 9.98
    counts = feed.data.health().counts
    expected = {
        Counted.CROSSED: 1, Counted.NO_NUMBER: 1, Counted.OUT_OF_ORDER: 1, Counted.DUPLICATES: 1, Counted.FUTURE: 1,
        Counted.STUB: 1, Counted.UNREADABLE: 7, Counted.NOT_ASKED_FOR: 1, Counted.QUOTES: 3,
    }  # fmt: skip
    assert {kind: counts.get(kind, 0) for kind in expected} == expected
    assert feed.problem == ""


def test_a_delayed_feed_is_told_and_its_quotes_are_as_old_as_said(feed: AlpacaFeed, stream: AlpacaStockStream) -> None:
    feed.go_to(OPENS + 30 * MINUTE)
    for number in range(300):
        stream.tell(quote(OPENS + 14 * MINUTE + number * SECOND, bid=9.9 + number / 10_000))
    until(lambda: len(feed.heard.quotes) == 302)
    found = feed.data.observe("ABC")
    assert not found.has_quote(feed.clock.now_utc(), 120 * SECOND)
    # The last 256 messages were between 661 and 916 seconds late.
    assert feed.data.health().least_delay_seconds == 661.0


def test_what_was_missed_while_it_was_cut_off_is_asked_for_and_filled(
    feed: AlpacaFeed, stream: AlpacaStockStream, history: AlpacaServer
) -> None:
    feed.go_to(OPENS + MINUTE)
    stream.tell(bar(1, 10.0), bar(1, 11.0, ticker="NEW"))
    until(lambda: len(feed.heard.minutes) == 2)
    stream.refusals = [(500, "internal error")] * 10_000
    stream.disconnect()
    until(lambda: feed.problem)
    feed.go_to(OPENS + 3 * MINUTE + 30 * SECOND)
    # History says minute 1 in another version, which came with the stream already, and knows no bar of NEW since.
    history.minutes = {"ABC": [bar(number, 100.0 * number) for number in (1, 2, 3, 4)]}
    stream.refusals = []
    stream.wait_for({"ABC", "NEW"}, connections=2)
    until(lambda: feed.problem == "")
    feed.go_to(OPENS + 5 * MINUTE)
    stream.tell(bar(5, 1.0))
    until(lambda: feed.data.observe("ABC").volume_at_utc == OPENS + 5 * MINUTE)
    assert feed.data.observe("ABC").volume_shares == 10.0 + 200.0 + 300.0 + 400.0 + 1.0
    until(lambda: feed.data.observe("OLD").volume_at_utc == OPENS + 4 * MINUTE)
    assert feed.data.observe("OLD").volume_shares == 11.0
    asked = [
        (request.query["symbols"], request.query["timeframe"], request.query["feed"]) for request in history.requests
    ]
    assert set(asked) == {("ABC,NEW", "1Min", "iex")}
    assert feed.count(Counted.FILLED_MINUTES) >= 2


def test_minutes_before_the_start_are_asked_for(feed_of: Callable[..., AlpacaFeed], history: AlpacaServer) -> None:
    history.minutes = {"NEW": [bar(number, 100.0 * number) for number in range(1, 31)]}
    feed = feed_of(OPENS + 30 * MINUTE + 6 * SECOND)
    feed.data.watch(frozenset({"OLD"}))
    until(lambda: feed.data.observe("OLD").volume_at_utc == OPENS + 30 * MINUTE)
    assert feed.data.observe("OLD").volume_shares == 100.0 * 30 * 31 / 2
    (request,) = history.requests
    assert (request.query["start"], request.query["end"]) == (
        "2024-06-10T13:30:00+00:00",
        "2024-06-10T13:59:00+00:00",
    )
    assert [minute.closes_at_utc for minute in feed.data.minutes("OLD")][:2] == [OPENS + MINUTE, OPENS + 2 * MINUTE]


@pytest.mark.parametrize("fault", SOME_FAULTS)
def test_a_fault_of_the_history_that_passes_is_outlived(
    feed_of: Callable[..., AlpacaFeed], history: AlpacaServer, fault: Fault
) -> None:
    history.minutes = {"ABC": [bar(1, 10.0)]}
    history.script(fault)
    feed = feed_of(OPENS + MINUTE + 6 * SECOND)
    feed.data.watch(frozenset({"ABC"}))
    until(lambda: feed.data.observe("ABC").volume_at_utc == OPENS + MINUTE)
    assert feed.data.observe("ABC").volume_shares == 10.0


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Status(403, body={"message": "subscription does not permit querying recent SIP data"}), "HTTP 403"),
        (Altered(lambda _: {"bars": {"ABC": [{"t": "never"}]}, "next_page_token": None}), "cannot be read"),
        (Altered(lambda _: {"bars": {"ABC": 7}, "next_page_token": None}), "cannot read the answer|lists of bars"),
    ],
)
def test_minutes_that_history_will_not_give_stay_missing_and_quotes_go_on(
    feed_of: Callable[..., AlpacaFeed], stream: AlpacaStockStream, history: AlpacaServer, fault: Fault, told: str
) -> None:
    history.always = fault
    feed = feed_of(OPENS + MINUTE + 6 * SECOND)
    feed.data.watch(frozenset({"ABC"}))
    problem = until(lambda: feed.problem)
    assert problem.startswith("missing minutes: ")
    assert any(words in problem for words in told.split("|")), problem
    assert feed.data.health().symbols["ABC"].missing_minutes == 1
    stream.wait_for({"ABC"})
    stream.tell(quote(feed.clock.now_utc()))
    until(lambda: feed.heard.quotes)
    assert feed.data.observe("ABC").volume_at_utc == OPENS
    history.always = None
    until(lambda: feed.problem == "")
    assert feed.data.health().symbols["ABC"].missing_minutes == 0
