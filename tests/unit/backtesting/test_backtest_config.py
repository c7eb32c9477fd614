"""Settings of a backtest: what is refused, and that results say everything that decided them."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from typing import Any

import pytest

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.commissions import Bps, PerShare, PerTrade, Tiered
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.costs import CostModel
from aegis.backtesting.financing import Financing
from aegis.backtesting.market_impact import Almgren, PowerLaw, SquareRoot
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.slippage import FixedBps, FixedSpread, Volatility, VolumeShare
from aegis.errors import ConfigurationError


@pytest.mark.parametrize(
    ("engine", "nearest"),
    [("vectorised", "vectorized"), ("Vectorized", "vectorized"), ("walkforward", "walk_forward"), (None, "")],
)
def test_an_engine_that_does_not_exist_is_refused_with_the_nearest(engine: Any, nearest: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"engine is {engine!r} and must be .*; the nearest is '{nearest}"):
        BacktestConfig(engine=engine)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"costs": TradingRules()}, r"costs is TradingRules and must be CostModel\(\.\.\.\)"),
        ({"costs": None}, "costs is NoneType and must be CostModel"),
        ({"rules": CostModel()}, r"rules is CostModel and must be TradingRules\(\.\.\.\)"),
        ({"initial_cash_usd": "1000"}, "initial_cash_usd is str and must be a number of USD"),
        ({"tick_usd": 0.01}, "tick_usd is float and must be a mapping of symbols to USD"),
        ({"sessions_per_chunk": "all"}, "sessions_per_chunk is str and must be a number of sessions, or None"),
    ],
)
def test_a_setting_of_another_type_is_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        BacktestConfig(**setting)


@pytest.mark.parametrize("setting", [{"max_leverage": 2.0}, {"initial_margin": 1.0}, {"maintenance_margin": 0.3}])
def test_margin_settings_of_a_cash_account_are_refused(setting: dict[str, float]) -> None:
    (name,) = setting
    with pytest.raises(ConfigurationError, match=rf"{name} is .* and must be left out .* in a cash account"):
        TradingRules(**setting)  # type: ignore[arg-type]
    assert getattr(TradingRules(account_type="margin", **setting), name) == setting[name]  # type: ignore[arg-type]


OTHER: dict[str, list[Any]] = {
    "initial_cash_usd": [2_000_000.0],
    "rules": [TradingRules(participation_rate=0.2), TradingRules(target_orders="vwap")],
    "costs": [
        CostModel(slippage=model)
        for model in (FixedBps(5.0), FixedBps(5.000000000000001), FixedSpread(0.02), Volatility(0.1), VolumeShare())
    ]
    + [CostModel(commission=plan) for plan in (Bps(1.0), PerTrade(1.0), PerShare(0.005), PerShare(0.005, 1.0))]
    + [CostModel(commission=Tiered(((0, 0.0035), (300_000, rate)))) for rate in (0.002, 0.0015)]
    + [CostModel(impact=model) for model in (SquareRoot(), Almgren(), Almgren(duration_days=0.5), PowerLaw(0.3, 0.6))]
    + [CostModel(financing=Financing(debit_rate_per_year=0.06)), CostModel(financing=Financing(0.01))]
    + [CostModel(regulatory_fees=True), CostModel(slippage_within_bar=True)],
    "tick_usd": [{"AAA": 0.01}, {"AAA": 0.05}]
    + [{f"S{number}": tick for number in range(99)} | {"S7": 0.02} for tick in (0.01, 0.05)],
    "borrow_rate_per_year": [{"AAA": 0.1}, {"BBB": 0.1}],
    "liquidity_window_sessions": [22],
    "history_sessions": [5],
}
# Rates and year stand in fields of the results, events in their records, names in the report's heading; chunks and
# room for orders change no result, and the engine is said by the engine.
ELSEWHERE = {
    "engine", "events", "sessions_per_chunk", "orders_per_step", "risk_free_rate", "sessions_per_year", "source",
    "is_simulated",
}  # fmt: skip


def test_every_setting_that_decides_results_is_described() -> None:
    assert {each.name for each in fields(BacktestConfig)} == OTHER.keys() | ELSEWHERE
    described = [BacktestConfig().described("event_driven"), BacktestConfig().described("vectorized")]
    described += [
        replace(BacktestConfig(), **{name: value}).described("event_driven")
        for name, values in OTHER.items()
        for value in values
    ]
    assert len({str(each) for each in described}) == len(described)


def test_models_are_described_by_name_and_parameters() -> None:
    costs = CostModel(slippage_bps=5.0, commission=PerShare(0.005, 1.0), financing=Financing(0.01, 0.06))
    config = BacktestConfig(costs=costs, tick_usd={"BBB": 0.05, "AAA": 0.01})
    found = config.described("event_driven")
    assert found["costs"]["slippage"] == "FixedBps: slippage_bps 5"
    assert found["costs"]["impact"] == "NoImpact"
    assert found["costs"]["commission"] == (
        "PerShare: usd_per_share 0.005, min_usd_per_order 1, max_usd_per_order without bound, "
        "max_fraction_of_value without bound"
    )
    assert found["costs"]["borrow_rate_per_year"] is None
    assert found["simulation"]["tick_usd"] == "AAA 0.01, BBB 0.05"
    tiers = CostModel(commission=Tiered(((0, 0.0035), (300_000, 0.002))))
    commission = BacktestConfig(costs=tiers).described("event_driven")["costs"]["commission"]
    assert commission.startswith("Tiered: tiers 0.0035 from 0 and 0.002 from 300000, ")


def test_events_are_not_described_twice() -> None:
    halt = CorporateEvent(kind="split", symbol="AAA", ex_date=date(2014, 6, 9), ratio=2.0)
    assert BacktestConfig(events=[halt]).described("event_driven") == BacktestConfig().described("event_driven")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial_cash_usd": 0.0}, "initial_cash_usd must be more than 0"),
        ({"initial_cash_usd": float("inf")}, "initial_cash_usd must be more than 0 and at most"),
        ({"risk_free_rate": float("nan")}, "risk_free_rate must be -1 or more and at most 10, found nan"),
        ({"tick_usd": {"AAA": -1.0}}, "tick_usd of AAA must be 0 or more"),
        ({"tick_usd": {"AAA": float("nan")}}, "tick_usd of AAA must be 0 or more"),
        ({"borrow_rate_per_year": {"AAA": -5.0}}, "borrow_rate_per_year of AAA must be 0 or more"),
        ({"borrow_rate_per_year": {"AAA": float("inf")}}, "borrow_rate_per_year of AAA must be 0 or more and at most"),
        ({"sessions_per_chunk": 1.5}, "sessions_per_chunk is 1.5 and must be a whole number of at least 1"),
        ({"history_sessions": -1}, "history_sessions is -1 and must be a whole number of at least 0"),
        ({"orders_per_step": 0}, "orders_per_step is 0 and must be a whole number of at least 1"),
        ({"sessions_per_year": True}, "sessions_per_year is True and must be a whole number"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        BacktestConfig(**settings)
