"""Two small tables that tests of the lake and of its schemas write and read."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pandas as pd

from aegis.lake.schema import Column, TableSchema

READINGS = TableSchema(
    "trial",
    "readings",
    "One row of each kind of column.",
    ("session", "symbol"),
    (
        Column("session", "session", "Session."),
        Column("symbol", "text", "Symbol."),
        Column("known_at_utc", "instant", "When known.", "UTC"),
        Column("close_usd", "float", "Required number.", "USD"),
        Column("spread_bps", "float", "Number that may be missing.", "bps", nullable=True),
        Column("volume_shares", "integer", "Count.", "shares"),
        Column("tradable", "boolean", "Flag."),
        Column("note", "text", "Text that may be missing.", nullable=True),
        Column("loadings", "floats", "List of numbers."),
    ),
)
ACCOUNTS = TableSchema(
    "trial",
    "accounts",
    "Rows of several accounts.",
    ("session", "account"),
    (
        Column("session", "session", "Session."),
        Column("account", "text", "Account."),
        Column("cash_usd", "float", "Cash.", "USD"),
    ),
)


def readings(*sessions: date, close_usd: float = 93.7, symbols: tuple[str, ...] = ("AAPL", "MSFT")) -> pd.DataFrame:
    """Return rows of :data:`READINGS`: numbers that do not survive rounding, missing values, awkward text."""
    rows = [
        {
            "session": session,
            "symbol": symbol,
            "known_at_utc": datetime(session.year, session.month, session.day, 20, 15, 0, 123456, tzinfo=UTC),
            "close_usd": close_usd,
            "spread_bps": None if symbol == "MSFT" else 0.1,
            "volume_shares": 2**53 + 1,
            "tradable": symbol == "AAPL",
            "note": None if symbol == "AAPL" else "naïve 'quoted' \n line",
            "loadings": [0.1, -0.0, 1e-308],
        }
        for session in sessions
        for symbol in symbols
    ]
    return pd.DataFrame(rows)


def cash(*sessions: date) -> pd.DataFrame:
    """Return one row of :data:`ACCOUNTS` a session."""
    return pd.DataFrame({"session": list(sessions), "account": "simulated", "cash_usd": 1.0})
