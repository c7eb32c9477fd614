"""A host that answers requests with given bytes, and keeps every byte that was written to it.

For what no well-behaved server sends: an end in the middle, words that nobody asked for, silence.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class ThenClosed:
    """These bytes, and then the end of the connection, which they do not announce."""

    answer: bytes


@dataclass(frozen=True)
class Silence:
    """Nothing, until the host is closed."""


Answer = bytes | ThenClosed | Silence


@dataclass(frozen=True)
class Written:
    """One message as it came: the number of its connection, counted from 0, its head without the end, and its body."""

    connection: int
    head: bytes
    body: bytes

    @property
    def request_line(self) -> str:
        return self.head.split(b"\r\n")[0].decode("latin-1")

    @property
    def headers(self) -> dict[str, str]:
        """Names in lower case; one that comes twice is refused."""
        rows = [line.decode("latin-1").split(": ", 1) for line in self.head.split(b"\r\n")[1:]]
        found = {name.lower(): value for name, value in rows}
        assert len(found) == len(rows)
        return found


class RawHost:
    """Listens on this machine; `answer` is asked for each message, and without one the script's next is taken."""

    def __init__(
        self,
        *script: Answer,
        answer: Callable[[Written], Answer] | None = None,
        certificate: str | None = None,
    ) -> None:
        self.written: list[Written] = []
        self._script = list(script)
        self._answer = answer or (lambda _: self._script.pop(0))
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._closing = threading.Event()
        self._ended = threading.Condition()
        self._ends = 0
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)

    def __enter__(self) -> RawHost:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        socket.socket.shutdown(self._listener, socket.SHUT_RDWR)  # wakes the thread that waits for connections
        self._accepting.join()
        self._listener.close()
        for connection, thread in zip(self._connections, self._threads, strict=True):
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # wakes the thread that waits for a message
            thread.join()

    @property
    def address(self) -> str:
        return f"{'http' if self._context is None else 'https'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def wait_for_ends(self, connections: int) -> None:
        """Return when so many connections have ended."""
        with self._ended:
            assert self._ended.wait_for(lambda: self._ends >= connections, 10.0)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection, len(self._threads)))
            self._connections.append(connection)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as reading:
                while (message := _message(reading, number)) is not None:
                    self.written.append(message)
                    answer = self._answer(message)
                    if isinstance(answer, Silence):
                        self._closing.wait()
                        break
                    connection.sendall(answer.answer if isinstance(answer, ThenClosed) else answer)
                    if isinstance(answer, ThenClosed):
                        break
        connection.close()
        with self._ended:
            self._ends += 1
            self._ended.notify_all()


def _message(reading: object, number: int) -> Written | None:
    lines = []
    while (line := reading.readline()) not in (b"\r\n", b""):  # type: ignore[attr-defined]
        lines.append(line)
    if not lines:
        return None
    head = b"".join(lines).removesuffix(b"\r\n")
    length = next((int(row[15:]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")), 0)
    return Written(number, head, reading.read(length))  # type: ignore[attr-defined]
