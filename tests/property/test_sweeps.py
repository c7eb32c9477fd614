"""What a sweep measures is what each backtest alone says of itself: fused columns on the symbol's own bars, and full
backtests that share an account at the venue."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis.backtesting.array_strategies import TargetShares
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import PerShare, PerTrade, Tiered
from aegis.backtesting.costs import CostModel
from aegis.backtesting.event_driven import AnyStrategy, EventDrivenBacktest
from aegis.backtesting.financing import Financing
from aegis.backtesting.jitted import close as close_of
from aegis.backtesting.jitted import jitted_strategy, keep, order_target_shares, parameter, recall, step_number
from aegis.backtesting.market_impact import SquareRoot
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.slippage import FixedSpread, VolumeShare
from aegis.backtesting.sweep_results import METRICS, SweepResults
from aegis.backtesting.sweep_signals import moving_average_cross, sweep_signal
from aegis.backtesting.sweeps import fused_sweep, sweep
from tests.property.random_backtests import random_backtest
from tests.property.script_players import Player, jitted

HOUR = 3_600_000_000_000

markets = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "quiet_nights": st.sampled_from([True, True, False]),
        "sessions": st.integers(2, 40),
        "bars": st.sampled_from([1, 1, 4]),
        "symbols": st.integers(1, 3),
        "missing": st.sampled_from([0.0, 0.15]),
        "untraded": st.sampled_from([0.0, 0.2]),
        "account": st.sampled_from(["cash", "cash", "cash", "margin"]),
        "participation": st.sampled_from([np.inf, np.inf, 0.1]),
        "settlement": st.sampled_from([0, 0, 1]),
        "fractional": st.booleans(),
        "reject": st.booleans(),
        "min_notional": st.sampled_from([0.0, 0.0, 800.0]),
        "target_orders": st.sampled_from(["market", "market", "vwap", "market on close"]),
        "slippage": st.sampled_from(["none", "bps", "bps", "spread", "volume"]),
        "commission": st.sampled_from(["none", "bps", "bps", "per share", "per trade", "tiered"]),
        "impact": st.sampled_from([False, False, True]),
        "fees": st.booleans(),
        "interest": st.sampled_from([0.0, 0.0, 0.03]),
        "cash": st.sampled_from([777.77, 10_000.0, 1_000_000.0]),
        "targets": st.sampled_from(["weights", "weights", "shares"]),
        "signal": st.sampled_from(["cross", "noise", "noise"]),
        "workers": st.integers(1, 3),
    }
)


@sweep_signal(parameters=("frequency", "size", "offset"), state_size=1)
def noise(close, i, state, parameters):
    """Decide at about a fifth of the closes on something of either sign, out of the digits of what is known."""
    state[0] = (state[0] * 31.0 + np.floor(close[i] * 100.0)) % 9973.0
    if state[0] % 5.0 >= parameters[0]:
        return np.nan
    if state[0] % 7.0 < 2.0:
        return 0.0
    return np.round(parameters[1] * (state[0] % 11.0 - parameters[2]) / 8.0, 3)


def _bars(chosen: dict, random: np.random.Generator) -> Bars:
    steps, symbols = chosen["sessions"] * chosen["bars"], chosen["symbols"]
    levels = np.exp(random.normal(0.0, 0.02, (4, steps, symbols)) + random.normal(0, 0.04, (steps, symbols)).cumsum(0))
    low, opened, close, high = np.round(np.sort(levels * random.uniform(8, 90, symbols), axis=0), 2)
    swap = random.uniform(size=opened.shape) < 0.5
    opened, close = np.where(swap, close, opened), np.where(swap, opened, close)
    volume = np.round(random.uniform(50, 1e6, opened.shape) ** random.uniform(0.5, 1.0))
    volume[random.uniform(size=volume.shape) < chosen["untraded"]] = 0.0
    if symbols > 1:
        gone = random.uniform(size=opened.shape) < chosen["missing"]
        gone[0] = False
        for column in (opened, high, low, close, volume):
            column[gone] = np.nan
    day = 19_600 + np.cumsum(random.integers(1, 4, chosen["sessions"]))
    closes_at = 24 * np.repeat(day, chosen["bars"]) * HOUR + HOUR * (12 + np.tile(np.arange(chosen["bars"]), len(day)))
    names = [f"S{k}" for k in range(symbols)]
    return Bars.from_arrays(opened, high, low, close, volume, closes_at=closes_at, symbols=names, bar_interval=HOUR)


def _alone(bars: Bars, symbol: int) -> Bars:
    """Return one symbol's own bars, cut out by hand."""
    table = [column.reshape(bars.n_steps, -1)[:, symbol] for column in bars.columns]
    there = ~np.isnan(table[3])
    columns = [np.ascontiguousarray(column[there]) for column in table]
    return Bars.from_arrays(*columns, closes_at=bars.closes_at[there], symbols=["X"], bar_interval=HOUR)


