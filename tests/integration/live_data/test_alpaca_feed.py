"""Alpaca's live data against servers on this machine that speak its stream and its history, and go wrong as told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.config_live_data import LiveDataSettings
from aegis.config_vendors import AlpacaSettings
from aegis.errors import ConfigurationError
from aegis.execution.brokers.alpaca_requests import load_alpaca_py
from aegis.live_data.alpaca import AlpacaMarketData
from aegis.live_data.feed_health import Counted
from aegis.live_data.registry import live_market_data
from aegis.market_data.sources.alpaca import alpaca_vendor
from aegis.market_data.sources.call_policy import VendorCalls
from tests.fake_stopwatch import FakeStopwatch
from tests.integration.live_data.waiting import until
from tests.integration.vendors.alpaca_server import KEY_ID, SECRET_KEY, AlpacaServer
from tests.integration.vendors.alpaca_stock_stream import AlpacaStockStream
from tests.integration.vendors.transport_faults import SOME_FAULTS
from tests.integration.vendors.vendor_server import Altered, Fault, Status
from tests.unit.live_data.feeds import WrittenDown

XNYS = trading_calendar("XNYS")
OPENS = datetime(2024, 6, 10, 13, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
TICKERS = {"ABC": "ABC", "OLD": "NEW", "XYZ": "XYZ"}


def iso(at_utc: datetime) -> str:
    return at_utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def quote(at_utc: datetime, *, bid: float = 9.99, ask: float = 10.01, ticker: str = "ABC") -> dict[str, Any]:
    return {
        "T": "q", "S": ticker, "bx": "Q", "bp": bid, "bs": 3, "ax": "N", "ap": ask, "as": 2, "c": ["R"], "z": "C",
        "t": iso(at_utc),
    }  # fmt: skip


def bar(number: int, volume: float = 100.0, *, ticker: str = "ABC", kind: str = "b", trades: int = 2) -> dict[str, Any]:
    """Return the bar of the session's minute `number`; the first is 1, and Alpaca names it by its opening."""
    return {
        "T": kind, "S": ticker, "o": 10.0, "h": 10.2, "l": 9.9, "c": 10.1, "v": volume, "n": trades, "vw": 10.05,
        "t": iso(OPENS + (number - 1) * MINUTE),
    }  # fmt: skip


@pytest.fixture
def stream() -> Iterator[AlpacaStockStream]:
    with AlpacaStockStream() as started:
        yield started


@pytest.fixture
def history() -> Iterator[AlpacaServer]:
    with AlpacaServer({}) as started:
        assert isinstance(started, AlpacaServer)
        yield started


class Feed:
    """A source that is started, its clock and what it tells."""

    def __init__(self, stream: AlpacaStockStream, history: AlpacaServer, at_utc: datetime, **settings: Any) -> None:
        self.clock, self.heard = SimulatedClock(at_utc), WrittenDown()
        keys = {"key_id": settings.pop("key_id", KEY_ID), "secret_key": SECRET_KEY}
        vendor = AlpacaSettings.model_validate(
            {**keys, "url": history.url, "feed": "iex", "timeout_seconds": 0.3, "longest_pause_seconds": 0.0}
        )
        quick = {"reconnect_first_seconds": 0.01, "reconnect_longest_seconds": 0.02, "connect_timeout_seconds": 5.0}
        alpaca = {"url": stream.url, **settings.pop("alpaca", {})}
        self.stopwatch = FakeStopwatch()
        self.data = AlpacaMarketData(
            vendor,
            clock=self.clock,
            calendar=XNYS,
            ticker_of=TICKERS.__getitem__,
            settings=LiveDataSettings.model_validate({**quick, **settings, "alpaca": alpaca}),
            listener=self.heard,
            look_seconds=0.01,
            calls=VendorCalls(
                alpaca_vendor(vendor), vendor, stopwatch=self.stopwatch, generator=np.random.default_rng(1)
            ),
        )
        self.data.start()

    def go_to(self, at_utc: datetime) -> None:
        self.clock.advance_to(at_utc)

    def count(self, what: Counted) -> int:
        return self.data.health().counts.get(what, 0)

    @property
    def problem(self) -> str:
        return self.data.health().problem


