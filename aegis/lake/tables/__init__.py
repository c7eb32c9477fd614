"""Every table of the lake, in the order in which data flows through them.

Belongs here: the index. Tables are described in the modules of this package, once each: DuckDB tables, Dagster column
schemas and the data dictionary are made from those values.
"""

from __future__ import annotations

from aegis.lake.tables.attribution import ATTRIBUTION_TABLES, STRATEGY_PNL
from aegis.lake.tables.backtests import BACKTEST_EQUITY, BACKTEST_TABLES, BACKTEST_TRADES, BACKTESTS
from aegis.lake.tables.book import (
    ACCOUNT_VALUES,
    BOOK_STATES,
    BOOK_TABLES,
    DAILY_PNL,
    FILLS,
    ORDERS,
    POSITIONS,
    PRE_TRADE_GATE,
    RISK_REPORT,
    TARGET_WEIGHTS,
)
from aegis.lake.tables.conduct import COMPLIANCE_FINDINGS, CONDUCT_TABLES, DRIFT_MEASURES
from aegis.lake.tables.features import DAILY_FEATURES
from aegis.lake.tables.market import (
    ADJUSTMENT_FACTORS,
    CHECK_RESULTS,
    CONFIRMED_CLOSES,
    CORPORATE_ACTIONS,
    DAILY_BARS,
    INSTRUMENTS,
    LISTINGS,
    MARKET_TABLES,
    QUARANTINED_BARS,
    RAW_BARS,
    REPAIRED_VALUES,
    SOURCE_AGREEMENT,
    UNIVERSE,
)
from aegis.lake.tables.minutes import MINUTE_BAR_CHECKS, MINUTE_BARS, MINUTE_TABLES
from aegis.lake.tables.research import (
    COVARIANCES,
    ENSEMBLE_SIGNALS,
    RESEARCH_TABLES,
    STRATEGY_SIGNALS,
)
from aegis.lake.tables.shortfall import IMPLEMENTATION_SHORTFALL, SHORTFALL_TABLES

ALL_TABLES = (
    MARKET_TABLES
    + MINUTE_TABLES
    + RESEARCH_TABLES
    + BACKTEST_TABLES
    + BOOK_TABLES
    + ATTRIBUTION_TABLES
    + CONDUCT_TABLES
    + SHORTFALL_TABLES
)

__all__ = [
    "ACCOUNT_VALUES",
    "ADJUSTMENT_FACTORS",
    "ALL_TABLES",
    "ATTRIBUTION_TABLES",
    "BACKTESTS",
    "BACKTEST_EQUITY",
    "BACKTEST_TABLES",
    "BACKTEST_TRADES",
    "BOOK_STATES",
    "BOOK_TABLES",
    "CHECK_RESULTS",
    "COMPLIANCE_FINDINGS",
    "CONDUCT_TABLES",
    "CONFIRMED_CLOSES",
    "CORPORATE_ACTIONS",
    "COVARIANCES",
    "DAILY_BARS",
    "DAILY_FEATURES",
    "DAILY_PNL",
    "DRIFT_MEASURES",
    "ENSEMBLE_SIGNALS",
    "FILLS",
    "IMPLEMENTATION_SHORTFALL",
    "INSTRUMENTS",
    "LISTINGS",
    "MARKET_TABLES",
    "MINUTE_BARS",
    "MINUTE_BAR_CHECKS",
    "MINUTE_TABLES",
    "ORDERS",
    "POSITIONS",
    "PRE_TRADE_GATE",
    "QUARANTINED_BARS",
    "RAW_BARS",
    "REPAIRED_VALUES",
    "RESEARCH_TABLES",
    "RISK_REPORT",
    "SHORTFALL_TABLES",
    "SOURCE_AGREEMENT",
    "STRATEGY_PNL",
    "STRATEGY_SIGNALS",
    "TARGET_WEIGHTS",
    "UNIVERSE",
]
