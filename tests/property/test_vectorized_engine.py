"""vectorbt and the kernel do the same with the same targets: every fill, every order's end, and equity, to 1e-9."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis.backtesting.array_strategies import Signals, TargetShares, TargetWeights
from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.costs import CostModel
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.vectorized import VectorizedBacktest

HOUR = 3_600_000_000_000
SAME = {"rtol": 1e-9, "atol": 1e-12}

markets = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "sessions": st.integers(6, 20),
        "bars": st.sampled_from([1, 1, 4]),
        "symbols": st.integers(1, 4),
        "missing": st.sampled_from([0.0, 0.2]),
        "decided_at": st.integers(0, 3),
        "strategy": st.sampled_from(["weights", "weights", "shares", "signals"]),
        "fractional": st.booleans(),
        "target_orders": st.sampled_from(["market", "vwap", "market on close"]),
        "slippage_bps": st.sampled_from([0.0, 5.0, 37.5]),
        "commission_bps": st.sampled_from([0.0, 1.0, 25.0]),
        "cash": st.sampled_from([777.77, 10_000.0, 1_000_000.0]),
        "exposure": st.sampled_from([0.5, 1.0, 1.4]),
    }
)


def _bars(chosen: dict, random: np.random.Generator) -> Bars:
    steps, symbols = chosen["sessions"] * chosen["bars"], chosen["symbols"]
    levels = np.exp(random.normal(0.0, 0.04, (4, steps, symbols)) + random.normal(0, 0.05, (steps, symbols)).cumsum(0))
    low, opened, close, high = np.round(np.sort(levels * random.uniform(3, 90, symbols), axis=0), 2)
    swap = random.uniform(size=opened.shape) < 0.5
    opened, close = np.where(swap, close, opened), np.where(swap, opened, close)
    volume = random.choice([0.0, 1e9], p=[chosen["missing"] / 2, 1 - chosen["missing"] / 2], size=opened.shape)
    if symbols > 1:
        gone = random.uniform(size=opened.shape) < chosen["missing"]
        for column in (opened, high, low, close, volume):
            column[gone] = np.nan
    closes_at = (24 * np.repeat(np.arange(1, chosen["sessions"] + 1), chosen["bars"])) * HOUR
    closes_at += np.tile(np.arange(chosen["bars"]), chosen["sessions"]) * HOUR
    names = [f"S{k}" for k in range(symbols)]
    return Bars.from_arrays(opened, high, low, close, volume, closes_at=closes_at, symbols=names, bar_interval=HOUR)


def _strategy(chosen: dict, bars: Bars, random: np.random.Generator) -> TargetWeights | TargetShares | Signals:
    """Decide once a session, so that no order of before is open: vectorbt has one for each symbol."""
    shape = (bars.n_steps, chosen["symbols"])
    decides = np.arange(bars.n_steps) % chosen["bars"] == chosen["decided_at"] % chosen["bars"]
    if chosen["strategy"] == "signals":
        entries, exits = (decides[:, None] & (random.uniform(size=shape) < 0.5) for _ in range(2))
        return Signals(entries=entries, exits=exits, weight=chosen["exposure"] / chosen["symbols"])
    targets = random.dirichlet(np.ones(chosen["symbols"]), bars.n_steps) * chosen["exposure"]
    targets[random.uniform(size=shape) < 0.2] = 0.0
    targets[(random.uniform(size=shape) < 0.2) | ~decides[:, None]] = np.nan
    if chosen["strategy"] == "weights":
        return TargetWeights(weights=targets)
    shares = targets * chosen["cash"] / 30.0
    return TargetShares(shares=np.round(shares, 6) if chosen["fractional"] else np.round(shares))


def _agree(chosen: dict) -> int:
    random = np.random.default_rng(chosen["seed"])
    bars = _bars(chosen, random)
    strategy = _strategy(chosen, bars, random)
    config = BacktestConfig(
        initial_cash_usd=chosen["cash"],
        rules=TradingRules(
            participation_rate=np.inf,
            fractional_shares=chosen["fractional"],
            target_orders=chosen["target_orders"],
        ),
        costs=CostModel(chosen["slippage_bps"], chosen["commission_bps"]),
    )
    ours = EventDrivenBacktest(strategy, bars, config).run()
    theirs = VectorizedBacktest(strategy, bars, config).run()
    if chosen["fractional"] and chosen["exposure"] >= 1.0:
        # A purchase cut to the last cash takes lots of 1e-6 shares as the 16th digit of that cash decides: what can be
        # asked for is that equity agrees to some lots.
        np.testing.assert_allclose(theirs.equity_usd, ours.equity_usd, rtol=1e-9, atol=20 * 1e-6 * 90.0)
    else:
        _agree_on_everything(ours, theirs, {"rtol": 1e-9, "atol": 1e-9 * chosen["cash"]})
    return len(ours.fill_records)


def _agree_on_everything(ours: BacktestResults, theirs: BacktestResults, scale: dict[str, float]) -> None:
    np.testing.assert_allclose(theirs.equity_usd, ours.equity_usd, rtol=1e-9)
    np.testing.assert_allclose(theirs.cash_usd, ours.cash_usd, **scale)
    for name in ("order", "symbol", "step", "session", "number", "at"):
        assert np.array_equal(ours.fill_records[name], theirs.fill_records[name]), name
    for name in ("quantity", "price", "reference", "commission", "fees"):
        np.testing.assert_allclose(theirs.fill_records[name], ours.fill_records[name], **SAME, err_msg=name)
    for name in ("symbol", "type", "time_in_force", "state", "reason", "submitted_step", "closed_step", "session"):
        assert np.array_equal(ours.order_records[name], theirs.order_records[name]), name
    for name in ("quantity", "filled", "commission"):
        np.testing.assert_allclose(theirs.order_records[name], ours.order_records[name], **SAME, err_msg=name)
    for name in ("quantity", "mark", "average_cost"):
        np.testing.assert_allclose(theirs.position_records[name], ours.position_records[name], **SAME, err_msg=name)
    np.testing.assert_allclose(theirs.position_records["realised"], ours.position_records["realised"], **scale)
    for name in ("cash", "equity_now", "long_value", "commissions", "slippage"):
        np.testing.assert_allclose(theirs.account_record[name], ours.account_record[name], **scale, err_msg=name)


@pytest.mark.parametrize("examples", [80, pytest.param(1000, marks=pytest.mark.long)])
def test_both_engines_fill_the_same_shares_at_the_same_prices(examples: int) -> None:
    fills: list[int] = []

    @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(markets)
    def run(chosen: dict) -> None:
        fills.append(_agree(chosen))

    run()

    assert len(fills) >= examples
    assert sum(fills) >= 5 * examples
