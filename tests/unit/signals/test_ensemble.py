import math

import pandas as pd
import pytest

from aegis.config import SignalSettings
from aegis.errors import FeatureError
from aegis.lake.tables import DAILY_FEATURES, ENSEMBLE_SIGNALS, STRATEGY_SIGNALS
from aegis.signals.ensemble import ensemble_signals

SESSION = pd.Timestamp("2020-01-02")
KNOWN_AT = pd.Timestamp("2020-01-02 21:15", tz="UTC")


def features_of(volatility):
    return DAILY_FEATURES.conform(
        pd.DataFrame(
            {
                "session": SESSION,
                "symbol": list(volatility),
                "momentum_12_1": 0.0,
                "reversal_5": 0.0,
                "volatility_63": list(volatility.values()),
                "trend_50_200": 0.0,
                "liquidity_21": 18.0,
                "known_at_utc": KNOWN_AT,
            }
        ).reindex(columns=DAILY_FEATURES.column_names)
    )


def signals_of(*rows):
    frame = pd.DataFrame(rows, columns=["strategy", "symbol", "score", "confidence"])
    return STRATEGY_SIGNALS.conform(frame.assign(session=SESSION, known_at_utc=KNOWN_AT))


def test_scores_are_weighed_by_confidence_and_scaled_to_a_daily_return():
    signals = signals_of(("one", "AAA", 2.0, 1.0), ("two", "AAA", -1.0, 0.5))
    row = ensemble_signals(
        signals, features_of({"AAA": 0.32}), settings=SignalSettings(information_coefficient=0.05)
    ).iloc[0]

    # (1 * 2 - 0.5 * 1) / 1.5 = 1; confidence (1 + 0.5) / 2 = 0.75
    assert row["score"] == pytest.approx(1.0)
    assert row["confidence"] == pytest.approx(0.75)
    # over a month: 0.05 * 0.75 * 0.32 * sqrt(21 / 252) = 0.0034641; a session's share is a 21st of it
    assert row["expected_return_daily"] == pytest.approx(0.05 * 0.75 * 0.32 * math.sqrt(21 / 252) / 21)
    assert row["expected_return_daily"] == pytest.approx(1.6496e-4, rel=1e-4)


def test_no_opinion_of_anyone_is_a_return_of_zero():
    signals = signals_of(("one", "AAA", 0.0, 0.0), ("two", "AAA", 0.0, 0.0))

    row = ensemble_signals(signals, features_of({"AAA": 0.2}), settings=SignalSettings()).iloc[0]

    assert (row["score"], row["confidence"], row["expected_return_daily"]) == (0.0, 0.0, 0.0)


def test_strategies_that_cancel_leave_no_expected_return():
    signals = signals_of(("one", "AAA", 1.5, 0.5), ("two", "AAA", -1.5, 0.5))

    row = ensemble_signals(signals, features_of({"AAA": 0.2}), settings=SignalSettings()).iloc[0]

    assert (row["score"], row["confidence"]) == (0.0, 0.5)


def test_a_member_without_volatility_has_no_signal():
    signals = signals_of(("one", "AAA", 1.0, 1.0), ("one", "NEW", 1.0, 1.0))

    ensemble = ensemble_signals(signals, features_of({"AAA": 0.2, "NEW": math.nan}), settings=SignalSettings())

    assert ensemble["symbol"].tolist() == ["AAA"]


def test_signals_without_features_are_refused():
    signals = signals_of(("one", "AAA", 1.0, 1.0), ("one", "GONE", 1.0, 1.0))

    with pytest.raises(FeatureError, match="GONE 2020-01-02: strategy 'one'"):
        ensemble_signals(signals, features_of({"AAA": 0.2}), settings=SignalSettings())


def test_no_signals_give_an_empty_table():
    ensemble = ensemble_signals(STRATEGY_SIGNALS.empty(), DAILY_FEATURES.empty(), settings=SignalSettings())

    assert ensemble.empty
    assert ensemble.columns.tolist() == ENSEMBLE_SIGNALS.column_names
