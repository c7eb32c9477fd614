"""One message, one answer: what leaves for Alpaca's host, over which connection, and what is no answer."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from aegis.config_brokers import AlpacaBrokerSettings
from aegis.errors import BrokerUnavailable, ConfigurationError
from aegis.execution.brokers.alpaca_requests import AlpacaRequests, Refused, load_alpaca_py
from tests.integration.venues.alpaca.rest import KEY_ID, SECRET_KEY
from tests.integration.venues.live_host import AUTHORITY, CERTIFICATE
from tests.integration.venues.raw_host import OK, RawHost, Silence, ThenClosed, Written

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
ORDER = {"symbol": "ABC", "qty": "1", "client_order_id": "order-ABC"}


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch):
    """No proxies and no certificates but what a test sets."""
    for name in (*PROXIES, *(name.upper() for name in PROXIES), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def reach() -> Iterator[object]:
    """Make what sends requests to an address; it is closed at the end."""
    made: list[AlpacaRequests] = []

    def make(address: str, **terms: object) -> AlpacaRequests:
        settings = {
            "url": address,
            "key_id": KEY_ID,
            "secret_key": SECRET_KEY,
            "connect_timeout_seconds": 5.0,
            "read_timeout_seconds": 5.0,
            "attempts": 2,
            "first_pause_seconds": 0.0,
            **terms,
        }
        made.append(AlpacaRequests(AlpacaBrokerSettings.model_validate(settings)))
        return made[-1]

    yield make
    for requests in made:
        requests.close()


def _answer(status: str, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 " + status.encode(), b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _send_with_requests(address: str, method: str, path: str, body: object) -> None:
    load_alpaca_py()
    from alpaca.trading.client import TradingClient  # noqa: PLC0415

    client = TradingClient(KEY_ID, SECRET_KEY, raw_data=True, url_override=address)
    with client._session:
        getattr(client, method.lower())(path, body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/orders", ORDER),
        ("POST", "/orders", {"client_order_id": "naïve → 日本", "qty": "1"}),
        ("POST", "/orders", {}),
        ("POST", "/orders", None),
        ("PATCH", "/orders/61e69015-8549-4bfd-b9c3-01e75843f47d", {"qty": "2", "extended_hours": False}),
        ("DELETE", "/orders/61e69015-8549-4bfd-b9c3-01e75843f47d", None),
        ("GET", "/account", None),
        ("GET", "/orders:by_client_order_id", {"client_order_id": "order-ABC.r1~x"}),
        ("GET", "/orders:by_client_order_id", {"client_order_id": "a b&c=ü/:+%41?#"}),
        ("GET", "/orders", {"status": "open", "limit": 500, "after": "2014-06-05T20:15:00.5Z", "nothing": None}),
        ("GET", "/orders/a b", None),
        ("GET", "/orders/../account", None),
        ("GET", "/orders/%41ü", None),
    ],
)
def test_what_leaves_is_what_alpaca_py_sends_through_requests(reach, method, path, body):
    with RawHost(OK, OK) as host:
        _send_with_requests(host.address, method, path, body)
        assert reach(host.address).send(method, path, body) == {}
        theirs, ours = host.written
    assert (ours.request_line, ours.headers) == (theirs.request_line, theirs.headers)
    assert (ours.body, ours.headers["apca-api-secret-key"]) == (theirs.body, SECRET_KEY)


def test_the_name_of_the_host_is_written_as_requests_does(reach):
    with RawHost(OK, OK) as host:
        address = host.address.replace("127.0.0.1", "LOCALHOST")
        _send_with_requests(address, "GET", "/account", None)
        reach(address).send("GET", "/account")
        theirs, ours = host.written
    assert (ours.request_line, ours.headers) == (theirs.request_line, theirs.headers)


def test_one_connection_is_kept_for_all_requests(reach):
    with RawHost(OK, _answer("422 Unprocessable Entity", b'{"message": "no"}'), _answer("204 No Content"), OK) as host:
        requests = reach(host.address)
        assert requests.send("POST", "/orders", ORDER) == {}
        assert requests.send("POST", "/orders", ORDER) == Refused(422, None, "no")
        assert requests.send("DELETE", "/orders/x") is None
        assert requests.send("GET", "/account") == {}
        assert [message.connection for message in host.written] == [0, 0, 0, 0]
        requests.close()
        host.wait_for_ends(1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ThenClosed(OK), id="closed while nothing was asked"),
        pytest.param(ThenClosed(OK + _answer("408 Request Timeout")), id="told that nothing was asked, and closed"),
        pytest.param(ThenClosed(_answer("200 OK", b"{}", b"Connection: close")), id="closed as announced"),
        pytest.param(ThenClosed(b"HTTP/1.0 200 OK\r\n\r\n{}"), id="an answer that the end of the connection ends"),
    ],
)
def test_an_order_after_a_pause_leaves_once_over_a_new_connection(reach, answer):
    with RawHost(answer, OK) as host:
        requests = reach(host.address)
        assert requests.send("GET", "/account") == {}
        host.wait_for_ends(1)
        assert requests.send("POST", "/orders", ORDER) == {}
        assert [message.connection for message in host.written] == [0, 1]


def test_words_that_nobody_asked_for_are_no_answer_to_the_next_request(reach):
    foreign = _answer("200 OK", b'{"id": "of another order"}')
    with RawHost(OK + foreign, OK) as host:
        requests = reach(host.address)
        requests.send("GET", "/account")
        assert requests.send("POST", "/orders", ORDER) == {}
        assert [message.connection for message in host.written] == [0, 0], "they came with the answer and are dropped"


def test_words_that_nobody_asked_for_and_that_are_only_partly_read_are_no_answer_either(reach, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(AUTHORITY))
    foreign = _answer("200 OK", b'{"id": "of another order"}')
    # One record of TLS is decrypted as a whole, and no more of it read than an answer's buffer holds: 8 kB.
    with RawHost(OK + b" " * (8192 - len(OK)) + foreign, OK, certificate=str(CERTIFICATE)) as host:
        here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(host.address.rpartition(":")[2])))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)
        requests = reach("https://paper-api.alpaca.markets")
        try:
            assert requests.send("GET", "/account") == {}
            assert requests.send("POST", "/orders", ORDER) == {}
        finally:
            requests.close()
        assert [message.connection for message in host.written] == [0, 1]


def test_certificates_that_are_not_there_are_named_with_their_setting(reach, monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigurationError, match=r"gone.pem: cannot be read .*REQUESTS_CA_BUNDLE"):
        reach("https://127.0.0.1:1")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ThenClosed(b""), id="the connection ends"),
        pytest.param(ThenClosed(OK[:-1]), id="the body ends early"),
        pytest.param(ThenClosed(OK[:30]), id="the head ends early"),
        pytest.param(
            ThenClosed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
            id="no last chunk",
        ),
        pytest.param(
            ThenClosed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"), id="a chunk of no length"
        ),
        pytest.param(ThenClosed(b"\x16\x03\x01 nothing of HTTP\r\n\r\n"), id="no HTTP"),
        pytest.param(ThenClosed(b"HTTP/1.1 abc OK\r\n\r\n"), id="no status"),
        pytest.param(ThenClosed(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"), id="a line without end"),
        pytest.param(ThenClosed(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n"), id="a head without end"),
        pytest.param(_answer("200 OK", b"{", b"Content-Type: application/json"), id="JSON cut in half"),
        pytest.param(_answer("200 OK", b"\xff\xfe\x00", b"Content-Type: application/json"), id="no text"),
        pytest.param(_answer("200 OK", b"no gzip", b"Content-Encoding: gzip"), id="packed, it says"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, id="an answer before the answer"),
        *[
            pytest.param(_answer(status, b"", b"Location: /v2/elsewhere"), id=f"a redirect with {status[:3]}")
            for status in (
                "301 Moved",
                "302 Found",
                "303 See Other",
                "307 Temporary Redirect",
                "308 Permanent Redirect",
            )
        ],
        *[
            pytest.param(_answer(status, b'{"message": "later"}', b"Retry-After: 0"), id=status[:3])
            for status in ("408 Timeout", "425 Early", "429 Many", "500 Error", "502 Bad", "503 Busy", "504 Late")
        ],
    ],
)
def test_an_order_without_a_usable_answer_leaves_once_and_is_unknown(reach, answer):
    with RawHost(OK, answer, OK) as host:
        requests = reach(host.address)
        requests.send("GET", "/account")
        with pytest.raises(BrokerUnavailable, match=r"POST /orders: no usable answer .* ask what happened"):
            requests.send("POST", "/orders", ORDER)
        assert [message.request_line.split()[0] for message in host.written] == ["GET", "POST"]
        assert requests.send("GET", "/account") == {}


def test_after_half_an_answer_its_connection_is_not_used_again(reach):
    with RawHost(b"HTTP/1.1 103 Early Hints\r\n\r\n", OK) as host:  # the rest may come at any time
        requests = reach(host.address)
        with pytest.raises(BrokerUnavailable, match="HTTP 103 is no answer"):
            requests.send("POST", "/orders", ORDER)
        assert requests.send("GET", "/account") == {}
        assert [message.connection for message in host.written] == [0, 1]


@pytest.mark.parametrize("nothing", [_answer("200 OK"), _answer("204 No Content"), _answer("200 OK", b"null")])
def test_an_empty_answer_to_a_question_does_not_say_that_nothing_is_found(reach, nothing):
    with RawHost(nothing, nothing, nothing, _answer("404 Not Found", b'{"code": 40410000}')) as host:
        requests = reach(host.address)
        with pytest.raises(BrokerUnavailable, match="an empty answer"):
            requests.ask("/orders:by_client_order_id", {"client_order_id": "order-ABC"})
        assert requests.ask("/orders:by_client_order_id", {"client_order_id": "order-ABC"}) is None
        assert len(host.written) == 4


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>Not Found</html>", b'{"code": "none"}'])
def test_a_404_without_the_venue_s_code_does_not_say_that_nothing_is_found(reach, body):
    with RawHost(*[_answer("404 Not Found", body)] * 2) as host:
        with pytest.raises(BrokerUnavailable, match="HTTP 404"):
            reach(host.address).ask("/orders:by_client_order_id", {"client_order_id": "order-ABC"})
        assert len(host.written) == 2


def test_silence_ends_and_its_connection_is_not_used_again(reach):
    with RawHost(OK, Silence(), OK) as host:
        requests = reach(host.address, read_timeout_seconds=0.2)
        requests.send("GET", "/account")
        with pytest.raises(BrokerUnavailable, match=r"ReadTimeout: no whole answer: silence for 0\.2 s"):
            requests.send("POST", "/orders", ORDER)
        assert requests.send("GET", "/account") == {}
        assert [message.connection for message in host.written] == [0, 0, 1]


def test_a_body_that_stops_halfway_ends(reach):
    with RawHost(answer=lambda _: OK[:-1]) as host:
        requests = reach(host.address, read_timeout_seconds=0.2)
        with pytest.raises(BrokerUnavailable, match="ReadTimeout"):
            requests.send("POST", "/orders", ORDER)
        assert len(host.written) == 1


def test_a_host_that_takes_no_connection_is_unavailable(reach):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(BrokerUnavailable, match="ConnectionRefusedError"):
        reach(address).send("POST", "/orders", ORDER)


def test_a_host_that_never_answers_the_call_is_given_up(reach):
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as listener:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # whoever comes after these is not let in
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        requests = reach(f"http://127.0.0.1:{listener.getsockname()[1]}", connect_timeout_seconds=0.2)
        with pytest.raises(BrokerUnavailable, match=r"ConnectTimeout: no connection to 127.0.0.1:\d+ within 0\.2 s"):
            requests.send("POST", "/orders", ORDER)
        for one in waiting:
            one.close()


def test_what_the_venue_packs_or_sends_in_chunks_is_read(reach):
    body = json.dumps({"said": "naïve → 日本"}, ensure_ascii=False).encode()
    packed = gzip.compress(body)
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    kind = b"Content-Type: application/json"
    with RawHost(
        _answer("200 OK", packed, kind, b"Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\n" + kind + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
        _answer("200 OK", body),
    ) as host:
        requests = reach(host.address)
        assert [requests.send("GET", "/account") for _ in range(3)] == [{"said": "naïve → 日本"}] * 3
        assert [message.connection for message in host.written] == [0, 0, 0]


def test_threads_get_the_answers_to_their_own_requests(reach):
    def echo(message: Written) -> bytes:
        return _answer("200 OK", message.body, b"Content-Type: application/json")

    wrong: list[object] = []
    with RawHost(answer=echo) as host:
        requests, start = reach(host.address), threading.Barrier(6)

        def send(thread: int) -> None:
            start.wait()
            for number in range(20):
                body = {"client_order_id": f"{thread}-{number}"}
                answer = requests.send("POST", "/orders", body)
                if answer != body:
                    wrong.append((body, answer))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        requests.close()
        connections = {message.connection for message in host.written}
        host.wait_for_ends(len(connections))
    assert wrong == []
    assert set(Counter(message.body for message in host.written).values()) == {1}
    assert (len(host.written), len(connections) <= 6) == (120, True)


def test_a_proxy_of_the_environment_is_used(reach, monkeypatch):
    with RawHost(OK) as host, RawHost(OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        assert reach(host.address).send("POST", "/orders", ORDER) == {}
        assert [message.request_line for message in proxy.written] == [f"POST {host.address}/v2/orders HTTP/1.1"]
        assert host.written == []


def test_a_proxy_that_redirects_an_order_is_no_answer(reach, monkeypatch):
    with RawHost() as host, RawHost(_answer("307 Temporary Redirect", b"", b"Location: /v2/elsewhere")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        with pytest.raises(BrokerUnavailable, match="redirects are not followed"):
            reach(host.address).send("POST", "/orders", ORDER)
        assert (len(proxy.written), host.written) == (1, [])


def test_a_host_that_needs_no_proxy_is_reached_without(reach, monkeypatch):
    with RawHost(OK) as host, RawHost() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert reach(host.address).send("POST", "/orders", ORDER) == {}
        assert (len(host.written), proxy.written) == (1, [])


@pytest.mark.parametrize("authority", [None, str(AUTHORITY)], ids=["an unknown authority", "another name"])
def test_nothing_is_written_to_a_host_whose_certificate_does_not_fit(reach, monkeypatch, authority):
    if authority is not None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority)
    with RawHost(OK, certificate=str(CERTIFICATE)) as host:
        why = "self-signed|unable to get local issuer" if authority is None else "IP address mismatch"
        with pytest.raises(BrokerUnavailable, match=f"SSLCertVerificationError.*({why})"):
            reach(host.address).send("POST", "/orders", ORDER)
        host.wait_for_ends(1)
        assert host.written == []


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param({}, id="an answer that repeats the keys"),
        pytest.param({"secret_key": f"{SECRET_KEY}\nX: y"}, id="a key with a line break"),
    ],
)
@pytest.mark.parametrize("has_proxy", [False, True])
def test_no_error_shows_the_keys(reach, monkeypatch, terms, has_proxy):
    with RawHost(ThenClosed(f"{KEY_ID} {SECRET_KEY}\r\n\r\n".encode())) as host:
        if has_proxy:
            monkeypatch.setenv("HTTP_PROXY", host.address)
        with pytest.raises(BrokerUnavailable) as found:
            reach(host.address, **terms).send("POST", "/orders", ORDER)
        told = "".join(traceback.format_exception(found.value))
        assert len(host.written) == (0 if terms else 1)
    assert SECRET_KEY not in told
    assert KEY_ID not in told
