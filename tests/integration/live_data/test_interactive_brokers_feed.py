"""Interactive Brokers' live data through the client library, against a gateway here that goes wrong as told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aegis.calendars import trading_calendar
from aegis.clock import SimulatedClock
from aegis.config_live_data import LiveDataSettings
from aegis.config_vendors import InteractiveBrokersSettings
from aegis.live_data.feed_health import Counted
from aegis.live_data.interactive_brokers import InteractiveBrokersMarketData
from tests.integration.live_data.waiting import until
from tests.integration.vendors.tws.faults import Cut, Fault, RawBytes, Refusal, Reset
from tests.integration.vendors.tws.gateway import CONNECTED, TwsGateway
from tests.integration.vendors.tws.market_data import (
    ASK,
    BID,
    BID_SIZE,
    DELAYED,
    FROZEN,
    HALTED,
    LIVE,
    MarketDataDesk,
    MinuteBar,
)
from tests.integration.vendors.tws.wire import Contract, ToGateway, error
from tests.unit.live_data.feeds import WrittenDown

XNYS = trading_calendar("XNYS")
OPENS = datetime(2024, 6, 10, 13, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
CONTRACTS = [Contract(1, "ABC"), Contract(2, "BRK B"), Contract(3, "XYZ"), Contract(4, "XYZ", "ARCA")]
TICKERS = {"ABC": "ABC", "BRK": "BRK.B", "XYZ": "XYZ"}


def bar(number: int, volume: float = 100.0, close: float = 20.0) -> MinuteBar:
    """Return the bar of the session's minute `number`; the first is 1."""
    return MinuteBar(OPENS + (number - 1) * MINUTE, close, volume)


class Feed:
    """A source that is started, its clock and what it tells."""

    def __init__(self, gateway: TwsGateway, at_utc: datetime, **settings: Any) -> None:
        self.clock, self.heard = SimulatedClock(at_utc), WrittenDown()
        vendor = {"host": "127.0.0.1", "port": gateway.port, **settings.pop("vendor", {})}
        quick = {"reconnect_first_seconds": 0.01, "reconnect_longest_seconds": 0.02, "connect_timeout_seconds": 0.5}
        self.data = InteractiveBrokersMarketData(
            InteractiveBrokersSettings.model_validate(vendor),
            clock=self.clock,
            calendar=XNYS,
            ticker_of=TICKERS.__getitem__,
            settings=LiveDataSettings.model_validate({**quick, **settings}),
            listener=self.heard,
            look_seconds=0.01,
        )
        self.data.start()

    @property
    def problem(self) -> str:
        return self.data.health().problem

    def problem_of(self, symbol: str) -> str:
        return self.data.health().symbols[symbol].problem

    def volume(self, symbol: str = "ABC") -> tuple[float | None, datetime | None]:
        found = self.data.observe(symbol)
        return found.volume_shares, found.volume_at_utc


@pytest.fixture
def desk() -> MarketDataDesk:
    return MarketDataDesk(CONTRACTS, now=OPENS)


@pytest.fixture
def gateway(desk: MarketDataDesk) -> Iterator[TwsGateway]:
    with TwsGateway(desk) as started:
        yield started


@pytest.fixture
def feed_of(gateway: TwsGateway) -> Iterator[Callable[..., Feed]]:
    with contextlib.ExitStack() as opened:

        def start(at_utc: datetime = OPENS, **settings: Any) -> Feed:
            feed = Feed(gateway, at_utc, **settings)
            opened.callback(feed.data.close)
            return feed

        yield start


@pytest.fixture
def feed(feed_of: Callable[..., Feed], desk: MarketDataDesk) -> Feed:
    """ABC and BRK, which the gateway calls BRK B, are watched since the opening."""
    started = feed_of(silence_seconds=3600)
    started.data.watch(frozenset({"ABC", "BRK"}))
    desk.wait_for({"ABC", "BRK B"})
    return started