def _config(chosen: dict) -> BacktestConfig:
    cash_account = chosen["account"] == "cash"
    slippage = {"slippage_bps": 7.0} if chosen["slippage"] == "bps" else {}
    if chosen["slippage"] in ("spread", "volume"):
        slippage = {"slippage": FixedSpread(0.04) if chosen["slippage"] == "spread" else VolumeShare()}
    commission = {"commission_bps": 3.0} if chosen["commission"] == "bps" else {}
    if chosen["commission"] not in ("none", "bps"):
        plans = {
            "per share": PerShare(0.01, 1.0),
            "per trade": PerTrade(1.5),
            "tiered": Tiered(((0, 0.02), (90, 0.01))),
        }
        commission = {"commission": plans[chosen["commission"]]}
    impact = {"impact": SquareRoot()} if chosen["impact"] else {}
    return BacktestConfig(
        initial_cash_usd=chosen["cash"],
        rules=TradingRules(
            account_type=chosen["account"],
            maintenance_margin=0.25 if cash_account else 0.5,  # any loss at full leverage is a margin call
            participation_rate=chosen["participation"],
            settlement_sessions=chosen["settlement"] if cash_account else 0,
            fractional_shares=chosen["fractional"],
            reject_unaffordable=chosen["reject"],
            min_notional_usd=chosen["min_notional"],
            target_orders=chosen["target_orders"],
        ),
        costs=CostModel(
            **slippage,
            **commission,
            **impact,
            financing=Financing(chosen["interest"], 2 * chosen["interest"], chosen["interest"]),
            regulatory_fees=chosen["fees"],
        ),
        liquidity_window_sessions=3,
        risk_free_rate=0.01,
    )


def _agree(chosen: dict) -> float:
    if chosen["quiet_nights"]:  # nothing but open orders calls for the kernel
        chosen = {**chosen, "settlement": 0, "interest": 0.0, "fees": False}
        chosen["commission"] = "bps" if chosen["commission"] == "tiered" else chosen["commission"]
    random = np.random.default_rng(chosen["seed"])
    bars, config = _bars(chosen, random), _config(chosen)
    weight = 1.0 if chosen["account"] == "cash" else 2.0
    size = weight if chosen["targets"] == "weights" else float(np.round(chosen["cash"] / 50.0))
    if chosen["signal"] == "cross":
        signal = moving_average_cross
        parameters = {"fast": random.integers(1, 6, 3), "slow": random.integers(2, 15, 3), "target": size}
    else:
        signal = noise
        parameters = {"frequency": [1.0, 2.0, 5.0], "size": size, "offset": random.integers(0, 6, 3)}
    if chosen["targets"] == "shares":
        signal = signal.in_shares()
    swept = fused_sweep(signal, bars, parameters, config, workers=chosen["workers"])
    for symbol in range(len(bars.symbols)):
        own = _alone(bars, symbol)
        for k, row in enumerate(swept.parameters):
            strategy = signal.strategy(own.close, row)
            _assert_measured(swept, (k, symbol), EventDrivenBacktest(strategy, own, config).run())
    return float(swept.metrics["fill_count"].mean())


