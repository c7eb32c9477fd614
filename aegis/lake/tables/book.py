"""Tables of one account's book: decisions, orders, fills, positions, P&L and the state it carries.

Belongs here: rows of an account, published together for each session.
"""

from __future__ import annotations

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables.columns import (
    ACCOUNT,
    DECISION_ID,
    KNOWN_AT,
    ORDER_ID,
    SESSION,
    SYMBOL,
    TICKER,
    number,
    text,
    usd,
)

FILLS = TableSchema(
    "execution",
    "fills",
    "Executions in this session, of orders decided after the previous session's close.",
    ("session", "client_order_id", "fill_number"),
    (
        SESSION,
        ACCOUNT,
        ORDER_ID,
        DECISION_ID,
        Column("fill_number", "integer", "1 for the first fill of the order."),
        SYMBOL,
        TICKER,
        number("quantity_shares", "Signed: bought positive, sold negative.", "shares"),
        usd("price_usd", "Execution price including slippage."),
        usd("reference_price_usd", "Price before slippage by the fill convention in use."),
        usd("commission_usd", "Commission and fees, positive."),
        usd("slippage_usd", "Cost against the reference price, positive when adverse."),
        usd("arrival_price_usd", "Close of the decision session, scaled by splits since."),
        Column("filled_at_utc", "instant", "When it filled.", "UTC"),
    ),
)

POSITIONS = TableSchema(
    "portfolio",
    "positions",
    "Shares held at the close, after fills and corporate actions, marked at the last trusted raw close.",
    ("session", "account", "symbol"),
    (
        SESSION,
        ACCOUNT,
        SYMBOL,
        number("quantity_shares", "Signed shares.", "shares"),
        usd("mark_price_usd", "Raw close used to value the position."),
        Column("mark_session", "session", "Session of that close; earlier than `session` when a bar is missing."),
        usd("market_value_usd", "quantity × mark."),
        usd("average_cost_usd", "Average cost of the open quantity per share, split-adjusted."),
        usd("unrealised_pnl_usd", "quantity × (mark - average cost)."),
        number("weight", "Market value / equity.", "1"),
    ),
)

ACCOUNT_VALUES = TableSchema(
    "portfolio",
    "account_values",
    "Cash, receivables and equity of the account at the close.",
    ("session", "account"),
    (
        SESSION,
        ACCOUNT,
        usd("cash_usd", "Settled and unsettled cash."),
        usd("dividends_receivable_usd", "Dividends past their ex-date and not yet paid; negative when owed."),
        usd("positions_value_usd", "Sum of position market values."),
        usd("equity_usd", "Cash + receivables + positions."),
        usd("peak_equity_usd", "Highest equity so far, from which drawdown is measured."),
        number("drawdown", "equity / peak - 1, zero or negative.", "1"),
        number(
            "benchmark_level", "Total-return level of the benchmark, 1 before the first session.", "1", nullable=True
        ),
    ),
)

DAILY_PNL = TableSchema(
    "portfolio",
    "daily_pnl",
    "What changed equity since the previous close; the parts add up to the change to 1e-6 USD.",
    ("session", "account"),
    (
        SESSION,
        ACCOUNT,
        usd("equity_change_usd", "Equity minus the previous session's equity."),
        usd("price_pnl_usd", "Positions held overnight, close to close on split-adjusted prices, before dividends."),
        usd("trading_pnl_usd", "Fills, from their reference price to the close."),
        usd("dividends_usd", "Dividends that went ex in this session."),
        usd("interest_usd", "Interest on cash; of a traded account also what was booked as fee, transfer or other."),
        usd("slippage_usd", "Slippage paid, zero or negative."),
        usd("commission_usd", "Commission and fees paid, zero or negative."),
        usd("residual_usd", "Equity change not explained by the parts."),
        number("return_daily", "(Equity change - transfers) / previous equity.", "1"),
        number(
            "benchmark_return_daily",
            "Total return of the benchmark since its last trusted bar; null without one now or before.",
            "1",
            nullable=True,
        ),
    ),
)

TARGET_WEIGHTS = TableSchema(
    "portfolio",
    "target_weights",
    "Weights that the optimizer wants after this session's close, and the weights held then.",
    ("session", "account", "symbol"),
    (
        SESSION,
        ACCOUNT,
        SYMBOL,
        number("target_weight", "Wanted share of equity.", "1"),
        number("current_weight", "Share of equity held at the close.", "1"),
        number(
            "optimized_return_daily",
            "Expected excess return that the optimizer weighed: the signals' plus the neutral book's; 0 for a name "
            "that it was not asked about.",
            "1/session",
        ),
        text("reason", "What bound the weight: 'optimal', 'capped', 'exit: left the universe', ..."),
        KNOWN_AT,
    ),
)

