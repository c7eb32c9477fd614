"""The server's side of a websocket.

The frames are written here by hand (RFC 6455), so that client and server do not share one library's idea of them.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
from typing import Any

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_LONGEST_SHORT, _TWO_BYTES, _EIGHT_BYTES = 125, 126, 127
_IS_LAST = 0x80


class WebSocket:
    """One client.

    Attributes
    ----------
    headers : dict of bytes to bytes
        Those of the handshake, their names in lower case.
    """

    def __init__(self, connection: socket.socket, incoming: Any) -> None:
        self.headers: dict[bytes, bytes] = {}
        self._socket = connection
        self._incoming = incoming
        self._writing = threading.Lock()

    def shake_hands(self) -> str:
        """Let the client in and return the path that it asked for."""
        asked = self._incoming.readline().split(b" ")
        while (line := self._incoming.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            self.headers[name.strip().lower()] = value.strip()
        key = self.headers[b"sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        return str(asked[1].decode())

    def receive(self) -> tuple[int, bytes] | None:
        """Return the next message's kind and contents, None at the end; control frames between its parts are lost."""
        kind, whole = 0, b""
        while (received := self._receive_frame()) is not None:
            is_last, part_kind, payload = received
            if part_kind == CLOSE:
                self.write(frame(CLOSE, payload))
                return None
            if part_kind >= CLOSE:
                return part_kind, payload
            kind, whole = part_kind or kind, whole + payload
            if is_last:
                return kind, whole
        return None

    def _receive_frame(self) -> tuple[bool, int, bytes] | None:
        try:
            head = self._incoming.read(2)
            if len(head) < 2:
                return None
            length = head[1] & 0x7F
            if length == _TWO_BYTES:
                (length,) = struct.unpack("!H", self._incoming.read(2))
            elif length == _EIGHT_BYTES:
                (length,) = struct.unpack("!Q", self._incoming.read(8))
            mask, masked = self._incoming.read(4), self._incoming.read(length)
        except OSError:
            return None
        payload = bytes(letter ^ mask[at % 4] for at, letter in enumerate(masked))
        return bool(head[0] & _IS_LAST), head[0] & 0x0F, payload

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


def frame(kind: int, payload: bytes) -> bytes:
    """Return a whole message as one frame."""
    length = len(payload)
    if length <= _LONGEST_SHORT:
        return struct.pack("!BB", _IS_LAST | kind, length) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", _IS_LAST | kind, _TWO_BYTES, length) + payload
    return struct.pack("!BBQ", _IS_LAST | kind, _EIGHT_BYTES, length) + payload
