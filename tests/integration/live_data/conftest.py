"""Alpaca's servers on this machine and sources that listen to them; modules about other vendors have their own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.integration.live_data.alpaca_bench import OPENS, AlpacaFeed, quote
from tests.integration.live_data.waiting import until
from tests.integration.vendors.alpaca_server import AlpacaServer
from tests.integration.vendors.alpaca_stock_stream import AlpacaStockStream


@pytest.fixture
def stream() -> Iterator[AlpacaStockStream]:
    with AlpacaStockStream() as started:
        yield started


@pytest.fixture
def history() -> Iterator[AlpacaServer]:
    with AlpacaServer({}) as started:
        assert isinstance(started, AlpacaServer)
        yield started


@pytest.fixture
def feed_of(stream: AlpacaStockStream, history: AlpacaServer) -> Iterator[Callable[..., AlpacaFeed]]:
    with contextlib.ExitStack() as opened:

        def start(at_utc: datetime = OPENS, **settings: Any) -> AlpacaFeed:
            feed = AlpacaFeed(stream, history, at_utc, **settings)
            opened.callback(feed.data.close)
            return feed

        yield start


@pytest.fixture
def feed(feed_of: Callable[..., AlpacaFeed], stream: AlpacaStockStream) -> AlpacaFeed:
    """ABC and OLD, which trades as NEW today, are watched since the opening."""
    started = feed_of()
    started.data.watch(frozenset({"ABC", "OLD"}))
    stream.wait_for({"ABC", "NEW"})
    # What was subscribed is confirmed before what is told after it.
    stream.tell(quote(OPENS), quote(OPENS, ticker="NEW"))
    until(lambda: len(started.heard.quotes) == 2)
    return started
