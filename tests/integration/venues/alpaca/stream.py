"""Alpaca's trade-updates websocket: authentication, listening, and events that get lost, doubled or shuffled."""

from __future__ import annotations

import json
import socketserver
import threading
from typing import Any

from tests.integration.vendors.websocket import BINARY, PING, PONG, TEXT, WebSocket, frame
from tests.integration.venues.alpaca.rest import KEY_ID, SECRET_KEY

Json = Any


class StreamVenue:
    """The websocket side of the venue.

    Attributes
    ----------
    frames : str
        ``binary`` as Alpaca's paper trading sends its JSON, or ``text``.
    holds : bool
        Whether events wait in `held` instead of being sent; a test then sends them in the order that it likes.
    answers_pings : bool
        Whether it answers pings; otherwise it seems dead while its socket lives.
    """

    def __init__(self) -> None:
        self.frames = "binary"
        self.holds = False
        self.answers_pings = True
        self.held: list[Json] = []
        self.connections = 0
        self._listening: list[WebSocket] = []
        self._changed = threading.Condition()
        venue = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                venue._serve(WebSocket(self.connection, self.rfile))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.server_address[1]}/stream"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.disconnect()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Forget what was told and whoever listened."""
        self.disconnect()
        self.frames, self.holds, self.answers_pings, self.held, self.connections = "binary", False, True, [], 0

    def disconnect(self) -> None:
        """Cut the connection of whoever listens, without a closing handshake."""
        with self._changed:
            gone, self._listening = self._listening, []
        for connection in gone:
            connection.cut()

    def listen(self, message: Json) -> None:
        """Tell an event, or keep it."""
        if self.holds:
            self.held.append(message)
        else:
            self.send(message)

    def send(self, *messages: Json) -> None:
        """Send events to whoever listens."""
        with self._changed:
            listening = list(self._listening)
        for message in messages:
            for connection in listening:
                self._send(connection, message)

    def send_half(self, message: Json) -> None:
        """Send half of a frame and cut the connection."""
        with self._changed:
            listening = list(self._listening)
        for connection in listening:
            whole = frame(BINARY, json.dumps(message).encode())
            connection.write(whole[: len(whole) // 2])
        self.disconnect()

    def wait_for_listener(self, connections: int = 1, *, timeout_seconds: float = 10.0) -> None:
        """Return when so many connections have listened since the last reset."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.connections >= connections, timeout_seconds):
                raise TimeoutError(f"{self.connections} of {connections} connections to the stream")

    def _serve(self, connection: WebSocket) -> None:
        try:
            connection.shake_hands()
            while (received := connection.receive()) is not None:
                kind, payload = received
                if kind == PING and self.answers_pings:
                    connection.write(frame(PONG, payload))
                elif kind in (TEXT, BINARY):
                    self._answer(connection, json.loads(payload))
        finally:
            with self._changed:
                if connection in self._listening:
                    self._listening.remove(connection)

    def _answer(self, connection: WebSocket, message: Json) -> None:
        data = message["data"]
        if message["action"] == "authenticate":
            is_known = (data["key_id"], data["secret_key"]) == (KEY_ID, SECRET_KEY)
            status = "authorized" if is_known else "unauthorized"
            answer = {"status": status, "action": "authenticate"}
            self._send(connection, {"stream": "authorization", "data": answer})
        elif message["action"] == "listen":
            self._send(connection, {"stream": "listening", "data": {"streams": data["streams"]}})
            with self._changed:
                self._listening.append(connection)
                self.connections += 1
                self._changed.notify_all()

    def _send(self, connection: WebSocket, message: Json) -> None:
        kind = BINARY if self.frames == "binary" else TEXT
        connection.write(frame(kind, json.dumps(message).encode()))
