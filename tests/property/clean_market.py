"""A clean bar table with its listings and actions, made from a seed, for faults to be put into.

Belongs here: the clean table only. What vendors do to it is in `corrupted_bars`, what honest markets do to it in
`honest_markets`. Nothing here knows the gate's rules or thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.lake.tables.market import CORPORATE_ACTIONS, LISTINGS, RAW_BARS

FIRST, LAST = date(2021, 8, 2), date(2021, 12, 10)
SYMBOLS = tuple(f"S{number:02d}" for number in range(40))
PRICES = ["open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd"]
HALF_DAY = pd.Timestamp("2021-11-26")
VENDOR_DELAY = timedelta(minutes=20)


@dataclass(frozen=True)
class Market:
    """What a source delivered: bars, the actions that it recorded, and its listings."""

    bars: pd.DataFrame
    actions: pd.DataFrame
    listings: pd.DataFrame

    def rows(self, symbol: str, first: date, last: date) -> pd.Series:
        """Return which bars are of `symbol` in ``[first, last]``."""
        return (self.bars["symbol"] == symbol) & self.bars["session"].between(pd.Timestamp(first), pd.Timestamp(last))

    def with_bars(self, bars: pd.DataFrame) -> Market:
        """Return the market with other bars."""
        return replace(self, bars=bars.reset_index(drop=True))

    def with_action(self, **fields: Any) -> Market:
        """Return the market with one more corporate action."""
        row: dict[str, Any] = {
            "split_ratio": 1.0,
            "dividend_usd": 0.0,
            "pay_session": None,
            "new_ticker": None,
            "source": "vendor",
        } | fields
        row["known_at_utc"] = CALENDAR.open_utc(row["session"].date())
        more = pd.DataFrame([row]).reindex(columns=CORPORATE_ACTIONS.column_names)
        return replace(self, actions=more if self.actions.empty else pd.concat([self.actions, more], ignore_index=True))


CALENDAR = TradingCalendar("XNYS")
SESSIONS = tuple(pd.Timestamp(day) for day in CALENDAR.sessions(FIRST, LAST))


def clean_market(seed: int) -> Market:
    """Return 40 symbols over 92 sessions without a fault: daily volatility of 1 % to 3 %, rounded to the cent."""
    random = np.random.default_rng(seed)
    count, width = len(SESSIONS), len(SYMBOLS)
    volatility = random.uniform(0.01, 0.03, width)
    returns = np.clip(random.normal(0.0, 1.0, (count, width)), -2.5, 2.5) * volatility
    close = random.uniform(20.0, 400.0, width) * np.exp(np.cumsum(returns, axis=0))
    opening = close * np.exp(np.clip(random.normal(0.0, 0.3, close.shape), -0.8, 0.8) * volatility)
    high = np.maximum(opening, close) * np.exp(np.abs(random.normal(0.0, 0.3, close.shape)) * volatility)
    low = np.minimum(opening, close) * np.exp(-np.abs(random.normal(0.0, 0.3, close.shape)) * volatility)
    volume = np.rint(random.uniform(2e5, 5e6, width) * np.exp(random.normal(0.0, 0.25, close.shape)))
    known_at = CALENDAR.closes_utc(SESSIONS) + VENDOR_DELAY
    bars = pd.DataFrame(
        {
            "session": np.repeat(np.array(SESSIONS, dtype="datetime64[ns]"), width),
            "symbol": np.tile(np.array(SYMBOLS, dtype=object), count),
            "ticker": np.tile(np.array(SYMBOLS, dtype=object), count),
            "open_raw_usd": opening.round(2).ravel(),
            "high_raw_usd": high.round(2).ravel(),
            "low_raw_usd": low.round(2).ravel(),
            "close_raw_usd": close.round(2).ravel(),
            "volume_shares": volume.ravel(),
            "source": "vendor",
            "known_at_utc": known_at.repeat(width),
        }
    )
    listings = pd.DataFrame(
        {
            "symbol": SYMBOLS,
            "ticker": SYMBOLS,
            "first_session": FIRST,
            "last_session": None,
            "name": SYMBOLS,
            "sector": "Industrials",
            "tradable": True,
            "source": "vendor",
        }
    )[[column.name for column in LISTINGS.columns]]
    actions = pd.DataFrame({column.name: [] for column in CORPORATE_ACTIONS.columns})
    return Market(RAW_BARS.conform(bars), actions, listings)
