"""A vendor that states what a test tells it to, counts how often it is asked, and fails when told to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

import pandas as pd

from aegis.calendars import trading_calendar
from aegis.errors import AegisError
from aegis.market_data.sources.delivered import DeliveredSource
from aegis.market_data.sources.delivery import ParsedFiles

CALENDAR = trading_calendar("XNYS")
BENCHMARK = "SPY"


def steady(symbols: Iterable[str], first: date, last: date, close: float = 100.0) -> dict[tuple[date, str], float]:
    """Return a close for each symbol and session."""
    return {(session, symbol): close for session in CALENDAR.sessions(first, last) for symbol in symbols}


class ScriptedVendor(DeliveredSource):
    """States a bar for each of `closes`: a dollar of wick on both sides, a million shares.

    `failure` is raised instead of an answer while it is set. A new instance is a new process: it holds no answer.
    """

    def __init__(
        self,
        name: str,
        closes: Mapping[tuple[date, str], float],
        *,
        tickers: Mapping[str, str] | None = None,
        splits: Mapping[tuple[date, str], float] | None = None,
        failure: AegisError | None = None,
    ) -> None:
        super().__init__(name, CALENDAR, benchmark_symbol=BENCHMARK, vendor_delay=timedelta(minutes=15))
        self.closes = dict(closes)
        self.tickers = dict(tickers or {})
        self.splits = dict(splits or {})
        self.failure = failure
        self.asked = 0

    def _ask(self) -> ParsedFiles:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        rows = [
            (pd.Timestamp(session), symbol, self.tickers.get(symbol, symbol), close, close + 1, close - 1, close, 1e6)
            for (session, symbol), close in sorted(self.closes.items())
        ]
        prices = ["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]
        actions = [
            (pd.Timestamp(session), symbol, "split", ratio, 0.0) for (session, symbol), ratio in self.splits.items()
        ]
        return ParsedFiles(
            pd.DataFrame(rows, columns=["session", "symbol", "ticker", *prices, "volume_shares"]),
            pd.DataFrame(actions, columns=["session", "symbol", "action", "split_ratio", "dividend_usd"]),
            notes=("a remark",),
        )
