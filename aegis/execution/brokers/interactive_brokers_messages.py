"""Where the client library leaves each message of the gateway: orders go on, answers complete what was asked.

Belongs here: the callbacks that the library calls by Interactive Brokers' names, in the thread of the event loop. They
get every message as it came: the library's own books of orders are not used, because they drop what is told twice and
keep a filled order as 'Submitted' when events come out of turn.
"""
# ruff: noqa: N802 - the names are Interactive Brokers'

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Protocol

from aegis.execution.brokers.interactive_brokers_reports import (
    GatewayExecution,
    GatewayOrder,
    GatewayRefusal,
    GatewayStatus,
    completed_order,
    gateway_execution,
    gateway_order,
    ticker_of,
)
from aegis.tws_library import CLIENT_ID_IN_USE, CUT_OFF, IS_FINE, NOT_VALID

RESTORED = frozenset({1101, 1102})
"""The gateway has Interactive Brokers again, with or without what it was subscribed to."""
OrderAnswer = GatewayOrder | GatewayStatus | GatewayRefusal


class OrderSink(Protocol):
    """Takes what is told of orders, in the order in which it comes."""

    def take_order(self, order: GatewayOrder) -> None:
        """Take an order as the gateway holds it."""

    def take_status(self, status: GatewayStatus) -> None:
        """Take how far an order is."""

    def take_execution(self, execution: GatewayExecution) -> None:
        """Take an execution."""

    def take_commission(self, execution_id: str, amount: float, currency: str) -> None:
        """Take what an execution cost."""

    def take_refusal(self, refusal: GatewayRefusal) -> None:
        """Take an error that names an order."""

    def take_time(self, told_utc: datetime, /) -> None:
        """Take the gateway's time."""


class GatewayRefused(Exception):
    """The gateway said this instead of an answer; turned into one of ours by whoever asked."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"error {code}: {words}")
        self.code = code


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """Shares that the gateway states; Interactive Brokers' average cost includes commissions."""

    account: str
    ticker: str
    security_type: str
    quantity_shares: float
    average_cost_usd: float


@dataclass(frozen=True, slots=True)
class AccountNumber:
    """One number of an account: its tag, value and currency."""

    account: str
    tag: str
    value: str
    currency: str