RISK_REPORT = TableSchema(
    "risk",
    "risk_report",
    "Risk of the target book at the close: value at risk, drawdown, leverage, concentration, and the breakers' state.",
    ("session", "account"),
    (
        SESSION,
        ACCOUNT,
        number(
            "value_at_risk_95",
            "One-session 95 % parametric value at risk of the target book, positive; null without any covariance.",
            "1",
            nullable=True,
        ),
        number(
            "expected_shortfall_95", "One-session 95 % parametric expected shortfall, positive.", "1", nullable=True
        ),
        number(
            "historical_value_at_risk_95",
            "One-session 95 % historical value at risk of the account, positive.",
            "1",
            nullable=True,
        ),
        number("volatility_annualised", "Forecast volatility of the target book.", "1/year", nullable=True),
        number("gross_exposure", "Sum of absolute target weights.", "1"),
        number("net_exposure", "Sum of target weights.", "1"),
        number("largest_weight", "Largest absolute target weight.", "1"),
        number("concentration_hhi", "Herfindahl-Hirschman index of the weights over their gross, 0 when flat.", "1"),
        number("drawdown", "Drawdown of the account.", "1"),
        number("return_daily", "Return of the account in this session.", "1"),
        text("breaker_state", "'armed', 'tripped: drawdown', 'tripped: daily loss', 'tripped: drift'."),
        number("exposure_scale", "Share of the optimizer's exposure that breakers and responses to drift allow.", "1"),
        KNOWN_AT,
    ),
)

PRE_TRADE_GATE = TableSchema(
    "risk",
    "pre_trade_gate",
    "Each rule of the pre-trade gate for each decision: what it saw, what it allows, and its verdict.",
    ("session", "account", "rule"),
    (
        SESSION,
        ACCOUNT,
        DECISION_ID,
        text("rule", "Name of the rule: a sentence that is true when orders may leave."),
        text(
            "outcome",
            "'pass', 'refuse' (nothing leaves), 'refuse order' (the orders named do not leave) or 'reduce only' (only "
            "reducing orders leave).",
        ),
        number("observed", "What was measured."),
        number("threshold", "What is allowed."),
        Column("orders_refused", "integer", "Orders that this rule refused.", "orders"),
        text("detail", "Symbol, value and remedy; null when the rule passes.", nullable=True),
        KNOWN_AT,
    ),
)

ORDERS = TableSchema(
    "execution",
    "orders",
    "Orders of the decision taken after this session's close, for execution in the next session.",
    ("session", "account", "client_order_id"),
    (
        SESSION,
        ACCOUNT,
        ORDER_ID,
        DECISION_ID,
        SYMBOL,
        TICKER,
        number("quantity_shares", "Signed: buy positive, sell negative.", "shares"),
        text("algorithm", "Execution algorithm: 'market', 'twap', 'vwap', ..."),
        text("time_in_force", "'DAY', ..."),
        Column("execution_session", "session", "Session in which it may execute."),
        usd("arrival_price_usd", "Close of the decision session."),
        number("target_weight", "Weight that the order works towards.", "1"),
        Column("is_reducing", "boolean", "Whether it only reduces |position| without crossing zero."),
        text("gate_outcome", "'approved' or 'refused'. Only approved orders are ever submitted."),
        text("reason", "Why the order exists, or which rule refused it."),
        Column("input_snapshot_id", "integer", "Lake snapshot that the decision's inputs were read at."),
        KNOWN_AT,
    ),
)

BOOK_STATES = TableSchema(
    "portfolio",
    "book_states",
    "The carried state after each session: the only thing that the next session reads from the past of the book.",
    ("session", "account"),
    (
        SESSION,
        ACCOUNT,
        text("state_json", "Canonical JSON of the carried state."),
        text("state_hash", "SHA-256 of the state."),
    ),
)

BOOK_TABLES = (
    FILLS,
    POSITIONS,
    ACCOUNT_VALUES,
    DAILY_PNL,
    TARGET_WEIGHTS,
    RISK_REPORT,
    PRE_TRADE_GATE,
    ORDERS,
    BOOK_STATES,
)
