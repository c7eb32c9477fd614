"""Every table of the lake, in the order in which data flows through them.

Belongs here: descriptions only. DuckDB tables, Dagster column schemas and the data dictionary are made from these
values, so a column is described exactly once.

Notes
-----
``symbol`` is the permanent name of an instrument: it survives renames. ``ticker`` is what it traded as that day.
``known_at_utc`` is when the world could know the row; the lake's snapshot is when Aegis held it.
"""

from __future__ import annotations

from aegis.lake.schema import Column, TableSchema

SESSION = Column("session", "session", "Trading session of the decision calendar.")
SYMBOL = Column("symbol", "text", "Permanent symbol of the instrument; unchanged by a rename.")
TICKER = Column("ticker", "text", "Symbol under which the instrument traded in this session.")
KNOWN_AT = Column("known_at_utc", "instant", "Earliest instant at which anyone could know this row.", "UTC")
ACCOUNT = Column("account", "text", "Account the row belongs to.")
ORDER_ID = Column(
    "client_order_id", "text", "Deterministic order id: hash of account, decision, symbol, leg, child, revision."
)
DECISION_ID = Column("decision_id", "text", "Committed decision: account, book, session, kind and number.")


def _usd(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, "float", description, "USD", nullable)


def _number(name: str, description: str, unit: str = "1", *, nullable: bool = False) -> Column:
    return Column(name, "float", description, unit, nullable)


def _text(name: str, description: str, *, nullable: bool = False) -> Column:
    return Column(name, "text", description, nullable=nullable)


_BAR_COLUMNS = (
    SESSION,
    SYMBOL,
    TICKER,
    _usd("open_raw_usd", "First traded price, as traded.", nullable=True),
    _usd("high_raw_usd", "Highest traded price, as traded.", nullable=True),
    _usd("low_raw_usd", "Lowest traded price, as traded.", nullable=True),
    _usd("close_raw_usd", "Last traded price, as traded.", nullable=True),
    _number("volume_shares", "Shares traded; 0 in a halted session.", "shares", nullable=True),
    _text("source", "Source that delivered the row."),
    KNOWN_AT,
)

LISTINGS = TableSchema(
    "market_data",
    "listings",
    "Intervals in which a source covers an instrument under one ticker. A rename ends one interval and opens the next.",
    ("symbol", "first_session"),
    (
        SYMBOL,
        TICKER,
        Column("first_session", "session", "First session covered under this ticker."),
        Column(
            "last_session", "session", "Last session covered under this ticker; null while it trades.", nullable=True
        ),
        _text("name", "Name of the instrument."),
        _text("sector", "Sector; 'Benchmark' for the benchmark, 'Fund' for an exchange-traded fund."),
        Column("tradable", "boolean", "Whether the book may hold it; false for a benchmark index."),
        _text("source", "Source of the listing."),
    ),
)

RAW_BARS = TableSchema(
    "market_data",
    "raw_bars",
    "Daily bars exactly as the source delivered them, before any check. Read by the quality gate only.",
    ("session", "symbol"),
    _BAR_COLUMNS,
    enforce_key=False,
)

CORPORATE_ACTIONS = TableSchema(
    "market_data",
    "corporate_actions",
    "Dated splits, cash dividends, renames and delistings. `session` is the ex-date.",
    ("session", "symbol", "action"),
    (
        SESSION,
        SYMBOL,
        _text("action", "'split', 'dividend', 'rename' or 'delisting'."),
        _number("split_ratio", "New shares for one old share; 1 unless a split.", "shares/share"),
        _usd("dividend_usd", "Gross cash per share held before the ex-date; 0 unless a dividend."),
        Column("pay_session", "session", "Session in which dividend cash arrives.", nullable=True),
        _text("new_ticker", "Ticker from this session on, for a rename.", nullable=True),
        _text("source", "Source of the action."),
        KNOWN_AT,
    ),
)

CHECK_RESULTS = TableSchema(
    "quality",
    "check_results",
    "One row for each data check and session: what was seen, what was allowed, and the content hash it holds for. "
    "The pre-trade gate reads this table and refuses unless every blocking check passed.",
    ("session", "table", "check"),
    (
        SESSION,
        _text("table", "Table that was checked."),
        _text("check", "Name of the check: a sentence that is true when all is well."),
        _text("check_version", "Version of the check's definition."),
        _text("outcome", "'pass', 'warn', 'repair', 'quarantine' or 'block'."),
        Column("is_blocking", "boolean", "Whether orders need this check to pass."),
        _number("observed", "Number of offending rows."),
        _number("threshold", "Number of offending rows allowed."),
        _text("detail", "Symbol, value and remedy of the first offending rows; null when all is well.", nullable=True),
        _text("content_hash", "SHA-256 of the session's rows that were checked."),
        Column("snapshot_id", "integer", "Lake snapshot of the rows that were checked."),
    ),
)