def test_a_quote_is_put_together_from_its_sides_and_is_of_the_instant_at_which_it_was_heard(
    feed: Feed, desk: MarketDataDesk
) -> None:
    desk.price("BRK B", BID, 19.99, 3)
    desk.price("BRK B", ASK, 20.01, 2)
    until(lambda: feed.heard.quotes)
    (found,) = feed.heard.quotes
    assert (found.symbol, found.bid_usd, found.ask_usd, found.bid_shares, found.ask_shares) == (
        "BRK",
        19.99,
        20.01,
        3,
        2,
    )
    assert found.quoted_at_utc == OPENS
    feed.clock.advance_to(OPENS + 5 * SECOND)
    desk.size("BRK B", BID_SIZE, 7)
    until(lambda: len(feed.heard.quotes) == 2)
    assert (feed.heard.quotes[1].bid_shares, feed.heard.quotes[1].quoted_at_utc) == (7, OPENS + 5 * SECOND)
    assert desk.asked_types == [LIVE, LIVE]


def test_a_side_that_is_gone_makes_no_quote_and_a_crossed_one_is_refused(feed: Feed, desk: MarketDataDesk) -> None:
    desk.quote("ABC", 19.99, 20.01)
    desk.price("ABC", BID, 20.02)
    desk.price("ABC", ASK, -1.0, 0)
    desk.price("ABC", BID, 19.5)
    desk.price("ABC", ASK, 20.03)
    until(lambda: len(feed.heard.quotes) == 2)
    assert [(quote.bid_usd, quote.ask_usd) for quote in feed.heard.quotes] == [(19.99, 20.01), (19.5, 20.03)]
    assert feed.data.health().counts[Counted.CROSSED] == 1


def test_minutes_of_the_session_come_with_the_subscription_and_then_one_by_one(
    feed_of: Callable[..., Feed], desk: MarketDataDesk
) -> None:
    # Minute 2 had no trade; minute 4 is not over. The first bar is of the session before.
    desk.bars = {"ABC": [bar(-1000, 7.0), bar(1, 10.0), bar(2, 0.0), bar(3, 30.0), bar(4, 1.0)]}
    feed = feed_of(OPENS + 3 * MINUTE + 20 * SECOND, silence_seconds=3600)
    feed.data.watch(frozenset({"ABC"}))
    until(lambda: feed.volume() == (40.0, OPENS + 3 * MINUTE))
    desk.update("ABC", bar(4, 5.0))
    desk.update("ABC", bar(4, 8.0))
    desk.quote("ABC", 19.99, 20.01)
    until(lambda: feed.heard.quotes)
    feed.clock.advance_to(OPENS + 5 * MINUTE + SECOND)
    desk.update("ABC", bar(6, 2.0))
    until(lambda: feed.volume() == (48.0, OPENS + 5 * MINUTE))
    # Nothing comes after minute 6, which is over, and had its time to be told: it counts as it was last told.
    feed.clock.advance_to(OPENS + 6 * MINUTE + 5 * SECOND)
    until(lambda: feed.volume() == (50.0, OPENS + 6 * MINUTE))
    assert [minute.volume_shares for minute in feed.heard.minutes] == [10.0, 30.0, 8.0, 2.0]
    assert feed.heard.minutes[0].closes_at_utc == OPENS + MINUTE


def test_volumes_are_counted_in_the_unit_that_the_gateway_is_set_to(
    feed_of: Callable[..., Feed], desk: MarketDataDesk
) -> None:
    desk.bars = {"ABC": [bar(1, 10.0), bar(2, 1.0)]}
    unit = {"quote_unit_shares": 100}
    feed = feed_of(OPENS + MINUTE, vendor={"volume_unit_shares": 100}, interactive_brokers=unit)
    feed.data.watch(frozenset({"ABC"}))
    until(lambda: feed.volume() == (1000.0, OPENS + MINUTE))
    desk.quote("ABC", 19.99, 20.01)
    assert until(lambda: feed.data.quote("ABC")).bid_shares == 300  # type: ignore[union-attr]


@pytest.mark.parametrize("value", [1, 2])
def test_halts_and_resumptions_are_told(feed: Feed, desk: MarketDataDesk, value: int) -> None:
    for number in (-1, 0, value, 0):
        desk.number("ABC", HALTED, number)
    until(lambda: len(feed.heard.halts) == 2)
    assert [halt.is_halted for halt in feed.heard.halts] == [True, False]


