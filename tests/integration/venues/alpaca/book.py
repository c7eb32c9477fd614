"""The state of a small honest venue that speaks as Alpaca does: orders, executions, positions, cash.

Time stands still until the test moves it. Nothing here knows of HTTP or websockets.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

Json = Any

OPEN = ("accepted", "pending_new", "new", "partially_filled", "pending_cancel", "pending_replace")
_ACCOUNT = str(uuid.UUID(int=1))
_STAMPS = {"filled": "filled_at", "canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at"}
_REPLACEABLE = {"qty", "limit_price", "stop_price", "trail", "time_in_force", "client_order_id"}


class Refusal(Exception):
    """The venue says no."""

    def __init__(self, status: int, code: int, message: str, **details: Json) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, **details}


class VenueBook:
    """One account.

    Attributes
    ----------
    accepted : Counter of str
        How often an order was accepted under each client order id: the truth of every at-most-once test.
    refuses_duplicates : bool
        Whether a second order under a known client id is refused, as Alpaca does.
    """

    def __init__(self, *, now_utc: datetime, cash_usd: str = "10000") -> None:
        self.lock = threading.RLock()
        self.now_utc = now_utc
        self.cash = Decimal(cash_usd)
        self.quotes: dict[str, Decimal] = {"ABC": Decimal(10), "DEF": Decimal(20)}
        self.halted: set[str] = set()
        self.is_open = False
        self.cancels_at_once = True
        self.refuses_duplicates = True
        self.account_number = "PA1"
        self.orders: dict[str, dict[str, Json]] = {}
        self.positions: dict[str, tuple[Decimal, Decimal]] = {}
        self.activities: list[dict[str, Json]] = []
        self.accepted: Counter[str] = Counter()
        self.listeners: list[Callable[[Json], None]] = []
        self._number = 0

    def submit(self, body: Json) -> Json:
        """Take an order or raise Refusal."""
        name = body.get("client_order_id") or str(uuid.uuid4())
        self._refuse_terms(body)
        if self.refuses_duplicates and any(order["client_order_id"] == name for order in self.orders.values()):
            raise Refusal(422, 40010001, "client_order_id must be unique")
        self._refuse_funds(body)
        order = self._new_order(name, body)
        self.orders[order["id"]] = order
        self.accepted[name] += 1
        answer = deepcopy(order)
        if self.is_open:
            self.tell("new", order, status="new")
        return answer

    def cancel(self, order_id: str) -> None:
        """Cancel an order or raise Refusal."""
        order = self.order(order_id)
        if order["status"] not in OPEN:
            raise Refusal(422, 42210000, f'order is already in "{order["status"]}" state')
        if order["status"] == "pending_cancel":
            raise Refusal(422, 42210000, "order pending cancel")
        if self.cancels_at_once:
            self.tell("canceled", order, status="canceled")
        else:
            self.tell("pending_cancel", order, status="pending_cancel")

    def replace(self, order_id: str, body: Json) -> Json:
        """Put a new order in the place of another or raise Refusal."""
        old = self.order(order_id)
        if old["status"] not in ("new", "partially_filled"):
            raise Refusal(422, 42210000, f'order in "{old["status"]}" status cannot be replaced')
        name = body.get("client_order_id") or str(uuid.uuid4())
        if self.refuses_duplicates and any(order["client_order_id"] == name for order in self.orders.values()):
            raise Refusal(422, 40010001, "client_order_id must be unique")
        terms = {key: old[key] for key in ("symbol", "side", "type", "time_in_force", "limit_price", "stop_price")}
        rest = str(Decimal(old["qty"]) - Decimal(old["filled_qty"]))
        asked = {key: value for key, value in body.items() if key in _REPLACEABLE and value is not None}
        new = self._new_order(name, {**terms, "qty": rest, **asked})
        new["status"], new["replaces"] = "new", old["id"]
        self.orders[new["id"]] = new
        self.accepted[name] += 1
        old["replaced_by"], old["replaced_at"] = new["id"], self.stamp()
        self.tell("replaced", old, status="replaced")
        self.tell("new", new, status="new")
        return deepcopy(new)

    def fill(self, client_order_id: str, shares: str, price: str) -> Json:
        """Execute some of an order; return what the stream was told."""
        order = self.named(client_order_id)
        quantity, paid = Decimal(shares), Decimal(price)
        filled = Decimal(order["filled_qty"]) + quantity
        order["filled_qty"], order["filled_avg_price"] = str(filled), price
        is_done = filled == Decimal(order["qty"])
        execution = str(uuid.uuid4())
        self.book(order["symbol"], quantity if order["side"] == "buy" else -quantity, paid)
        kind = "fill" if is_done else "partial_fill"
        status = "filled" if is_done else "partially_filled"
        self.activities.append(
            {
                "id": self._activity_id(execution),
                "account_id": _ACCOUNT,
                "activity_type": "FILL",
                "type": kind,
                "transaction_time": self.stamp(),
                "order_id": order["id"],
                "symbol": order["symbol"],
                "side": order["side"],
                "qty": shares,
                "price": price,
                "cum_qty": str(filled),
                "leaves_qty": str(Decimal(order["qty"]) - filled),
                "order_status": status,
            }
        )
        position = str(self.positions.get(order["symbol"], (Decimal(0), paid))[0])
        return self.tell(
            kind,
            order,
            status=status,
            execution_id=execution,
            qty=shares,
            price=price,
            position_qty=position,
        )

    def end(self, client_order_id: str, event: str) -> Json:
        """End an order as canceled, expired or rejected."""
        return self.tell(event, self.named(client_order_id), status=event)

    def trade_by_hand(self, symbol: str, shares: str, price: str) -> None:
        """Let somebody trade outside of any order: a position that no order of ours explains."""
        self.book(symbol, Decimal(shares), Decimal(price))

    def charge(self, amount_usd: str, description: str) -> None:
        """Charge a fee, or pay a negative one back, told by the activities."""
        self.cash -= Decimal(amount_usd)
        self.activities.append(
            {
                "id": self._activity_id(str(uuid.uuid4())),
                "activity_type": "FEE",
                "date": f"{self.now_utc:%Y-%m-%d}",
                "net_amount": str(-Decimal(amount_usd)),
                "description": description,
            }
        )

    def trade_session(self, *, opens: datetime, closes: datetime, symbol: str, price: str, shares: int) -> None:
        """Trade one session at one price; orders get at most a tenth of its volume, DAY orders expire at its close."""
        self.now_utc, self.is_open = opens, True
        left = Decimal(shares) / 10
        waiting = [order for order in self.orders.values() if order["status"] in OPEN and order["symbol"] == symbol]
        for order in waiting:
            if order["status"] == "accepted":
                self.tell("new", order, status="new")
            wanted = min(Decimal(order["qty"]) - Decimal(order["filled_qty"]), left)
            if wanted > 0 and _crosses(order, Decimal(price)):
                left -= wanted
                self.now_utc += timedelta(seconds=1)
                self.fill(order["client_order_id"], str(wanted), price)
        self.now_utc, self.is_open = closes, False
        for order in waiting:
            if order["status"] in OPEN and order["time_in_force"] == "day":
                self.tell("expired", order, status="expired")

    def order(self, order_id: str) -> dict[str, Json]:
        """Return an order by the venue's id, or raise Refusal."""
        if order_id not in self.orders:
            raise Refusal(404, 40410000, f"order not found for {order_id}")
        return self.orders[order_id]

    def named(self, client_order_id: str) -> dict[str, Json]:
        """Return the last order under a client id, or raise Refusal."""
        found = [order for order in self.orders.values() if order["client_order_id"] == client_order_id]
        if not found:
            raise Refusal(404, 40410000, f"order not found for {client_order_id}")
        return found[-1]

    def account(self) -> Json:
        """Return cash, equity and buying power of a cash account."""
        worth = sum((held * self._mark(symbol) for symbol, (held, _) in self.positions.items()), Decimal(0))
        return {
            "id": _ACCOUNT,
            "account_number": self.account_number,
            "status": "ACTIVE",
            "currency": "USD",
            "cash": str(self.cash),
            "equity": str(self.cash + worth),
            "buying_power": str(max(self.cash - self._reserved(), Decimal(0))),
            "multiplier": "1",
            "trading_blocked": False,
            "account_blocked": False,
            "shorting_enabled": False,
        }

    def position_rows(self) -> Json:
        """Return the positions held."""
        return [
            {
                "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, symbol)),
                "symbol": symbol,
                "exchange": "NYSE",
                "asset_class": "us_equity",
                "qty": str(held),
                "avg_entry_price": str(cost),
                "side": "long" if held > 0 else "short",
                "market_value": str(held * self._mark(symbol)),
                "cost_basis": str(held * cost),
                "current_price": str(self._mark(symbol)),
            }
            for symbol, (held, cost) in self.positions.items()
            if held != 0
        ]

    def stamp(self) -> str:
        """Return the venue's time as Alpaca writes it."""
        return self.now_utc.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def tell(self, event: str, order: dict[str, Json], *, status: str, **details: Json) -> Json:
        """Let something happen to an order and tell it."""
        order["status"], order["updated_at"] = status, self.stamp()
        if status in _STAMPS:
            order[_STAMPS[status]] = self.stamp()
        data = {"event": event, "timestamp": self.stamp(), "order": deepcopy(order), **details}
        data.setdefault("execution_id", str(uuid.uuid4()))
        message = {"stream": "trade_updates", "data": data}
        for listener in self.listeners:
            listener(message)
        return message

    def book(self, symbol: str, shares: Decimal, price: Decimal) -> None:
        """Move shares and cash."""
        held, cost = self.positions.get(symbol, (Decimal(0), Decimal(0)))
        after = held + shares
        if held * shares >= 0 and after != 0:
            cost = (held * cost + shares * price) / after
        self.positions[symbol] = (after, cost)
        self.cash -= shares * price
        self.quotes[symbol] = price

    def _activity_id(self, name: str) -> str:
        return f"{self.now_utc:%Y%m%d%H%M%S%f}{len(self.activities):06d}::{name}"

    def _mark(self, symbol: str) -> Decimal:
        return self.quotes[symbol]

    def _reserved(self) -> Decimal:
        return sum(
            (
                (Decimal(order["qty"]) - Decimal(order["filled_qty"])) * self._cost_per_share(order)
                for order in self.orders.values()
                if order["status"] in OPEN and order["side"] == "buy"
            ),
            Decimal(0),
        )

    def _cost_per_share(self, body: Json) -> Decimal:
        return Decimal(str(body["limit_price"])) if body.get("limit_price") else self._mark(body["symbol"])

    def _refuse_terms(self, body: Json) -> None:
        symbol, quantity = body["symbol"], Decimal(str(body["qty"]))
        if symbol not in self.quotes:
            raise Refusal(422, 42210000, f'asset "{symbol}" not found')
        if symbol in self.halted:
            raise Refusal(403, 40310000, f'asset "{symbol}" is halted')
        if quantity <= 0:
            raise Refusal(422, 42210000, "qty must be > 0")
        if quantity != quantity.to_integral_value() and body["time_in_force"] != "day":
            raise Refusal(422, 42210000, "fractional orders must be DAY orders")
        for name in ("limit_price", "stop_price"):
            price = body.get(name)
            if price is not None:
                tick = Decimal("0.01") if Decimal(str(price)) >= 1 else Decimal("0.0001")
                if Decimal(str(price)) % tick != 0:
                    words = f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria"
                    raise Refusal(422, 42210000, words)

    def _refuse_funds(self, body: Json) -> None:
        quantity = Decimal(str(body["qty"]))
        if body["side"] == "buy":
            cost, power = quantity * self._cost_per_share(body), self.cash - self._reserved()
            if cost > power:
                words = "insufficient buying power"
                raise Refusal(403, 40310000, words, buying_power=str(power), cost_basis=str(cost))
            return
        held = self.positions.get(body["symbol"], (Decimal(0), Decimal(0)))[0]
        sold = sum(
            (
                Decimal(order["qty"]) - Decimal(order["filled_qty"])
                for order in self.orders.values()
                if order["status"] in OPEN and order["side"] == "sell" and order["symbol"] == body["symbol"]
            ),
            Decimal(0),
        )
        if held <= 0:
            raise Refusal(403, 40310000, "account is not allowed to short")
        if quantity > held - sold:
            words = f"insufficient qty available for order (requested: {quantity}, available: {held - sold})"
            raise Refusal(403, 40310000, words, existing_qty=str(held), held_for_orders=str(sold))

    def _new_order(self, name: str, body: Json) -> dict[str, Json]:
        self._number += 1
        self.now_utc += timedelta(microseconds=1)
        stamp = self.stamp()
        order: dict[str, Json] = {
            "id": str(uuid.UUID(int=(self._number << 64) | uuid.uuid4().int >> 64)),
            "client_order_id": name,
            "created_at": stamp,
            "updated_at": stamp,
            "submitted_at": stamp,
            "replaced_by": None,
            "replaces": None,
            "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, body["symbol"])),
            "asset_class": "us_equity",
            "order_class": "",
            "filled_qty": "0",
            "filled_avg_price": None,
            "extended_hours": False,
            "legs": None,
            "status": "pending_new" if self.is_open else "accepted",
        }
        for term in ("symbol", "side", "type", "time_in_force"):
            order[term] = body[term]
        order["order_type"] = body["type"]
        for term in ("qty", "limit_price", "stop_price", "trail_price", "trail_percent"):
            order[term] = _number(body.get(term))
        order.update(dict.fromkeys(_STAMPS.values()))
        return order


def _crosses(order: Json, price: Decimal) -> bool:
    """Whether an order takes a price; stops are left to the tests that want them."""
    if order["limit_price"] is None:
        return True
    limit = Decimal(order["limit_price"])
    return price <= limit if order["side"] == "buy" else price >= limit


def _number(value: Json) -> str | None:
    """Return a number in the text that Alpaca answers with."""
    return None if value is None else f"{Decimal(str(value)).normalize():f}"