DAILY_BARS = TableSchema(
    "market_data",
    "daily_bars",
    "Daily bars that passed the quality gate, raw prices as traded. The only bars that features, fills and marks read.",
    ("session", "symbol"),
    _BAR_COLUMNS[:3]
    + tuple(Column(c.name, c.kind, c.description, c.unit) for c in _BAR_COLUMNS[3:8])
    + _BAR_COLUMNS[8:],
)

ADJUSTMENT_FACTORS = TableSchema(
    "market_data",
    "adjustment_factors",
    "For each ex-date the factors that scale earlier prices. Cumulative factors are computed on read, as known at t.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        _number("split_factor", "Multiplies prices before this session: 1 / split ratio."),
        _number(
            "dividend_factor", "Multiplies prices before this session: 1 - dividend / previous close (CRSP convention)."
        ),
        KNOWN_AT,
    ),
)

UNIVERSE = TableSchema(
    "market_data",
    "universe",
    "Which instruments the book may hold after this session's close, decided with what was known then.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        TICKER,
        _text("sector", "Sector as known in this session."),
        Column("is_member", "boolean", "Whether a position may be opened or kept."),
        _text("reason", "Why it is a member or not."),
        _usd("median_dollar_volume_usd", "Median close × volume over the trailing window.", nullable=True),
        KNOWN_AT,
    ),
)

DAILY_FEATURES = TableSchema(
    "features",
    "daily_features",
    "Point-in-time features of each universe member; null until the look-back is full.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        _number("momentum_12_1", "Total return from 252 to 21 sessions ago.", "1", nullable=True),
        _number("reversal_5", "Minus the total return of the last 5 sessions.", "1", nullable=True),
        _number(
            "volatility_63",
            "Annualised standard deviation of daily total returns, 63 sessions.",
            "1/year",
            nullable=True,
        ),
        _number("trend_50_200", "Log ratio of the 50- to the 200-session mean adjusted close.", "1", nullable=True),
        _number("liquidity_21", "Log of the median dollar volume of 21 sessions.", "log USD", nullable=True),
        KNOWN_AT,
    ),
)

STRATEGY_SIGNALS = TableSchema(
    "signals",
    "strategy_signals",
    "Cross-sectional score and confidence of each strategy for each universe member.",
    ("session", "strategy", "symbol"),
    (
        SESSION,
        _text("strategy", "Name of the strategy."),
        SYMBOL,
        _number(
            "score", "Cross-sectional score, about -3 to 3; positive expects outperformance.", "standard deviations"
        ),
        _number("confidence", "0 (no opinion) to 1.", "1"),
        KNOWN_AT,
    ),
)

