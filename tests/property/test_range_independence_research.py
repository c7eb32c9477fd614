"""Features, signals, ensemble and covariance are the same bits however a range is cut, and never look ahead."""

from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.calendars import trading_calendar
from aegis.config import PortfolioSettings, SignalSettings
from aegis.features.daily import LOOKBACK_SESSIONS, daily_features
from aegis.lake.tables import (
    CORPORATE_ACTIONS,
    COVARIANCES,
    DAILY_BARS,
    DAILY_FEATURES,
    ENSEMBLE_SIGNALS,
    STRATEGY_SIGNALS,
    UNIVERSE,
)
from aegis.lake.tables.features import FEATURES
from aegis.portfolio.covariance import covariances
from aegis.signals.ensemble import ensemble_signals
from aegis.signals.strategy import find_strategies, strategy_signals

CALENDAR = trading_calendar("XNYS")
TABLES = (DAILY_FEATURES, STRATEGY_SIGNALS, ENSEMBLE_SIGNALS, COVARIANCES)
SYMBOLS = [f"S{number}" for number in range(9)]
ALL = CALENDAR.sessions(date(2018, 1, 2), date(2019, 12, 31))[:380]
DECIDED = ALL[-64:]
DECISIONS = {s: CALENDAR.close_utc(s) + timedelta(minutes=15) for s in ALL}


def action(session, symbol, kind, *, ratio=1.0, cash=0.0, known=None):
    return {
        "session": session,
        "symbol": symbol,
        "action": kind,
        "split_ratio": ratio,
        "dividend_usd": cash,
        "pay_session": pd.NaT,
        "new_ticker": None,
        "source": "test",
        "known_at_utc": known or CALENDAR.open_utc(session),
    }


@cache
def market():
    """Bars with a blocked session, gaps, a late listing and an end; actions, of which two are known late."""
    random = np.random.default_rng(11)
    shocks = random.normal(0.0, 0.008, size=(len(ALL), 1)) + random.normal(0.0003, 0.015, size=(len(ALL), 9))
    closes = 40.0 * np.cumprod(1.0 + shocks, axis=0)
    opens = closes * (1.0 + random.normal(0.0, 0.006, size=closes.shape))
    opens[-30:, 3] /= 4.0
    closes[-30:, 3] /= 4.0
    frame = pd.DataFrame(
        {
            "session": np.repeat(pd.DatetimeIndex(ALL).to_numpy(), 9),
            "symbol": np.tile(SYMBOLS, len(ALL)),
            "ticker": np.tile(SYMBOLS, len(ALL)),
            "open_raw_usd": opens.ravel(),
            "high_raw_usd": (np.maximum(opens, closes) * 1.004).ravel(),
            "low_raw_usd": (np.minimum(opens, closes) / 1.003).ravel(),
            "close_raw_usd": closes.ravel(),
            "volume_shares": random.integers(100_000, 900_000, size=closes.size).astype(np.float64),
            "source": "test",
            "known_at_utc": np.repeat(CALENDAR.closes_utc(ALL), 9),
        }
    )
    day, symbol = frame["session"], frame["symbol"]
    missing = day == pd.Timestamp(ALL[-40])  # the gate blocked the whole session
    missing |= (symbol == "S1") & day.isin(pd.DatetimeIndex(ALL[-100:-96]))
    missing |= (symbol == "S2") & day.isin(pd.DatetimeIndex(ALL[-200:-192]))  # too long a gap to bridge
    missing |= (symbol == "S4") & (day < pd.Timestamp(ALL[-90]))
    missing |= (symbol == "S5") & (day > pd.Timestamp(ALL[-20]))
    bars = DAILY_BARS.conform(frame[~missing])
    actions = CORPORATE_ACTIONS.conform(
        pd.DataFrame(
            [
                action(ALL[-30], "S3", "split", ratio=4.0, known=CALENDAR.open_utc(ALL[-27])),
                action(ALL[-99], "S1", "dividend", cash=0.4),
                action(ALL[-75], "S6", "dividend", cash=0.7, known=CALENDAR.open_utc(ALL[-55])),
                action(ALL[-10], "S7", "dividend", cash=0.5),
            ]
        )
    )
    listed = bars.loc[bars["session"] >= pd.Timestamp(ALL[-70]), ["session", "symbol", "ticker"]]
    universe = UNIVERSE.conform(
        listed.assign(
            sector="Test",
            is_member=True,
            reason="test",
            median_dollar_volume_usd=1e7,
            known_at_utc=listed["session"].map({pd.Timestamp(s): t for s, t in DECISIONS.items()}),
        )
    )
    return bars, actions, universe


