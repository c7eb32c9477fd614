"""Alerts on a real disk and against a real HTTP server."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis.live_trading.alerts import Alert, AlertLog, Delivery, deliver

ALERT = Alert(
    cause_key="check_failed/no_negative_prices/2014-06-09",
    title="A data check failed",
    body="TVZQ 2014-06-09: close -3.1 USD",
    severity="critical",
    at_utc=datetime(2014, 6, 9, 20, 15, tzinfo=UTC),
)


class Receiver(http.server.ThreadingHTTPServer):
    """A webhook receiver that remembers what it got and answers as told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.received: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.silence = threading.Event()
        self.is_silent = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/secret-token"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers), json.loads(body)))
        if self.server.is_silent:
            self.server.silence.wait(timeout=30)
            return
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.received.append(({}, {"followed": self.path}))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.silence.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "alerts" / "alerts.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_alert_without_a_webhook_is_two_lines_in_the_log(log_path: Path) -> None:
    assert deliver(ALERT, log_path=log_path, webhook_url=None, timeout_seconds=1.0) == Delivery(True, "not configured")
    alert, delivery = lines(log_path)
    assert alert == {
        "event": "alert",
        "cause_key": "check_failed/no_negative_prices/2014-06-09",
        "title": "A data check failed",
        "body": "TVZQ 2014-06-09: close -3.1 USD",
        "severity": "critical",
        "at_utc": "2014-06-09T20:15:00+00:00",
    }
    assert (delivery["event"], delivery["webhook"]) == ("delivery", "not configured")


def test_the_webhook_gets_the_alert_as_json_with_a_text_for_chats(log_path: Path, receiver: Receiver) -> None:
    found = deliver(ALERT, log_path=log_path, webhook_url=receiver.url, timeout_seconds=5.0)
    assert found == Delivery(True, "delivered")
    assert found.is_complete
    [(headers, payload)] = receiver.received
    assert headers["Content-Type"] == "application/json"
    assert len(headers["Idempotency-Key"]) == 64
    assert payload == ALERT.record() | {"text": "[critical] A data check failed\nTVZQ 2014-06-09: close -3.1 USD"}


@pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
def test_an_answer_that_is_no_success_is_a_failed_delivery_in_the_answer_and_in_the_log(
    log_path: Path, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    found = deliver(ALERT, log_path=log_path, webhook_url=receiver.url, timeout_seconds=5.0)
    assert (found.webhook, found.is_logged, found.is_complete) == ("failed", True, False)
    assert f"127.0.0.1 answered {status}" in found.detail
    assert lines(log_path)[-1]["detail"] == found.detail
    assert "secret-token" not in log_path.read_text()
    assert len(receiver.received) == 1, "a redirect is not followed: it would lose the body"


def test_a_receiver_that_does_not_answer_is_a_failed_delivery(log_path: Path, receiver: Receiver) -> None:
    receiver.is_silent = True
    found = deliver(ALERT, log_path=log_path, webhook_url=receiver.url, timeout_seconds=0.2)
    assert found.webhook == "failed"
    assert "did not answer within 0.2 s" in found.detail
    assert lines(log_path)[-1]["webhook"] == "failed"


def test_nobody_listening_is_a_failed_delivery(log_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        found = deliver(ALERT, log_path=log_path, webhook_url=url, timeout_seconds=1.0)
    assert found.webhook == "failed"
    assert "could not be called" in found.detail


@pytest.mark.parametrize(
    "url",
    ["file:///etc/hostname", "ftp://example.org/x", "example.org", "http://", "http://[::1", "http://h:port/", ""],
)
def test_only_http_addresses_are_called(log_path: Path, url: str) -> None:
    found = deliver(ALERT, log_path=log_path, webhook_url=url, timeout_seconds=1.0)
    assert (found.webhook, found.is_logged) == ("failed", True)
    assert "monitoring.webhook_url" in found.detail


def test_a_log_that_cannot_be_written_is_told_and_does_not_keep_the_webhook_from_being_called(
    tmp_path: Path, receiver: Receiver
) -> None:
    (tmp_path / "file").write_text("")
    found = deliver(ALERT, log_path=tmp_path / "file" / "log", webhook_url=receiver.url, timeout_seconds=5.0)
    assert (found.is_logged, found.webhook, found.is_complete) == (False, "delivered", False)
    assert "monitoring.alert_log" in found.detail
    assert len(receiver.received) == 1


def test_one_cause_is_delivered_once_also_by_another_process(log_path: Path, receiver: Receiver) -> None:
    first = AlertLog(log_path).deliver(ALERT, webhook_url=receiver.url, timeout_seconds=5.0)
    again = AlertLog(log_path).deliver(ALERT, webhook_url=receiver.url, timeout_seconds=5.0)
    assert (first.webhook, again.webhook) == ("delivered", "already delivered")
    assert len(receiver.received) == 1
    assert AlertLog(log_path).delivered_causes() == {ALERT.cause_key}
    assert len(lines(log_path)) == 2


def test_another_cause_is_another_alert(log_path: Path, receiver: Receiver) -> None:
    other = Alert("run_failed/1", "A run failed", "", "warning", ALERT.at_utc)
    for alert in (ALERT, other):
        AlertLog(log_path).deliver(alert, webhook_url=receiver.url, timeout_seconds=5.0)
    keys = [headers["Idempotency-Key"] for headers, _ in receiver.received]
    assert len(set(keys)) == 2


def test_a_failed_webhook_is_tried_again_without_a_second_alert_line(log_path: Path, receiver: Receiver) -> None:
    receiver.status = 500
    log = AlertLog(log_path)
    assert log.deliver(ALERT, webhook_url=receiver.url, timeout_seconds=5.0).webhook == "failed"
    assert log.delivered_causes() == frozenset()
    assert log.logged_causes() == {ALERT.cause_key}
    receiver.status = 204
    assert log.deliver(ALERT, webhook_url=receiver.url, timeout_seconds=5.0) == Delivery(True, "delivered")
    assert [line["event"] for line in lines(log_path)] == ["alert", "delivery", "delivery"]
    assert log.deliver(ALERT, webhook_url=receiver.url, timeout_seconds=5.0).webhook == "already delivered"
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.received}) == 1


def test_a_crash_between_the_two_lines_delivers_again(log_path: Path, receiver: Receiver) -> None:
    deliver(ALERT, log_path=log_path, webhook_url=None, timeout_seconds=1.0)
    whole = log_path.read_text().splitlines()
    log_path.write_text(whole[0] + "\n" + whole[1][:20])
    log = AlertLog(log_path)
    assert log.delivered_causes() == frozenset()
    assert log.deliver(ALERT, webhook_url=receiver.url, timeout_seconds=5.0).webhook == "delivered"
    assert log.delivered_causes() == {ALERT.cause_key}, "the torn line did not swallow the new one"


def test_an_unreadable_log_delivers_rather_than_being_silent(tmp_path: Path, receiver: Receiver) -> None:
    log = AlertLog(tmp_path)
    found = log.deliver(ALERT, webhook_url=receiver.url, timeout_seconds=5.0)
    assert (found.webhook, found.is_logged) == ("delivered", False)


def test_lines_that_are_no_records_are_passed_over(log_path: Path) -> None:
    log_path.parent.mkdir()
    log_path.write_bytes(b'null\n[1]\n{"event": "delivery"}\n\xff\xfe\n{"event": "delivery", "cause_key": "x"}\n')
    assert AlertLog(log_path).delivered_causes() == frozenset()
