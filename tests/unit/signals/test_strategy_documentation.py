"""The worked example of docs/strategies.md is run as it stands there."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from aegis.config import SignalSettings
from aegis.lake.tables import DAILY_FEATURES
from aegis.signals.strategy import find_strategies, strategy_signals

PAGE = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
YAML = [text for language, text in BLOCKS if language == "yaml"]


@pytest.fixture
def written_strategy(tmp_path, monkeypatch):
    """The example as a module of its own, in a package outside Aegis."""
    (tmp_path / "my_signals").mkdir()
    (tmp_path / "my_signals" / "__init__.py").touch()
    (tmp_path / "my_signals" / "illiquidity_premium.py").write_text(PYTHON[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_signals.illiquidity_premium:IlliquidityPremium"
    for module in [name for name in sys.modules if name.startswith("my_signals")]:
        del sys.modules[module]


def features_of(dollar_volumes, sessions=("2020-01-02",)):
    return DAILY_FEATURES.conform(
        pd.DataFrame(
            [
                {
                    "session": pd.Timestamp(session),
                    "symbol": f"S{number}",
                    "momentum_12_1": 0.1 * number,
                    "reversal_5": 0.0,
                    "volatility_63": 0.2,
                    "trend_50_200": 0.0,
                    "liquidity_21": np.log(volume) + 0.01 * number * len(session) * day,
                    "known_at_utc": pd.Timestamp(session, tz="UTC"),
                }
                for day, session in enumerate(sessions)
                for number, volume in enumerate(dollar_volumes)
            ]
        ).reindex(columns=DAILY_FEATURES.column_names)
    )


def test_the_example_prefers_the_less_liquid_and_leaves_the_untradable(written_strategy):
    features = features_of([1e8, 1e7, 1e6, 1e6, 1e6, 1e4])

    signals = strategy_signals(features, find_strategies([written_strategy])).set_index("symbol")

    assert signals["strategy"].unique().tolist() == ["illiquidity_premium"]
    assert signals.loc["S2", "score"] > 0 > signals.loc["S1", "score"] > signals.loc["S0", "score"]
    assert signals.loc["S0", "confidence"] == 0.5 * 5 / 6
    assert signals.loc["S5", ["score", "confidence"]].tolist() == [0.0, 0.0]


def test_the_configuration_of_the_page_is_valid(written_strategy):
    settings = SignalSettings(**yaml.safe_load(YAML[0])["signals"])
    names = [name.replace("aegis.signals.illiquidity", "my_signals.illiquidity") for name in settings.strategies]

    found = find_strategies(names)

    assert names[-1] == written_strategy
    assert [strategy.name for strategy in found] == ["momentum", "low_volatility_trend", "illiquidity_premium"]


def test_the_check_of_the_page_accepts_the_example_and_catches_a_strategy_that_crosses_sessions(written_strategy):
    namespace = {}
    exec(PYTHON[1], namespace)  # noqa: S102 - the point of the test is to run the page's own text
    check = namespace["assert_sessions_are_scored_apart"]
    features = features_of([1e8, 1e7, 1e6, 2e6, 3e6], sessions=("2020-01-02", "2020-01-03", "2020-01-06"))

    class Smoothed:
        name = "smoothed"

        def scores(self, rows):
            smooth = rows.groupby("symbol")["liquidity_21"].transform(lambda column: column.ewm(2).mean())
            return pd.DataFrame({"score": smooth, "confidence": 1.0})

    check(find_strategies([written_strategy])[0], features)
    with pytest.raises(AssertionError):
        check(Smoothed(), features)


def test_the_numbers_of_the_page_are_those_of_the_rule():
    # 0.03 * 0.32 * sqrt(21 / 252) a month, a 21st of it a session, 252 of them a year
    a_session = 0.03 * 0.32 * (21 / 252) ** 0.5 / 21

    assert f"{100 * a_session:.3f} % a session, {100 * 252 * a_session:.1f} % a year" in PAGE
