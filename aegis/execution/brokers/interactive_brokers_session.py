"""One connection to TWS or IB Gateway, from its handshake to its loss.

Belongs here: what can be asked and sent over it, each with a timeout. A question that stays unanswered ends the
connection, so that a late answer meets nobody: the gateway does not say which question the end of a list belongs to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from aegis.config_brokers import InteractiveBrokersBrokerSettings
from aegis.execution.brokers.interactive_brokers_messages import (
    AccountNumber,
    GatewayMessages,
    GatewayRefused,
    HeldPosition,
    OrderAnswer,
    OrderSink,
)
from aegis.tws_library import NOT_VALID, OLDEST_SERVER

Answer = TypeVar("Answer")
_SUMMARY = ("TotalCashValue", "NetLiquidation", "BuyingPower")


class OrderIds:
    """Numbers for orders and questions; they only rise, over reconnections too. For one thread."""

    def __init__(self) -> None:
        self._next = 1

    def at_least(self, number: int) -> None:
        """Let the next number be no lower."""
        self._next = max(self._next, number)

    def take(self) -> int:
        """Return a number that was never taken."""
        self._next += 1
        return self._next - 1


class GatewaySession:
    """A connection; use it in the thread of its event loop.

    Parameters
    ----------
    library : module
        ib_async or ib_insync.
    settings : InteractiveBrokersBrokerSettings
        Address, client id and timeouts.
    sink : OrderSink
        Takes what is told of orders.
    ids : OrderIds
        Gives numbers.
    on_restored : callable
        Called when the gateway has Interactive Brokers again.

    Attributes
    ----------
    lost : asyncio.Future
        Has the reason as its exception as soon as the connection can be used no more.
    """

    messages_type: type[GatewayMessages] = GatewayMessages

    def __init__(
        self,
        library: Any,
        settings: InteractiveBrokersBrokerSettings,
        sink: OrderSink,
        ids: OrderIds,
        *,
        on_restored: Callable[[], None],
    ) -> None:
        self._library = library
        self._settings = settings
        self._ids = ids
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost.add_done_callback(lambda lost: lost.exception())  # not every loss finds someone waiting
        self._messages = self.messages_type(
            sink,
            client_id=settings.client_id,
            time_zone=settings.time_zone,
            on_lost=self.lose,
            on_restored=on_restored,
        )
        self._client = library.Client(self._messages)
        self._client.conn.disconnected += self._disconnected
        self._asking = asyncio.Lock()

    @property
    def is_cut_off(self) -> bool:
        """Whether the gateway itself has lost Interactive Brokers."""
        return self._messages.is_cut_off

    @property
    def heard_at(self) -> float:
        """When the gateway last said anything, by :func:`time.monotonic`."""
        return self._messages.heard_at

    @property
    def last_words(self) -> str:
        """The last error or notice that was not of a connection that is well; empty without one."""
        return self._messages.last_words

    @property
    def accounts(self) -> list[str]:
        """The accounts that the gateway manages."""
        return list(self._client.getAccounts())

    async def open(self) -> None:
        """Connect and log on.

        Raises
        ------
        OSError, GatewayRefused
            It cannot be.
        """
        settings = self._settings
        async with asyncio.timeout(settings.connect_timeout_seconds):
            await self._unless_lost(self._client.connectAsync(settings.host, settings.port, settings.client_id, None))
        if self._client.serverVersion() < OLDEST_SERVER:
            version = self._client.serverVersion()
            raise GatewayRefused(NOT_VALID, f"protocol {version} is older than {OLDEST_SERVER}; update TWS")
        self._ids.at_least(self._client.getReqId())

    async def close(self) -> None:
        """Let go of the connection."""
        self.lose(ConnectionError("closed"))
        transport = self._client.conn.transport
        with contextlib.suppress(OSError, RuntimeError):
            self._client.disconnect()
        if transport is not None:
            await asyncio.sleep(0)  # lets the transport close before its loop may

    def lose(self, error: Exception) -> None:
        """Take note that the connection can be used no more."""
        if not self.lost.done():
            self.lost.set_exception(error)

    async def time_utc(self) -> datetime:
        """Return the gateway's time, to the second; what it sent before has been taken when this returns."""
        async with self._asking:
            return await self._time_utc()

    async def sweep(self) -> frozenset[str]:
        """Ask for all orders and executions that the gateway tells of, and return their references.

        Raises
        ------
        OSError
            No whole answer, or one of a gateway that has lost Interactive Brokers: an order that is not in it may
            live all the same.

        Notes
        -----
        Open orders are asked for first: one that ends meanwhile is among those that are over. The question for the
        time before them lets what the gateway sends after a logon, an end of open orders included, meet nobody.
        """
        client, filters = self._client, self._library.ExecutionFilter()
        async with self._asking:
            await self._time_utc()
            rows = await self._question("open orders", client.reqAllOpenOrders)
            rows += await self._question("completed orders", lambda: client.reqCompletedOrders(False))  # noqa: FBT003
            number = self._ids.take()
            rows += await self._question(number, lambda: client.reqExecutions(number, filters))
            for row in rows:
                if row.client_id == self._settings.client_id:
                    self._ids.at_least(row.order_id + 1)
            self.require_interactive_brokers()
            return frozenset(row.reference for row in rows)

    async def positions(self) -> list[HeldPosition]:
        """Return what is held, of all accounts."""
        async with self._asking:
            try:
                held: list[HeldPosition] = await self._question("positions", self._client.reqPositions)
            finally:
                self._quietly(self._client.cancelPositions)
            return held

    async def marks(self, account_code: str) -> dict[str, float]:
        """Return the price at which the gateway values each ticker of an account."""
        client = self._client
        async with self._asking:
            try:
                rows = await self._question("portfolio", lambda: client.reqAccountUpdates(True, account_code))  # noqa: FBT003
            finally:
                self._quietly(lambda: client.reqAccountUpdates(False, account_code))  # noqa: FBT003
            return {ticker: price for account, ticker, price in rows if account == account_code}

    async def summary(self) -> list[AccountNumber]:
        """Return cash, equity and buying power, of all accounts."""
        number = self._ids.take()
        async with self._asking:
            try:
                rows: list[AccountNumber] = await self._question(
                    number, lambda: self._client.reqAccountSummary(number, "All", ",".join(_SUMMARY))
                )
            finally:
                self._quietly(lambda: self._client.cancelAccountSummary(number))
            return rows

    async def next_order_id(self) -> None:
        """Ask which order ids are free."""
        async with self._asking:
            (number,) = await self._question("next order id", lambda: self._client.reqIds(1))
            self._ids.at_least(number)

    async def place(
        self,
        order_id: int,
        contract: Mapping[str, Any],
        order: Mapping[str, Any],
        is_answer: Callable[[OrderAnswer], bool],
    ) -> OrderAnswer:
        """Send an order, or other terms of one, and return the gateway's answer.

        Raises
        ------
        TimeoutError, OSError
            None came: nobody knows whether it arrived.
        """
        library = self._library
        return await self._told(
            order_id,
            is_answer,
            lambda: self._client.placeOrder(order_id, library.Contract(**contract), library.Order(**order)),
        )

    async def cancel(self, order_id: int, is_answer: Callable[[OrderAnswer], bool]) -> OrderAnswer:
        """Ask for an order's end and return the gateway's answer; waits for no question that is under way.

        Raises
        ------
        TimeoutError, OSError
            None came.
        """
        return await self._told(order_id, is_answer, lambda: self._client.cancelOrder(order_id))

    def require_interactive_brokers(self) -> None:
        """Refuse a gateway that has lost Interactive Brokers.

        Raises
        ------
        ConnectionError
            It has.
        """
        if self.is_cut_off:
            raise ConnectionError(f"the gateway has lost Interactive Brokers ({self.last_words})")

    async def _told(
        self, order_id: int, is_answer: Callable[[OrderAnswer], bool], send: Callable[[], None]
    ) -> OrderAnswer:
        future = self._messages.watch(order_id, is_answer)
        try:
            send()
            async with asyncio.timeout(self._settings.answer_timeout_seconds):
                return await self._unless_lost(future)
        finally:
            self._messages.stop_watching(future)

    async def _time_utc(self) -> datetime:
        told: list[datetime] = await self._question("time", self._client.reqCurrentTime)
        return told[0]

    async def _question(self, key: object, send: Callable[[], None]) -> list[Any]:
        future = self._messages.begin(key)
        limit = self._settings.answer_timeout_seconds
        try:
            send()
            async with asyncio.timeout(limit):
                return await self._unless_lost(future)
        except TimeoutError:
            what = key if isinstance(key, str) else "a request"
            self.lose(ConnectionError(f"no answer to {what} within {limit:g} s"))
            raise
        finally:
            self._messages.forget(key)

    def _quietly(self, send: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):  # a connection that is lost needs no goodbye
            send()

    def _disconnected(self, reason: str) -> None:
        words = f"; the gateway's last words were {self.last_words!r}" if self.last_words else ""
        self.lose(ConnectionError(f"the connection ended{f' ({reason})' if reason else ''}{words}"))

    async def _unless_lost(self, awaitable: Awaitable[Answer]) -> Answer:
        """Return what is awaited, or raise as soon as the connection cannot give it any more."""
        task: asyncio.Future[Any] = asyncio.ensure_future(awaitable)
        try:
            await asyncio.wait({task, self.lost}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.lost.result()
            answer: Answer = await task
            return answer
        finally:
            task.cancel()
            with contextlib.suppress(BaseException):  # what it died of is the connection's end, told already
                await task
