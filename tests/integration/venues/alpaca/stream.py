"""Alpaca's trade-updates websocket: authentication, listening, and events that get lost, doubled or shuffled.

The frames are written here by hand (RFC 6455), so that client and venue do not share one library's idea of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import socketserver
import struct
import threading
from typing import Any

from tests.integration.venues.alpaca.rest import KEY_ID, SECRET_KEY

Json = Any

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_LONGEST_SHORT, _TWO_BYTES, _EIGHT_BYTES = 125, 126, 127


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
        self._listening: list[_Connection] = []
        self._changed = threading.Condition()
        venue = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                venue._serve(_Connection(self.connection, self.rfile))

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
            whole = _frame(_BINARY, json.dumps(message).encode())
            connection.write(whole[: len(whole) // 2])
        self.disconnect()

    def wait_for_listener(self, connections: int = 1, *, timeout_seconds: float = 10.0) -> None:
        """Return when so many connections have listened since the last reset."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.connections >= connections, timeout_seconds):
                raise TimeoutError(f"{self.connections} of {connections} connections to the stream")

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.shake_hands()
            while (received := connection.receive()) is not None:
                kind, payload = received
                if kind == _PING and self.answers_pings:
                    connection.write(_frame(_PONG, payload))
                elif kind in (_TEXT, _BINARY):
                    self._answer(connection, json.loads(payload))
        finally:
            with self._changed:
                if connection in self._listening:
                    self._listening.remove(connection)

    def _answer(self, connection: _Connection, message: Json) -> None:
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

    def _send(self, connection: _Connection, message: Json) -> None:
        kind = _BINARY if self.frames == "binary" else _TEXT
        connection.write(_frame(kind, json.dumps(message).encode()))


class _Connection:
    """One client; whole frames only, as clients of this stream send no others."""

    def __init__(self, connection: socket.socket, incoming: Any) -> None:
        self._socket = connection
        self._incoming = incoming
        self._writing = threading.Lock()

    def shake_hands(self) -> None:
        key = b""
        while (line := self._incoming.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"sec-websocket-key":
                key = value.strip()
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def receive(self) -> tuple[int, bytes] | None:
        """Return the next frame's kind and contents, None at the end."""
        try:
            head = self._incoming.read(2)
            if len(head) < 2:
                return None
            kind, length = head[0] & 0x0F, head[1] & 0x7F
            if length == _TWO_BYTES:
                (length,) = struct.unpack("!H", self._incoming.read(2))
            elif length == _EIGHT_BYTES:
                (length,) = struct.unpack("!Q", self._incoming.read(8))
            mask, masked = self._incoming.read(4), self._incoming.read(length)
        except OSError:
            return None
        payload = bytes(letter ^ mask[at % 4] for at, letter in enumerate(masked))
        if kind == _CLOSE:
            self.write(_frame(_CLOSE, payload))
            return None
        return kind, payload

    def write(self, data: bytes) -> None:
        with self._writing:
            try:
                self._socket.sendall(data)
            except OSError:
                self.cut()

    def cut(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _frame(kind: int, payload: bytes) -> bytes:
    length = len(payload)
    if length <= _LONGEST_SHORT:
        return struct.pack("!BB", 0x80 | kind, length) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", 0x80 | kind, _TWO_BYTES, length) + payload
    return struct.pack("!BBQ", 0x80 | kind, _EIGHT_BYTES, length) + payload
