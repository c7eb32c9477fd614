"""The bars that every store is given: 500 symbols × 10 years by a seeded walk, in the columns of the lake's table.

Belongs here: generating them, the corrected session, and the names of the questions.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SYMBOLS, SESSIONS = 500, 2520
QUICK_SYMBOLS, QUICK_SESSIONS = 50, 252
TASKS = ("ingest", "current_read", "upsert", "as_of_read", "one_symbol_read", "cross_section_read")
"""In this order: a version before the upsert is what the as-of read asks for."""
_SEED = 20140102
_FIRST = np.datetime64("2014-01-02")
_LAST_SHARE = 0.6
"""Where in the history the corrected session and the cross-section lie."""


def market_file(folder: Path, *, symbols: int, sessions: int) -> Path:
    """Return the Parquet file of the market, generated where it is not there."""
    file = folder / f"daily_bars-{symbols}x{sessions}.parquet"
    if not file.exists():
        unfinished = file.with_suffix(".unfinished")
        _generate(symbols, sessions).to_parquet(unfinished, index=False)
        unfinished.rename(file)
    return file


def load(file: Path) -> pd.DataFrame:
    """Return the bars, sorted by session and symbol."""
    return pd.read_parquet(file)


def corrected_session(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that take the place of one session's: every price a cent higher."""
    sessions = bars["session"].unique()
    rows = bars[bars["session"] == sessions[int(len(sessions) * _LAST_SHARE)]].copy()
    prices = [name for name in rows.columns if name.endswith("_usd")]
    rows[prices] = rows[prices] + 0.01
    return rows.reset_index(drop=True)


def asked_symbol(bars: pd.DataFrame) -> str:
    """Return the symbol whose history is asked for."""
    symbols = bars["symbol"].unique()
    return str(symbols[len(symbols) // 2])


def asked_session(bars: pd.DataFrame) -> dt.date:
    """Return the session whose cross-section is asked for: the corrected one."""
    found: dt.date = pd.Timestamp(corrected_session(bars)["session"].iloc[0]).date()
    return found


def checksum(rows: pd.DataFrame) -> list[Any]:
    """Return what stores must agree on: rows, and the sums of two columns."""
    return [len(rows), round(float(rows["close_raw_usd"].sum()), 2), round(float(rows["volume_shares"].sum()), 1)]


def _generate(symbols: int, sessions: int) -> pd.DataFrame:
    draw = np.random.default_rng(_SEED)
    days = np.busday_offset(_FIRST, np.arange(sessions), roll="forward").astype("datetime64[ns]")
    names = np.array([f"S{number:04}" for number in range(symbols)], dtype=object)
    close = 50.0 * np.exp(np.cumsum(draw.normal(0.0, 0.015, (sessions, symbols)), axis=0))
    opens = close * np.exp(draw.normal(0.0, 0.005, close.shape))
    spread = np.exp(np.abs(draw.normal(0.0, 0.006, close.shape)))
    high, low = np.maximum(opens, close) * spread, np.minimum(opens, close) / spread
    volume = np.round(np.exp(draw.normal(13.0, 1.0, close.shape)))
    prices = {
        f"{name}_raw_usd": np.round(values, 2).ravel()
        for name, values in {"open": opens, "high": high, "low": low, "close": close}.items()
    }
    symbol = np.tile(names, sessions)
    known_at = pd.DatetimeIndex(np.repeat(days, symbols)).tz_localize("UTC") + pd.Timedelta(hours=20, minutes=15)
    columns = {"session": np.repeat(days, symbols), "symbol": symbol, "ticker": symbol, **prices}
    return pd.DataFrame({**columns, "volume_shares": volume.ravel(), "source": "generated", "known_at_utc": known_at})
