"""Yahoo's quotes and minutes through yfinance's session, against a server here that goes wrong as told."""

from __future__ import annotations

import contextlib
import re
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
from aegis.config_vendors import YahooSettings
from aegis.live_data.feed_health import Counted
from aegis.live_data.registry import live_market_data
from aegis.live_data.yahoo import YahooMarketData
from aegis.market_data.sources.call_policy import VendorCalls
from aegis.market_data.sources.yahoo import YAHOO
from tests.fake_stopwatch import FakeStopwatch
from tests.integration.live_data.waiting import until
from tests.integration.vendors.transport_faults import PASSING, SOME_FAULTS
from tests.integration.vendors.vendor_server import Altered, Fault, Status
from tests.integration.vendors.yahoo_server import QUOTE, YahooServer, forget_earlier_answers
from tests.unit.live_data.feeds import WrittenDown

XNYS = trading_calendar("XNYS")
OPENS = datetime(2024, 6, 10, 13, 30, tzinfo=UTC)
NOW = OPENS + timedelta(minutes=3, seconds=20)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
TICKERS = {"ABC": "ABC", "BRK": "BRK.B"}
NEVER_SECONDS = 900


def row(at_utc: datetime = NOW, *, bid: float = 9.99, ask: float = 10.01, **more: Any) -> dict[str, Any]:
    said = {"bid": bid, "ask": ask, "bidSize": 3, "askSize": 2, "regularMarketTime": int(at_utc.timestamp())}
    return {**said, "currency": "USD", "exchangeDataDelayedBy": 0, **more}