class GatewayMessages:
    """The messages of one connection.

    Parameters
    ----------
    sink : OrderSink
        Where orders and executions go.
    client_id : int
        Ours; errors that name an order mean one of this client.
    time_zone : str
        Of times that the gateway states without one.
    on_lost : callable
        Called with the reason when the connection can be used no more.
    on_restored : callable
        Called when the gateway has Interactive Brokers again.
    """

    def __init__(
        self,
        sink: OrderSink,
        *,
        client_id: int,
        time_zone: str,
        on_lost: Callable[[Exception], None],
        on_restored: Callable[[], None],
    ) -> None:
        self.ib = SimpleNamespace(TimezoneTWS=time_zone)  # the library's decoder looks for these two
        self.defaultTimezone = UTC
        self.is_cut_off = False
        self.last_words = ""
        self.heard_at = time.monotonic()
        self._sink = sink
        self._client_id = client_id
        self._on_lost = on_lost
        self._on_restored = on_restored
        self._asked: dict[object, asyncio.Future[list[Any]]] = {}
        self._rows: dict[object, list[Any]] = {}
        self._watched: list[tuple[int, Callable[[OrderAnswer], bool], asyncio.Future[OrderAnswer]]] = []

    def begin(self, key: object) -> asyncio.Future[list[Any]]:
        """Begin to collect the rows of an answer; the future has them when the gateway says that it is at its end."""
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._asked[key], self._rows[key] = future, []
        return future

    def forget(self, key: object) -> None:
        """End the collecting."""
        self._asked.pop(key, None)
        self._rows.pop(key, None)

    def watch(self, order_id: int, is_answer: Callable[[OrderAnswer], bool]) -> asyncio.Future[OrderAnswer]:
        """Return the next thing told of an order of ours that is an answer."""
        future: asyncio.Future[OrderAnswer] = asyncio.get_running_loop().create_future()
        self._watched.append((order_id, is_answer, future))
        return future

    def stop_watching(self, future: asyncio.Future[OrderAnswer]) -> None:
        """End it."""
        self._watched = [item for item in self._watched if item[2] is not future]

    # What the library calls.

    def tcpDataArrived(self) -> None:
        """Take note that the gateway lives."""
        self.heard_at = time.monotonic()

    def connectAck(self) -> None:
        """Do nothing: the library goes on by itself."""

    def setEventsDone(self) -> None:
        """Do nothing: whoever waits is told of the lost connection by the session."""

    def connectionClosed(self) -> None:
        """Do nothing, for the same reason."""

    def error(self, request_id: int, code: int, words: str, _: str = "") -> None:
        """Take an error or a notice."""
        if code in IS_FINE:
            return
        self.last_words = f"error {code}: {words}"
        if code in CUT_OFF:
            self.is_cut_off = True
        elif code in RESTORED:
            self.is_cut_off = False
            self._on_restored()
        elif request_id in self._asked:
            self._fail(request_id, GatewayRefused(code, words))
        elif request_id > 0:
            refusal = GatewayRefusal(request_id, code, words)
            self._sink.take_refusal(refusal)
            self._answer(request_id, refusal)
        elif code in (CLIENT_ID_IN_USE, NOT_VALID):
            self._on_lost(GatewayRefused(code, words))

    def nextValidId(self, order_id: int) -> None:
        """Take the next order id that is free."""
        self._end("next order id", order_id)

    def openOrder(self, _: int, contract: Any, order: Any, state: Any) -> None:
        """Take an order, asked for or not."""
        found = gateway_order(contract, order, state)
        self._sink.take_order(found)
        self._collect("open orders", found)
        if found.client_id == self._client_id:
            self._answer(found.order_id, found)

    def openOrderEnd(self) -> None:
        """Take the end of the open orders."""
        self._end("open orders")

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:
        """Take an order that is over."""
        found = completed_order(contract, order, state)
        self._sink.take_order(found)
        self._collect("completed orders", found)

    def completedOrdersEnd(self) -> None:
        """Take the end of the orders that are over."""
        self._end("completed orders")

    def orderStatus(
        self,
        order_id: int,
        status: str,
        filled: float,
        _remaining: float,
        _average: float,
        permanent_id: int,
        _parent: int,
        _last: float,
        client_id: int,
        *_: object,
    ) -> None:
        """Take how far an order is."""
        found = GatewayStatus(
            order_id=order_id,
            client_id=client_id,
            permanent_id=permanent_id,
            status=status,
            filled_shares=float(filled),
        )
        self._sink.take_status(found)
        if client_id == self._client_id:
            self._answer(order_id, found)

    def execDetails(self, request_id: int, _: Any, execution: Any) -> None:
        """Take an execution, asked for or not."""
        found = gateway_execution(execution)
        self._sink.take_execution(found)
        self._collect(request_id, found)

    def execDetailsEnd(self, request_id: int) -> None:
        """Take the end of the executions."""
        self._end(request_id)

    def commissionReport(self, report: Any) -> None:
        """Take what an execution cost."""
        self._sink.take_commission(str(report.execId), float(report.commission), str(report.currency))

    def position(self, account: str, contract: Any, quantity: float, average_cost: float) -> None:
        """Take a position."""
        held = HeldPosition(account, ticker_of(contract), str(contract.secType), float(quantity), float(average_cost))
        self._collect("positions", held)

    def positionEnd(self) -> None:
        """Take the end of the positions."""
        self._end("positions")

    def updatePortfolio(
        self, contract: Any, _quantity: float, price: float, _value: float, _cost: float, *rest: Any
    ) -> None:
        """Take the mark of a position; `rest` ends with the account."""
        self._collect("portfolio", (str(rest[-1]), ticker_of(contract), float(price)))

    def accountDownloadEnd(self, _: str) -> None:
        """Take the end of the portfolio."""
        self._end("portfolio")

    def accountSummary(self, request_id: int, account: str, tag: str, value: str, currency: str) -> None:
        """Take a number of the account."""
        self._collect(request_id, AccountNumber(account, tag, value, currency))

    def accountSummaryEnd(self, request_id: int) -> None:
        """Take the end of these numbers."""
        self._end(request_id)

    def currentTime(self, seconds: int) -> None:
        """Take the gateway's time."""
        now = datetime.fromtimestamp(seconds, UTC)
        self._sink.take_time(now)
        self._end("time", now)

    def _collect(self, key: object, row: Any) -> None:
        if key in self._rows:
            self._rows[key].append(row)

    def _end(self, key: object, *rows: Any) -> None:
        future = self._asked.get(key)
        if future is not None and not future.done():
            future.set_result([*self._rows[key], *rows])

    def _fail(self, key: object, error: Exception) -> None:
        future = self._asked[key]
        if not future.done():
            future.set_exception(error)

    def _answer(self, order_id: int, told: OrderAnswer) -> None:
        for watched, is_answer, future in self._watched:
            if watched == order_id and not future.done() and is_answer(told):
                future.set_result(told)
