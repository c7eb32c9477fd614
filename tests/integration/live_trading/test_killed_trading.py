"""Trading processes killed at every request to the venue and at random instants: nothing twice, nothing lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from aegis.clock import SimulatedClock
from aegis.execution.order_states import OrderState
from aegis.live_trading.execution_system import ExecutionSystem
from tests.integration.live_trading import trading_process as trading
from tests.integration.live_trading.forked_runs import ForkedRuns, forked_runs
from tests.integration.live_trading.killed_runs import (
    INSTANTS,
    kill_at_each,
    kill_at_random_instants,
    require_journal,
    require_settled,
    some_boundaries,
)
from tests.integration.venues.alpaca.server import AlpacaVenue


class Trading:
    """Starts trading runs at a venue and kills them."""

    def __init__(self, runs: ForkedRuns, venue: AlpacaVenue) -> None:
        self._runs = runs
        self._venue = venue

    def run(self, folder: Path, *, kill_at: int | None = None, kill_after_seconds: float | None = None) -> str:
        """Run to the end, to a boundary of the venue or to an instant, and return the run's last word."""
        folder.mkdir(parents=True, exist_ok=True)
        self._begin_again(kill_at)
        venue = self._venue
        return self._runs.run(venue.rest.url, venue.stream.url, folder, kill_after_seconds=kill_after_seconds)

    def _begin_again(self, kill_at: int | None) -> None:
        venue = self._venue
        venue.begin_again()
        venue.book.is_open, venue.book.now_utc = True, trading.IN_SESSION
        venue.book.cash = Decimal(2_000)

        def boundary(number: int) -> None:
            fill_the_first_half(venue)
            if number == kill_at:
                self._runs.kill()

        venue.rest.boundary = boundary


def fill_the_first_half(venue: AlpacaVenue) -> None:
    """Fill half of the first order as soon as it is there, whoever listens."""
    for order in list(venue.book.orders.values()):
        if order["symbol"] == "ABC" and order["type"] == "market" and order["filled_qty"] == "0":
            venue.book.fill(order["client_order_id"], "50", "10.01")


@pytest.fixture(scope="module")
def venue() -> Iterator[AlpacaVenue]:
    with AlpacaVenue() as started:
        yield started


@pytest.fixture(scope="module")
def runs(venue: AlpacaVenue) -> Iterator[Trading]:
    with forked_runs(trading.__name__) as started:
        yield Trading(started, venue)


def require_recovered(venue: AlpacaVenue, folder: Path) -> None:
    """Trade the same rebalance again, let the venue fill the rest, and compare the books with the venue's."""
    began = time.monotonic()
    clock = SimulatedClock(trading.IN_SESSION)
    with (
        trading.broker_at(venue.rest.url, venue.stream.url, clock) as broker,
        closing(ExecutionSystem(broker, trading.config_in(folder, clock))) as system,
    ):
        trading.rebalance(system)
        with venue.book.lock:
            fill_the_first_half(venue)
            venue.book.fill(_order(venue, "ABC", "market")["client_order_id"], "50", "10.02")
            venue.book.fill(_order(venue, "ABC", "limit")["client_order_id"], "50", "8.50")
        require_settled(system, broker, began=began)
    told = [(float(row["qty"]), float(row["price"])) for row in venue.book.activities]
    require_journal(folder, told, held={"ABC": 150.0})
    assert set(venue.book.accepted.values()) == {1}, venue.book.accepted
    assert len(venue.book.accepted) == 4, "three orders and one replacement"
    assert [order["status"] for order in venue.book.orders.values() if order["symbol"] == "DEF"] == ["canceled"]


def _order(venue: AlpacaVenue, symbol: str, kind: str) -> dict[str, str]:
    found = [o for o in venue.book.orders.values() if (o["symbol"], o["type"]) == (symbol, kind)]
    return found[-1]


def _boundaries(runs: Trading, venue: AlpacaVenue, folder: Path) -> int:
    assert runs.run(folder) == "complete"
    return 2 * len(venue.rest.calls)


def test_a_rebalance_killed_at_a_request_is_finished_once_by_the_next_process(
    runs: Trading, venue: AlpacaVenue, tmp_path: Path
) -> None:
    boundaries = _boundaries(runs, venue, tmp_path / "whole")
    for number in some_boundaries(boundaries, 2):
        folder = tmp_path / str(number)
        runs.run(folder, kill_at=number)
        require_recovered(venue, folder)


@pytest.mark.long
def test_a_rebalance_killed_at_each_boundary_is_finished_once_by_the_next_process(
    runs: Trading, venue: AlpacaVenue, tmp_path: Path
) -> None:
    boundaries = _boundaries(runs, venue, tmp_path / "whole")
    assert boundaries > 20

    def run(folder: Path, number: int) -> str:
        word = runs.run(folder, kill_at=number)
        assert word in ("", "complete")
        return word

    assert kill_at_each(boundaries, tmp_path, run, lambda folder: require_recovered(venue, folder)) > 0


@pytest.mark.long
def test_a_rebalance_killed_at_a_hundred_random_instants_is_finished_once_by_the_next_process(
    runs: Trading, venue: AlpacaVenue, tmp_path: Path
) -> None:
    killed = kill_at_random_instants(
        tmp_path,
        lambda folder, seconds: runs.run(folder, kill_after_seconds=seconds),
        lambda folder: require_recovered(venue, folder),
    )
    assert killed >= INSTANTS


def test_a_filled_order_stays_filled_when_its_rebalance_is_run_again(
    runs: Trading, venue: AlpacaVenue, tmp_path: Path
) -> None:
    assert runs.run(tmp_path) == "complete"
    require_recovered(venue, tmp_path)
    accepted = dict(venue.book.accepted)
    clock = SimulatedClock(trading.IN_SESSION)
    with (
        trading.broker_at(venue.rest.url, venue.stream.url, clock) as broker,
        closing(ExecutionSystem(broker, trading.config_in(tmp_path, clock))) as system,
    ):
        buy = system.order("ABC", 100, name="buy", arrival_price_usd=10.0)
        assert system.submit_order(buy).state is OrderState.FILLED
    assert venue.book.accepted == accepted