@pytest.fixture
def feed_of(stream: AlpacaStockStream, history: AlpacaServer) -> Iterator[Callable[..., Feed]]:
    with contextlib.ExitStack() as opened:

        def start(at_utc: datetime = OPENS, **settings: Any) -> Feed:
            feed = Feed(stream, history, at_utc, **settings)
            opened.callback(feed.data.close)
            return feed

        yield start


@pytest.fixture
def feed(feed_of: Callable[..., Feed], stream: AlpacaStockStream) -> Feed:
    """ABC and OLD, which trades as NEW today, are watched since the opening."""
    started = feed_of()
    started.data.watch(frozenset({"ABC", "OLD"}))
    stream.wait_for({"ABC", "NEW"})
    # What was subscribed is confirmed before what is told after it.
    stream.tell(quote(OPENS), quote(OPENS, ticker="NEW"))
    until(lambda: len(started.heard.quotes) == 2)
    return started


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


def test_quotes_come_by_permanent_symbol_with_both_times_and_sizes_in_shares(feed: Feed) -> None:
    found = feed.data.quote("OLD")
    assert found is not None
    assert (found.bid_usd, found.ask_usd, found.bid_shares, found.ask_shares) == (9.99, 10.01, 300.0, 200.0)
    assert (found.quoted_at_utc, found.heard_at_utc) == (OPENS, OPENS)
    assert sorted(told.symbol for told in feed.heard.quotes) == ["ABC", "OLD"]


def test_only_what_is_watched_is_subscribed(feed: Feed, stream: AlpacaStockStream) -> None:
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


def test_a_session_is_told_minute_by_minute_with_what_was_corrected(feed: Feed, stream: AlpacaStockStream) -> None:
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
def test_halts_and_resumptions_are_told(feed: Feed, stream: AlpacaStockStream, halts: str, resumes: str) -> None:
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
    feed: Feed, stream: AlpacaStockStream
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


def test_a_delayed_feed_is_told_and_its_quotes_are_as_old_as_it_says(feed: Feed, stream: AlpacaStockStream) -> None:
    feed.go_to(OPENS + 30 * MINUTE)
    for number in range(300):
        stream.tell(quote(OPENS + 14 * MINUTE + number * SECOND, bid=9.9 + number / 10_000))
    until(lambda: len(feed.heard.quotes) == 302)
    found = feed.data.observe("ABC")
    assert not found.has_quote(feed.clock.now_utc(), 120 * SECOND)
    # The last 256 messages were between 661 and 916 seconds late.
    assert feed.data.health().least_delay_seconds == 661.0


