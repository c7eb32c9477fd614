"""A host of real money on this machine: Alpaca's venue of the tests behind TLS, and every name of the network its own.

Names are resolved to it in this process, whatever they are, so that nothing of a test reaches a real host, and every
connection that would have is counted.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.integration.venues.alpaca.server import AlpacaVenue

HERE = Path(__file__).parent
CERTIFICATE, AUTHORITY = HERE / "live_host.pem", HERE / "live_host_authority.pem"
LOCAL_NAMES = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "", None}  # noqa: S104 - a name, nothing listens there
_CHUNK = 65_536


class LiveHost:
    """Takes connections to any host, and hands what they say to the venue."""

    def __init__(self, venue: AlpacaVenue) -> None:
        self.venue = venue
        self.connections = 0
        self.names: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATE)
        self._resolve: Callable[..., Any] = socket.getaddrinfo
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> LiveHost:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def resolve(self, host: Any, port: Any, *terms: Any, **named: Any) -> Any:
        """Resolve a name as :func:`socket.getaddrinfo`: this machine as it is, all others to this host."""
        if host in LOCAL_NAMES:
            return self._resolve(host, port, *terms, **named)
        self.names.append(str(host))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", self._listener.getsockname())]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            secured = self._context.wrap_socket(connection, server_side=True)
            begun = secured.recv(_CHUNK)
        except OSError:
            connection.close()
            return
        place = self.venue.stream.url if begun.startswith(b"GET /stream") else self.venue.rest.url
        behind = socket.create_connection(("127.0.0.1", urlsplit(place).port or 0))
        behind.sendall(begun)
        threading.Thread(target=_pass_on, args=(behind, secured), daemon=True).start()
        _pass_on(secured, behind)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            with suppress(OSError):
                socket.socket.shutdown(end, socket.SHUT_RDWR)  # wakes the thread that waits for the other way
            end.close()