@pytest.mark.parametrize(("kind", "name"), [(FROZEN, "frozen"), (DELAYED, "delayed"), (4, "delayed and frozen")])
def test_what_is_not_live_is_refused_for_its_symbol_alone(
    feed: Feed, desk: MarketDataDesk, kind: int, name: str
) -> None:
    desk.becomes("ABC", kind)
    desk.quote("ABC", 19.99, 20.01)
    desk.quote("BRK B", 29.99, 30.01)
    until(lambda: feed.heard.quotes)
    assert [quote.symbol for quote in feed.heard.quotes] == ["BRK"]
    assert f"its data are {name}, which is not traded on" in feed.problem_of("ABC")
    assert feed.problem_of("BRK") == ""
    desk.becomes("ABC", LIVE)
    desk.quote("ABC", 19.98, 20.01)
    until(lambda: feed.data.quote("ABC"))
    assert feed.problem_of("ABC") == ""


@pytest.mark.parametrize(
    ("code", "words", "remedy"),
    [
        (354, "Requested market data is not subscribed.", "subscribe to the market data"),
        (10168, "Requested market data is not subscribed. Delayed market data is not enabled.", "subscribe to"),
        (10197, "No market data during competing live session", "another session of this user takes the market data"),
        (200, "No security definition has been found for the request", "correct the ticker"),
    ],
)
def test_a_symbol_that_is_refused_has_a_problem_and_is_asked_for_again(
    feed_of: Callable[..., Feed], desk: MarketDataDesk, code: int, words: str, remedy: str
) -> None:
    desk.refusals = {"ABC": (code, words)}
    feed = feed_of()
    feed.data.watch(frozenset({"ABC", "BRK"}))
    problem = until(lambda: feed.problem_of("ABC"))
    assert f"error {code}: {words}" in problem or "error 162" in problem
    until(lambda: remedy in feed.problem_of("ABC"))
    desk.wait_for({"BRK B"})
    desk.quote("BRK B", 29.99, 30.01)
    until(lambda: feed.heard.quotes)
    desk.refusals = {}
    desk.wait_for({"ABC", "BRK B"})
    until(lambda: feed.problem_of("ABC") == "")


@pytest.mark.parametrize("code", [10090, 10167])
def test_delayed_data_in_the_place_of_live_ones_are_not_traded_on(feed: Feed, desk: MarketDataDesk, code: int) -> None:
    desk.fails("ABC", code, "Requested market data is not subscribed. Displaying delayed market data.")
    desk.quote("ABC", 19.99, 20.01)
    desk.quote("BRK B", 29.99, 30.01)
    until(lambda: feed.heard.quotes)
    assert [quote.symbol for quote in feed.heard.quotes] == ["BRK"]
    assert "delayed prices are not traded on" in feed.problem_of("ABC")


def test_a_symbol_that_stands_for_two_stocks_is_refused_until_it_is_said_which(
    feed_of: Callable[..., Feed], desk: MarketDataDesk
) -> None:
    feed = feed_of()
    feed.data.watch(frozenset({"XYZ"}))
    until(lambda: feed.problem_of("XYZ"))
    feed.data.close()
    named = feed_of(vendor={"primary_exchanges": {"XYZ": "ARCA"}})
    named.data.watch(frozenset({"XYZ"}))
    desk.wait_for({"XYZ"})


def test_only_what_is_watched_is_listened_to(feed: Feed, desk: MarketDataDesk) -> None:
    feed.data.watch(frozenset({"ABC", "NAMELESS"}))
    desk.wait_for({"ABC"})
    assert feed.problem_of("NAMELESS").startswith("no ticker of today is known")


