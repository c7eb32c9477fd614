"""An IB Gateway on this machine: sessions over TCP that speak TWS's wire protocol and go wrong as scripted.

What is answered to a request is a desk's business; here are connections, the handshake, faults and the log of requests.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.integration.vendors.tws.faults import (
    Altered,
    Cut,
    Fault,
    Notice,
    RawBytes,
    Refusal,
    Reset,
    Silence,
    Stalled,
    Swallowed,
    Unreceived,
)
from tests.integration.vendors.tws.wire import (
    SERVER_VERSION,
    SIGNATURE,
    Fields,
    ToClient,
    ToGateway,
    error,
    fields_of,
    frame,
    message,
    receive_exactly,
    receive_frame,
)

CONNECTED = 0
"""In place of a request's number: faults scripted for it befall the handshake."""
_REQUEST_ID_AT = {ToGateway.HISTORICAL_DATA: 1, ToGateway.PLACE_ORDER: 1}
"""Most requests have a version before their id."""


@dataclass(frozen=True)
class Request:
    """A client's message as the gateway saw it."""

    number: int
    fields: Fields

    @property
    def request_id(self) -> int:
        return int(self.fields[_REQUEST_ID_AT.get(self.number, 2)])


class Session:
    """One client's connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.client_id = -1
        self._connection = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a message waits for no other
        self._sending = threading.Lock()

    def send(self, *messages: Fields) -> None:
        """Send messages; from any thread, so that events may come while another request is answered."""
        self.send_bytes(b"".join(frame(fields) for fields in messages))

    def send_bytes(self, data: bytes) -> None:
        with self._sending:
            self._connection.sendall(data)

    def ignore_all(self) -> None:
        """Read until the client goes, and answer nothing."""
        while True:
            receive_frame(self._connection)

    @property
    def has_gone(self) -> bool:
        """Whether the client has closed the connection, also where nobody has read that yet."""
        try:
            return self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def end(self) -> None:
        """Close the connection, after what was sent."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def reset(self) -> None:
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()


Answer = Callable[[Session, Request], Sequence[Fields]]


class Desk(Protocol):
    """Answers some of the requests."""

    @property
    def answers(self) -> Mapping[int, Answer]:
        """Return by the request's number what gives the messages of its answer."""
        ...


@dataclass
class _Script:
    faults: list[Fault | None] = field(default_factory=list)
    always: Fault | None = None

    def next(self) -> Fault | None:
        return self.faults.pop(0) if self.faults else self.always


