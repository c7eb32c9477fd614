"""Coinbase Exchange's public API: /products and /products/<id>/candles, newest candle first, 300 at most."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from tests.integration.vendors.vendor_server import Json, Request, Status, VendorServer

MOST_CANDLES = 300


def candle(day: date, close: float, volume: float = 12.5) -> list[Any]:
    """Return a daily candle as Coinbase gives it: time, low, high, open, close, volume."""
    return [
        int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()),
        close - 1,
        close + 1,
        close,
        close,
        volume,
    ]


class CoinbaseServer(VendorServer):
    """Coinbase Exchange with the given candles by product, ascending."""

    def __init__(self, candles: dict[str, list[Json]]) -> None:
        super().__init__()
        self.candles = candles

    @property
    def candle_requests(self) -> list[Request]:
        return [request for request in self.requests if request.path.endswith("/candles")]

    def answer(self, request: Request) -> Json | Status:
        if request.path == "/products":
            return [_product(name) for name in self.candles]
        name = request.path.removeprefix("/products/").removesuffix("/candles")
        if name not in self.candles:
            return Status(404, body={"message": "NotFound"})
        assert request.query["granularity"] == "86400"
        start, end = (datetime.fromisoformat(request.query[key]).timestamp() for key in ("start", "end"))
        if (end - start) / 86400 >= MOST_CANDLES:
            return Status(400, body={"message": "granularity too small for the requested time range"})
        return [row for row in reversed(self.candles[name]) if start <= row[0] <= end]

    def is_scripted(self, request: Request) -> bool:
        return request.path != "/products"


def _product(name: str) -> dict[str, Any]:
    base, quote = name.split("-")
    return {
        "id": name, "base_currency": base, "quote_currency": quote, "base_increment": "0.00000001",
        "quote_increment": "0.01", "display_name": f"{base}/{quote}", "min_market_funds": "1", "margin_enabled": False,
        "status": "online", "trading_disabled": False,
    }  # fmt: skip
