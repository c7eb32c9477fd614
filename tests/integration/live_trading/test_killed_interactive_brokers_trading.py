"""Trading at Interactive Brokers killed at every request, every message and random instants: nothing twice or lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aegis.clock import SimulatedClock
from aegis.execution.journal import Journal
from aegis.execution.order_projections import recorded_fills
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.held_positions import journalled_positions
from tests.integration.live_trading import interactive_brokers_process as trading
from tests.integration.live_trading.forked_runs import ForkedRuns, forked_runs
from tests.integration.live_trading.trading_process import ACCOUNT, IN_SESSION, config_in, rebalance
from tests.integration.vendors.tws.gateway import Request
from tests.integration.vendors.tws.order_messages import Order
from tests.integration.venues.interactive_brokers.venue import InteractiveBrokersVenue

SEED = 20260604
INSTANTS = 100
FEWEST_BOUNDARIES = 100
LATEST_KILL_SECONDS = 0.35
RESTARTED_WITHIN_SECONDS = 60.0
CASH_USD = 2_000.0


class Trading:
    """Starts trading runs at a venue with a new account each and kills them."""

    def __init__(self, runs: ForkedRuns, venue: InteractiveBrokersVenue) -> None:
        self._runs, self._venue = runs, venue
        self._counting = threading.Lock()
        self.boundaries = 0
        self.killed = 0

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
            word = self._runs.run(venue.gateway.port, folder, kill_after_seconds=kill_after_seconds)
        finally:
            venue.gateway.boundary = lambda _: None
        self.killed += word == ""
        return word


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
        while system.open_orders():
            broker.catch_up()
            system.step()
            assert time.monotonic() - began < RESTARTED_WITHIN_SECONDS
        assert system.reconcile().breaks == ()
    with Journal.open(folder / "journal.sqlite", account=ACCOUNT) as journal:
        journal.verify()
        fills = recorded_fills(journal, first=IN_SESSION.date(), last=IN_SESSION.date())
        assert journalled_positions(journal) == {"ABC": 150.0}
    told = sorted((done.shares, done.price) for order in desk.orders for done in order.executions)
    assert sorted((fill.quantity_shares, fill.price_usd) for fill in fills) == told
    assert told == [(50.0, 8.5), (50.0, 10.01), (50.0, 10.02)]
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
    number = random.Random(SEED).randrange(FEWEST_BOUNDARIES)  # noqa: S311 - the same boundary in every run
    assert runs.run(tmp_path, kill_at=number) == ""
    require_recovered(venue, tmp_path)


@pytest.mark.long
def test_a_rebalance_killed_at_each_request_and_message_is_finished_once_by_the_next_process(
    runs: Trading, venue: InteractiveBrokersVenue, tmp_path: Path
) -> None:
    boundaries = whole(runs, tmp_path / "whole")
    assert boundaries > FEWEST_BOUNDARIES
    before = runs.killed
    for number in range(boundaries):
        folder = tmp_path / str(number)
        assert runs.run(folder, kill_at=number) in ("", trading.COMPLETE)
        require_recovered(venue, folder)
    assert runs.killed - before > 0.9 * boundaries


@pytest.mark.long
def test_a_rebalance_killed_at_a_hundred_random_instants_is_finished_once_by_the_next_process(
    runs: Trading, venue: InteractiveBrokersVenue, tmp_path: Path
) -> None:
    instants, before = random.Random(SEED), runs.killed  # noqa: S311 - the same instants in every run
    for number in range(INSTANTS):
        folder = tmp_path / str(number)
        runs.run(folder, kill_after_seconds=instants.uniform(0.0, LATEST_KILL_SECONDS))
        require_recovered(venue, folder)
    assert runs.killed - before >= 50
