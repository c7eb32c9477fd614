"""An HTTP server of the trading process for whoever asks how it is: `/health`, `/snapshot`, `/events`, `/metrics`.

Belongs here: answering requests from memory. It changes nothing and knows no secret; it listens on this machine's own
address unless a setting says otherwise.

Notes
-----
Whatever is sent to it, it holds up nobody: at most :data:`MOST_CONNECTIONS` are served at once and others are hung up
on, a request that is not finished within seconds is dropped, and bodies are not read. A browser on this machine cannot
be made to read it by a page from elsewhere: a request for another host name than the one it listens on is refused.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from aegis.clock import Clock
from aegis.config_monitoring import MonitoringSettings
from aegis.errors import ExecutionError
from aegis.monitoring.monitor import Monitor
from aegis.monitoring.prometheus_text import CONTENT_TYPE, exposition
from aegis.monitoring.status_file import TraderStatus, status_of

MOST_CONNECTIONS = 16
_REQUEST_SECONDS = 5.0
_STREAM_WAIT_SECONDS = 1.0
_BEATS = 15
_LOCAL = ("127.0.0.1", "localhost", "::1")


class HealthEndpoint:
    """The server, on a thread of its own; a context manager.

    Parameters
    ----------
    monitor : Monitor
        Whose status and events are shown.
    settings : MonitoringSettings
        Address, port, and when a status is stale.
    clock : Clock
        Says how old the status is.

    Raises
    ------
    ExecutionError
        No port is set, or the address cannot be listened on.
    """

    def __init__(self, monitor: Monitor, settings: MonitoringSettings, *, clock: Clock) -> None:
        port = settings.health.port
        if port is None:
            raise ExecutionError(
                "monitoring.health.port is not set: there is no health endpoint; set a port, 0 for any"
            )
        try:
            self._server = _Server((settings.health.host, port), monitor, settings, clock)
        except OSError as error:
            raise ExecutionError(
                f"the health endpoint cannot listen on {settings.health.host}:{port} ({error}); set another "
                "monitoring.health.port or host"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="health-endpoint", daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Stop answering; streams end. Closing again does nothing."""
        self._server.is_closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], monitor: Monitor, settings: MonitoringSettings, clock: Clock) -> None:
        self.monitor, self.settings, self.clock = monitor, settings, clock
        self.is_closing = threading.Event()
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve on a thread, or hang up where too many are served."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve, and make room again."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_SECONDS
    server_version, sys_version = "aegis", ""

    def do_GET(self) -> None:
        """Answer."""
        split = urlsplit(self.path)
        answers: dict[str, Callable[[], None]] = {
            "/health": self._health,
            "/snapshot": self._snapshot,
            "/metrics": self._metrics,
            "/events": lambda: self._events(split.query),
        }
        if not self._is_asked_for_us():
            self._send(421, {"problem": "asked for another host than this one"})
        elif split.path in answers:
            answers[split.path]()
        else:
            self._send(404, {"problem": f"there are {', '.join(answers)}"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        """Write no line for a request."""

    def _is_asked_for_us(self) -> bool:
        """Whether the Host header names the address that it listens on; anything goes where all may ask."""
        own = self.server.settings.health.host
        if own not in _LOCAL:
            return True
        host = urlsplit(f"//{self.headers.get('Host', own)}").hostname
        return host in _LOCAL

    def _status(self) -> TraderStatus | None:
        record = self.server.monitor.status
        return status_of(record) if record else None

    def _problems(self) -> tuple[str, ...]:
        status = self._status()
        if status is None:
            return ("the account was not looked at yet",)
        return status.problems(self.server.clock.now_utc(), self.server.settings.stale_after_seconds)

    def _health(self) -> None:
        problems = self._problems()
        self._send(503 if problems else 200, {"is_healthy": not problems, "problems": list(problems)})

    def _snapshot(self) -> None:
        record = self.server.monitor.status
        self._send(200 if record else 503, record or {"problem": self._problems()[0]})

    def _metrics(self) -> None:
        status = self._status()
        age = None if status is None else status.age_seconds(self.server.clock.now_utc())
        text = exposition(self.server.monitor.status, is_healthy=not self._problems(), age_seconds=age)
        self._send_bytes(200, text.encode(), CONTENT_TYPE)

    def _events(self, query: str) -> None:
        """Stream events after the number that is asked for, by `after` or `Last-Event-ID`, until either side ends."""
        stream, asked = self.server.monitor.events, parse_qs(query).get("after", [])
        number = self._number(*asked[:1]) if asked else self._number(self.headers.get("Last-Event-ID", ""))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        quiet = 0
        while not self.server.is_closing.is_set():
            events = stream.wait(number, _STREAM_WAIT_SECONDS)
            quiet = 0 if events else quiet + 1
            for event in events:
                number = event["number"]
                text = f"id: {number}\nevent: {event['kind']}\ndata: {json.dumps(event, sort_keys=True)}\n\n"
                self.wfile.write(text.encode())
            if quiet == _BEATS:
                self.wfile.write(b": still here\n\n")
                quiet = 0

    def _number(self, text: str) -> int:
        """Return the number that events are wanted after; the newest where none is named."""
        return int(text) if text.isascii() and text.isdecimal() else self.server.monitor.events.last_number

    def _send(self, status: int, record: Any) -> None:
        self._send_bytes(status, (json.dumps(record, sort_keys=True) + "\n").encode(), "application/json")

    def _send_bytes(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)