class TwsGateway:
    """A gateway with the given desks.

    Attributes
    ----------
    requests : list of Request
        All that were received after the handshake, in order, over all sessions.
    connections : int
        Connections that began.
    server_version : int
        The newest protocol that it speaks.
    accounts : str
        Managed accounts, by comma.
    boundary : callable
        Called with a request before anything is made of it, and with None after what it asks for was done and after
        each message of an answer; may let time stop for the client, or end it.
    """

    def __init__(self, *desks: Desk, accounts: str = "DU0000001") -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.server_version = SERVER_VERSION
        self.accounts = accounts
        self.boundary: Callable[[Request | None], None] = _passed
        self.next_order_id = 1
        self.greetings: Sequence[Fields] = (
            error(-1, 2104, "Market data farm connection is OK:usfarm"),
            error(-1, 2106, "HMDS data farm connection is OK:ushmds"),
            error(-1, 2158, "Sec-def data farm connection is OK:secdefil"),
        )
        self._answers = dict(itertools.chain.from_iterable(desk.answers.items() for desk in desks))
        self._scripts: dict[int, _Script] = {}
        self._lock = threading.Lock()
        self._messages_left: int | None = None
        self._closing = threading.Event()
        self._sessions: list[Session] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> TwsGateway:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.drop_all()
        for thread in self._threads:
            thread.join()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def sessions(self) -> list[Session]:
        """Clients that are logged on now."""
        with self._lock:
            return list(self._sessions)

    def script(self, number: int, *faults: Fault | None) -> None:
        """Let the next requests of this number meet these faults, one each; None is the right answer."""
        self._script_of(number).faults.extend(faults)

    def always(self, number: int, fault: Fault | None) -> None:
        """Let every request of this number meet this fault when its script is used up."""
        self._script_of(number).always = fault

    def heal(self) -> None:
        """Forget all faults that were scripted."""
        with self._lock:
            self._scripts.clear()
        self._messages_left = None

    def received(self, number: int) -> list[Request]:
        """Return the requests of this number."""
        with self._lock:
            return [request for request in self.requests if request.number == number]

    def tell(self, *messages: Fields) -> None:
        """Send messages to every client that is logged on; one that goes meanwhile hears nothing."""
        for session in self.sessions:
            with contextlib.suppress(OSError):
                session.send(*messages)

    def end_after(self, messages: int) -> None:
        """End a connection after so many more messages: requests and, of their answers, each message."""
        self._messages_left = messages

    def drop_all(self) -> None:
        """End every connection, as a restart does."""
        for session in self.sessions:
            session.end()

    def _script_of(self, number: int) -> _Script:
        with self._lock:
            return self._scripts.setdefault(number, _Script())

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            session = Session(connection)
            with self._lock:
                self.connections += 1
                self._sessions.append(session)
            thread = threading.Thread(target=self._serve, args=(session, connection), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, session: Session, connection: socket.socket) -> None:
        try:
            self._shake_hands(session, connection)
            while not self._closing.is_set():
                fields = fields_of(receive_frame(connection))
                self._receive(session, Request(int(fields[0]), fields))
        except OSError:
            pass  # the client went, or a fault ended the connection
        finally:
            session.end()
            with self._lock:
                self._sessions.remove(session)

    def _shake_hands(self, session: Session, connection: socket.socket) -> None:
        assert receive_exactly(connection, len(SIGNATURE)) == SIGNATURE
        oldest, newest = receive_frame(connection).decode().removeprefix("v").split(" ")[0].split("..")
        assert int(oldest) <= int(newest)
        version = str(min(self.server_version, int(newest)))
        hello = [(version, "20241122 09:00:00 EST")]
        self._meet(session, None, hello, self._script_of(CONNECTED).next())

    def _receive(self, session: Session, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
        self.boundary(request)
        if request.number == ToGateway.START_API:
            self._start(session, request)
            return
        fault = self._script_of(request.number).next()
        if isinstance(fault, Unreceived) or self._messages_left == 0:
            self._end(session)
        if isinstance(fault, Swallowed):
            return
        answer = self._answers.get(request.number, _unknown)
        self._meet(session, request, list(answer(session, request)), fault)

    def _start(self, session: Session, request: Request) -> None:
        session.client_id = int(request.fields[2])
        others = [known for known in self.sessions if known is not session and known.client_id == session.client_id]
        if any(not other.has_gone for other in others):
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            session.send(error(-1, 326, text))
            session.end()
            raise ConnectionError("client id in use")
        started = [
            message(ToClient.MANAGED_ACCOUNTS, 1, self.accounts),
            message(ToClient.NEXT_VALID_ID, 1, self.next_order_id),
            *self.greetings,
        ]
        self._meet(session, None, started, self._script_of(ToGateway.START_API).next())

    def _send(self, session: Session, answer: Sequence[Fields]) -> None:
        """Send an answer, as far as the countdown lets; the request before it counts too."""
        if self._messages_left is None:
            self.boundary(None)
            for fields in answer:
                session.send(fields)
                self.boundary(None)
            return
        sent = answer[: self._messages_left - 1]
        session.send(*sent)
        self._messages_left -= 1 + len(sent)
        if self._messages_left == 0:
            self._end(session)

    def _end(self, session: Session) -> None:
        self._messages_left = None
        session.end()
        raise ConnectionError("as scripted")

    def _meet(self, session: Session, request: Request | None, answer: list[Fields], fault: Fault | None) -> None:
        data = b"".join(frame(fields) for fields in answer)
        match fault:
            case None:
                self._send(session, answer)
            case Silence() | Unreceived() | Swallowed():
                return
            case Cut(share):
                session.send_bytes(data[: int(len(data) * share)])
                self._end(session)
            case Stalled(share):
                session.send_bytes(data[: int(len(data) * share)])
                session.ignore_all()
            case Reset():
                session.reset()
                raise ConnectionError("as scripted")
            case Refusal(code, text):
                session.send(error(-1 if request is None else request.request_id, code, text))
            case Notice(code, text, is_cut_off):
                session.send(error(-1, code, text), *([] if is_cut_off else answer))
            case RawBytes(raw):
                session.send_bytes(raw)
            case Altered(change):
                session.send(*change(answer))


def _passed(_: Request | None) -> None:
    """Let a boundary pass."""


def _unknown(_: Session, request: Request) -> Sequence[Fields]:
    return [error(-1, 505, f"Fatal Error: Unknown message id. {request.number}")]
