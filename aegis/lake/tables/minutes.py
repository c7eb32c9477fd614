"""Tables of minute bars: what passed its checks, and what the checks said.

Belongs here: the tables that are filled only where ``market_data.minute_bars`` asks for them.
"""

from __future__ import annotations

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables.columns import KNOWN_AT, SESSION, SYMBOL, number, text, usd

CLOSES_AT = Column("closes_at_utc", "instant", "End of the minute; its start is excluded, its end included.", "UTC")

MINUTE_BARS = TableSchema(
    "market_data",
    "minute_bars",
    "Bars of one minute as traded, of the symbols that the configuration names, in sessions whose checks all passed. A "
    "minute without a trade has no row.",
    ("session", "symbol", "closes_at_utc"),
    (
        SESSION,
        SYMBOL,
        CLOSES_AT,
        usd("open_raw_usd", "First traded price of the minute, as traded."),
        usd("high_raw_usd", "Highest traded price of the minute, as traded."),
        usd("low_raw_usd", "Lowest traded price of the minute, as traded."),
        usd("close_raw_usd", "Last traded price of the minute, as traded."),
        number("volume_shares", "Shares traded in the minute.", "shares"),
        text("source", "Source that delivered the row."),
        KNOWN_AT,
    ),
)

MINUTE_BAR_CHECKS = TableSchema(
    "quality",
    "minute_bar_checks",
    "One row for each check of minute bars and session. A session with an outcome of 'block' has no minute bars.",
    ("session", "check"),
    (
        SESSION,
        text("check", "Name of the check: a sentence that is true when all is well."),
        text("outcome", "'pass' or 'block'."),
        number("observed", "Number of offending rows, or of symbols where the check is of symbols."),
        number("threshold", "Number of offenders allowed."),
        text("detail", "Symbol, value and remedy of the first offenders; null when all is well.", nullable=True),
    ),
)

MINUTE_TABLES = (MINUTE_BARS, MINUTE_BAR_CHECKS)
