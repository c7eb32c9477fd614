"""Tables of backtests: what each strategy would have done over the stored history.

Belongs here: the newest backtest of each strategy; earlier ones are earlier snapshots of these tables.
"""

from __future__ import annotations

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables.columns import SESSION, SYMBOL, number, text, usd

_STRATEGY = text("strategy", "Name of the strategy, as in signals/strategy_signals; 'ensemble' for their combination.")

BACKTESTS = TableSchema(
    "research",
    "backtests",
    "One row for each strategy: its stored signals as weekly long-only weights, simulated over the daily bars with the "
    "costs and rules of eval.backtesting and eval.execution.",
    ("strategy",),
    (
        _STRATEGY,
        text("engine", "Engine that simulated it: 'event_driven' or 'vectorized'."),
        Column("first_session", "session", "First session with a signal; the backtest begins with it, in cash."),
        Column("last_session", "session", "Last session."),
        Column("session_count", "integer", "Sessions with bars between the two.", "sessions"),
        usd("initial_equity_usd", "Cash to begin with."),
        usd("final_equity_usd", "Equity after the last session."),
        number("total_return", "Compounded over all sessions.", "1"),
        number("annualised_return", "Compounded return of a year.", "1/year", nullable=True),
        number("volatility_annualised", "Standard deviation of session returns.", "1/year", nullable=True),
        number("sharpe_ratio", "Annualised, over the risk-free rate.", "1", nullable=True),
        number("sortino_ratio", "Annualised, over the risk-free rate.", "1", nullable=True),
        number("calmar_ratio", "Annualised return over the deepest drawdown.", "1", nullable=True),
        number("max_drawdown", "Deepest drawdown, zero or negative.", "1", nullable=True),
        number("value_at_risk_95", "One-session 95 % historical value at risk, positive.", "1", nullable=True),
        number("gross_exposure_mean", "Mean value of positions over equity.", "1", nullable=True),
        number("turnover_annualised", "One-way: half of bought plus sold, over mean equity.", "1/year", nullable=True),
        Column("order_count", "integer", "Orders sent.", "orders"),
        Column("fill_count", "integer", "Fills.", "fills"),
        Column("trade_count", "integer", "Closed lots; rows of research/backtest_trades.", "trades"),
        number("winning_trades_share", "Trades with a net profit.", "1", nullable=True),
        usd("traded_usd", "Bought plus sold."),
        usd("dividends_usd", "Dividends received; 0 where the engine runs on adjusted prices."),
        usd("slippage_usd", "Slippage and impact, positive is a cost."),
        usd("commission_usd", "Commission."),
        usd("fees_usd", "Regulatory fees."),
        number("trading_cost_bps", "Slippage, commission and fees over what was traded.", "bps", nullable=True),
        usd("unexplained_usd", "Profit that no price, dividend, interest or cost explains: rounding, or a defect."),
        text("price_mode", "'raw' prices with corporate actions booked, or 'adjusted' prices without."),
        text("source", "Where the prices come from."),
        Column("is_simulated", "boolean", "Whether the prices are invented."),
        text("settings_hash", "SHA-256 of costs, rules and the rule that makes weights."),
        text("code_version", "Version of Aegis."),
        Column("input_snapshot_id", "integer", "Lake snapshot that bars, actions and signals were read at."),
    ),
)

BACKTEST_EQUITY = TableSchema(
    "research",
    "backtest_equity",
    "Equity and drawdown of each strategy's backtest when each session ended.",
    ("session", "strategy"),
    (
        SESSION,
        _STRATEGY,
        usd("equity_usd", "Cash and positions at the close."),
        number("drawdown", "Equity over its highest value so far, minus 1.", "1"),
    ),
)

BACKTEST_TRADES = TableSchema(
    "research",
    "backtest_trades",
    "Closed lots of each strategy's backtest, first in, first out, in the order of their exits.",
    ("strategy", "trade_number"),
    (
        _STRATEGY,
        Column("trade_number", "integer", "From 1, by exit."),
        SYMBOL,
        text("side", "'long' or 'short'."),
        number("quantity_shares", "Size, in the shares of the exit.", "shares"),
        Column("entry_at_utc", "instant", "Close of the entry's bar.", "UTC"),
        Column("exit_at_utc", "instant", "Close of the exit's bar.", "UTC"),
        usd("entry_price_usd", "Paid, in the shares of the exit."),
        usd("exit_price_usd", "Received."),
        usd("gross_profit_usd", "What prices made, slippage included."),
        usd("commission_usd", "Commission of entry and exit."),
        usd("fees_usd", "Regulatory fees of entry and exit."),
        usd("net_profit_usd", "Gross profit less commission and fees."),
        number("net_return", "Net profit over the entry's value.", "1"),
        Column("bars_held", "integer", "Sessions with bars from entry to exit.", "sessions"),
        text("exit_by", "What closed it: 'fill', 'delisting', ..."),
    ),
)

BACKTEST_TABLES = (BACKTESTS, BACKTEST_EQUITY, BACKTEST_TRADES)