def minutes(volumes: list[int | None], *, until_utc: datetime = NOW, **meta: Any) -> dict[str, Any]:
    """Return the chart of the session's minutes with these volumes; the last is not over."""
    closes = [None if volume is None else 10.1 for volume in volumes]
    # 10.1 as a number of single precision, as Yahoo sends it.
    single = [None if close is None else float(np.float32(close)) for close in closes]
    stamps = [int((OPENS + number * MINUTE).timestamp()) for number in range(len(volumes))]
    return {
        "meta": {"currency": "USD", "regularMarketTime": int(until_utc.timestamp()), **meta},
        "timestamp": stamps,
        "indicators": {"quote": [{**dict.fromkeys(("open", "high", "low", "close"), single), "volume": volumes}]},
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[YahooServer]:
    """Serve ABC and Berkshire's class B, which Yahoo writes with a dash."""
    forget_earlier_answers(monkeypatch)
    with YahooServer({}) as started:
        assert isinstance(started, YahooServer)
        started.quotes = {"ABC": row(), "BRK-B": row(bid=19.99, ask=20.01)}
        started.minute_charts = {name: minutes([500, None, 7, 1]) for name in ("ABC", "BRK-B")}
        yield started


class Feed:
    """A source that asks when a test lets it."""

    def __init__(self, server: YahooServer, **settings: Any) -> None:
        self.clock, self.heard = SimulatedClock(NOW), WrittenDown()
        vendor = YahooSettings.model_validate({"attempts": 3, "timeout_seconds": 0.5})
        self.stopwatch = FakeStopwatch()
        self.data = YahooMarketData(
            vendor,
            clock=self.clock,
            calendar=XNYS,
            ticker_of=TICKERS.__getitem__,
            settings=LiveDataSettings.model_validate({"yahoo": {"poll_seconds": NEVER_SECONDS, **settings}}),
            listener=self.heard,
            calls=VendorCalls(YAHOO, vendor, stopwatch=self.stopwatch, generator=np.random.default_rng(1)),
            new_session=server.new_session,
        )
        self.data.start()

    def ask_again(self) -> None:
        """Let the next round begin."""
        self.data._changed.set()

    def count(self, what: Counted) -> int:
        return self.data.health().counts.get(what, 0)


@pytest.fixture
def feed_of(server: YahooServer) -> Iterator[Callable[..., Feed]]:
    with contextlib.ExitStack() as opened:

        def start(*symbols: str, **settings: Any) -> Feed:
            feed = Feed(server, **settings)
            opened.callback(feed.data.close)
            feed.data.watch(frozenset(symbols or ("ABC",)))
            return feed

        yield start


def test_quotes_are_of_the_last_trade_and_minutes_of_those_that_ended_by_it(
    feed_of: Callable[..., Feed], server: YahooServer
) -> None:
    feed = feed_of("ABC", "BRK")
    until(lambda: feed.data.observe("BRK").volume_at_utc == OPENS + 3 * MINUTE)
    found = feed.data.observe("BRK")
    assert (found.bid_usd, found.ask_usd, found.quoted_at_utc, found.volume_shares) == (19.99, 20.01, NOW, 507.0)
    quote = feed.data.quote("BRK")
    assert quote is not None
    assert (quote.bid_shares, quote.ask_shares) == (300.0, 200.0)
    # The second minute had no trade, the fourth is not over; 10.1 of single precision is 10.1.
    assert [(bar.closes_at_utc, bar.close_usd) for bar in feed.data.minutes("ABC")] == [
        (OPENS + MINUTE, 10.1),
        (OPENS + 3 * MINUTE, 10.1),
    ]
    asked = [request for request in server.requests if request.path == QUOTE]
    assert [request.query["symbols"] for request in asked] == ["ABC,BRK-B"]


def test_asking_again_makes_no_quote_younger(feed_of: Callable[..., Feed]) -> None:
    feed = feed_of()
    until(lambda: feed.heard.quotes)
    feed.clock.advance_to(NOW + 30 * SECOND)
    feed.ask_again()
    until(lambda: feed.count(Counted.DUPLICATES))
    assert len(feed.heard.quotes) == 1
    assert not feed.data.observe("ABC").has_quote(feed.clock.now_utc(), 10 * SECOND)
    assert feed.data.health().symbols["ABC"].quote_age_seconds(feed.clock.now_utc()) == 30.0


def test_a_delay_that_yahoo_states_is_the_quotes_age(feed_of: Callable[..., Feed], server: YahooServer) -> None:
    server.quotes["ABC"] = row(NOW - 30 * SECOND, exchangeDataDelayedBy=15)
    feed = feed_of()
    until(lambda: feed.heard.quotes)
    assert feed.heard.quotes[0].quoted_at_utc == NOW - 15 * MINUTE


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        (row(bid=0, ask=0), Counted.NO_NUMBER),
        ({key: value for key, value in row().items() if key not in ("bid", "ask")}, Counted.NO_NUMBER),
        (row(bid=10.02), Counted.CROSSED),
        (row(ask=1000.0), Counted.STUB),
        (row(NOW + MINUTE), Counted.FUTURE),
        ({**row(), "regularMarketTime": "soon"}, Counted.UNREADABLE),
        ({**row(), "bid": "much"}, Counted.UNREADABLE),
    ],
)
def test_a_row_without_a_usable_quote_is_counted_and_told_nobody(
    feed_of: Callable[..., Feed], server: YahooServer, said: dict[str, Any], counted: Counted
) -> None:
    server.quotes["ABC"] = said
    feed = feed_of("ABC", "BRK")
    until(lambda: feed.count(counted))
    until(lambda: feed.heard.quotes)
    assert [quote.symbol for quote in feed.heard.quotes] == ["BRK"]
    assert feed.data.observe("ABC").bid_usd is None


def test_a_symbol_that_yahoo_does_not_know_or_prices_otherwise_has_a_problem_and_the_others_go_on(
    feed_of: Callable[..., Feed], server: YahooServer
) -> None:
    server.quotes["ABC"] = row(currency="GBp")
    feed = feed_of("ABC", "BRK", "NAMELESS")
    until(lambda: feed.heard.quotes)
    problems = {name: item.problem for name, item in feed.data.health().symbols.items()}
    assert problems["ABC"] == "Yahoo prices it in 'GBp'; only USD is traded"
    assert problems["NAMELESS"].startswith("no ticker of today is known")
    assert problems["BRK"] == ""
    del server.quotes["ABC"]
    feed.ask_again()
    until(lambda: feed.data.health().symbols["ABC"].problem.startswith("Yahoo has no quote of its ticker"))


