"""Tables of research: signals and the risk model, beside the features.

Belongs here: pure functions of the market tables, the same for every account.
"""

from __future__ import annotations

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables.columns import KNOWN_AT, SESSION, SYMBOL, number, text
from aegis.lake.tables.features import DAILY_FEATURES

STRATEGY_SIGNALS = TableSchema(
    "signals",
    "strategy_signals",
    "Cross-sectional score and confidence of each strategy for each universe member.",
    ("session", "strategy", "symbol"),
    (
        SESSION,
        text("strategy", "Name of the strategy."),
        SYMBOL,
        number(
            "score", "Cross-sectional score, about -3 to 3; positive expects outperformance.", "standard deviations"
        ),
        number("confidence", "0 (no opinion) to 1.", "1"),
        KNOWN_AT,
    ),
)

ENSEMBLE_SIGNALS = TableSchema(
    "signals",
    "ensemble_signals",
    "Confidence-weighted combination of the strategies: the expected daily excess return by which the optimizer bets.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        number("score", "Combined cross-sectional score.", "standard deviations"),
        number("confidence", "Combined confidence, 0 to 1.", "1"),
        number(
            "expected_return_daily",
            "Expected excess return by the strategies alone: that of the next 21 sessions, a 21st for each of them.",
            "1/session",
        ),
        KNOWN_AT,
    ),
)

COVARIANCES = TableSchema(
    "portfolio",
    "covariances",
    "Shrunk covariance of daily total returns. Row `position` of the matrix; its entries follow the session's symbols "
    "in order.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        Column("position", "integer", "Row of the matrix: rank of the symbol in the session.", "1"),
        Column("covariance_row", "floats", "Covariances with the session's symbols in order.", "1/session"),
        number("shrinkage", "Ledoit-Wolf intensity used for the whole matrix.", "1"),
        KNOWN_AT,
    ),
)

RESEARCH_TABLES = (DAILY_FEATURES, STRATEGY_SIGNALS, ENSEMBLE_SIGNALS, COVARIANCES)
