"""Alpaca's stream refused, limited, mute, deaf, silent or away, against a server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from aegis.clock import SimulatedClock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.live_data.registry import live_market_data
from tests.integration.live_data.alpaca_bench import OPENS, SECOND, XNYS, AlpacaFeed, quote
from tests.integration.live_data.waiting import until
from tests.integration.vendors.alpaca_server import KEY_ID
from tests.integration.vendors.alpaca_stock_stream import AlpacaStockStream


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
    feed_of: Callable[..., AlpacaFeed], stream: AlpacaStockStream, code: int, words: str, remedy: str
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


def test_a_slow_reader_that_is_sent_away_connects_again(feed: AlpacaFeed, stream: AlpacaStockStream) -> None:
    stream.tell_anyway({"T": "error", "code": 407, "msg": "slow client"})
    stream.wait_for({"ABC", "NEW"}, connections=2)
    stream.tell(quote(OPENS, bid=9.98))
    until(lambda: len(feed.heard.quotes) == 3)


def test_symbols_beyond_the_limit_have_a_problem_and_the_others_go_on(
    feed_of: Callable[..., AlpacaFeed], stream: AlpacaStockStream
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
    feed_of: Callable[..., AlpacaFeed], stream: AlpacaStockStream, way: str
) -> None:
    stream.is_mute = way == "mute from the start"
    stream.answers_pings = way != "deaf to pings"
    feed = feed_of(heartbeat_seconds=0.05, connect_timeout_seconds=0.1, silence_seconds=30)
    feed.data.watch(frozenset({"ABC"}))
    if way == "silent in an open session":
        stream.wait_for({"ABC"})
        stream.tell(quote(OPENS))
        until(lambda: feed.heard.quotes)
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


def test_a_server_that_is_away_is_waited_for_and_closing_does_not_wait(feed_of: Callable[..., AlpacaFeed]) -> None:
    feed = feed_of(alpaca={"url": "ws://127.0.0.1:1"})
    feed.data.watch(frozenset({"ABC"}))
    until(lambda: "refused" in feed.problem.lower())
    feed.data.close()
    feed.data.close()
    assert not any(thread.name.startswith("alpaca-market-data") for thread in threading.enumerate())


def test_keys_are_asked_for_at_once_and_shown_nowhere(feed_of: Callable[..., AlpacaFeed]) -> None:
    trading = {"market_data": {"source": "alpaca"}}
    config = AegisConfig.model_validate({"eval": {"live_trading": trading}})
    with pytest.raises(ConfigurationError, match="AEGIS_MARKET_DATA__ALPACA__KEY_ID"):
        live_market_data(config, SimulatedClock(OPENS), calendar=XNYS, ticker_of=str)
    feed = feed_of(key_id="PK-ANOTHER-CANARY")
    feed.data.watch(frozenset({"ABC"}))
    until(lambda: "error 402" in feed.problem)
    assert "CANARY" not in json.dumps(feed.problem) + repr(feed.data.health())
