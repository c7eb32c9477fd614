import math

import numpy as np
import pandas as pd
import pytest

from aegis.config import SignalSettings
from aegis.errors import ConfigurationError, FeatureError
from aegis.lake.tables import DAILY_FEATURES, STRATEGY_SIGNALS
from aegis.signals.low_volatility_trend import LowVolatilityTrend
from aegis.signals.momentum import Momentum
from aegis.signals.short_term_reversal import ShortTermReversal
from aegis.signals.strategy import BUILT_IN, Strategy, find_strategies, strategy_signals

NAMES = ["AAA", "BBB", "CCC", "DDD", "EEE"]


def features_of(session="2020-01-02", names=NAMES, **columns):
    values = {
        "momentum_12_1": 0.1,
        "reversal_5": 0.0,
        "volatility_63": 0.2,
        "trend_50_200": 0.0,
        "liquidity_21": 18.0,
    } | columns
    return DAILY_FEATURES.conform(
        pd.DataFrame(
            {
                "session": pd.Timestamp(session),
                "symbol": names,
                **values,
                "known_at_utc": pd.Timestamp(session, tz="UTC") + pd.Timedelta(hours=21, minutes=15),
            }
        ).reindex(columns=DAILY_FEATURES.column_names)
    )


def by_symbol(signals, column):
    return signals.set_index("symbol")[column].to_dict()


def test_momentum_prefers_the_year_s_winners():
    signals = strategy_signals(features_of(momentum_12_1=[-0.4, -0.2, 0.0, 0.2, 0.4]), [Momentum()])

    # deviations -0.4 .. 0.4, sample variance 0.4 / 4 = 0.1
    assert by_symbol(signals, "score") == pytest.approx(
        dict(zip(NAMES, np.array([-0.4, -0.2, 0.0, 0.2, 0.4]) / math.sqrt(0.1), strict=True)), abs=1e-12
    )
    assert signals["confidence"].tolist() == [1.0] * 5
    assert signals["strategy"].unique().tolist() == ["momentum"]


def test_momentum_without_a_full_look_back_has_no_opinion():
    names = [*NAMES, "NEW"]
    signals = strategy_signals(
        features_of(names=names, momentum_12_1=[-0.4, -0.2, 0.0, 0.2, 0.4, math.nan]), [Momentum()]
    )

    new = signals.set_index("symbol").loc["NEW"]
    assert (new["score"], new["confidence"]) == (0.0, 0.0)
    assert by_symbol(signals, "confidence")["AAA"] == 5 / 6


def test_reversal_prefers_last_week_s_losers():
    # the feature is minus the return: the loser of 5 % has +0.05
    signals = strategy_signals(features_of(reversal_5=[0.05, 0.0, -0.05, 0.0, 0.0]), [ShortTermReversal()])

    scores = by_symbol(signals, "score")
    assert scores["AAA"] == pytest.approx(0.05 / math.sqrt(0.005 / 4))
    assert scores["CCC"] == -scores["AAA"]
    assert signals["confidence"].tolist() == [0.5] * 5


def test_low_volatility_trend_prefers_the_steadier_of_two_equal_trends():
    signals = strategy_signals(
        features_of(trend_50_200=[0.1, 0.1, 0.0, 0.0, 0.0], volatility_63=[0.1, 0.4, 0.2, 0.2, 0.2]),
        [LowVolatilityTrend()],
    )

    # trend / volatility: 1.0, 0.25, 0, 0, 0 with mean 0.25
    deviations = np.array([0.75, 0.0, -0.25, -0.25, -0.25])
    spread = math.sqrt((deviations**2).sum() / 4)
    assert by_symbol(signals, "score") == pytest.approx(dict(zip(NAMES, deviations / spread, strict=True)), abs=1e-12)


def test_low_volatility_trend_is_believed_less_for_nervous_names_and_in_nervous_markets():
    calm = strategy_signals(
        features_of(trend_50_200=[0.1, 0.0, 0.0, 0.0, 0.0], volatility_63=[0.5, 0.2, 0.2, 0.2, 0.1]),
        [LowVolatilityTrend()],
    )
    nervous = strategy_signals(
        features_of(trend_50_200=[0.1, 0.0, 0.0, 0.0, 0.0], volatility_63=[0.5, 0.5, 0.5, 0.5, 0.1]),
        [LowVolatilityTrend()],
    )

    assert by_symbol(calm, "confidence") == pytest.approx({"AAA": 0.5, "BBB": 1.0, "CCC": 1.0, "DDD": 1.0, "EEE": 1.0})
    assert nervous["confidence"].tolist() == pytest.approx([0.5] * 5)


