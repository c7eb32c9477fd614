"""Alpaca's trading REST over a :class:`VenueBook`, going wrong as scripted."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.integration.vendors.vendor_server import CutJson, Fault, Hang, Html, Reset, Status, Truncated
from tests.integration.venues.alpaca.book import OPEN, Refusal, VenueBook

Json = Any

KEY_ID, SECRET_KEY = "PK-CANARY-KEY", "canary-secret-5f1c"


@dataclass(frozen=True)
class Before:
    """The fault befalls the request before the venue has looked at it."""

    fault: Fault


@dataclass(frozen=True)
class After:
    """The venue does what it is asked, and the fault befalls its answer."""

    fault: Fault


@dataclass(frozen=True)
class Call:
    """One request as the venue saw it."""

    method: str
    path: str
    query: dict[str, str]
    body: Json
    request_headers: dict[str, str]


class RestVenue:
    """The HTTP side of the venue; ``script`` lets the next requests of one method meet faults."""

    def __init__(self, book: VenueBook) -> None:
        self.book = book
        self.calls: list[Call] = []
        self._script: dict[str, list[Before | After | None]] = {}
        self.boundary: Callable[[int], None] = _pass
        """Called with 2n before the nth request is looked at, counted from 0, and with 2n + 1 before it is answered."""
        self.closing = threading.Event()
        self._came = threading.Condition()
        venue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # an answer in two packets would wait 40 ms for the first to be acknowledged

            def do_GET(self) -> None:
                venue._receive(self)

            def do_POST(self) -> None:
                venue._receive(self)

            def do_PATCH(self) -> None:
                venue._receive(self)

            def do_DELETE(self) -> None:
                venue._receive(self)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def reset(self, book: VenueBook) -> None:
        """Begin again with another account; requests that hang are let go."""
        self.let_go()
        self.book, self.calls, self._script = book, [], {}
        self.boundary = _pass

    def let_go(self) -> None:
        """End the silence of requests that hang."""
        self.closing.set()
        self.closing = threading.Event()

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self._script = {}

    def wait_for(self, method: str, requests: int, *, timeout_seconds: float = 10.0) -> None:
        """Return when so many requests of a method have come since the last reset."""
        with self._came:
            if not self._came.wait_for(lambda: self.count(method) >= requests, timeout_seconds):
                raise TimeoutError(f"{self.count(method)} of {requests} {method} requests")

    def script(self, method: str, *faults: Before | After | None) -> None:
        """Let the next requests of `method` meet these faults, one each; None is the right answer."""
        self._script.setdefault(method, []).extend(faults)

    def count(self, method: str) -> int:
        """Requests of a method so far."""
        return sum(call.method == method for call in self.calls)

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        closing = self.closing
        split = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        length = int(handler.headers.get("Content-Length") or 0)
        text = handler.rfile.read(length)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        call = Call(handler.command, unquote(split.path), query, json.loads(text) if text else None, headers)
        with self.book.lock:
            self.calls.append(call)
            number = len(self.calls) - 1
            self.boundary(2 * number)
            waiting = self._script.get(call.method)
            scripted = waiting.pop(0) if waiting else None
            status, answer = (200, None) if isinstance(scripted, Before) else self._answer(call)
            self.boundary(2 * number + 1)
        with self._came:
            self._came.notify_all()
        fault = scripted.fault if scripted is not None else None
        body = b"" if answer is None else json.dumps(answer).encode()
        _send_faulty(handler, status, body, fault, closing)

    def _answer(self, call: Call) -> tuple[int, Json]:
        if (call.request_headers.get("apca-api-key-id"), call.request_headers.get("apca-api-secret-key")) != (
            KEY_ID,
            SECRET_KEY,
        ):
            return 401, {"code": 40110000, "message": "request is not authorized"}
        for method, pattern, answer in self._routes():
            match = re.fullmatch(pattern, call.path)
            if call.method == method and match:
                try:
                    found = answer(call, *match.groups())
                except Refusal as refusal:
                    return refusal.status, refusal.body
                return (204, None) if found is None else (200, found)
        return 404, {"code": 40410000, "message": "endpoint not found."}

    def _routes(self) -> list[tuple[str, str, Callable[..., Json]]]:
        book = self.book
        return [
            ("POST", "/v2/orders", lambda call: book.submit(call.body)),
            ("GET", "/v2/orders", self._orders),
            ("GET", "/v2/orders:by_client_order_id", lambda call: book.named(call.query["client_order_id"])),
            ("GET", "/v2/orders/([^/]+)", lambda _, name: book.order(name)),
            ("PATCH", "/v2/orders/([^/]+)", lambda call, name: book.replace(name, call.body)),
            ("DELETE", "/v2/orders/([^/]+)", lambda _, name: book.cancel(name)),
            ("GET", "/v2/positions", lambda _: book.position_rows()),
            ("GET", "/v2/account", lambda _: book.account()),
            ("GET", "/v2/account/activities(?:/([A-Z]+))?", self._activities),
            ("GET", "/v2/clock", self._clock),
        ]

    def _orders(self, call: Call) -> Json:
        status = call.query.get("status", "open")
        after = call.query.get("after", "")
        rows = [
            order
            for order in self.book.orders.values()
            if (status == "all" or (order["status"] in OPEN) is (status == "open")) and order["submitted_at"] > after
        ]
        rows.sort(key=lambda order: order["submitted_at"], reverse=call.query.get("direction", "desc") == "desc")
        return rows[: int(call.query.get("limit", 50))]

    def _activities(self, call: Call, kind: str | None) -> Json:
        after, token = call.query.get("after", ""), call.query.get("page_token", "")
        rows = [
            row
            for row in self.book.activities
            if kind in (None, row["activity_type"])
            and row.get("transaction_time", f"{row.get('date')}T23:59:59") >= after
            and row["id"] > token
        ]
        rows.sort(key=lambda row: row["id"], reverse=call.query.get("direction", "desc") == "desc")
        return rows[: int(call.query.get("page_size", 100))]

    def _clock(self, _: Call) -> Json:
        stamp = self.book.stamp()
        return {"timestamp": stamp, "is_open": self.book.is_open, "next_open": stamp, "next_close": stamp}


def _pass(_: int) -> None:
    """Do nothing at a boundary."""


def _send_faulty(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, fault: Fault | None, closing: threading.Event
) -> None:
    match fault:
        case Hang():
            closing.wait()
            handler.close_connection = True
        case Reset():
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
        case Truncated():
            _send(handler, status, body or b"{}", kept=len(body) // 2)
            handler.close_connection = True
        case CutJson():
            _send(handler, 200, body[: len(body) // 2] or b"{")
        case Html():
            _send(handler, fault.code, b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>")
        case Status():
            _send(handler, fault.code, json.dumps(fault.body).encode(), retry_after=fault.retry_after)
        case _:
            _send(handler, status, body)


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    *,
    kept: int | None = None,
    retry_after: str | None = None,
) -> None:
    handler.send_response_only(status)
    if status != 204:
        handler.send_header("Content-Length", str(len(body)))
    handler.send_header("Content-Type", "application/json")
    if retry_after is not None:
        handler.send_header("Retry-After", retry_after)
    handler.end_headers()
    handler.wfile.write(body[:kept] if status != 204 else b"")