@pytest.mark.parametrize("fault", SOME_FAULTS)
def test_a_fault_that_passes_is_outlived(feed_of: Callable[..., Feed], server: YahooServer, fault: Fault) -> None:
    server.script(fault)
    feed = feed_of()
    until(lambda: feed.heard.quotes)
    assert feed.data.health().stream.is_connected


@pytest.mark.parametrize(("fault", "cause"), [PASSING["429"]], ids=["429"])
def test_a_fault_that_stays_is_told_and_tried_again_with_the_next_round(
    feed_of: Callable[..., Feed], server: YahooServer, fault: Fault, cause: str
) -> None:
    server.always = fault
    feed = feed_of()
    problem = until(lambda: feed.data.health().problem)
    assert "quotes of ABC: no answer in 3 of 3 attempt(s)" in problem
    assert re.search(f"{cause}|RateLimit", problem)
    assert not feed.data.health().stream.is_connected
    server.always = None
    feed.ask_again()
    until(lambda: feed.heard.quotes)
    assert feed.data.health().problem == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"quoteResponse": {"result": None, "error": {"code": "Bad Request"}}},
        lambda _: [],
        lambda _: {"quoteResponse": 7},
    ],
)
def test_an_answer_of_another_shape_is_told(
    feed_of: Callable[..., Feed], server: YahooServer, change: Callable[[Any], Any]
) -> None:
    server.always = Altered(change)
    feed = feed_of()
    assert "expected quoteResponse.result, found another shape" in until(lambda: feed.data.health().problem)


@pytest.mark.parametrize(
    ("chart", "told"),
    [
        (minutes([500, 1], symbol="OTHER"), "'OTHER' in 'USD' answered"),
        (minutes([500, 1], currency="EUR"), "'ABC' in 'EUR' answered"),
        ({**minutes([500, 1]), "indicators": {}}, "a chart that cannot be read"),
        ({**minutes([500, 1]), "timestamp": ["soon", "later"]}, "a chart that cannot be read"),
    ],
)
def test_a_chart_that_is_none_leaves_its_minutes_missing_and_quotes_go_on(
    feed_of: Callable[..., Feed], server: YahooServer, chart: dict[str, Any], told: str
) -> None:
    server.minute_charts["ABC"] = chart
    feed = feed_of()
    assert told in until(lambda: feed.data.health().problem)
    assert len(feed.heard.quotes) == 1
    assert feed.data.observe("ABC").volume_at_utc == OPENS
    assert feed.data.health().symbols["ABC"].missing_minutes == 3


def test_minutes_of_an_unknown_chart_are_told_and_keys_are_not_needed(
    feed_of: Callable[..., Feed], server: YahooServer
) -> None:
    server.minute_charts.clear()
    feed = feed_of()
    assert "minutes of ABC: Yahoo: minutes of ABC: no answer" in until(lambda: feed.data.health().problem)
    assert feed.data.health().stream.is_connected


def test_closing_ends_the_thread_while_a_vendor_asks_to_be_left_alone(server: YahooServer) -> None:
    server.always = Status(429, retry_after="600")
    config = AegisConfig.model_validate({"eval": {"live_trading": {"market_data": {"source": "yahoo"}}}})
    data = live_market_data(config, SimulatedClock(NOW), calendar=XNYS, ticker_of=str)
    assert isinstance(data, YahooMarketData)
    data._polling._new_session = server.new_session
    data.watch(frozenset({"ABC"}))
    data.start()
    until(lambda: server.requests)
    data.close()
    data.close()
    assert "yahoo-market-data" not in {thread.name for thread in threading.enumerate()}