FAULTS: dict[str, Fault] = {
    "a cut": Cut(0),
    "a reset": Reset(),
    "a message that nobody can read": RawBytes(b"\0\0\0\x0ano\0number\0"),
    "a client id in use": Refusal(326, "Unable to connect as the client id is already in use."),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_log_on_that_fails_is_tried_again(
    feed_of: Callable[..., Feed], gateway: TwsGateway, desk: MarketDataDesk, fault: Fault
) -> None:
    where = ToGateway.START_API if isinstance(fault, Refusal) else CONNECTED
    gateway.script(where, fault)
    feed = feed_of()
    feed.data.watch(frozenset({"ABC"}))
    desk.wait_for({"ABC"})
    until(lambda: feed.problem == "")
    assert gateway.connections >= 2


def test_what_was_missed_while_it_was_cut_off_comes_with_the_next_subscription(
    feed: Feed, gateway: TwsGateway, desk: MarketDataDesk
) -> None:
    feed.clock.advance_to(OPENS + MINUTE)
    desk.update("ABC", bar(1, 10.0))
    desk.forget()
    desk.bars = {"ABC": [bar(1, 11.0), bar(2, 20.0), bar(4, 40.0), bar(5, 1.0)]}
    feed.clock.advance_to(OPENS + 4 * MINUTE + 10 * SECOND)
    gateway.drop_all()
    desk.wait_for({"ABC", "BRK B"})
    until(lambda: feed.volume() == (71.0, OPENS + 4 * MINUTE))
    until(lambda: feed.volume("BRK") == (0.0, OPENS + 4 * MINUTE))
    assert feed.data.health().stream.connections == 2


@pytest.mark.parametrize(
    ("lost", "found"),
    [
        ((1100, "Connectivity between IBKR and Trader Workstation has been lost."), (1101, "restored, data lost")),
        ((1100, "Connectivity between IBKR and Trader Workstation has been lost."), (1102, "restored")),
        ((2103, "Market data farm connection is broken:usfarm"), (2104, "Market data farm connection is OK:usfarm")),
        ((2105, "HMDS data farm connection is broken:ushmds"), (2106, "HMDS data farm connection is OK:ushmds")),
    ],
)
def test_a_lost_farm_is_told_and_everything_is_asked_for_anew_when_it_is_found(
    feed: Feed, gateway: TwsGateway, desk: MarketDataDesk, lost: tuple[int, str], found: tuple[int, str]
) -> None:
    gateway.tell(error(-1, *lost))
    problem = until(lambda: feed.problem)
    assert lost[1] in problem
    assert feed.data.health().stream.is_connected is (lost[0] != 1100)
    before = len(gateway.received(ToGateway.MARKET_DATA))
    desk.bars = {"ABC": [bar(1, 11.0)]}
    feed.clock.advance_to(OPENS + MINUTE + 10 * SECOND)
    gateway.tell(error(-1, *found))
    until(lambda: len(gateway.received(ToGateway.MARKET_DATA)) == before + 2)
    until(lambda: feed.volume() == (11.0, OPENS + MINUTE))
    assert feed.problem == ""
    assert gateway.connections == 1


def test_farms_that_are_well_or_asleep_change_nothing(feed: Feed, gateway: TwsGateway, desk: MarketDataDesk) -> None:
    for code in (2104, 2106, 2107, 2108, 2158):
        gateway.tell(error(-1, code, "as it should be"))
    desk.quote("ABC", 19.99, 20.01)
    until(lambda: feed.heard.quotes)
    assert feed.problem == ""
    assert len(gateway.received(ToGateway.MARKET_DATA)) == 2


def test_a_gateway_that_only_seems_to_live_is_connected_anew(
    feed_of: Callable[..., Feed], gateway: TwsGateway, desk: MarketDataDesk
) -> None:
    feed = feed_of(silence_seconds=30)
    feed.data.watch(frozenset({"ABC"}))
    desk.wait_for({"ABC"})
    desk.quote("ABC", 19.99, 20.01)
    until(lambda: feed.heard.quotes)
    feed.clock.advance_to(OPENS + 31 * SECOND)
    until(lambda: gateway.connections >= 2)
    until(lambda: feed.problem == "")


def test_the_thread_has_a_name_and_ends(feed: Feed) -> None:
    name = "interactive-brokers-market-data"
    assert name in {thread.name for thread in threading.enumerate()}
    feed.data.close()
    feed.data.close()
    assert name not in {thread.name for thread in threading.enumerate()}
    assert not feed.data.health().stream.is_connected
