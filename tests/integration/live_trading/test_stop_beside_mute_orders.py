"""A stop while a venue does not answer for some orders: all others are cancelled at theirs within the bound.

The venues are mute for 10 s, tried four times, as the settings are where nobody changes them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest

from aegis.clock import SimulatedClock
from aegis.errors import AegisError, BrokerUnavailable
from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.brokers.interactive_brokers import InteractiveBrokersBroker
from aegis.execution.brokers.multi import MultiBroker
from aegis.execution.brokers.order_routes import OrderRoutes, Route
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order
from aegis.live_trading import concurrent_cancels, stop_watch
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.kill_switch import KillSwitch
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, config_in
from tests.integration.vendors.tws.faults import Silence
from tests.integration.vendors.tws.wire import ToGateway
from tests.integration.vendors.vendor_server import Hang, Status
from tests.integration.venues.alpaca.connections import alpaca_settings
from tests.integration.venues.alpaca.rest import Before
from tests.integration.venues.alpaca.server import AFTER_THE_CLOSE, AlpacaVenue
from tests.integration.venues.interactive_brokers.venue import InteractiveBrokersVenue, interactive_brokers_settings

STOPPED_WITHIN_SECONDS = 5.0
"""Issue 5: all open orders are cancelled within 5 s."""
MUTE_SECONDS = 10.0
BY_SYMBOL = (Route((("alpaca", 1.0),), frozenset({"ABC"})), Route((("ib", 1.0),), frozenset({"DEF"})))


@pytest.fixture
def alpaca(running: AlpacaVenue) -> AlpacaVenue:
    running.begin_again()
    return running


@pytest.fixture
def ib(gateway: InteractiveBrokersVenue) -> InteractiveBrokersVenue:
    gateway.begin_again()
    return gateway


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    yield
    until = time.monotonic() + STOPPED_WITHIN_SECONDS
    while cancelling():
        assert time.monotonic() < until, cancelling()
        time.sleep(0.01)


def cancelling() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("cancels-")]


def ib_broker(venue: InteractiveBrokersVenue, clock: SimulatedClock) -> InteractiveBrokersBroker:
    patient = {"answer_timeout_seconds": MUTE_SECONDS, "connect_timeout_seconds": MUTE_SECONDS, "attempts": 4}
    settings = interactive_brokers_settings(venue, **patient)
    return InteractiveBrokersBroker(settings, account=ACCOUNT, calendar=CALENDAR, clock=clock)


def alpaca_broker(venue: AlpacaVenue, clock: SimulatedClock, **terms: Any) -> AlpacaBroker:
    return AlpacaBroker(alpaca_settings(venue, **terms), account=ACCOUNT, calendar=CALENDAR, clock=clock)


def both(alpaca: AlpacaVenue, ib: InteractiveBrokersVenue, clock: SimulatedClock) -> MultiBroker:
    brokers = {"alpaca": alpaca_broker(alpaca, clock), "ib": ib_broker(ib, clock)}
    routes = OrderRoutes(BY_SYMBOL, brokers)
    return MultiBroker(brokers, routes, account=ACCOUNT, calendar=CALENDAR, clock=clock)


def limit(system: ExecutionSystem, symbol: str, name: str, quantity: float = 1) -> Order:
    return system.order(
        symbol,
        quantity,
        name=name,
        arrival_price_usd=5.0,
        order_type="limit",
        limit_price_usd=5.0,
        time_in_force="GTC",
    )


def engage(tmp_path) -> None:
    KillSwitch(tmp_path / "kill.json").engage("enough", actor="ada", at_utc=AFTER_THE_CLOSE)


def require_within_bound(is_done: Callable[[], bool], *, since: float) -> None:
    while not is_done():
        assert time.monotonic() - since < STOPPED_WITHIN_SECONDS
        time.sleep(0.01)


def submitting(opened: ExitStack, system: ExecutionSystem, order: Order) -> None:
    """Submit an order in a thread that ends with the test, whatever becomes of it."""

    def submit() -> None:
        with suppress(AegisError):
            system.submit_order(order)

    sender = threading.Thread(target=submit)
    sender.start()
    opened.callback(sender.join)


def are_cancelled(venue: AlpacaVenue) -> bool:
    return {row["status"] for row in venue.book.orders.values()} == {"canceled"}


@pytest.mark.usefixtures("no_thread_is_left")
def test_an_order_that_the_venue_does_not_answer_for_holds_up_no_other(ib, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(concurrent_cancels, "PATIENCE_SECONDS", 0.6)
    clock = SimulatedClock(AFTER_THE_CLOSE)
    with closing(ib_broker(ib, clock)) as broker:
        broker.connect()
        with ExecutionSystem(broker, config_in(tmp_path, clock)) as system:
            made = [limit(system, "ABC", f"order {number}", 3) for number in range(4)]
            for order in made:
                system.submit_order(order)
            mute, desk = min(order.client_order_id for order in made), ib.desk
            cancel = desk._cancel

            def answer(session, request):
                found = desk._find(session.client_id, request.request_id)
                return [] if found.reference == mute else cancel(session, request)

            monkeypatch.setattr(desk, "_cancel", answer)
            since = time.monotonic()
            engage(tmp_path)
            others = [order for order in desk.orders if order.reference != mute]
            require_within_bound(lambda: not any(order.is_open for order in others), since=since)
            assert desk.order_of(mute).is_open
            require_within_bound(lambda: mute in system.last_failure, since=since)
            system.close()
            broker.close()


@pytest.mark.parametrize("is_sending", [False, True])
@pytest.mark.usefixtures("no_thread_is_left")
def test_a_mute_venue_holds_up_no_order_of_another(alpaca, ib, tmp_path, is_sending) -> None:
    clock = SimulatedClock(AFTER_THE_CLOSE)
    with ExitStack() as opened:
        broker = opened.enter_context(closing(both(alpaca, ib, clock)))
        assert broker.connect() == {}
        system = opened.enter_context(closing(ExecutionSystem(broker, config_in(tmp_path, clock))))
        for number in range(6):
            system.submit_order(limit(system, "DEF", f"mute {number}"))
        mute = max(status.order.client_order_id for status in system.open_orders())
        named = (limit(system, "ABC", f"last {number}") for number in range(100))
        system.submit_order(next(order for order in named if order.client_order_id > mute))
        for request in (ToGateway.CURRENT_TIME, ToGateway.CANCEL_ORDER, ToGateway.PLACE_ORDER):
            ib.gateway.always(request, Silence())
        opened.callback(ib.gateway.heal)
        if is_sending:  # it holds the door's lock
            late = limit(system, "DEF", "on its way")

            submitting(opened, system, late)
            while late.client_order_id not in ib.desk.accepted:
                time.sleep(0.01)
        opened.callback(broker.close)  # ends what is under way there
        since = time.monotonic()
        engage(tmp_path)
        system.listen()
        require_within_bound(lambda: are_cancelled(alpaca), since=since)


@pytest.mark.usefixtures("no_thread_is_left")
def test_what_could_not_be_cancelled_is_asked_for_again_while_an_order_is_on_its_way(alpaca, tmp_path) -> None:
    clock = SimulatedClock(AFTER_THE_CLOSE)
    with ExitStack() as opened:
        broker = opened.enter_context(alpaca_broker(alpaca, clock, attempts=1, read_timeout_seconds=60.0))
        system = opened.enter_context(closing(ExecutionSystem(broker, config_in(tmp_path, clock))))
        system.submit_order(limit(system, "DEF", "open"))
        late = limit(system, "ABC", "on its way")
        alpaca.rest.script("POST", Before(Hang()))
        alpaca.rest.script("DELETE", *[Before(Status(503))] * 2)
        submitting(opened, system, late)
        opened.callback(alpaca.rest.let_go)
        while not any(call.method == "POST" and call.body["symbol"] == "ABC" for call in alpaca.rest.calls):
            time.sleep(0.01)
        since = time.monotonic()
        engage(tmp_path)
        system.listen()
        require_within_bound(lambda: are_cancelled(alpaca), since=since)


@pytest.mark.usefixtures("no_thread_is_left")
def test_a_request_without_an_answer_is_not_begun_again_however_long_the_stop_lasts(ib, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(concurrent_cancels, "PATIENCE_SECONDS", 0.1)
    clock = SimulatedClock(AFTER_THE_CLOSE)
    with closing(ib_broker(ib, clock)) as broker:
        broker.connect()
        with closing(ExecutionSystem(broker, config_in(tmp_path, clock))) as system:
            for number in range(3):
                system.submit_order(limit(system, "DEF", f"mute {number}"))
            ib.gateway.always(ToGateway.CANCEL_ORDER, Silence())
            engage(tmp_path)
            for _ in range(100):
                system.step()
            assert len(cancelling()) == 3
            broker.close()
            require_within_bound(lambda: not cancelling(), since=time.monotonic())
            system.step()
            assert system.last_failure


@pytest.mark.usefixtures("no_thread_is_left")
def test_an_order_that_leaves_after_a_release_is_not_ended_by_the_stop_before(alpaca, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(concurrent_cancels, "PATIENCE_SECONDS", 60.0)
    clock = SimulatedClock(AFTER_THE_CLOSE)
    with ExitStack() as opened:
        broker = opened.enter_context(alpaca_broker(alpaca, clock, read_timeout_seconds=60.0))
        system = opened.enter_context(closing(ExecutionSystem(broker, config_in(tmp_path, clock))))
        before, after = limit(system, "DEF", "before"), limit(system, "ABC", "after")
        system.submit_order(before)
        alpaca.rest.script("DELETE", Before(Hang()))
        engage(tmp_path)
        stop = threading.Thread(target=system.step)
        stop.start()
        opened.callback(stop.join)
        opened.callback(alpaca.rest.let_go)
        while not any(call.method == "DELETE" for call in alpaca.rest.calls):
            time.sleep(0.01)
        KillSwitch(tmp_path / "kill.json").release("go on", actor="ada", at_utc=AFTER_THE_CLOSE)
        system.submit_order(after)
        alpaca.rest.let_go()
        stop.join()
        assert alpaca.book.named(before.client_order_id)["status"] == "canceled"
        assert alpaca.book.named(after.client_order_id)["status"] == "accepted"


@pytest.mark.usefixtures("no_thread_is_left")
def test_a_request_that_waits_for_its_turn_is_not_made_after_a_release(alpaca, tmp_path, monkeypatch) -> None:
    for name, value in {"AT_ONCE": 1, "HUNG_SECONDS": 60.0, "PATIENCE_SECONDS": 0.05}.items():
        monkeypatch.setattr(concurrent_cancels, name, value)
    monkeypatch.setattr(stop_watch, "AGAIN_SECONDS", 0.01)
    off, is_engaged = threading.Semaphore(0), KillSwitch.is_engaged

    def look(switch: KillSwitch) -> bool:
        stands = is_engaged(switch)
        if not stands:
            off.release()
        return stands

    clock = SimulatedClock(AFTER_THE_CLOSE)
    with ExitStack() as opened:
        broker = opened.enter_context(alpaca_broker(alpaca, clock, read_timeout_seconds=60.0))
        system = opened.enter_context(closing(ExecutionSystem(broker, config_in(tmp_path, clock, poll_seconds=0.02))))
        for number in range(3):
            system.submit_order(limit(system, "ABC", f"order {number}"))
        alpaca.rest.script("DELETE", Before(Hang()))
        opened.callback(alpaca.rest.let_go)
        engage(tmp_path)
        system.listen()
        while not any(call.method == "DELETE" for call in alpaca.rest.calls):
            time.sleep(0.01)
        monkeypatch.setattr(KillSwitch, "is_engaged", look)
        KillSwitch(tmp_path / "kill.json").release("go on", actor="ada", at_utc=AFTER_THE_CLOSE)
        for _ in range(2):
            assert off.acquire(timeout=STOPPED_WITHIN_SECONDS)
        alpaca.rest.let_go()
        require_within_bound(lambda: not cancelling(), since=time.monotonic())
        assert sorted(row["status"] for row in alpaca.book.orders.values()) == ["accepted", "accepted", "canceled"]


class Breaking(AlpacaBroker):
    """A broker that breaks at the first order that it is to cancel."""

    broken = ""

    def cancel(self, client_order_id: str) -> OrderStatus:
        """Break, or cancel."""
        self.broken = self.broken or client_order_id
        if client_order_id == self.broken:
            raise KeyError(client_order_id)
        return super().cancel(client_order_id)


def test_an_error_that_nobody_expects_at_one_order_holds_up_no_other(alpaca, tmp_path) -> None:
    clock = SimulatedClock(AFTER_THE_CLOSE)
    broker = Breaking(alpaca_settings(alpaca), account=ACCOUNT, calendar=CALENDAR, clock=clock)
    with broker, closing(ExecutionSystem(broker, config_in(tmp_path, clock))) as system:
        for number in range(3):
            system.submit_order(limit(system, "ABC", f"order {number}"))
        engage(tmp_path)
        system.step()
        left = [row["client_order_id"] for row in alpaca.book.orders.values() if row["status"] != "canceled"]
        assert left == [broker.broken]
        assert f"KeyError('{broker.broken}')" in system.last_failure


def test_whoever_asks_for_the_end_of_all_orders_has_it_without_a_stop(alpaca, tmp_path) -> None:
    clock = SimulatedClock(AFTER_THE_CLOSE)
    with alpaca_broker(alpaca, clock) as broker, closing(ExecutionSystem(broker, config_in(tmp_path, clock))) as system:
        system.listen()
        for number in range(3 * concurrent_cancels.AT_ONCE):
            system.submit_order(limit(system, "ABC", f"order {number}"))
        system.cancel_all()
        assert are_cancelled(alpaca)
        assert system.last_failure == ""


def test_a_list_that_cannot_be_had_holds_up_nothing_that_the_journal_has(alpaca, tmp_path, monkeypatch) -> None:
    clock = SimulatedClock(AFTER_THE_CLOSE)
    with alpaca_broker(alpaca, clock) as broker, closing(ExecutionSystem(broker, config_in(tmp_path, clock))) as system:
        system.submit_order(limit(system, "ABC", "open"))
        engage(tmp_path)
        why = BrokerUnavailable("the list cannot be had")

        def unlisted() -> tuple[OrderStatus, ...]:
            raise why

        monkeypatch.setattr(broker, "known_open", unlisted)
        system.cancel_all()
        assert are_cancelled(alpaca)
        assert str(why) in system.last_failure
