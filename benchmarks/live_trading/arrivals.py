"""A venue in a process of its own that notes when the first byte of each order arrived at its socket.

Belongs here: the instants, as Linux stamps what arrives: when the venue's thread gets to read it is the venue's affair.
What it speaks is ``tests.integration.venues.alpaca``. Processes of one machine share the monotonic clock. On standard
input it is given one line of JSON; it answers with its addresses, serves until the input ends, and then tells the
instants by client order id.
"""

from __future__ import annotations

import io
import json
import socket
import struct
import sys
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

from benchmarks.live_trading import tests_on_the_path  # noqa: F401 - before the next ones
from benchmarks.live_trading.market import RunningClock
from benchmarks.live_trading.soaked_venue import SoakedBook, reached_at
from tests.integration.venues.alpaca.rest import RestVenue
from tests.integration.venues.alpaca.server import AlpacaVenue

# socket(7): asks for the instant of arrival beside what is read, by the clock of the day. Python has no name for it.
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")


class FirstByte(socket.SocketIO):
    """A socket that notes when the first byte came after it was told to wait for one, by the monotonic clock.

    Notes
    -----
    Of what is read at once, Linux tells when the last of it came.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, "rb")
        self._connection = connection
        self.arrived_ns = 0
        self.waits = True

    def readinto(self, buffer: Any) -> int | None:
        """Read as the socket does."""
        read, told, _, _ = self._connection.recvmsg_into([buffer], socket.CMSG_SPACE(_TIMESPEC.size))
        if self.waits and read:
            seconds, nanoseconds = _TIMESPEC.unpack(told[0][2])
            day_less_monotonic_ns = time.time_ns() - time.monotonic_ns()
            self.arrived_ns, self.waits = seconds * 10**9 + nanoseconds - day_less_monotonic_ns, False
        return read


class ArrivalVenue(RestVenue):
    """The REST of the venue; `arrivals_ns` are the instants of its orders by client order id."""

    def __init__(self, book: SoakedBook) -> None:
        super().__init__(book)
        self.arrivals_ns: dict[str, int] = {}
        handler: Any = self._http.RequestHandlerClass

        class Noting(handler):  # type: ignore[misc] # the handler is made where it is used
            rfile: Any

            def setup(self) -> None:
                super().setup()
                self.rfile.close()
                self.first = FirstByte(self.connection)
                self.rfile = io.BufferedReader(self.first)

        self._http.RequestHandlerClass = Noting
        # Connections have it from where they were accepted: their first bytes may be there before a thread is.
        self._http.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        first: Any = handler
        arrived = first.first.arrived_ns
        before = len(self.calls)
        super()._receive(handler)
        first.first.waits = True
        call = self.calls[before]
        if call.method == "POST":
            self.arrivals_ns[call.body["client_order_id"]] = arrived


def main() -> None:
    """Serve until standard input ends, then tell the instants."""
    given = json.loads(sys.stdin.readline())
    clock = RunningClock(datetime.fromisoformat(given["begins_utc"]), given["began_ns"], given["speed"])
    book = SoakedBook(clock, given["quotes_usd"], cash_usd=given["cash_usd"], held_shares={})
    venue = AlpacaVenue()
    rest = venue.rest = ArrivalVenue(book)
    venue.book = book
    with venue:
        book.listeners.append(venue.stream.listen)
        sys.stdout.write(json.dumps(reached_at(venue)) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    sys.stdout.write(json.dumps({"arrivals_ns": rest.arrivals_ns}) + "\n")


if __name__ == "__main__":
    main()