def _assert_measured(swept: SweepResults, cell: tuple[int, int], results: BacktestResults) -> None:
    """Compare a cell of a sweep with what the results of one backtest say of themselves."""
    metrics = results.metrics
    assert swept.metrics["fill_count"][cell] == metrics.fill_count
    shares = np.abs(results.fill_records["quantity"]).sum()
    for name in METRICS:
        wanted = shares if name == "traded_shares" else getattr(metrics, name)
        scale = results.initial_cash_usd if name.endswith("_usd") else 1.0
        tolerance = {"rtol": 1e-9, "atol": 1e-9 * scale if name != "final_equity_usd" else 0.0}
        wanted = np.nan if wanted is None else wanted
        np.testing.assert_allclose(swept.metrics[name][cell], wanted, **tolerance, err_msg=name)


@pytest.mark.parametrize("examples", [30, pytest.param(1000, marks=pytest.mark.long)])
def test_columns_are_backtests_of_the_same_decisions(examples: int) -> None:
    fills: list[float] = []

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(markets)
    def run(chosen: dict) -> None:
        fills.append(_agree(chosen))

    run()

    assert len(fills) >= examples
    assert np.mean(fills) >= 3


def _measures_separate_backtests(seed: int) -> float:
    trial = random_backtest(seed)
    rng = np.random.default_rng(seed)
    shape = (trial.bars.n_steps, len(trial.bars.symbols))
    shares = np.where(rng.random(shape) < 0.3, rng.integers(-50, 200, shape), np.nan)

    def form(number: float) -> AnyStrategy:
        forms = (jitted(trial.script), Player(trial.script), TargetShares(shares=shares), TargetShares(shares=-shares))
        return forms[int(number)]

    swept = sweep(form, trial.bars, {"number": np.arange(4)}, trial.config)

    for number in range(4):
        results = EventDrivenBacktest(form(number), trial.bars, trial.config).run()
        _assert_measured(swept, (number, 0), results)
    return float(swept.metrics["fill_count"].mean())


@pytest.mark.parametrize("examples", [30, pytest.param(1000, marks=pytest.mark.long)])
def test_a_sweep_of_full_backtests_measures_each_as_if_it_were_alone(examples: int) -> None:
    """Of several symbols in one account, with corporate events, in every form of strategy, one after the other."""
    fills: list[float] = []

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32 - 1))
    def run(seed: int) -> None:
        fills.append(_measures_separate_backtests(seed))

    run()

    assert len(fills) >= examples
    assert np.mean(fills) >= 3


@jitted_strategy
def cross(market):
    """Hold shares while the fast average is above the slow one; written on its own. Parameters: windows, shares."""
    step = step_number(market)
    fast, slow = int(parameter(market, 0)), int(parameter(market, 1))
    fast_sum = recall(market, 0) + close_of(market, 0, 0)
    slow_sum = recall(market, 1) + close_of(market, 0, 0)
    if step >= fast:
        fast_sum -= close_of(market, 0, fast)
    if step >= slow:
        slow_sum -= close_of(market, 0, slow)
    keep(market, 0, fast_sum)
    keep(market, 1, slow_sum)
    wanted = parameter(market, 2) if step >= slow - 1 and fast_sum / fast > slow_sum / slow else 0.0
    order_target_shares(market, 0, wanted)


@pytest.mark.parametrize("seed", range(5))
def test_the_built_in_cross_is_the_cross_of_a_jitted_strategy(seed: int) -> None:
    random = np.random.default_rng(seed)
    close = 100.0 + random.integers(-8, 9, 2_600).cumsum() / 8.0
    close += 1.0 - min(close.min(), 0.0)
    opened = np.r_[close[:1], close[:-1]]
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    bars = Bars.from_arrays(
        opened, high, low, close, np.full(len(close), 1e6), closes_at=np.arange(1, 2_601) * 24 * HOUR, symbols=["X"]
    )
    config = BacktestConfig(costs=CostModel(commission=PerShare(0.01)))
    windows = {"fast": [3, 20, 50], "slow": [11, 50, 20]}

    swept = fused_sweep(moving_average_cross.in_shares(), bars, {**windows, "target": 100.0}, config)

    for k in range(3):
        jitted = cross.using(windows["fast"][k], windows["slow"][k], 100.0, memory_size=2)
        results = EventDrivenBacktest(jitted, bars, config).run()
        assert swept.metrics["fill_count"][k, 0] == len(results.fill_records) > 20
        assert swept.metrics["final_equity_usd"][k, 0] == pytest.approx(results.equity_usd[-1], rel=1e-12)
