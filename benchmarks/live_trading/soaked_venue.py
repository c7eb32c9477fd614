"""The venue of the soak, in a process of its own: it fills orders in parts, loses its stream, and breaks answers.

Belongs here: what the venue does by itself. What it speaks is ``tests.integration.venues.alpaca``. On standard input it
is given one line of JSON; it answers with its two addresses, trades until the input ends, and then tells the truth:
what it accepted, executed and holds.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections import deque
from datetime import datetime
from decimal import Decimal
from typing import Any

from benchmarks.live_trading import tests_on_the_path  # noqa: F401 - before the next ones
from benchmarks.live_trading.market import RunningClock
from tests.integration.vendors.vendor_server import Reset, Status
from tests.integration.venues.alpaca.book import OPEN, Refusal, VenueBook
from tests.integration.venues.alpaca.rest import KEY_ID, SECRET_KEY, After, Before
from tests.integration.venues.alpaca.server import AlpacaVenue

_LOOK_SECONDS = 0.05
_KEPT_ENDED = 500
_PARTS = 3
_CUT_AFTER_SECONDS, _FAULT_AFTER_SECONDS = (20.0, 40.0), (30.0, 60.0)
_FAULTS = (
    After(Status(504)),
    After(Reset()),
    Before(Status(429)),
    Before(Reset()),
)


class SoakedBook(VenueBook):
    """An account by the running clock, whose orders are found by their names however many there were."""

    def __init__(
        self,
        clock: RunningClock,
        quotes_usd: dict[str, float],
        *,
        cash_usd: float,
        held_shares: dict[str, float],
    ) -> None:
        self._clock = clock
        super().__init__(now_utc=clock.now_utc(), cash_usd=str(cash_usd))
        self.quotes = {symbol: Decimal(str(price)) for symbol, price in quotes_usd.items()}
        self.positions = {s: (Decimal(str(held)), self.quotes[s]) for s, held in held_shares.items()}
        self.is_open = True
        self._by_name: dict[str, dict[str, Any]] = {}
        self._by_id: dict[str, dict[str, Any]] = {}
        self._ended: deque[str] = deque()

    @property
    def now_utc(self) -> datetime:
        """The running clock's instant."""
        return self._clock.now_utc()

    @now_utc.setter
    def now_utc(self, _: datetime) -> None:
        """Time is nobody's to move."""

    def order(self, order_id: str) -> dict[str, Any]:
        """Return an order by the venue's id, or raise Refusal."""
        found: dict[str, Any] = self._by_id.get(order_id) or super().order(order_id)
        return found

    def named(self, client_order_id: str) -> dict[str, Any]:
        """Return the order under a client id, or raise Refusal."""
        found: dict[str, Any] = self._by_name.get(client_order_id) or super().named(client_order_id)
        return found

    def submit(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take an order or raise Refusal."""
        if self.accepted.get(body["client_order_id"]):
            raise Refusal(422, 40010001, "client_order_id must be unique")
        order: dict[str, Any] = super().submit(body)
        return order

    def _new_order(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        order: dict[str, Any] = super()._new_order(name, body)
        self._by_name[name] = self._by_id[order["id"]] = order
        return order

    def tell(self, event: str, order: dict[str, Any], *, status: str, **details: Any) -> Any:
        """Let something happen to an order and tell it; old ended orders leave the list that is searched."""
        told = super().tell(event, order, status=status, **details)
        if status not in OPEN:
            self._ended.append(order["id"])
            while len(self._ended) > _KEPT_ENDED:
                self.orders.pop(self._ended.popleft(), None)
        return told


class SoakedVenue:
    """Trades at the venue until told to stop."""

    def __init__(self, venue: AlpacaVenue, book: SoakedBook, *, seed: int) -> None:
        self._venue, self._book = venue, book
        self._random = random.Random(seed)  # noqa: S311 - the same faults in every run
        self.cuts = self.faults = self.executions = 0

    def run(self, stop: threading.Event) -> None:
        """Fill market orders in parts; now and then cut the stream, and let a request or its answer be lost."""
        clock = self._book._clock
        began = clock.now_utc()
        next_cut, next_fault = (self._random.uniform(*span) for span in (_CUT_AFTER_SECONDS, _FAULT_AFTER_SECONDS))
        while not stop.wait(_LOOK_SECONDS):
            with self._book.lock:
                self._fill()
            passed = (clock.now_utc() - began).total_seconds()
            if passed > next_cut:
                self._venue.stream.disconnect()
                self.cuts += 1
                next_cut = passed + self._random.uniform(*_CUT_AFTER_SECONDS)
            if passed > next_fault:
                self._venue.rest.script("POST", self._random.choice(_FAULTS))
                self.faults += 1
                next_fault = passed + self._random.uniform(*_FAULT_AFTER_SECONDS)

    def _fill(self) -> None:
        waiting = [o for o in self._book.orders.values() if o["status"] in OPEN and o["type"] == "market"]
        for order in waiting:
            left = int(Decimal(order["qty"]) - Decimal(order["filled_qty"]))
            part = left if self._random.random() < 1 / _PARTS else self._random.randint(1, left)
            self._book.fill(order["client_order_id"], str(part), str(self._book.quotes[order["symbol"]]))
            self.executions += 1


def main() -> None:
    """Serve until standard input ends, then tell the truth."""
    given = json.loads(sys.stdin.readline())
    clock = RunningClock(datetime.fromisoformat(given["begins_utc"]), given["began_ns"])
    book = SoakedBook(clock, given["quotes_usd"], cash_usd=given["cash_usd"], held_shares=given["held_shares"])
    stop = threading.Event()
    with AlpacaVenue() as venue:
        venue.book = book
        book.listeners.append(venue.stream.listen)
        venue.rest.reset(book)
        trading = SoakedVenue(venue, book, seed=given["seed"])
        thread = threading.Thread(target=trading.run, args=(stop,))
        thread.start()
        sys.stdout.write(json.dumps(reached_at(venue)) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
        stop.set()
        thread.join()
        with book.lock:
            told = truth(book, trading)
    sys.stdout.write(json.dumps(told) + "\n")


def reached_at(venue: AlpacaVenue) -> dict[str, str]:
    """Return how the venue is reached, as ``brokers.alpaca`` has it."""
    return {"url": venue.rest.url, "stream_url": venue.stream.url, "key_id": KEY_ID, "secret_key": SECRET_KEY}


def truth(book: SoakedBook, trading: SoakedVenue) -> dict[str, Any]:
    """Return what the venue accepted, executed and holds."""
    shares = {symbol: float(held) for symbol, (held, _) in book.positions.items() if held}
    return {
        "orders": len(book.accepted),
        "most_under_one_name": max(book.accepted.values(), default=0),
        "executions": trading.executions,
        "executed_shares": float(sum(Decimal(row["qty"]) for row in book.activities)),
        "positions": shares,
        "names": sorted(book.accepted),
        "cuts_of_the_stream": trading.cuts,
        "lost_requests_and_answers": trading.faults,
    }


if __name__ == "__main__":
    main()