def test_a_session_of_four_members_has_confidence_zero_in_every_strategy():
    few = features_of(names=NAMES[:4], momentum_12_1=[1.0, 2.0, 3.0, 4.0], trend_50_200=[1.0, 2.0, 3.0, 4.0])

    signals = strategy_signals(few, find_strategies(list(BUILT_IN)))

    assert len(signals) == 12
    assert signals["confidence"].tolist() == [0.0] * 12
    assert signals["score"].tolist() == [0.0] * 12


def test_the_configured_strategies_are_found_in_order():
    found = find_strategies(SignalSettings().strategies)

    assert [strategy.name for strategy in found] == ["momentum", "short_term_reversal", "low_volatility_trend"]
    assert all(isinstance(strategy, Strategy) for strategy in found)


def test_a_strategy_is_found_by_its_import_path():
    found = find_strategies(["aegis.signals.short_term_reversal:ShortTermReversal"])

    assert found == [ShortTermReversal()]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["momentun"], "'momentun' is not a strategy; the nearest is 'momentum'"),
        ([], "signals.strategies is empty"),
        (["aegis.signals.momentun:Momentum"], "module 'aegis.signals.momentun' cannot be imported"),
        (["aegis.signals.momentum:Momentun"], "has no 'Momentun'; the nearest name is 'Momentum'"),
        (["aegis.signals.strategy:Strategy"], "cannot be made without arguments"),
        (["decimal:Decimal"], "'decimal:Decimal' is not a strategy; it needs `name` and `scores\\(features\\)`"),
        (["momentum", "aegis.signals.momentum:Momentum"], "'momentum' is the name of more than one strategy"),
    ],
)
def test_a_wrong_strategy_name_is_refused_with_its_remedy(names, message):
    with pytest.raises(ConfigurationError, match=message):
        find_strategies(names)


def test_a_module_that_is_broken_is_refused_under_the_setting_that_names_it(tmp_path, monkeypatch):
    (tmp_path / "half_written.py").write_text("class Mine\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match=r"'half_written' cannot be imported \(SyntaxError: .*correct it"):
        find_strategies(["half_written:Mine"])


class Fixed:
    name = "fixed"

    def __init__(self, answer):
        self.answer = answer

    def scores(self, features):
        return self.answer(features)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda f: pd.DataFrame({"score": 1.0, "confidence": 1.5}, index=f.index), "AAA 2020-01-02: score 1.0 .*1.5"),
        (lambda f: pd.DataFrame({"score": math.inf, "confidence": 1.0}, index=f.index), "score inf"),
        (lambda f: pd.DataFrame({"score": 1.0}, index=f.index), "found columns \\['score'\\]"),
        (lambda f: pd.DataFrame({"score": 1.0, "confidence": 1.0}, index=f.index[:2]), "and 2 rows"),
    ],
)
def test_an_impossible_answer_of_a_strategy_is_refused(answer, message):
    with pytest.raises(FeatureError, match=message):
        strategy_signals(features_of(), [Fixed(answer)])


def test_a_strategy_cannot_change_the_features_of_the_next():
    def vandal(features):
        features["momentum_12_1"] = 0.0
        return pd.DataFrame({"score": 0.0, "confidence": 0.0}, index=features.index)

    features = features_of(momentum_12_1=[1.0, 2.0, 3.0, 4.0, 5.0])
    signals = strategy_signals(features, [Fixed(vandal), Momentum()])

    assert signals.loc[signals["strategy"] == "momentum", "score"].abs().max() > 1.0


def test_no_features_give_no_signals():
    signals = strategy_signals(DAILY_FEATURES.empty(), find_strategies(list(BUILT_IN)))

    assert signals.empty
    assert signals.columns.tolist() == STRATEGY_SIGNALS.column_names
