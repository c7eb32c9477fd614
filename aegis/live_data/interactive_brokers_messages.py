"""The gateway's messages about markets, beside those that every connection has.

Belongs here: the callbacks that the client library calls by Interactive Brokers' names, and which notices are about the
farms that send market data. What they mean is :mod:`aegis.live_data.interactive_brokers`.
"""
# ruff: noqa: N802 - the names are Interactive Brokers'

from __future__ import annotations

from typing import Any, Protocol

from aegis.execution.brokers.interactive_brokers_messages import GatewayMessages, OrderSink
from aegis.execution.brokers.interactive_brokers_session import GatewaySession
from aegis.tws_library import CUT_OFF

FARM_LOST = frozenset({2103, 2105})
"""The connection to the farm of market data, or of history, is broken."""
FARM_FOUND = frozenset({2104, 2106})
"""It works again."""


class MarketSink(OrderSink, Protocol):
    """Takes what is told of markets, in the connection's thread."""

    def take_price(self, request_id: int, kind: int, price: float, size: float) -> None:
        """Take a price and the shares at it."""

    def take_size(self, request_id: int, kind: int, size: float) -> None:
        """Take a number of shares."""

    def take_number(self, request_id: int, kind: int, value: float) -> None:
        """Take another number, such as whether a symbol is halted."""

    def take_data_type(self, request_id: int, kind: int) -> None:
        """Take whether data are live (1), frozen (2), delayed (3) or both (4)."""

    def take_bar(self, request_id: int, bar: Any, *, is_update: bool) -> None:
        """Take a bar of the history, or the newest one as it is now."""

    def take_bars_end(self, request_id: int) -> None:
        """Take that the history was told."""

    def take_farm(self, code: int, words: str) -> None:
        """Take that a farm was lost or found."""

    def take_cut_off(self, words: str) -> None:
        """Take that the gateway has lost Interactive Brokers."""


class MarketMessages(GatewayMessages):
    """The messages of a connection that listens to markets; its sink is a :class:`MarketSink`."""

    _sink: MarketSink

    def error(self, request_id: int, code: int, words: str, rest: str = "") -> None:
        """Take an error or a notice."""
        if code in FARM_LOST | FARM_FOUND:
            self._sink.take_farm(code, words)
        super().error(request_id, code, words, rest)
        if code in CUT_OFF:
            self._sink.take_cut_off(f"error {code}: {words}")

    def priceSizeTick(self, request_id: int, kind: int, price: float, size: float) -> None:
        """Take a price with its size."""
        self._sink.take_price(request_id, kind, price, size)

    def tickSize(self, request_id: int, kind: int, size: float) -> None:
        """Take a size."""
        self._sink.take_size(request_id, kind, size)

    def tickGeneric(self, request_id: int, kind: int, value: float) -> None:
        """Take a number."""
        self._sink.take_number(request_id, kind, value)

    def marketDataType(self, request_id: int, kind: int) -> None:
        """Take how fresh the data of a request are."""
        self._sink.take_data_type(request_id, kind)

    def historicalData(self, request_id: int, bar: Any) -> None:
        """Take a bar."""
        self._sink.take_bar(request_id, bar, is_update=False)

    def historicalDataEnd(self, request_id: int, _start: str, _end: str) -> None:
        """Take the end of the bars."""
        self._sink.take_bars_end(request_id)

    def historicalDataUpdate(self, request_id: int, bar: Any) -> None:
        """Take the newest bar as it is now."""
        self._sink.take_bar(request_id, bar, is_update=True)


class MarketSession(GatewaySession):
    """A connection over which markets are listened to; for the thread of its event loop."""

    messages_type = MarketMessages

    def listen(self, ticks: int, bars: int, contract: dict[str, Any]) -> None:
        """Ask for a stock's ticks and for the session's minute bars until now and from now on, under two numbers.

        Raises
        ------
        OSError
            The connection is lost.
        """
        stock = self._library.Contract(**contract)
        self._client.reqMarketDataType(1)
        self._client.reqMktData(ticks, stock, "", False, False, [])  # noqa: FBT003
        self._client.reqHistoricalData(bars, stock, "", "1 D", "1 min", "TRADES", 1, 2, True, [])  # noqa: FBT003

    def stop_listening(self, ticks: int, bars: int) -> None:
        """End both.

        Raises
        ------
        OSError
            The connection is lost.
        """
        self._client.cancelMktData(ticks)
        self._client.cancelHistoricalData(bars)

    def take_number(self) -> int:
        """Return a number for a request."""
        return self._ids.take()
