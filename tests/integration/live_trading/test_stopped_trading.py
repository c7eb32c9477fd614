"""The kill switch against submitters that race it: after the trip nothing leaves, and what is open ends."""

from __future__ import annotations

import fcntl
import random
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO

import pytest

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.clock import SimulatedClock
from aegis.errors import BrokerUnavailable, ExecutionError
from aegis.execution.account_state import AccountState
from aegis.execution.brokers.simulated import SimulatedBroker
from aegis.execution.order_states import OrderState
from aegis.execution.orders import Order
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.kill_switch import KillSwitch
from aegis.live_trading.lease import Lease
from aegis.live_trading.sending_lock import SendingLock
from aegis.live_trading.stopping import stop_account
from aegis.risk.exit_view import ExitVerdict
from tests.integration.live_trading.trading_process import ACCOUNT, NoRules, config_in

SEED = 20260604
EVENING = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)
SUBMITTERS = 4
CANCELLED_WITHIN_SECONDS = 5.0


class CountingBroker(SimulatedBroker):
    """The simulated broker, which notes when orders reach it."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__(
            AccountState.opening(ACCOUNT, cash_usd=1e9), costs=CostModel(), rules=TradingRules(), clock=clock
        )
        self.arrived: list[float] = []

    def submit(self, order):
        self.arrived.append(time.monotonic())
        return super().submit(order)


def _trial(folder: Path, number: int, delay_seconds: float) -> None:
    """Let four threads submit, trip the switch after a while, and require silence and an empty book."""
    folder.mkdir()
    clock = SimulatedClock(EVENING)
    broker = CountingBroker(clock)
    config = config_in(folder, clock, reconcile_seconds=3600.0)
    switch = KillSwitch(config.kill_switch)
    with closing(ExecutionSystem(broker, config)) as system:
        stop = threading.Event()

        def submit(worker: int) -> None:
            count = 0
            while not stop.is_set():
                count += 1
                name = f"{number}-{worker}-{count}"
                status = system.submit_order(system.order("ABC", 1, name=name, arrival_price_usd=10.0))
                if status.state is OrderState.CANCELLED:
                    assert "kill switch" in _end_of(system, status.order.client_order_id)
                    return

        threads = [threading.Thread(target=submit, args=(worker,)) for worker in range(SUBMITTERS)]
        for thread in threads:
            thread.start()
        threading.Event().wait(delay_seconds)  # the instant is the trial's input
        assert stop_account(switch, reason="trial", actor="test", at_utc=EVENING).is_quiet
        tripped = time.monotonic()
        sent = len(broker.arrived)
        for thread in threads:
            thread.join()
        system.step()
        assert system.open_orders() == ()
        assert broker.open_orders() == ()
        assert time.monotonic() - tripped < CANCELLED_WITHIN_SECONDS
        assert len(broker.arrived) == sent
        assert all(arrived <= tripped for arrived in broker.arrived)
    broker_of_the_morning = CountingBroker(clock)
    with closing(ExecutionSystem(broker_of_the_morning, config)) as restarted:
        refused = restarted.submit_order(restarted.order("ABC", 1, name="after", arrival_price_usd=10.0))
        assert refused.state is OrderState.CANCELLED
    assert broker_of_the_morning.arrived == []


def _end_of(system: ExecutionSystem, client_order_id: str) -> str:
    events = system.ledger.recorded(date(2014, 6, 5), [client_order_id])
    return events[-1].reason


def _trials(folder: Path, count: int) -> None:
    delays = random.Random(SEED)  # noqa: S311 - the same instants in every run
    for number in range(count):
        _trial(folder / str(number), number, delays.uniform(0.0, 0.03))


def test_no_order_leaves_after_the_trip_and_everything_open_is_cancelled(tmp_path: Path) -> None:
    _trials(tmp_path, 5)


@pytest.mark.long
def test_in_a_thousand_trials_no_order_leaves_after_the_trip(tmp_path: Path) -> None:
    _trials(tmp_path, 1_000)


def test_an_order_of_which_no_rule_was_asked_does_not_leave(tmp_path: Path) -> None:
    class Forgetful(NoRules):
        def review(self, order: Order, *, is_replacement: bool = False) -> ExitVerdict:
            return replace(super().review(order, is_replacement=is_replacement), rows=())

    clock = SimulatedClock(EVENING)
    broker = CountingBroker(clock)
    with closing(ExecutionSystem(broker, config_in(tmp_path, clock, rules=lambda _: Forgetful()))) as system:
        status = system.submit_order(system.order("ABC", 1, name="unasked", arrival_price_usd=10.0))
        assert status.state is OrderState.REFUSED
        assert broker.arrived == []
        assert "no rule was asked" in str(system.ledger.journal.events(client_order_ids=[status.order.client_order_id]))


def test_an_order_on_its_way_is_waited_for_and_said(tmp_path: Path) -> None:
    clock = SimulatedClock(EVENING)
    entered, leave = threading.Event(), threading.Event()

    class SlowBroker(CountingBroker):
        def submit(self, order):
            entered.set()
            leave.wait()
            return super().submit(order)

    config = config_in(tmp_path, clock)
    switch = KillSwitch(config.kill_switch)
    with closing(ExecutionSystem(SlowBroker(clock), config)) as system:
        order = system.order("ABC", 1, name="slow", arrival_price_usd=10.0)
        thread = threading.Thread(target=system.submit_order, args=(order,))
        thread.start()
        entered.wait()
        late = stop_account(switch, reason="trial", actor="test", at_utc=EVENING, timeout_seconds=0.05)
        assert not late.is_quiet
        leave.set()
        thread.join()
        assert stop_account(switch, reason="again", actor="test", at_utc=EVENING).is_quiet
        system.step()
        assert system.open_orders() == ()


def test_files_that_are_deleted_or_in_the_way_hide_no_order_that_is_on_its_way(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path / "switches" / "paper.json")
    lock = SendingLock.beside(switch.path)

    def stop() -> bool:
        return stop_account(switch, reason="x", actor="ada", at_utc=EVENING, timeout_seconds=0.02).is_quiet

    with lock.sending(), lock.sending():
        for file in switch.path.parent.iterdir():
            file.unlink()
        assert not stop()
        for file in switch.path.parent.iterdir():
            file.unlink()
        assert not stop()
    assert stop()
    (switch.path.parent / "paper.sending.lock").mkdir()  # where a lock was once
    assert stop()


def test_a_stop_that_cannot_see_who_sends_is_made_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refused)  # as a network's file system does
    switch = KillSwitch(tmp_path / "kill.json")
    stopped = stop_account(switch, reason="x", actor="ada", at_utc=EVENING)
    assert (stopped.is_quiet, switch.is_engaged()) == (False, True)
    assert "it cannot be seen whether an order was on its way (no locks available)" in stopped.told
    with pytest.raises(OSError, match="no locks"), SendingLock.beside(switch.path).sending():
        pytest.fail("an order would leave that no stop can see")


def test_two_processes_do_not_trade_one_account(tmp_path: Path) -> None:
    clock = SimulatedClock(EVENING)
    config = config_in(tmp_path, clock)
    with (
        closing(ExecutionSystem(CountingBroker(clock), config)),
        pytest.raises(ExecutionError, match=r"account paper is traded by process \d+ on .* already; nothing was sent"),
    ):
        ExecutionSystem(CountingBroker(clock), config)
    with closing(ExecutionSystem(CountingBroker(clock), config)) as system:
        assert system.breaks == ()


@pytest.mark.parametrize("there_is_another", [False, True])
def test_a_process_whose_lease_file_is_deleted_stops_the_account(tmp_path: Path, there_is_another: bool) -> None:
    clock = SimulatedClock(EVENING)
    config, broker = config_in(tmp_path, clock), CountingBroker(clock)
    with ExitStack() as living:
        first = living.enter_context(closing(ExecutionSystem(broker, config)))
        first.submit_order(first.order("ABC", 1, name="open", arrival_price_usd=10.0))
        first.step()
        assert not KillSwitch(config.kill_switch).is_engaged()
        config.lease.unlink()
        if there_is_another:
            second = living.enter_context(closing(ExecutionSystem(CountingBroker(clock), config)))
            second.step()
            assert not KillSwitch(config.kill_switch).is_engaged(), "it holds the lease that is there"
        first.step()
        assert "was deleted or replaced, so another process may trade account paper too" in first.stopped
        assert broker.open_orders() == ()
        after = first.submit_order(first.order("ABC", 1, name="after", arrival_price_usd=10.0))
        assert after.state is OrderState.CANCELLED
        assert len(broker.arrived) == 1


def test_a_lease_file_that_is_deleted_while_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, path, taken = fcntl.flock, tmp_path / "lease.json", []

    def after_a_deletion(file: IO[str], operation: int) -> None:
        if not taken:
            path.unlink()
        taken.append(operation)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", after_a_deletion)
    with Lease(path, account="paper", since_utc=EVENING) as lease:
        assert lease.lost == ""
        with pytest.raises(ExecutionError, match="already"):
            Lease(path, account="paper", since_utc=EVENING).__enter__()
    assert len(taken) >= 3


def test_an_order_that_cannot_be_cancelled_is_said_for_as_long_as_it_is_open(tmp_path: Path) -> None:
    clock = SimulatedClock(EVENING)

    class DeafBroker(CountingBroker):
        def cancel(self, client_order_id):
            raise BrokerUnavailable(f"order {client_order_id}: no answer")

    config = config_in(tmp_path, clock, poll_seconds=0.005)
    with ExecutionSystem(DeafBroker(clock), config) as system:
        system.submit_order(system.order("ABC", 1, name="one", arrival_price_usd=10.0))
        KillSwitch(config.kill_switch).engage("trial", actor="test", at_utc=EVENING)
        until = time.monotonic() + 10.0
        while not system.last_failure and time.monotonic() < until:
            threading.Event().wait(0.001)
        for _ in range(100):
            assert "no answer" in system.last_failure
            threading.Event().wait(0.001)
        assert len(system.sent_orders()) == 1


def test_a_listener_that_died_lets_nothing_open_leave(tmp_path: Path) -> None:
    clock = SimulatedClock(EVENING)

    class BrokenBroker(CountingBroker):
        breaks = threading.Event()

        def events_since(self, sequence):
            if self.breaks.is_set():
                raise RuntimeError("a defect")
            return super().events_since(sequence)

    broker = BrokenBroker(clock)
    with ExecutionSystem(broker, config_in(tmp_path, clock, poll_seconds=0.005)) as system:
        broker.breaks.set()
        until = time.monotonic() + 10.0
        while not system.breaks and time.monotonic() < until:
            threading.Event().wait(0.005)
        with pytest.raises(ExecutionError, match=r"listening to the broker met RuntimeError\('a defect'\)"):
            system.submit_order(system.order("ABC", 1, name="one", arrival_price_usd=10.0))
    assert broker.arrived == []
