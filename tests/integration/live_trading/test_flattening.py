"""A stop that closes every position: only with a request, only what reduces, once, and whatever dies on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aegis.clock import SimulatedClock
from aegis.execution.decisions import DecisionEventKind
from aegis.execution.journal import Journal
from aegis.execution.order_states import OrderState
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.exit_permits import flatten_kind, flatten_request
from aegis.live_trading.flattening import flatten_progress
from aegis.live_trading.held_positions import journalled_positions
from aegis.live_trading.kill_switch import KillSwitch
from tests.integration.live_trading import trading_process as trading
from tests.integration.live_trading.forked_runs import forked_runs
from tests.integration.live_trading.test_killed_trading import Trading
from tests.integration.monitoring.watched_account import WatchedAccount
from tests.integration.vendors.vendor_server import Status
from tests.integration.venues.alpaca.rest import Before
from tests.integration.venues.alpaca.server import AlpacaVenue

EVENING = datetime(2014, 6, 5, 21, tzinfo=UTC)


@pytest.fixture
def venue(venue: AlpacaVenue) -> AlpacaVenue:
    venue.book.book("ABC", Decimal(40), Decimal(10))
    venue.book.book("DEF", Decimal(-5), Decimal(20))
    return venue


class Desk:
    """One life of a process that holds 40 ABC and owes 5 DEF."""

    def __init__(self, venue: AlpacaVenue, folder: Path, at_utc: datetime) -> None:
        self.clock = SimulatedClock(at_utc)
        self.venue = venue
        self._open = ExitStack()
        self.broker = self._open.enter_context(trading.broker_at(venue.rest.url, venue.stream.url, self.clock))
        self.config = trading.config_in(folder, self.clock)
        self.switch = KillSwitch(self.config.kill_switch)
        self.system = self._open.enter_context(closing(ExecutionSystem(self.broker, self.config)))

    def stop(self, *, flatten: bool = True) -> None:
        """Engage the switch, with the request."""
        self.switch.engage("enough", actor="ada", at_utc=self.clock.now_utc(), flatten=flatten)

    def fill(self, shares: str = "") -> None:
        """Fill what is open at the venue, whole or so many shares."""
        for order in list(self.venue.book.orders.values()):
            if order["status"] in ("new", "partially_filled"):
                rest = Decimal(order["qty"]) - Decimal(order["filled_qty"])
                self.venue.book.fill(order["client_order_id"], shares or str(rest), "10.00")
        self.broker.catch_up()

    @property
    def progress(self) -> tuple[str, dict[str, float], str]:
        found = flatten_progress(self.config.kill_switch)
        assert found is not None
        return found.state, dict(found.left), found.told

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def start(venue: AlpacaVenue, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with ExitStack() as living:

        def started(at_utc: datetime = trading.IN_SESSION) -> Desk:
            desk = Desk(venue, tmp_path, at_utc)
            living.callback(desk.close)
            return desk

        yield started


def _sides(venue: AlpacaVenue) -> list[tuple[str, str, str]]:
    return sorted((order["symbol"], order["side"], order["qty"]) for order in venue.book.orders.values())


def test_everything_open_is_cancelled_and_then_every_position_closed_once(venue, start) -> None:
    desk = start()
    limit = {"order_type": "limit", "limit_price_usd": 9.0, "arrival_price_usd": 10.0}
    desk.system.submit_order(desk.system.order("ABC", 10, name="rests", **limit))
    desk.stop()
    for _ in range(4):
        desk.system.step()
        desk.broker.catch_up()
    assert _sides(venue) == [("ABC", "buy", "10"), ("ABC", "sell", "40"), ("DEF", "buy", "5")]
    assert desk.progress == ("closing", {"ABC": 40.0, "DEF": -5.0}, "")
    desk.stop()
    desk.stop(flatten=False)
    desk.fill()
    desk.system.step()
    assert desk.progress == ("flat", {}, "")
    desk.stop()
    desk.system.step()
    assert len(venue.book.orders) == 3
    assert {order["status"] for order in venue.book.orders.values() if order["side"] != "buy"} == {"filled"}
    assert desk.system.get_positions() == ()
    assert journalled_positions(desk.system.ledger._journal) == {}


def test_an_order_that_cannot_be_cancelled_keeps_no_other_symbol_from_being_closed(venue, start) -> None:
    desk = start()
    limit = {"order_type": "limit", "limit_price_usd": 9.0, "arrival_price_usd": 10.0}
    desk.system.submit_order(desk.system.order("DEF", 1, name="rests", **limit))
    venue.rest.script("DELETE", *[Before(Status(503))] * 100)
    desk.stop()
    desk.system.step()
    assert _sides(venue) == [("ABC", "sell", "40"), ("DEF", "buy", "1")]
    assert "requests to cancel it, and it is still open" in desk.system.last_failure
    venue.rest.heal()
    for _ in range(3):
        desk.system.step()
        desk.broker.catch_up()
    assert _sides(venue) == [("ABC", "sell", "40"), ("DEF", "buy", "1"), ("DEF", "buy", "5")]


def test_nothing_is_closed_without_the_request_or_after_a_release(venue, start) -> None:
    desk = start()
    desk.stop(flatten=False)
    desk.system.step()
    assert venue.book.orders == {}
    desk.stop()
    assert desk.switch.status().flatten
    desk.switch.release("a mistake", actor="ada", at_utc=desk.clock.now_utc())
    assert desk.switch.status().flatten == ""
    desk.stop(flatten=False)
    desk.system.step()
    assert venue.book.orders == {}


def test_a_request_waits_for_the_open_and_survives_restarts(venue, start) -> None:
    desk = start(EVENING)
    desk.stop()
    desk.system.step()
    state, left, told = desk.progress
    assert (state, left) == ("waiting", {"ABC": 40.0, "DEF": -5.0})
    assert "the market of session 2014-06-06 is closed" in told
    desk.close()
    desk = start()
    desk.system.step()
    desk.close()
    desk = start(trading.IN_SESSION + timedelta(seconds=5))
    desk.system.step()
    assert _sides(venue) == [("ABC", "sell", "40"), ("DEF", "buy", "5")]
    assert set(venue.book.accepted.values()) == {1}


def test_what_an_order_left_is_closed_by_the_next(venue, start) -> None:
    desk = start()
    desk.stop()
    desk.system.step()
    (sale,) = [order for order in venue.book.orders.values() if order["symbol"] == "ABC"]
    desk.venue.book.fill(sale["client_order_id"], "15", "10.00")
    desk.venue.book.end(sale["client_order_id"], "canceled")
    desk.broker.catch_up()
    desk.system.step()
    desk.system.step()
    assert _sides(venue) == [("ABC", "sell", "25"), ("ABC", "sell", "40"), ("DEF", "buy", "5")]
    desk.fill()
    desk.system.step()
    assert desk.progress[0] == "flat"


def test_a_broker_whose_positions_lag_its_executions_does_not_make_us_sell_twice(venue, start) -> None:
    desk = start()
    desk.stop()
    desk.system.step()
    desk.fill()
    venue.book.positions["ABC"] = (Decimal(40), Decimal(10))  # what it held before the sale
    for second in (1, 5, 9):
        desk.clock.advance_to(trading.IN_SESSION + timedelta(seconds=second))
        desk.system.step()
    assert "our books say 0 shares, the broker 40" in desk.progress[2]
    del venue.book.positions["ABC"]
    desk.clock.advance_to(trading.IN_SESSION + timedelta(seconds=30))
    desk.system.step()
    assert desk.progress[0] == "flat"
    assert len(venue.book.orders) == 2


def test_a_position_that_others_trade_at_is_left_to_a_person(venue, start) -> None:
    stranger = {"symbol": "ABC", "qty": "3", "side": "sell", "type": "limit", "limit_price": "12"}
    venue.book.submit({**stranger, "time_in_force": "day", "client_order_id": "typed-by-hand"})
    desk = start()
    desk.stop()
    desk.system.step()
    state, _, told = desk.progress
    assert (state, "symbol_has_no_other_open_order" in told) == ("waiting", True)
    assert [order["side"] for order in venue.book.orders.values() if order["symbol"] == "DEF"] == ["buy"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"quantity_shares": -41.0}, "order_only_reduces_what_the_broker_holds"),
        ({"quantity_shares": 1.0}, "order_only_reduces_what_the_broker_holds"),
        ({"symbol": "GHI", "ticker": "GHI"}, "order_only_reduces_what_the_broker_holds"),
        ({"order_type": "limit", "limit_price_usd": 10.0}, "order_is_at_the_market"),
        ({"time_in_force": "GTC"}, "order_is_at_the_market"),
    ],
)
def test_only_what_closes_a_position_leaves_under_the_request(venue, start, change: dict[str, Any], rule) -> None:
    desk = start()
    desk.stop()
    request = desk.switch.status().flatten
    asked = desk.system.order("ABC", -40, name="asked", arrival_price_usd=10.0)
    kind = flatten_kind(request, "ABC")
    forged = replace(asked, decision_id=asked.decision_id.replace("asked:asked", kind), is_reducing=True, **change)
    assert flatten_request(forged.decision_id) == request
    status = desk.system.submit_order(forged)
    assert status.state is OrderState.REFUSED
    (said,) = desk.system.ledger.asides(forged.client_order_id, DecisionEventKind.EXIT_VERDICT)
    assert [row["rule"] for row in said["rows"] if row["outcome"] != "pass"] == [rule]
    assert venue.book.orders == {}


def test_another_request_and_an_ordinary_order_do_not_leave(venue, start) -> None:
    desk = start()
    desk.stop()
    asked = desk.system.order("ABC", -40, name="asked", arrival_price_usd=10.0, is_reducing=True)
    assert desk.system.submit_order(asked).state is OrderState.CANCELLED
    kind = flatten_kind("20140606T133000.000000Z", "ABC")
    forged = replace(asked, decision_id=asked.decision_id.replace("asked:asked", kind), client_order_id="f" * 32)
    assert desk.system.submit_order(forged).state is OrderState.REFUSED
    assert venue.book.orders == {}


def test_it_closes_what_every_limit_would_keep_without_a_quote_or_a_clock(running, tmp_path) -> None:
    running.begin_again()
    running.book.is_open, running.book.now_utc = True, trading.IN_SESSION
    account = WatchedAccount(running, tmp_path, max_order_shares=5, max_daily_loss=0.01)
    account.hear()
    running.book.book("ABC", Decimal(40), Decimal(10))
    account.system.take_over_positions(reason="a gift", actor="ada")
    running.book.charge("300", "three per cent")
    account.dead = {"quotes", "stream", "feed"}
    KillSwitch(account.config.kill_switch).engage("x", actor="ada", at_utc=account.clock.now_utc(), flatten=True)
    account.look(120)
    for order in list(running.book.orders.values()):
        running.book.fill(order["client_order_id"], order["qty"], "10.00")
    account.broker.catch_up()
    snapshot = account.look(1)
    account.close()
    assert _sides(running) == [("ABC", "sell", "40")]
    assert (snapshot.positions, snapshot.kill_switch != "") == ((), True)


class DiedError(BaseException):
    """The process is gone: nobody catches it."""


@pytest.mark.parametrize("sends_first", [False, True])
def test_a_process_that_dies_while_it_sends_leaves_one_order(venue, start, sends_first: bool) -> None:
    desk = start()
    desk.stop()
    send = desk.broker.submit

    def dies(order):
        if sends_first:
            send(order)
        raise DiedError

    desk.broker.submit = dies
    with pytest.raises(DiedError):
        desk.system.step()
    desk.close()
    assert len(venue.book.orders) == int(sends_first)
    desk = start()
    for _ in range(3):
        desk.system.step()
        desk.fill()
    desk.system.step()
    assert _sides(venue) == [("ABC", "sell", "40"), ("DEF", "buy", "5")]
    assert desk.progress[0] == "flat"


class FlattenRuns(Trading):
    """Starts processes that flatten, and kills them at a request to the venue, which fills what they sell."""

    def _begin_again(self, kill_at: int | None) -> None:
        venue = self._venue

        def boundary(number: int) -> None:
            for order in list(venue.book.orders.values()):
                if order["filled_qty"] == "0":
                    venue.book.fill(order["client_order_id"], order["qty"], "10.00")
            if number == kill_at:
                self._runs.kill()

        venue.rest.boundary = boundary


@pytest.fixture(scope="module")
def runs(running: AlpacaVenue) -> Iterator[FlattenRuns]:
    with forked_runs(trading.__name__) as started:
        yield FlattenRuns(started, running)


def _hold(venue: AlpacaVenue) -> None:
    venue.begin_again()
    venue.book.is_open, venue.book.now_utc = True, trading.IN_SESSION
    venue.book.book("ABC", Decimal(40), Decimal(10))
    venue.book.book("DEF", Decimal(-5), Decimal(20))


def _killed_and_finished(runs: FlattenRuns, venue: AlpacaVenue, folder: Path, kill_at: int) -> None:
    _hold(venue)
    runs.run(folder, kill_at=kill_at)
    began = time.monotonic()
    assert runs.run(folder) == "complete"
    assert time.monotonic() - began < 60.0
    assert sorted(_sides(venue)) == [("ABC", "sell", "40"), ("DEF", "buy", "5")], f"killed at {kill_at}"
    assert set(venue.book.accepted.values()) == {1}
    assert {symbol for symbol, (shares, _) in venue.book.positions.items() if shares} == set()
    progress = flatten_progress(folder / "kill.json")
    assert progress is not None
    assert progress.state == "flat"
    with Journal.open(folder / "journal.sqlite", account=trading.ACCOUNT) as journal:
        journal.verify()
        assert journalled_positions(journal) == {}


def _boundaries(runs: FlattenRuns, venue: AlpacaVenue, folder: Path) -> int:
    _hold(venue)
    assert runs.run(folder) == "complete"
    return 2 * len(venue.rest.calls)


@pytest.mark.long
def test_a_flattening_killed_at_each_boundary_is_finished_once(runs, running, tmp_path: Path) -> None:
    boundaries = _boundaries(runs, running, tmp_path / "flatten-whole")
    assert boundaries > 20
    for number in range(boundaries):
        _killed_and_finished(runs, running, tmp_path / f"flatten-{number}", number)
