"""A stop while something else is wrong: an event that cannot have happened, a full disk, a mute or broken venue.

Each ends with the other open order cancelled at the venue, and nothing that left after the stop.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from aegis.clock import SimulatedClock
from aegis.config_brokers import AlpacaBrokerSettings
from aegis.errors import AegisError, JournalError, SubmissionUnknown
from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.order_states import OrderState
from aegis.execution.orders import Order
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.kill_switch import KillSwitch
from aegis.risk.exit_view import ExitRow, ExitVerdict
from tests.integration.live_trading.trading_process import (
    ACCOUNT,
    CALENDAR,
    IN_SESSION,
    KEY_ID,
    SECRET_KEY,
    NoRules,
    config_in,
)
from tests.integration.vendors.vendor_server import Hang, Html, Status
from tests.integration.venues.alpaca import rest
from tests.integration.venues.alpaca.rest import After, Before

STOPPED_WITHIN_SECONDS = 5.0
"""Issue 5: all open orders are cancelled within 5 s."""


def full(*_: object) -> None:
    """Refuse as SQLite does where the disk is full."""
    message = "database or disk is full"
    raise sqlite3.OperationalError(message)


def limit(system, symbol: str, name: str, quantity: float = 10):
    return system.order(symbol, quantity, name=name, arrival_price_usd=10.0, order_type="limit", limit_price_usd=9.0)


def at_venue(venue, order) -> str:
    made = [row["status"] for row in venue.book.orders.values() if row["client_order_id"] == order.client_order_id]
    return made[-1]


def stop(tmp_path) -> float:
    """Engage the switch and return when, by the monotonic clock."""
    KillSwitch(tmp_path / "kill.json").engage("enough", actor="ada", at_utc=IN_SESSION)
    return time.monotonic()


def require_cancelled(venue, order, *, since: float) -> None:
    while at_venue(venue, order) != "canceled":
        assert time.monotonic() - since < STOPPED_WITHIN_SECONDS, at_venue(venue, order)
        time.sleep(0.01)


@pytest.mark.parametrize(
    "told", ["a fill after the end", "too much", "nothing", "the other side", "beyond all numbers"]
)
def test_an_event_that_cannot_have_happened_holds_up_neither_the_books_nor_a_stop(venue, start, tmp_path, told) -> None:
    process = start()
    system = process.system
    wrong, right, other = limit(system, "ABC", "wrong"), limit(system, "DEF", "right"), limit(system, "DEF", "o", 3)
    for order in (wrong, right, other):
        system.submit_order(order)
    if told == "a fill after the end":
        venue.book.end(wrong.client_order_id, "canceled")
        process.broker.catch_up()
        system.step()
    quantity = {"too much": "25", "nothing": "0", "the other side": "-5", "beyond all numbers": "1e400"}.get(told, "10")
    venue.book.fill(wrong.client_order_id, quantity, "9.00")
    venue.book.fill(right.client_order_id, "10", "9.00")
    process.broker.catch_up()
    system.step()
    assert system.door.status(right.client_order_id).state is OrderState.FILLED
    process.clock.advance_to(IN_SESSION + timedelta(seconds=30))
    system.reconcile()
    assert system.breaks, "what was told is compared with the broker's own word, and stops new entries"
    since = stop(tmp_path)
    system.listen()
    require_cancelled(venue, other, since=since)
    process.close()


def test_a_full_disk_holds_up_no_stop(venue, start, tmp_path, monkeypatch) -> None:
    process = start()
    system = process.system
    order = limit(system, "DEF", "open")
    system.submit_order(order)

    monkeypatch.setattr(type(system.ledger.journal._store), "append", full)
    venue.book.fill(order.client_order_id, "1", "9.00")  # is to be written down
    process.broker.catch_up()
    with pytest.raises(JournalError):
        system.step()
    since = stop(tmp_path)
    system.listen()
    require_cancelled(venue, order, since=since)
    monkeypatch.undo()
    process.close()


def test_an_order_that_could_not_be_written_down_ends_unsent(venue, start, monkeypatch) -> None:
    process = start()
    system = process.system
    order = limit(system, "ABC", "unwritten")

    with monkeypatch.context() as patch:
        patch.setattr(type(system.ledger.journal._store), "append", full)
        with pytest.raises(JournalError):
            system.submit_order(order)
    system.submit_order(limit(system, "DEF", "another"))
    assert system.submit_order(order).state is OrderState.CANCELLED
    process.close()
    later = start()
    later.system.step()
    assert later.system.door.status(order.client_order_id).state is OrderState.CANCELLED
    later.close()
    assert [made["symbol"] for made in venue.book.orders.values()] == ["DEF"]


@pytest.mark.parametrize("answers", ["never", "byte by byte"])
def test_a_request_without_an_answer_holds_up_no_stop(venue, tmp_path, monkeypatch, answers) -> None:
    settings = {
        "url": venue.rest.url,
        "stream_url": venue.stream.url,
        "key_id": KEY_ID,
        "secret_key": SECRET_KEY,
        "read_timeout_seconds": 4.0,
        "poll_seconds": 3600.0,
        "attempts": 1,
    }
    clock = SimulatedClock(IN_SESSION)
    whole, given_up = rest._send, threading.Event()

    def dripping(handler, status, body, **terms):
        if handler.command != "POST":
            whole(handler, status, body, **terms)
            return
        handler.send_response_only(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for byte in body:
            if given_up.wait(0.5):
                break
            handler.wfile.write(bytes([byte]))
        handler.close_connection = True

    made = AlpacaBroker(AlpacaBrokerSettings.model_validate(settings), account=ACCOUNT, calendar=CALENDAR, clock=clock)
    with made as broker, ExecutionSystem(broker, config_in(tmp_path, clock)) as system:
        order = limit(system, "DEF", "open")
        system.submit_order(order)
        if answers == "never":
            venue.rest.script("POST", *[After(Hang())] * 4)
        else:
            monkeypatch.setattr(rest, "_send", dripping)

        sent = limit(system, "ABC", "on its way")

        def submit() -> None:
            with suppress(AegisError):  # nobody knows yet, or it was found at the venue
                system.submit_order(sent)

        submitter = threading.Thread(target=submit)
        submitter.start()
        while not any(call.method == "POST" and call.body["symbol"] == "ABC" for call in venue.rest.calls):
            time.sleep(0.01)
        require_cancelled(venue, order, since=stop(tmp_path))
        given_up.set()
        venue.rest.let_go()
        submitter.join()
        require_cancelled(venue, sent, since=time.monotonic())


def test_nothing_is_sent_once_more_after_the_stop(venue, tmp_path) -> None:
    clock = SimulatedClock(IN_SESSION)
    settings = {
        "url": venue.rest.url,
        "stream_url": venue.stream.url,
        "key_id": KEY_ID,
        "secret_key": SECRET_KEY,
        "poll_seconds": 3600.0,
    }
    broker = AlpacaBroker(
        AlpacaBrokerSettings.model_validate(settings),
        account=ACCOUNT,
        calendar=CALENDAR,
        clock=clock,
        pause=lambda _: stop(tmp_path),
    )
    before = venue.rest.count("POST")
    with broker:
        system = ExecutionSystem(broker, config_in(tmp_path, clock))
        venue.rest.script("POST", Before(Status(429)))
        with pytest.raises(SubmissionUnknown):
            system.submit_order(limit(system, "ABC", "once"))
        assert venue.rest.count("POST") - before == 1
        system.step()
        (status,) = [system.door.status(name) for name in [limit(system, "ABC", "once").client_order_id]]
        assert status.state is OrderState.CANCELLED
        system.close()
    assert venue.book.orders == {}


class Once(NoRules):
    """Rules that let an order out the first time that they are asked."""

    def review(self, order: Order, *, is_replacement: bool = False) -> ExitVerdict:
        found = super().review(order, is_replacement=is_replacement)
        return replace(found, rows=(ExitRow("once", "refuse", 2.0, 1.0, "once"),)) if is_replacement else found


def test_a_404_that_is_not_the_venue_s_is_no_word_on_an_order(venue, start) -> None:
    process = start(rules=lambda _: Once())
    system = process.system
    order = limit(system, "ABC", "taken")
    venue.rest.script("POST", After(Status(504)))
    venue.rest.script("GET", *[Before(Html(404))] * 30)
    with pytest.raises(SubmissionUnknown):
        system.submit_order(order)
    assert system.door.settle_doubts() == (order.client_order_id,)
    venue.rest.heal()
    assert system.door.settle_doubts() == ()
    process.broker.catch_up()
    system.step()
    assert system.door.status(order.client_order_id).state is OrderState.ACCEPTED
    assert venue.book.accepted == {order.client_order_id: 1}
    process.close()


def test_a_stop_ends_what_the_venue_has_and_the_journal_has_given_up(venue, start, tmp_path) -> None:
    process = start()
    system = process.system
    order = limit(system, "ABC", "late")
    venue.rest.script("POST", *[Before(Status(504))] * 20)
    with pytest.raises(SubmissionUnknown):
        system.submit_order(order)
    body = next(call.body for call in reversed(venue.rest.calls) if call.method == "POST")
    stop(tmp_path)
    system.step()
    assert system.door.status(order.client_order_id).state is OrderState.CANCELLED
    venue.book.submit(body)  # what a gateway answered 504 to and delivers now
    for _ in range(3):
        process.broker.catch_up()
        system.step()
    assert at_venue(venue, order) == "canceled"
    process.close()


def test_an_impossible_answer_ends_no_listening(venue, start, tmp_path, monkeypatch) -> None:
    process = start()
    system = process.system
    order = limit(system, "DEF", "open")
    system.submit_order(order)
    whole, broken = rest._send, threading.Event()

    def impossible(handler, status, body, **terms):
        if handler.command != "GET" or broken.is_set():
            whole(handler, status, body, **terms)
            return
        broken.set()
        handler.send_response_only(200)
        handler.send_header("Content-Length", str(10**30))
        handler.end_headers()
        handler.close_connection = True

    monkeypatch.setattr(rest, "_send", impossible)
    process.clock.advance_to(IN_SESSION + timedelta(seconds=30))
    system.listen()
    assert broken.wait(5.0)
    require_cancelled(venue, order, since=stop(tmp_path))
    process.close()
