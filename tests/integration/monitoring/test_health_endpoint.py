"""The health endpoint: what it says over real connections, and what hostile requests do to it."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection

import pytest

from aegis.config_monitoring import MonitoringSettings
from aegis.errors import ExecutionError
from aegis.live_trading.kill_switch import KillSwitch
from aegis.monitoring.health_endpoint import MOST_CONNECTIONS, HealthEndpoint
from tests.integration.monitoring.watched_account import WatchedAccount

SETTINGS = MonitoringSettings(health={"port": 0}, webhook_url="http://127.0.0.1/hook/secret-token")


@pytest.fixture
def account(watch) -> WatchedAccount:
    return watch()


@pytest.fixture
def endpoint(account) -> Iterator[HealthEndpoint]:
    with HealthEndpoint(account.monitor, SETTINGS, clock=account.clock) as started:
        yield started


def _get(endpoint: HealthEndpoint, path: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{endpoint.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _ask_until_refused(endpoint: HealthEndpoint) -> None:
    for _ in range(100):
        _get(endpoint, "/health")


def _raw(endpoint: HealthEndpoint, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
        return answer


def test_it_says_how_the_account_is(account, endpoint) -> None:
    status, said = _get(endpoint, "/health")
    assert (status, "not looked at yet" in said) == (503, True)
    account.look()
    account.trade("one", "ABC", 100, "10.02")
    account.look(61)
    assert _get(endpoint, "/health") == (200, '{"is_healthy": true, "problems": []}\n')
    status, said = _get(endpoint, "/snapshot")
    assert json.loads(said)["snapshot"]["positions"][0]["shares"] == 100.0
    assert "secret" not in said
    assert "canary" not in said

    status, text = _get(endpoint, "/metrics")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert status == 200
    assert all(re.fullmatch(r'[a-z0-9_]+(\{([a-z]+="[^"\n]*",?)*\})? [-+.e0-9]+', line) for line in lines), text
    assert 'aegis_position_shares{account="paper",symbol="ABC"} 100.0' in lines
    assert "aegis_healthy 1.0" in lines

    account.clock.advance_to(account.clock.now_utc() + timedelta(seconds=31))
    status, said = _get(endpoint, "/health")
    assert (status, "31 s old" in said) == (503, True)
    KillSwitch(account.config.kill_switch).engage('"}\n', actor="ada", at_utc=account.clock.now_utc())
    account.look()
    status, said = _get(endpoint, "/health")
    assert status == 503
    assert "The kill switch is engaged" in json.loads(said)["problems"][0]
    assert 'aegis_cause{account="paper",cause="kill_switch",severity="critical"} 1.0' in _get(endpoint, "/metrics")[1]


def test_events_are_streamed_from_a_number_on(account, endpoint) -> None:
    account.look()
    connection = HTTPConnection("127.0.0.1", endpoint.port, timeout=10)
    connection.request("GET", "/events", headers={"Last-Event-ID": "0"})
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert [answer.readline() for _ in range(2)] == [b"id: 1\n", b"event: account\n"]
    KillSwitch(account.config.kill_switch).engage("x", actor="ada", at_utc=account.clock.now_utc())
    account.look(1)
    found = b""
    while b'"key": "kill_switch"' not in found:
        line = answer.readline()
        assert line
        found += line
    connection.close()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", b" 404 "),
        (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", b" 421 "),
        (b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{}", b" 501 "),
        (b"DELETE /snapshot HTTP/1.1\r\n\r\n", b" 501 "),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b" 414 "),
        (b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n", b" 431 "),
        (b"GET /events?after=-1%00 HTTP/1.1\r\nHost: [::::\r\n\r\n", b""),
        (b"\0\xff\xfe\r\n\r\n", b""),
        (b"", b""),
    ],
)
def test_hostile_requests_are_harmless(account, endpoint, sent: bytes, expected: bytes) -> None:
    account.look()
    answer = _raw(endpoint, sent)
    assert expected in answer
    assert b"Traceback" not in answer
    assert _get(endpoint, "/health")[0] == 200


def test_many_that_say_nothing_keep_nobody_from_asking_for_long(account, endpoint) -> None:
    account.look()
    silent = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(MOST_CONNECTIONS)]
    with pytest.raises((ConnectionError, urllib.error.URLError)):
        _ask_until_refused(endpoint)
    for connection in silent:
        connection.close()
    for _ in range(1_000):
        try:
            assert _get(endpoint, "/health")[0] == 200
            break
        except OSError:
            continue
    else:
        pytest.fail("it never answered again")


def test_it_is_off_without_a_port_and_says_where_it_cannot_listen(account, endpoint) -> None:
    with pytest.raises(ExecutionError, match="there is no health endpoint"):
        HealthEndpoint(account.monitor, MonitoringSettings(), clock=account.clock)
    taken = MonitoringSettings(health={"port": endpoint.port})
    with pytest.raises(ExecutionError, match=f"cannot listen on 127.0.0.1:{endpoint.port}"):
        HealthEndpoint(account.monitor, taken, clock=account.clock)
