"""Four sessions of one account, two names and two strategies, worked out by hand.

Decided after 01-29 and 01-30: the neutral book is 0.8 / 2 = 0.4 of each name. At the close of 01-30 the account holds
0.5 AAA and 0.1 BBB of 1,000 USD; AAA then rises from 10 to 11 and BBB falls from 20 to 19 (-5 %), of which BBB pays a
dividend of 0.50 (+2.5 %): a total of -2.5 %.

01-31, by the opinions of 01-29: AAA +0.1 beside the neutral book belongs to `up` alone; BBB -0.3 to `up` and `down` by
1 to 2. neutral 1000 (0.4 x 10 % - 0.4 x 2.5 %) = 30; up 1000 (0.1 x 10 % + 0.1 x 2.5 %) = 12.50; down 1000 x 0.2 x
2.5 % = 5. Held: 1000 (0.5 x 10 % - 0.1 x 2.5 %) = 47.50, all of it theirs.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from aegis.config import PortfolioSettings
from aegis.lake import tables
from aegis.lake.schema import TableSchema
from aegis.reporting.strategy_pnl import AttributionInputs, strategy_pnl

DAYS = ["2024-01-29", "2024-01-30", "2024-01-31", "2024-02-01"]
SETTINGS = PortfolioSettings(neutral_exposure=0.8, max_gross_exposure=1.0)


def rows(table: TableSchema, *values: dict[str, object]) -> pd.DataFrame:
    """Return rows of a table of which only the columns that matter are given."""
    frame = table.empty().reindex(range(len(values)))
    for column in table.columns:
        given = [value.get(column.name) for value in values]
        fill = {"float": 0.0, "integer": 0, "boolean": False, "text": "x", "session": DAYS[0]}.get(column.kind)
        frame[column.name] = [fill if value is None else value for value in given]
    known = [f"{value['session']}T22:00Z" for value in values]
    return table.conform(frame.assign(known_at_utc=known) if "known_at_utc" in frame else frame)


@pytest.fixture
def inputs() -> AttributionInputs:
    closes = {"AAA": [10, 10, 11, 11], "BBB": [20, 20, 19, 19]}
    return AttributionInputs(
        daily_pnl=rows(
            tables.DAILY_PNL,
            *({"session": day, "account": "a"} for day in (DAYS[0], DAYS[1])),
            {"session": DAYS[2], "account": "a", "price_pnl_usd": 45.0, "dividends_usd": 2.5},
            {"session": DAYS[3], "account": "a"},
        ),
        account_values=rows(
            tables.ACCOUNT_VALUES,
            *(
                {"session": d, "account": "a", "equity_usd": e}
                for d, e in zip(DAYS, [1000, 1000, 1047.5, 1047.5], strict=True)
            ),
        ),
        positions=rows(
            tables.POSITIONS,
            {"session": DAYS[1], "account": "a", "symbol": "AAA", "weight": 0.5},
            {"session": DAYS[1], "account": "a", "symbol": "BBB", "weight": 0.1},
        ),
        target_weights=rows(
            tables.TARGET_WEIGHTS,
            *(
                {"session": day, "account": "a", "symbol": symbol, "optimized_return_daily": 1e-4}
                for day in DAYS[:2]
                for symbol in ("AAA", "BBB")
            ),
        ),
        risk_report=rows(
            tables.RISK_REPORT, *({"session": day, "account": "a", "exposure_scale": 1.0} for day in DAYS)
        ),
        strategy_signals=rows(
            tables.STRATEGY_SIGNALS,
            {"session": DAYS[0], "strategy": "up", "symbol": "AAA", "score": 2.0, "confidence": 0.5},
            {"session": DAYS[0], "strategy": "up", "symbol": "BBB", "score": -1.0, "confidence": 0.5},
            {"session": DAYS[0], "strategy": "down", "symbol": "AAA", "score": -1.0, "confidence": 1.0},
            {"session": DAYS[0], "strategy": "down", "symbol": "BBB", "score": -1.0, "confidence": 1.0},
        ),
        daily_bars=rows(
            tables.DAILY_BARS,
            *(
                {"session": day, "symbol": symbol, "close_raw_usd": float(close)}
                for symbol, path in closes.items()
                for day, close in zip(DAYS, path, strict=True)
            ),
        ),
        corporate_actions=rows(
            tables.CORPORATE_ACTIONS,
            {"session": DAYS[2], "symbol": "BBB", "action": "dividend", "split_ratio": 1.0, "dividend_usd": 0.5},
        ),
    )


def earned(inputs: AttributionInputs, settings: PortfolioSettings = SETTINGS) -> dict[str, dict[str, float]]:
    table = strategy_pnl(inputs, account="a", settings=settings)
    return {
        f"{session:%Y-%m-%d}": dict(zip(part["attributed_to"], part["pnl_usd"].round(9), strict=True))
        for session, part in table.groupby("session")
    }


def test_each_strategy_is_credited_with_what_its_side_of_the_active_weights_earned(inputs: AttributionInputs) -> None:
    found = earned(inputs)
    assert found["2024-01-31"] == {"neutral": 30.0, "up": 12.5, "down": 5.0, "unattributed": 0.0}
    assert set(found["2024-01-30"].values()) == {0.0}
    assert list(found) == DAYS


def test_credited_weights_are_stored_beside_the_decision_they_came_from(inputs: AttributionInputs) -> None:
    table = strategy_pnl(inputs, account="a", settings=SETTINGS).set_index(["session", "attributed_to"])
    up = table.loc[(pd.Timestamp(DAYS[2]), "up")]
    assert (up["decision_session"], up["kind"]) == (pd.Timestamp(DAYS[0]), "strategy")
    assert up["net_weight"] == pytest.approx(0.0)
    assert up["gross_weight"] == pytest.approx(0.2)
    assert table.loc[(pd.Timestamp(DAYS[2]), "neutral"), "net_weight"] == pytest.approx(0.8)
    assert table["decision_session"].isna().groupby("session").all().tolist() == [True, True, False, False]


def test_what_nobody_argued_for_is_left_unattributed(inputs: AttributionInputs) -> None:
    silent = inputs.strategy_signals.assign(confidence=0.0)
    found = earned(dataclasses.replace(inputs, strategy_signals=silent))
    assert found["2024-01-31"] == {"neutral": 30.0, "up": 0.0, "down": 0.0, "unattributed": 17.5}


def test_the_neutral_book_is_no_larger_than_the_breakers_allowed(inputs: AttributionInputs) -> None:
    halved = inputs.risk_report.assign(exposure_scale=0.5)
    found = earned(dataclasses.replace(inputs, risk_report=halved))
    assert found["2024-01-31"]["neutral"] == 18.75  # 1000 (0.25 x 10 % - 0.25 x 2.5 %)
    assert sum(found["2024-01-31"].values()) == pytest.approx(47.5)


def test_the_parts_add_up_whatever_the_opinions(inputs: AttributionInputs) -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        wild = inputs.strategy_signals.assign(score=random.normal(size=4), confidence=random.uniform(size=4))
        assert sum(earned(dataclasses.replace(inputs, strategy_signals=wild))["2024-01-31"].values()) == pytest.approx(
            47.5
        )


def test_an_opinion_of_the_day_itself_or_of_the_day_before_earns_nothing(inputs: AttributionInputs) -> None:
    later = [
        inputs.strategy_signals.assign(session=pd.Timestamp(day), score=random)
        for day, random in ((DAYS[1], 3.0), (DAYS[2], -3.0), (DAYS[3], 5.0))
    ]
    signals = pd.concat([inputs.strategy_signals, *later], ignore_index=True)
    assert earned(dataclasses.replace(inputs, strategy_signals=signals))["2024-01-31"] == earned(inputs)["2024-01-31"]


def test_an_account_without_sessions_has_no_rows(inputs: AttributionInputs) -> None:
    nothing = dataclasses.replace(inputs, account_values=inputs.account_values[:0])
    assert strategy_pnl(nothing, account="a", settings=SETTINGS).empty
