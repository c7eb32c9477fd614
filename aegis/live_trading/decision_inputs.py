"""What a decision rests on: for each table what it is computed from, and how many sessions it looks back.

Belongs here: the look-backs of our tables in one list, for whoever asks what a correction reaches. How rows are
computed is each table's own module.
"""

from __future__ import annotations

from aegis.config import AegisConfig
from aegis.features.daily import LOOKBACK_SESSIONS as FEATURE_LOOKBACK
from aegis.lake import tables
from aegis.lake.consequences import Dependency
from aegis.market_data.adjustments import PREVIOUS_CLOSE_LOOKBACK
from aegis.market_data.price_jumps import LOOKBACK_SESSIONS as GATE_LOOKBACK
from aegis.market_data.universe import lookback_sessions as universe_lookback
from aegis.portfolio.covariance import lookback_sessions as covariance_lookback


def decision_dependencies(config: AegisConfig) -> tuple[Dependency, ...]:
    """Return what each table reads, each table after what it reads.

    Notes
    -----
    A book carries its past, so everything after a touched decision follows from it; only the decisions that read the
    rows themselves are told.
    """
    universe = universe_lookback(config.universe)
    covariance = covariance_lookback(config.portfolio)
    factors = PREVIOUS_CLOSE_LOOKBACK.days  # a session is a day at least
    own, mixed = False, True
    listed = (
        (tables.CHECK_RESULTS, tables.RAW_BARS, GATE_LOOKBACK, mixed),
        (tables.CHECK_RESULTS, tables.CORPORATE_ACTIONS, GATE_LOOKBACK, mixed),
        (tables.CHECK_RESULTS, tables.LISTINGS, 0, mixed),
        (tables.CHECK_RESULTS, tables.CONFIRMED_CLOSES, GATE_LOOKBACK, mixed),
        (tables.DAILY_BARS, tables.CONFIRMED_CLOSES, GATE_LOOKBACK, own),
        (tables.DAILY_BARS, tables.RAW_BARS, GATE_LOOKBACK, own),
        (tables.DAILY_BARS, tables.CORPORATE_ACTIONS, GATE_LOOKBACK, own),
        (tables.ADJUSTMENT_FACTORS, tables.DAILY_BARS, factors, own),
        (tables.ADJUSTMENT_FACTORS, tables.CORPORATE_ACTIONS, 0, own),
        (tables.UNIVERSE, tables.DAILY_BARS, universe, own),
        (tables.UNIVERSE, tables.CORPORATE_ACTIONS, universe, own),
        (tables.UNIVERSE, tables.LISTINGS, 0, own),
        (tables.UNIVERSE, tables.INSTRUMENTS, 0, own),
        (tables.DAILY_FEATURES, tables.DAILY_BARS, FEATURE_LOOKBACK, mixed),
        (tables.DAILY_FEATURES, tables.CORPORATE_ACTIONS, FEATURE_LOOKBACK, mixed),
        (tables.DAILY_FEATURES, tables.UNIVERSE, 0, mixed),
        (tables.STRATEGY_SIGNALS, tables.DAILY_FEATURES, 0, mixed),
        (tables.ENSEMBLE_SIGNALS, tables.STRATEGY_SIGNALS, 0, mixed),
        (tables.ENSEMBLE_SIGNALS, tables.DAILY_FEATURES, 0, mixed),
        (tables.COVARIANCES, tables.DAILY_BARS, covariance, mixed),
        (tables.COVARIANCES, tables.CORPORATE_ACTIONS, covariance, mixed),
        (tables.COVARIANCES, tables.UNIVERSE, 0, mixed),
        (tables.TARGET_WEIGHTS, tables.ENSEMBLE_SIGNALS, 0, mixed),
        (tables.TARGET_WEIGHTS, tables.COVARIANCES, 0, mixed),
        (tables.TARGET_WEIGHTS, tables.UNIVERSE, 0, mixed),
        (tables.TARGET_WEIGHTS, tables.DAILY_BARS, 0, mixed),
        (tables.PRE_TRADE_GATE, tables.TARGET_WEIGHTS, 0, mixed),
        (tables.PRE_TRADE_GATE, tables.CHECK_RESULTS, 0, mixed),
        (tables.PRE_TRADE_GATE, tables.RAW_BARS, 0, mixed),
        (tables.ORDERS, tables.TARGET_WEIGHTS, 0, mixed),
        (tables.ORDERS, tables.PRE_TRADE_GATE, 0, mixed),
    )
    return tuple(Dependency(table, source, back, mixes) for table, source, back, mixes in listed)
