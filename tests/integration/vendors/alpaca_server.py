"""Alpaca's market-data API: /v2/stocks/bars and /v1/corporate-actions, with its paging, keys and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.integration.vendors.vendor_server import Json, Request, Status, VendorServer

KEY_ID, SECRET_KEY = "PKCANARY0KEY0ID00001", "canary/secret+key/0123456789abcdefABCDEF"
NEW_YORK = ZoneInfo("America/New_York")


def alpaca_bar(day: date, close: float, volume: float = 1e6) -> dict[str, Any]:
    """Return one daily bar; Alpaca stamps it with the session's midnight in New York."""
    stamp = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).astimezone(ZoneInfo("UTC"))
    return {
        "t": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"), "o": close, "h": close + 1, "l": close - 1, "c": close, "v": volume,
        "n": 1000, "vw": close,
    }  # fmt: skip


def alpaca_minute(opens_at: datetime, close: float, volume: float = 100.0) -> dict[str, Any]:
    """Return one minute bar; Alpaca stamps it with the opening of its minute."""
    return {**alpaca_bar(opens_at.date(), close, volume), "t": opens_at.strftime("%Y-%m-%dT%H:%M:%SZ")}


class AlpacaServer(VendorServer):
    """Alpaca with the given bars and actions.

    Parameters
    ----------
    bars : dict of str to list
        Bars by ticker as of today, ascending.
    actions : dict of str to list
        Corporate actions by Alpaca's type.
    page_bars : int
        Bars on one page, over all symbols.
    minutes : dict of str to list
        Minute bars by ticker as of today, ascending, the hours before the opening and after the close included.
    """

    def __init__(
        self,
        bars: dict[str, list[Json]],
        actions: dict[str, list[Json]] | None = None,
        *,
        page_bars: int = 10_000,
        minutes: dict[str, list[Json]] | None = None,
    ) -> None:
        super().__init__()
        self.bars = bars
        self.minutes = minutes or {}
        self.actions = actions or {}
        self.page_bars = page_bars

    def answer(self, request: Request) -> Json | Status:
        key, secret = (request.headers.get(f"apca-api-{name}") for name in ("key-id", "secret-key"))
        if (key, secret) != (KEY_ID, SECRET_KEY):
            return Status(401, body={"message": f"unauthorized: {key} {secret}"})
        if request.path == "/v2/stocks/bars":
            return self._bars(request)
        if request.path == "/v1/corporate-actions":
            return self._actions(request)
        return Status(404, body={"message": "endpoint not found."})

    def _bars(self, request: Request) -> Json | Status:
        asked = request.query["symbols"].split(",")
        if any(not ticker.replace(".", "").isalnum() for ticker in asked):
            return Status(400, body={"message": f"invalid symbol: {asked}"})
        assert request.query["adjustment"] == "raw"
        held = {"1Day": self.bars, "1Min": self.minutes}[request.query["timeframe"]]
        start, end = (datetime.fromisoformat(request.query[name]) for name in ("start", "end"))
        rows = [
            (ticker, bar)
            for ticker in sorted(asked)
            for bar in held.get(ticker, [])
            if start <= datetime.fromisoformat(bar["t"]) <= end
        ]
        page, token = self._page(rows, request)
        found: dict[str, list[Json]] = {}
        for ticker, bar in page:
            found.setdefault(ticker, []).append(bar)
        return {"bars": found, "next_page_token": token}

    def _actions(self, request: Request) -> Json:
        asked = set(request.query["symbols"].split(","))
        types = {f"{name}s" for name in request.query["types"].split(",")}
        first, last = (date.fromisoformat(request.query[name]) for name in ("start", "end"))
        rows = [
            (kind, row)
            for kind, actions in sorted(self.actions.items())
            for row in actions
            if kind in types
            and asked & {value for name, value in row.items() if name.endswith("symbol")}
            and first <= date.fromisoformat(row.get("ex_date", row.get("effective_date", row["process_date"]))) <= last
        ]
        page, token = self._page(rows, request, size=int(request.query.get("limit", 1000)))
        found: dict[str, list[Json]] = {}
        for kind, row in page:
            found.setdefault(kind, []).append(row)
        return {"corporate_actions": found, "next_page_token": token}

    def _page(self, rows: Sequence[Any], request: Request, *, size: int | None = None) -> tuple[Sequence[Any], Any]:
        size = size or self.page_bars
        begin = int(request.query.get("page_token") or 0)
        end = begin + size
        return rows[begin:end], str(end) if end < len(rows) else None
