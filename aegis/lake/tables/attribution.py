"""The table that says what each strategy's opinions earned for a book.

Belongs here: attribution of stored P&L; no decision reads it.
"""

from __future__ import annotations

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables.columns import ACCOUNT, SESSION, number, text, usd

STRATEGY_PNL = TableSchema(
    "portfolio",
    "strategy_pnl",
    "What the positions held overnight earned, by whose opinion they are: the neutral book, what each strategy moved "
    "away from it, and what nobody argued for. The parts of a session add up to price P&L and dividends of "
    "portfolio/daily_pnl.",
    ("session", "account", "kind", "attributed_to"),
    (
        SESSION,
        ACCOUNT,
        text("kind", "'neutral', 'strategy' or 'unattributed'."),
        text(
            "attributed_to", "Name of the strategy, as in signals/strategy_signals; the kind itself for the other two."
        ),
        Column(
            "decision_session",
            "session",
            "Session whose opinions the positions are; null before the second session after the first decision.",
            nullable=True,
        ),
        number("net_weight", "Share of equity credited at the open; null for 'unattributed'.", "1", nullable=True),
        number("gross_weight", "Sum of absolute weights credited; null for 'unattributed'.", "1", nullable=True),
        usd("pnl_usd", "What the credited weights earned, dividends included."),
    ),
)

ATTRIBUTION_TABLES = (STRATEGY_PNL,)
