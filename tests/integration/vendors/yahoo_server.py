"""Yahoo's chart service: /v8/finance/chart/<symbol> behind a crumb, as yfinance asks for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from tests.integration.vendors.vendor_server import Json, Request, Status, VendorServer

NEW_YORK = ZoneInfo("America/New_York")
CHART = "/v8/finance/chart/"
QUOTE = "/v7/finance/quote"
CRUMB = "cr4mb"


def opening(day: date) -> int:
    """Return the opening of a session in New York, as Yahoo stamps its daily rows."""
    return int(datetime.combine(day, time(9, 30), tzinfo=NEW_YORK).timestamp())


def chart(
    rows: dict[date, tuple[float, int]],
    *,
    splits: dict[date, int] | None = None,
    currency: str = "USD",
    symbol: str | None = None,
) -> dict[str, Any]:
    """Return the chart of closes and volumes by session, with splits of so many for one.

    It names `symbol`, or whatever symbol is asked for when the server sends it.
    """
    closes = [close for close, _ in rows.values()]
    events = {
        str(opening(day)): {"date": opening(day), "numerator": ratio, "denominator": 1, "splitRatio": f"{ratio}:1"}
        for day, ratio in (splits or {}).items()
    }
    return {
        "meta": {
            **({} if symbol is None else {"symbol": symbol}),
            "currency": currency, "instrumentType": "EQUITY", "exchangeTimezoneName": "America/New_York",
            "validRanges": ["1d", "5d", "max"], "dataGranularity": "1d",
        },
        "timestamp": [opening(day) for day in rows],
        "events": {"splits": events} if events else {},
        "indicators": {
            "quote": [{
                "open": closes, "high": [close + 1 for close in closes], "low": [close - 1 for close in closes],
                "close": closes, "volume": [volume for _, volume in rows.values()],
            }],
            "adjclose": [{"adjclose": closes}],
        },
    }  # fmt: skip


class YahooServer(VendorServer):
    """Yahoo with the given charts by symbol."""

    def __init__(self, charts: dict[str, Json]) -> None:
        super().__init__()
        self.charts = charts
        self.minute_charts: dict[str, Json] = {}
        self.quotes: dict[str, Json] = {}

    @property
    def chart_requests(self) -> list[Request]:
        return [request for request in self.requests if request.path.startswith(CHART)]

    def answer(self, request: Request) -> Json | Status:
        if request.path == "/v1/test/getcrumb":
            return CRUMB
        if not self.is_scripted(request):
            return Status(404, body={})
        if request.query.get("crumb", "").strip('"') != CRUMB:
            return Status(401, body=_error("Unauthorized", "Invalid Crumb"))
        if request.path == QUOTE:
            known = [
                {"symbol": name, **self.quotes[name]}
                for name in request.query["symbols"].split(",")
                if name in self.quotes
            ]
            return {"quoteResponse": {"result": known, "error": None}}
        symbol = request.path.removeprefix(CHART)
        charts = self.minute_charts if request.query.get("interval") == "1m" else self.charts
        if symbol not in charts:
            return Status(404, body=_error("Not Found", "No data found, symbol may be delisted"))
        found = charts[symbol]
        return {"chart": {"result": [{**found, "meta": {"symbol": symbol, **found["meta"]}}], "error": None}}

    def is_scripted(self, request: Request) -> bool:
        return request.path.startswith(CHART) or request.path == QUOTE

    def new_session(self) -> Any:
        """Return yfinance's own session, except that what it sends to Yahoo's hosts arrives here."""
        from yfinance._http import new_session  # noqa: PLC0415 - takes a second

        session = new_session()
        session.request = self._redirected(session.request)
        return session

    def _redirected(self, request: Callable[..., Any]) -> Callable[..., Any]:
        def send(method: str, url: str, **options: Any) -> Any:
            split = urlsplit(url)
            assert split.hostname is not None
            assert split.hostname.endswith("yahoo.com")
            return request(method, f"{self.url}{split.path or '/'}", **options)

        return send


def forget_earlier_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let yfinance remember no time zone, cookie or crumb of another test, nor write them to disk."""
    import yfinance.cache  # noqa: PLC0415 - takes a second
    import yfinance.data  # noqa: PLC0415

    monkeypatch.setattr(yfinance.cache._TzCacheManager, "_tz_cache", yfinance.cache._TzCacheDummy())
    monkeypatch.setattr(yfinance.cache._CookieCacheManager, "_Cookie_cache", yfinance.cache._CookieCacheDummy())
    monkeypatch.setattr(yfinance.data.SingletonMeta, "_instances", {})
    yfinance.data.YfData.cache_get.cache_clear()


def _error(code: str, description: str) -> dict[str, Any]:
    return {"chart": {"result": None, "error": {"code": code, "description": description}}}