def decide(bars, actions, universe, first, last):
    window = {"first": first, "last": last, "calendar": CALENDAR, "decision_times": DECISIONS}
    features = daily_features(bars, actions, universe, benchmark="S8", **window)
    signals = strategy_signals(features, find_strategies(SignalSettings().strategies))
    ensemble = ensemble_signals(signals, features, settings=SignalSettings())
    covariance = covariances(bars, actions, universe, settings=PortfolioSettings(), **window)
    return features, signals, ensemble, covariance


def hashes(tables):
    return [schema.content_hashes(frame) for schema, frame in zip(TABLES, tables, strict=True)]


def joined(*parts):
    return [{session: value for part in same for session, value in part.items()} for same in zip(*parts, strict=True)]


@cache
def whole():
    return hashes(decide(*market(), DECIDED[0], DECIDED[-1]))


def test_the_market_of_this_test_has_something_to_say():
    features, signals, ensemble, covariance = decide(*market(), DECIDED[0], DECIDED[-1])

    for feature in FEATURES:
        assert features[feature.name].notna().mean() > 0.5, feature.name
        assert features[feature.name].nunique() > 5, feature.name
    assert features["momentum_12_1"].isna().any()
    assert signals["confidence"].max() > 0.5
    assert ensemble["expected_return_daily"].abs().max() > 1e-5
    assert [len(table) for table in whole()] == [63] * 4  # 64 sessions less the blocked one
    assert len(set(covariance.groupby("session").size())) > 1


def test_one_session_at_a_time_equals_the_range():
    parts = [hashes(decide(*market(), session, session)) for session in DECIDED]

    assert joined(*parts) == whole()


@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(cut=st.integers(min_value=1, max_value=len(DECIDED) - 1))
def test_two_parts_equal_the_range(cut):
    bars, actions, universe = market()
    start = CALENDAR.offset(DECIDED[cut], -LOOKBACK_SESSIONS)
    shorter = bars[bars["session"] >= pd.Timestamp(start)]

    first = hashes(decide(bars, actions, universe, DECIDED[0], DECIDED[cut - 1]))
    second = hashes(decide(shorter, actions, universe, DECIDED[cut], DECIDED[-1]))

    assert joined(first, second) == whole()


@pytest.mark.parametrize("cut", [5, 26, 45])
def test_garbling_everything_after_a_decision_changes_nothing_decided(cut):
    bars, actions, universe = market()
    decided = DECIDED[cut]
    later = bars["session"] > pd.Timestamp(decided)
    garbled = bars.copy()
    for price in [name for name in bars.columns if name.endswith("_usd")]:
        garbled.loc[later, price] = 1.0 + np.arange(int(later.sum())) % 7
    unknown = actions["known_at_utc"] > pd.Timestamp(DECISIONS[decided])
    known = actions.assign(
        split_ratio=actions["split_ratio"].where(~unknown, 3.0),
        dividend_usd=actions["dividend_usd"].where(~unknown, 9.0),
    )

    changed = hashes(decide(garbled, known, universe, DECIDED[0], DECIDED[-1]))
    removed = hashes(
        decide(
            bars[~later], actions[~unknown], universe[universe["session"] <= pd.Timestamp(decided)], DECIDED[0], decided
        )
    )

    assert changed != whole()
    for now, garbled_hashes, removed_hashes in zip(whole(), changed, removed, strict=True):
        upto = {session: value for session, value in now.items() if session <= decided}
        assert {s: v for s, v in garbled_hashes.items() if s <= decided} == upto
        assert removed_hashes == upto


def test_a_late_split_shows_only_from_the_decision_that_knew_it():
    features = decide(*market(), DECIDED[0], DECIDED[-1])[0]
    reversal = features[features["symbol"] == "S3"].set_index("session")["reversal_5"]

    # the raw close fell to a quarter in ALL[-30]; until the split is known that looks like a loss of 75 %
    assert (reversal[[pd.Timestamp(s) for s in ALL[-30:-27]]] > 0.6).all()
    assert (reversal[[pd.Timestamp(s) for s in ALL[-27:-24]]].abs() < 0.3).all()
