"""Tables that look back on what was traded and measured: findings under dated rules, and drift.

Belongs here: judgements of stored tables, rebuilt as a whole; no decision reads them.
"""

from __future__ import annotations

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables.columns import ACCOUNT, SESSION, number, text

COMPLIANCE_FINDINGS = TableSchema(
    "compliance",
    "findings",
    "What the rules in force on each session say of the account's executions: wash sales, payment and settlement, "
    "margin and day trading. A later purchase may add a wash sale to a session up to 30 days back.",
    ("session", "account", "number"),
    (
        SESSION,
        ACCOUNT,
        Column("number", "integer", "1 for the first finding of the session.", "1"),
        text("family", "'wash_sales', 'cash_account', 'margin' or 'day_trading', as in the settings."),
        text("rule", "Name of the rule."),
        text("kind", "What was found, in the rule's words: 'wash sale', 'good faith violation', ..."),
        text("symbol", "Permanent symbol; null where the whole account is meant.", nullable=True),
        number("observed", "What was measured, in the unit that `detail` names."),
        number("threshold", "What is allowed, in the same unit."),
        Column("due_session", "session", "Last session in which what is called for may arrive.", nullable=True),
        text("detail", "Symbol or account, session, value and what to do."),
        text("citation", "Where the text of the rule stands."),
        text("text", "What it says, in our words, on the day of the session."),
    ),
)

DRIFT_MEASURES = TableSchema(
    "monitoring",
    "drift_measures",
    "Whether features, signals, results, costs, fills and deliveries still are what they were: each series at the last "
    "session of each quarter and at the newest one.",
    ("session", "account", "family", "series", "detector"),
    (
        SESSION,
        ACCOUNT,
        text("family", "'features', 'signals', 'performance', 'slippage', 'fill_rate' or 'data'."),
        text("series", "What is followed: a feature's median over the names of a session, a return, a cost, ..."),
        text("detector", "'population stability', 'kolmogorov smirnov', 'sequential mean', 'cusum' or 'outlier'."),
        number("observed", "What the detector measured, in its own unit."),
        number("threshold", "From where on it is drift; null where the values cannot tell.", nullable=True),
        Column("is_judged", "boolean", "Whether there was enough independent evidence to decide."),
        Column("is_drift", "boolean", "Whether the series left what it was."),
        Column("is_alarm", "boolean", "Whether it did so for the worse: lower results or fill rates, higher costs."),
        Column("direction", "integer", "1 where the newer values are higher, -1 where lower, 0 where equal.", "1"),
        Column("noticed_session", "session", "Session of the value at which it was noticed, or measured largest."),
        Column("reference_first_session", "session", "First session of what it is compared with."),
        Column("reference_values", "integer", "How many values that are.", "1"),
        Column("window_first_session", "session", "First session of the newer values."),
        Column("window_values", "integer", "How many of them there are.", "1"),
        text("detail", "What moved, by how much, and what to do; null without an alarm.", nullable=True),
    ),
)

CONDUCT_TABLES = (COMPLIANCE_FINDINGS, DRIFT_MEASURES)