ENSEMBLE_SIGNALS = TableSchema(
    "signals",
    "ensemble_signals",
    "Confidence-weighted combination of the strategies: the expected daily excess return handed to the optimizer.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        _number("score", "Combined cross-sectional score.", "standard deviations"),
        _number("confidence", "Combined confidence, 0 to 1.", "1"),
        _number("expected_return_daily", "Expected excess return over the next session.", "1/session"),
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
        _number("shrinkage", "Ledoit-Wolf intensity used for the whole matrix.", "1"),
        KNOWN_AT,
    ),
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
        _number("quantity_shares", "Signed: bought positive, sold negative.", "shares"),
        _usd("price_usd", "Execution price including slippage."),
        _usd("reference_price_usd", "Price before slippage by the fill convention in use."),
        _usd("commission_usd", "Commission and fees, positive."),
        _usd("slippage_usd", "Cost against the reference price, positive when adverse."),
        _usd("arrival_price_usd", "Close of the decision session, scaled by splits since."),
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
        _number("quantity_shares", "Signed shares.", "shares"),
        _usd("mark_price_usd", "Raw close used to value the position."),
        Column("mark_session", "session", "Session of that close; earlier than `session` when a bar is missing."),
        _usd("market_value_usd", "quantity × mark."),
        _usd("average_cost_usd", "Average cost of the open quantity per share, split-adjusted."),
        _usd("unrealised_pnl_usd", "quantity × (mark - average cost)."),
        _number("weight", "Market value / equity.", "1"),
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
        _usd("cash_usd", "Settled and unsettled cash."),
        _usd("dividends_receivable_usd", "Dividends past their ex-date and not yet paid; negative when owed."),
        _usd("positions_value_usd", "Sum of position market values."),
        _usd("equity_usd", "Cash + receivables + positions."),
        _usd("peak_equity_usd", "Highest equity so far, from which drawdown is measured."),
        _number("drawdown", "equity / peak - 1, zero or negative.", "1"),
        _number("benchmark_level", "Total-return level of the benchmark, 1 at the first session.", "1", nullable=True),
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
        _usd("equity_change_usd", "Equity minus the previous session's equity."),
        _usd("price_pnl_usd", "Positions held overnight, close to close on split-adjusted prices, before dividends."),
        _usd("trading_pnl_usd", "Fills, from their reference price to the close."),
        _usd("dividends_usd", "Dividends that went ex in this session."),
        _usd("interest_usd", "Interest on cash."),
        _usd("slippage_usd", "Slippage paid, zero or negative."),
        _usd("commission_usd", "Commission and fees paid, zero or negative."),
        _usd("residual_usd", "Equity change not explained by the parts."),
        _number("return_daily", "Equity change / previous equity.", "1"),
        _number("benchmark_return_daily", "Total return of the benchmark.", "1", nullable=True),
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
        _number("target_weight", "Wanted share of equity.", "1"),
        _number("current_weight", "Share of equity held at the close.", "1"),
        _number("expected_return_daily", "Expected excess return used.", "1/session"),
        _text("reason", "What bound the weight: 'optimal', 'capped', 'exit: left the universe', ..."),
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
        _number(
            "value_at_risk_95",
            "One-session 95 % parametric value at risk of the target book, positive; null without any covariance.",
            "1",
            nullable=True,
        ),
        _number(
            "expected_shortfall_95", "One-session 95 % parametric expected shortfall, positive.", "1", nullable=True
        ),
        _number(
            "historical_value_at_risk_95",
            "One-session 95 % historical value at risk of the account, positive.",
            "1",
            nullable=True,
        ),
        _number("volatility_annualised", "Forecast volatility of the target book.", "1/year", nullable=True),
        _number("gross_exposure", "Sum of absolute target weights.", "1"),
        _number("net_exposure", "Sum of target weights.", "1"),
        _number("largest_weight", "Largest absolute target weight.", "1"),
        _number("concentration_hhi", "Herfindahl-Hirschman index of the weights over their gross, 0 when flat.", "1"),
        _number("drawdown", "Drawdown of the account.", "1"),
        _number("return_daily", "Return of the account in this session.", "1"),
        _text("breaker_state", "'armed', 'tripped: drawdown', 'tripped: daily loss'."),
        _number("exposure_scale", "Share of the optimizer's exposure that the breakers allow.", "1"),
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
        _text("rule", "Name of the rule: a sentence that is true when orders may leave."),
        _text("outcome", "'pass', 'refuse' (nothing leaves) or 'reduce only' (only reducing orders leave)."),
        _number("observed", "What was measured."),
        _number("threshold", "What is allowed."),
        Column("orders_refused", "integer", "Orders that this rule refused.", "orders"),
        _text("detail", "Symbol, value and remedy; null when the rule passes.", nullable=True),
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
        _number("quantity_shares", "Signed: buy positive, sell negative.", "shares"),
        _text("algorithm", "Execution algorithm: 'market', 'vwap', ..."),
        _text("time_in_force", "'DAY', ..."),
        Column("execution_session", "session", "Session in which it may execute."),
        _usd("arrival_price_usd", "Close of the decision session."),
        _number("target_weight", "Weight that the order works towards.", "1"),
        Column("is_reducing", "boolean", "Whether it only reduces |position| without crossing zero."),
        _text("gate_outcome", "'approved' or 'refused'. Only approved orders are ever submitted."),
        _text("reason", "Why the order exists, or which rule refused it."),
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
        _text("state_json", "Canonical JSON of the carried state."),
        _text("state_hash", "SHA-256 of the state."),
    ),
)

MARKET_TABLES = (LISTINGS, RAW_BARS, CORPORATE_ACTIONS, CHECK_RESULTS, DAILY_BARS, ADJUSTMENT_FACTORS, UNIVERSE)
RESEARCH_TABLES = (DAILY_FEATURES, STRATEGY_SIGNALS, ENSEMBLE_SIGNALS, COVARIANCES)
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
ALL_TABLES = MARKET_TABLES + RESEARCH_TABLES + BOOK_TABLES
