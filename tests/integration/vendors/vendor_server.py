"""A vendor on this machine: an HTTP server that answers as told, goes wrong as scripted, and counts requests."""

from __future__ import annotations

import json
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = Any


@dataclass(frozen=True)
class Request:
    """One request as the vendor saw it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Status:
    """An answer with this status; for an error, the vendor's own words in JSON."""

    code: int
    retry_after: str | None = None
    body: Json = field(default_factory=lambda: {"message": "as scripted"})
    date: str | None = None


@dataclass(frozen=True)
class Html:
    """A proxy's page in the place of an answer."""

    code: int = 200


@dataclass(frozen=True)
class Hang:
    """Silence until the server is closed."""


@dataclass(frozen=True)
class Reset:
    """The connection is reset before any answer."""


@dataclass(frozen=True)
class Truncated:
    """Half of the body that Content-Length promises, then the end of the connection."""


@dataclass(frozen=True)
class CutJson:
    """Half of the JSON as if it were all."""


@dataclass(frozen=True)
class Altered:
    """The right answer, changed."""

    change: Callable[[Json], Json]


Fault = Status | Html | Hang | Reset | Truncated | CutJson | Altered


class VendorServer(ABC):
    """A vendor that answers ``answer(request)``; a subclass knows the vendor's paths and words.

    Attributes
    ----------
    requests : list of Request
        All that were received, in order.
    always : Fault, optional
        Befalls every request for which `script` has none left.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.always: Fault | None = None
        self._script: list[Fault | None] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                split = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
                server._receive(self, Request(split.path, query, {k.lower(): v for k, v in self.headers.items()}))

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> VendorServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def count(self) -> int:
        """Requests received so far."""
        return len(self.requests)

    def script(self, *faults: Fault | None) -> None:
        """Let the next requests meet these faults, one each; None is the right answer."""
        self._script.extend(faults)

    @abstractmethod
    def answer(self, request: Request) -> Json | Status:
        """Return the vendor's JSON, or a status with its words."""

    def is_scripted(self, request: Request) -> bool:
        """Whether faults befall this request; some requests of a client are beside the point."""
        return bool(request)

    def _receive(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            fault = None
            if self.is_scripted(request):
                fault = self._script.pop(0) if self._script else self.always
        answer = fault if isinstance(fault, Status) else self.answer(request)
        if isinstance(answer, Status):
            _send(handler, json.dumps(answer.body).encode(), answer)
            return
        if isinstance(fault, Altered):
            answer = fault.change(answer)
        self._send_faulty(handler, json.dumps(answer).encode(), fault)

    def _send_faulty(self, handler: BaseHTTPRequestHandler, body: bytes, fault: Fault | None) -> None:
        if isinstance(fault, Hang):
            self._closing.wait()
            handler.close_connection = True
        elif isinstance(fault, Reset):
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
        elif isinstance(fault, Truncated):
            _send(handler, body, Status(200), kept=len(body) // 2)
            handler.close_connection = True
        elif isinstance(fault, CutJson):
            _send(handler, body[: len(body) // 2], Status(200))
        elif isinstance(fault, Html):
            page = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
            _send(handler, page, Status(fault.code), content_type="text/html")
        else:
            _send(handler, body, Status(200))


def _send(
    handler: BaseHTTPRequestHandler,
    body: bytes,
    status: Status,
    *,
    kept: int | None = None,
    content_type: str = "application/json",
) -> None:
    handler.send_response_only(status.code)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    if status.date is not None:
        handler.send_header("Date", status.date)
    if status.retry_after is not None:
        handler.send_header("Retry-After", status.retry_after)
    handler.end_headers()
    handler.wfile.write(body[:kept])
