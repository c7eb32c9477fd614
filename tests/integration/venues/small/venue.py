"""A small honest venue that speaks JSON over HTTP, for the broker that users copy; it takes duplicates without a word.

Time stands still until the test moves it. ``faults`` befall the next requests that change something, one each.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

AFTER_THE_CLOSE = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)
CUT_BEFORE, CUT_AFTER, NONSENSE_AFTER, SILENT_AFTER = "cut before", "cut after", "nonsense after", "silence after"
FAULTS = (CUT_BEFORE, CUT_AFTER, NONSENSE_AFTER, SILENT_AFTER)
Json = dict[str, Any]


class SmallVenue:
    """One cash account.

    Attributes
    ----------
    accepted : Counter of str
        How often an order was accepted under each id: the truth of every at-most-once test.
    """

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.lock = threading.RLock()
        self.let_go = threading.Event()
        self.begin_again()

    def __enter__(self) -> SmallVenue:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def begin_again(self) -> None:
        """Open a new account with 10 000 USD and nothing else, after the close of 2014-06-05."""
        with self.lock:
            self.now = AFTER_THE_CLOSE
            self.cash, self.quotes = 10_000.0, {"ABC": 10.0, "DEF": 20.0}
            self.held: dict[str, tuple[float, float]] = {}
            self.orders: dict[str, Json] = {}
            self.accepted: Counter[str] = Counter()
            self.faults: list[str | None] = []
            self.questions_fail = False

    def trade_session(
        self, opens: datetime, closes: datetime, *, symbol: str, price_usd: float, volume_shares: float
    ) -> None:
        """Trade one session at one price; orders get at most a tenth of its volume, DAY orders expire at its close."""
        with self.lock:
            self.now, left = opens, volume_shares // 10
            self.quotes[symbol] = price_usd
            waiting = [order for order in self.orders.values() if order["end"] is None and order["symbol"] == symbol]
            for order in waiting:
                rest = abs(order["quantity"] - order["filled"])
                limit = order["limit"]
                worse = limit is not None and (price_usd - limit) * order["quantity"] > 0
                shares = min(rest, left)
                if shares > 0 and not worse:
                    left -= shares
                    self.now += timedelta(seconds=1)
                    self.fill(order["id"], shares, price_usd)
            self.now = closes
            for order in waiting:
                if order["end"] is None and order["life"] == "DAY" and order["filled"] != order["quantity"]:
                    self._end(order, "expired", "end of session: its session is over")

    def fill(self, name: str, shares: float, price: float) -> None:
        order = self.orders[name]
        signed = shares if order["quantity"] > 0 else -shares
        order["filled"] += signed
        order["executions"].append(
            {"id": f"{name}-{len(order['executions'])}", "quantity": signed, "price": price, "at": self.now.isoformat()}
        )
        held, cost = self.held.get(order["symbol"], (0.0, 0.0))
        if signed > 0:
            cost = (held * cost + signed * price) / (held + signed)
        self.held[order["symbol"]] = (held + signed, cost)
        self.cash -= signed * price

    def answer(self, method: str, path: list[str], body: Json) -> tuple[int, Any]:
        """Return the status and the body that answer a request."""
        with self.lock:
            match method, path:
                case "GET", ["orders", name]:
                    return (200, self.orders[name]) if name in self.orders else (404, None)
                case "GET", ["orders"]:
                    return 200, [
                        order
                        for order in self.orders.values()
                        if order["end"] is None and order["filled"] != order["quantity"]
                    ]
                case "GET", ["account"]:
                    worth = sum(shares * self.quotes[symbol] for symbol, (shares, _) in self.held.items())
                    held = [[symbol, *held, self.quotes[symbol]] for symbol, held in self.held.items() if held[0]]
                    return 200, {"cash": self.cash, "equity": self.cash + worth, "positions": held}
                case "POST", ["orders"]:
                    return self._take(body)
                case "PATCH" | "DELETE", ["orders", name]:
                    return self._change(self.orders[name], body if method == "PATCH" else None)
        return 405, None

    def _take(self, body: Json) -> tuple[int, Any]:
        reason = self._why_not(body)
        if reason:
            return 422, {"reason": reason}
        self.accepted[body["id"]] += 1
        stamp = self.now.isoformat()
        self.orders[body["id"]] = {
            **body, "filled": 0.0, "end": None, "reason": "", "executions": [], "accepted": stamp, "changed": stamp
        }  # fmt: skip
        return 200, {}

    def _change(self, order: Json, terms: Json | None) -> tuple[int, Any]:
        if order["end"] is not None or order["filled"] == order["quantity"]:
            return 422, {"reason": "venue: the order is over"}
        if terms is None:
            self._end(order, "cancelled", "cancelled on request")
        else:
            order.update(terms, changed=self.now.isoformat())
        return 200, {}

    def _end(self, order: Json, end: str, reason: str) -> None:
        order.update(end=end, reason=reason, changed=self.now.isoformat())

    def _why_not(self, body: Json) -> str:
        others = [order for order in self.orders.values() if order["end"] is None and order["symbol"] == body["symbol"]]
        quantity = body["quantity"] + sum(
            order["quantity"] - order["filled"] for order in others if order["quantity"] * body["quantity"] > 0
        )
        if quantity > 0 and quantity * self.quotes[body["symbol"]] > self.cash:
            return "buying power: the account has less cash"
        if quantity < 0 and self.held.get(body["symbol"], (0.0, 0.0))[0] + quantity < 0:
            return "short selling: it would sell what is not held"
        return ""


def _handler_of(venue: SmallVenue) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if venue.questions_fail:
                return  # no answer, and the end of the connection
            self._send(*venue.answer("GET", self.path.strip("/").split("/"), {}))

        def _do(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            fault = venue.faults.pop(0) if venue.faults else None
            if fault == CUT_BEFORE:
                return
            status, answer = venue.answer(self.command, self.path.strip("/").split("/"), body)
            if fault == CUT_AFTER:
                return
            if fault == SILENT_AFTER:
                venue.let_go.wait(5)
                return
            self._send(status, "nonsense" if fault == NONSENSE_AFTER else answer, is_json=fault != NONSENSE_AFTER)

        do_POST = do_PATCH = do_DELETE = _do  # noqa: N815

        def _send(self, status: int, body: Any, *, is_json: bool = True) -> None:
            data = (json.dumps(body) if is_json else str(body)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
