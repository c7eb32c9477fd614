"""The client that a user would write for the small venue: nine methods, and no decision in any of them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from aegis.errors import BrokerUnavailable
from aegis.execution.account_state import Position
from aegis.execution.brokers.broker import AccountBalance
from aegis.execution.brokers.broker_book import Execution
from aegis.execution.brokers.template_client import VenueOrder, VenueRefusal
from aegis.execution.orders import Order, OrderEventKind

_REFUSED, _NOT_FOUND = 422, 404


class SmallVenueClient:
    """Speaks to the small venue for one account."""

    def __init__(self, port: int, *, account: str, timeout_seconds: float = 5.0) -> None:
        self._port = port
        self._account = account
        self._timeout = timeout_seconds

    def send(self, order: Order) -> None:
        terms = {"id": order.client_order_id, "symbol": order.ticker, "life": order.time_in_force, **_terms(order)}
        self._ask("POST", "/orders", terms)

    def cancel(self, client_order_id: str) -> None:
        self._ask("DELETE", f"/orders/{client_order_id}")

    def change(self, order: Order) -> None:
        self._ask("PATCH", f"/orders/{order.client_order_id}", _terms(order))

    def find(self, client_order_id: str) -> VenueOrder | None:
        found = self._ask("GET", f"/orders/{client_order_id}")
        return None if found is None else _order(found)

    def open_orders(self) -> Sequence[VenueOrder]:
        return [_order(row) for row in self._ask("GET", "/orders")]

    def executions(self, client_order_id: str) -> Sequence[Execution]:
        return [
            Execution(
                client_order_id=client_order_id,
                execution_id=row["id"],
                quantity_shares=row["quantity"],
                price_usd=row["price"],
                commission_usd=0.0,  # this venue charges none
                executed_at_utc=datetime.fromisoformat(row["at"]),
            )
            for row in self._ask("GET", f"/orders/{client_order_id}")["executions"]
        ]

    def positions(self) -> tuple[Position, ...]:
        rows = sorted(self._ask("GET", "/account")["positions"])
        return tuple(
            Position(symbol, symbol, shares, cost, mark, date(2014, 6, 6)) for symbol, shares, cost, mark in rows
        )

    def balance(self) -> AccountBalance:
        row = self._ask("GET", "/account")
        return AccountBalance(
            account=self._account,
            cash_usd=row["cash"],
            equity_usd=row["equity"],
            buying_power_usd=max(row["cash"], 0.0),
        )

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BrokerUnavailable(f"{method} {path}: {type(error).__name__}; ask again") from error
        finally:
            connection.close()
        if response.status == _REFUSED:
            raise VenueRefusal(answer["reason"])
        return None if response.status == _NOT_FOUND else answer


def _terms(order: Order) -> dict[str, float | None]:
    return {"quantity": order.quantity_shares, "limit": order.limit_price_usd, "stop": order.stop_price_usd}


def _order(found: Any) -> VenueOrder:
    return VenueOrder(
        client_order_id=found["id"],
        ticker=found["symbol"],
        quantity_shares=found["quantity"],
        filled_shares=found["filled"],
        limit_price_usd=found["limit"],
        stop_price_usd=found["stop"],
        end=OrderEventKind(found["end"]) if found["end"] else None,
        reason=found["reason"],
        accepted_at_utc=datetime.fromisoformat(found["accepted"]),
        changed_at_utc=datetime.fromisoformat(found["changed"]),
    )
