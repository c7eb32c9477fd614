"""Alerts on a real disk and against a real HTTP server."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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


def noted(path: Path, *alerts: Alert) -> AlertLog:
    """Return a log with alerts that have not been delivered."""
    log = AlertLog(path)
    for alert in alerts:
        assert log.note(alert)
    return log


def send(log: AlertLog, url: str | None, timeout_seconds: float = 5.0) -> list[Delivery]:
    return log.deliver_pending(webhook_url=url, timeout_seconds=timeout_seconds)


def other(number: int) -> Alert:
    return replace(ALERT, cause_key=f"run_failed/{number}")


def test_an_alert_without_a_webhook_is_two_lines_in_the_log(log_path: Path) -> None:
    assert send(noted(log_path, ALERT), None) == [Delivery("not configured")]
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
    assert send(noted(log_path, ALERT), receiver.url) == [Delivery("delivered")]
    [(headers, payload)] = receiver.received
    assert headers["Content-Type"] == "application/json"
    assert len(headers["Idempotency-Key"]) == 64
    assert payload == ALERT.record() | {"text": "[critical] A data check failed\nTVZQ 2014-06-09: close -3.1 USD"}


@pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
def test_an_answer_that_is_no_success_is_a_failed_delivery_in_the_answer_and_in_the_log(
    log_path: Path, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    [found] = send(noted(log_path, ALERT), receiver.url)
    assert found.webhook == "failed"
    assert f"127.0.0.1 answered {status}" in found.detail
    assert lines(log_path)[-1]["detail"] == found.detail
    assert "secret-token" not in log_path.read_text()
    assert len(receiver.received) == 1, "a redirect is not followed: it would lose the body"


def test_a_receiver_that_does_not_answer_is_asked_once_and_not_for_every_alert(
    log_path: Path, receiver: Receiver
) -> None:
    receiver.is_silent = True
    [found] = send(noted(log_path, ALERT, other(1), other(2)), receiver.url, timeout_seconds=0.2)
    assert found.webhook == "failed"
    assert "did not answer within 0.2 s" in found.detail
    assert lines(log_path)[-1]["webhook"] == "failed"
    assert len(receiver.received) == 1


def test_a_receiver_that_refuses_gets_the_other_alerts_all_the_same(log_path: Path, receiver: Receiver) -> None:
    receiver.status = 400
    assert [found.webhook for found in send(noted(log_path, ALERT, other(1)), receiver.url)] == ["failed", "failed"]
    assert [payload["cause_key"] for _, payload in receiver.received] == [ALERT.cause_key, "run_failed/1"]


def test_nobody_listening_is_a_failed_delivery(log_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        [found] = send(noted(log_path, ALERT), f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert found.webhook == "failed"
    assert "could not be called" in found.detail


@pytest.mark.parametrize(
    "url",
    ["file:///etc/hostname", "ftp://example.org/x", "example.org", "http://", "http://[::1", "http://h:port/", ""],
)
def test_only_http_addresses_are_called(log_path: Path, url: str) -> None:
    [found] = send(noted(log_path, ALERT), url)
    assert found.webhook == "failed"
    assert "monitoring.webhook_url" in found.detail


def test_without_a_log_the_webhook_can_be_called_all_the_same(receiver: Receiver) -> None:
    assert deliver(ALERT, webhook_url=receiver.url, timeout_seconds=5.0) == Delivery("delivered")
    assert [payload["cause_key"] for _, payload in receiver.received] == [ALERT.cause_key]


def test_one_cause_is_told_once_also_by_another_process(log_path: Path, receiver: Receiver) -> None:
    send(noted(log_path, ALERT), receiver.url)
    assert not AlertLog(log_path).note(ALERT)
    assert not AlertLog(log_path).note(replace(ALERT, at_utc=ALERT.at_utc + timedelta(hours=1)))
    assert send(AlertLog(log_path), receiver.url) == []
    assert AlertLog(log_path).open_causes() == {ALERT.cause_key}
    assert (len(receiver.received), len(lines(log_path))) == (1, 2)


def test_a_cause_that_was_cleared_is_told_again_under_another_key(log_path: Path, receiver: Receiver) -> None:
    log = noted(log_path, ALERT)
    send(log, receiver.url)
    log.clear(ALERT.cause_key, ALERT.at_utc + timedelta(hours=1))
    assert log.open_causes() == frozenset()
    assert not log.note(ALERT), "the same event, seen again, is no new one"
    assert log.note(replace(ALERT, at_utc=ALERT.at_utc + timedelta(hours=2)))
    send(log, receiver.url)
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.received}) == 2


def test_an_alert_that_did_not_arrive_is_still_sent_after_its_cause_has_gone(
    log_path: Path, receiver: Receiver
) -> None:
    log = noted(log_path, ALERT)
    receiver.status = 503
    send(log, receiver.url)
    log.clear(ALERT.cause_key, ALERT.at_utc)
    again = replace(ALERT, at_utc=ALERT.at_utc + timedelta(hours=2))
    assert log.note(again)
    assert log.pending() == [ALERT, again]
    receiver.status = 200
    send(log, receiver.url)
    assert [payload["at_utc"] for _, payload in receiver.received[1:]] == [
        "2014-06-09T20:15:00+00:00",
        "2014-06-09T22:15:00+00:00",
    ]
    assert log.pending() == []


def test_a_failed_webhook_is_tried_again_and_a_night_of_failures_is_one_line(
    log_path: Path, receiver: Receiver
) -> None:
    receiver.status = 500
    log = noted(log_path, ALERT)
    for _ in range(3):
        assert [found.webhook for found in send(log, receiver.url)] == ["failed"]
    receiver.status = 204
    assert send(log, receiver.url) == [Delivery("delivered")]
    assert [line["event"] for line in lines(log_path)] == ["alert", "delivery", "delivery"]
    assert send(log, receiver.url) == []
    assert len(receiver.received) == 4
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.received}) == 1


def test_a_crash_between_the_two_lines_delivers_again(log_path: Path, receiver: Receiver) -> None:
    send(noted(log_path, ALERT), None)
    whole = log_path.read_text().splitlines()
    log_path.write_text(whole[0] + "\n" + whole[1][:20])
    log = AlertLog(log_path)
    assert log.pending() == [ALERT]
    assert send(log, receiver.url) == [Delivery("delivered")]
    assert log.pending() == [], "the torn line did not swallow the new one"


def test_a_log_that_cannot_be_read_or_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "log"):
        with pytest.raises(OSError, match=str(tmp_path)):
            AlertLog(path).note(ALERT)


def test_lines_that_are_no_records_are_passed_over(log_path: Path) -> None:
    log_path.parent.mkdir()
    log_path.write_bytes(b'null\n[1]\n{"event": "delivery"}\n\xff\xfe\n{"event": "delivery", "cause_key": "x"}\n')
    assert AlertLog(log_path).open_causes() == frozenset()
    assert AlertLog(log_path).pending() == []


def test_deliveries_of_an_earlier_version_which_name_no_instant_count(log_path: Path) -> None:
    noted(log_path, ALERT)
    line = {"event": "delivery", "cause_key": ALERT.cause_key, "webhook": "delivered", "detail": ""}
    with log_path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    assert AlertLog(log_path).pending() == []