def test_what_was_missed_while_it_was_cut_off_is_asked_for_and_filled(
    feed: Feed, stream: AlpacaStockStream, history: AlpacaServer
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


def test_minutes_before_the_start_are_asked_for(feed_of: Callable[..., Feed], history: AlpacaServer) -> None:
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
    feed_of: Callable[..., Feed], history: AlpacaServer, fault: Fault
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
    feed_of: Callable[..., Feed], stream: AlpacaStockStream, history: AlpacaServer, fault: Fault, told: str
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


@pytest.mark.parametrize(
    ("code", "words", "remedy"),
    [
        (402, "auth failed", "correct market_data.alpaca.key_id and secret_key"),
        (404, "auth timeout", "it is tried again"),
        (406, "connection limit exceeded", "another program is connected with these keys"),
        (409, "insufficient subscription", "the subscription lacks this feed; set market_data.alpaca.feed: iex"),
        (500, "internal error", "it is tried again"),
    ],
)
def test_a_refused_log_on_is_told_and_tried_again(
    feed_of: Callable[..., Feed], stream: AlpacaStockStream, code: int, words: str, remedy: str
) -> None:
    stream.refusals = [(code, f"{words} of {KEY_ID}")] * 200
    feed = feed_of()
    feed.data.watch(frozenset({"ABC"}))
    problem = until(lambda: feed.problem)
    assert problem.startswith(f"Alpaca: error {code}: {words} of ***; {remedy}")
    assert not feed.data.health().stream.is_connected
    stream.refusals = []
    stream.wait_for({"ABC"}, connections=2)
    until(lambda: feed.problem == "")


def test_a_slow_reader_that_is_sent_away_connects_again(feed: Feed, stream: AlpacaStockStream) -> None:
    stream.tell_anyway({"T": "error", "code": 407, "msg": "slow client"})
    stream.wait_for({"ABC", "NEW"}, connections=2)
    stream.tell(quote(OPENS, bid=9.98))
    until(lambda: len(feed.heard.quotes) == 3)


def test_symbols_beyond_the_limit_have_a_problem_and_the_others_go_on(
    feed_of: Callable[..., Feed], stream: AlpacaStockStream
) -> None:
    stream.symbol_limit = 2
    feed = feed_of()
    feed.data.watch(frozenset({"ABC", "OLD", "XYZ", "NAMELESS"}))
    until(
        lambda: all(item.problem for item in feed.data.health().symbols.values() if item.symbol in ("XYZ", "NAMELESS"))
    )
    stream.wait_for({"ABC", "NEW"})
    health = feed.data.health().symbols
    assert {name: item.problem for name, item in health.items()} == {
        "ABC": "", "OLD": "", "XYZ": "Alpaca does not subscribe it: symbol limit exceeded",
        "NAMELESS": "no ticker of today is known ('NAMELESS'); look at market_data/listings",
    }  # fmt: skip
    feed.data.watch(frozenset({"ABC", "XYZ"}))
    stream.wait_for({"ABC", "XYZ"})
    until(lambda: feed.data.health().symbols["XYZ"].problem == "")


@pytest.mark.parametrize("way", ["mute from the start", "deaf to pings", "silent in an open session"])
def test_a_stream_that_only_seems_to_live_is_connected_anew(
    feed_of: Callable[..., Feed], stream: AlpacaStockStream, way: str
) -> None:
    stream.is_mute = way == "mute from the start"
    stream.answers_pings = way != "deaf to pings"
    feed = feed_of(heartbeat_seconds=0.05, connect_timeout_seconds=0.1, silence_seconds=30)
    feed.data.watch(frozenset({"ABC"}))
    if way == "silent in an open session":
        stream.wait_for({"ABC"})
        until(lambda: feed.data.health().stream.is_connected)
        feed.go_to(OPENS + 31 * SECOND)
    until(lambda: stream.connections >= 2)
    words = {
        "mute from the start": "no 'connected' within 0.1 s",
        "deaf to pings": "keepalive ping timeout",
        "silent in an open session": "no message for 30 s in an open session",
    }
    if way != "silent in an open session":
        until(lambda: words[way] in feed.problem)
    stream.is_mute, stream.answers_pings = False, True
    stream.wait_for({"ABC"}, connections=2)
    until(lambda: feed.problem == "")


def test_a_server_that_is_away_is_waited_for_and_closing_does_not_wait(feed_of: Callable[..., Feed]) -> None:
    feed = feed_of(alpaca={"url": "ws://127.0.0.1:1"})
    feed.data.watch(frozenset({"ABC"}))
    until(lambda: "refused" in feed.problem.lower())
    feed.data.close()
    feed.data.close()
    assert not any(thread.name.startswith("alpaca-market-data") for thread in threading.enumerate())


def test_keys_are_asked_for_at_once_and_shown_nowhere(feed_of: Callable[..., Feed]) -> None:
    trading = {"market_data": {"source": "alpaca"}}
    config = AegisConfig.model_validate({"eval": {"live_trading": trading}})
    with pytest.raises(ConfigurationError, match="AEGIS_MARKET_DATA__ALPACA__KEY_ID"):
        live_market_data(config, SimulatedClock(OPENS), calendar=XNYS, ticker_of=str)
    feed = feed_of(key_id="PK-ANOTHER-CANARY")
    feed.data.watch(frozenset({"ABC"}))
    until(lambda: "error 402" in feed.problem)
    assert "CANARY" not in json.dumps(feed.problem) + repr(feed.data.health())
