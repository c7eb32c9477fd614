"""Trading at Interactive Brokers killed at every request, every message and random instants: nothing twice or lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aegis.clock import SimulatedClock
from aegis.live_trading.execution_system import ExecutionSystem
from tests.integration.live_trading import interactive_brokers_process as trading
from tests.integration.live_trading.forked_runs import ForkedRuns, forked_runs
from tests.integration.live_trading.killed_runs import (
    INSTANTS,
    kill_at_each,
    kill_at_random_instants,
    require_journal,
    require_settled,
    some_boundaries,
)
from tests.integration.live_trading.trading_process import IN_SESSION, config_in, rebalance
from tests.integration.vendors.tws.gateway import Request
from tests.integration.vendors.tws.order_messages import Order
from tests.integration.venues.interactive_brokers.venue import InteractiveBrokersVenue

FEWEST_BOUNDARIES = 100
CASH_USD = 2_000.0


class Trading:
    """Starts trading runs at a venue with a new account each and kills them."""

    def __init__(self, runs: ForkedRuns, venue: InteractiveBrokersVenue) -> None:
        self._runs, self._venue = runs, venue
        self._counting = threading.Lock()
        self.boundaries = 0

    def run(self, folder: Path, *, kill_at: int | None = None, kill_after_seconds: float | None = None) -> str:
        """Run to the end, to a boundary or to an instant, and return the run's last word; empty where it was killed."""
        folder.mkdir(parents=True, exist_ok=True)
        venue = self._venue
        venue.begin_again()
        venue.desk.move_to(IN_SESSION)
        venue.desk.cash_usd = CASH_USD
        self.boundaries = 0

        def boundary(request: Request | None) -> None:
            with self._counting:
                number, self.boundaries = self.boundaries, self.boundaries + 1
            if request is not None:
                fill_the_first_half(venue)
            if number == kill_at:
                self._runs.kill()

        venue.gateway.boundary = boundary
        try:
            return self._runs.run(venue.gateway.port, folder, kill_after_seconds=kill_after_seconds)
        finally:
            venue.gateway.boundary = lambda _: None


def fill_the_first_half(venue: InteractiveBrokersVenue) -> None:
    """Fill half of the first order as soon as it is there, whoever listens."""
    for order in list(venue.desk.orders):
        if order.contract.symbol == "ABC" and order.order_type == "MKT" and order.is_open and not order.executions:
            venue.tell(*venue.desk.fill(order, 50.0, 10.01))


@pytest.fixture(scope="module")
def venue() -> Iterator[InteractiveBrokersVenue]:
    with InteractiveBrokersVenue() as started:
        yield started


@pytest.fixture(scope="module")
def runs(venue: InteractiveBrokersVenue) -> Iterator[Trading]:
    with forked_runs(trading.__name__) as started:
        yield Trading(started, venue)


def require_recovered(venue: InteractiveBrokersVenue, folder: Path) -> None:
    """Trade the same rebalance again, let the venue fill the rest, and compare the books with the venue's."""
    began = time.monotonic()
    clock, desk = SimulatedClock(IN_SESSION), venue.desk
    with (
        trading.broker_at(venue.gateway.port, clock) as broker,
        closing(ExecutionSystem(broker, config_in(folder, clock))) as system,
    ):
        rebalance(system)
        fill_the_first_half(venue)
        venue.tell(*desk.fill(order_at(venue, "ABC", "MKT"), 50.0, 10.02))
        venue.tell(*desk.fill(order_at(venue, "ABC", "LMT"), 50.0, 8.50))
        require_settled(system, broker, began=began)
    told = sorted((done.shares, done.price) for order in desk.orders for done in order.executions)
    assert told == [(50.0, 8.5), (50.0, 10.01), (50.0, 10.02)]
    require_journal(folder, told, held={"ABC": 150.0})
    received = Counter(order.reference for order in desk.orders)
    assert (len(received), set(received.values())) == (4, {1}), "three orders, and one that is too large"
    assert set(desk.accepted.values()) == {1}
    assert len(desk.accepted) == 3
    assert float(order_at(venue, "ABC", "LMT").limit_price) == 8.5
    assert [order.status for order in desk.orders if order.contract.symbol == "DEF"] == ["Cancelled", "Inactive"]


def order_at(venue: InteractiveBrokersVenue, symbol: str, order_type: str) -> Order:
    (found,) = (
        order for order in venue.desk.orders if (order.contract.symbol, order.order_type) == (symbol, order_type)
    )
    return found


def whole(runs: Trading, folder: Path) -> int:
    """Trade without dying, and return how many boundaries there are."""
    assert runs.run(folder) == trading.COMPLETE
    return runs.boundaries


def test_a_rebalance_killed_at_a_request_or_message_is_finished_once_by_the_next_process(
    runs: Trading, venue: InteractiveBrokersVenue, tmp_path: Path
) -> None:
    (number,) = some_boundaries(FEWEST_BOUNDARIES, 1)
    assert runs.run(tmp_path, kill_at=number) == ""
    require_recovered(venue, tmp_path)


@pytest.mark.long
def test_a_rebalance_killed_at_each_request_and_message_is_finished_once_by_the_next_process(
    runs: Trading, venue: InteractiveBrokersVenue, tmp_path: Path
) -> None:
    boundaries = whole(runs, tmp_path / "whole")
    assert boundaries > FEWEST_BOUNDARIES

    def run(folder: Path, number: int) -> str:
        word = runs.run(folder, kill_at=number)
        assert word in ("", trading.COMPLETE)
        return word

    assert kill_at_each(boundaries, tmp_path, run, lambda folder: require_recovered(venue, folder)) > 0.9 * boundaries


@pytest.mark.long
def test_a_rebalance_killed_at_a_hundred_random_instants_is_finished_once_by_the_next_process(
    runs: Trading, venue: InteractiveBrokersVenue, tmp_path: Path
) -> None:
    killed = kill_at_random_instants(
        tmp_path,
        lambda folder, seconds: runs.run(folder, kill_after_seconds=seconds),
        lambda folder: require_recovered(venue, folder),
    )
    assert killed >= INSTANTS
