# ruff: noqa: ARG001 - a signal takes all four arguments, whether it needs them or not
from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest

from aegis.backtesting.array_strategies import TargetShares
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.rules import TradingRules
from aegis.backtesting.sweep_results import METRICS
from aegis.backtesting.sweep_signals import moving_average_cross, sweep_signal
from aegis.backtesting.sweeps import fused_sweep, parameter_grid, sweep
from aegis.errors import BacktestError, StrategyFailed
from tests.unit.backtesting.swept_market import CLOSE, ONE_PERCENT, OPEN, bars_of, timed


@sweep_signal(parameters=("ahead",))
def clairvoyant(close, i, state, parameters):
    return 1.0 if close[i + int(parameters[0])] > close[i] else 0.0


@sweep_signal(parameters=("window",))
def hasty(close, i, state, parameters):
    return 1.0 if close[i] > close[i - int(parameters[0])] else 0.0


@sweep_signal(parameters=("at",))
def failing(close, i, state, parameters):
    if i == parameters[0]:
        raise ValueError("enough")
    return np.nan


@sweep_signal(parameters=("at",))
def endless(close, i, state, parameters):
    return np.inf if i == parameters[0] else np.nan


@sweep_signal(parameters=("first",), state_size=1, targets="shares")
def counting(close, i, state, parameters):
    state[0] += 1.0
    return 7.0 if state[0] == parameters[0] else np.nan


def _one(results, name: str) -> float:
    return float(results.metrics[name][0, 0])


def test_a_column_has_the_numbers_worked_out_by_hand() -> None:
    results = fused_sweep(timed, bars_of(), {"buy": 0, "sell": 2, "target": 50}, ONE_PERCENT)

    # 50 bought at 10 + 1 % on the second day, sold at 12 - 1 % on the fourth; 1 % of each in commission.
    expected = {
        "final_equity_usd": 1_000.0 - 505.0 - 5.05 + 594.0 - 5.94,
        "total_return": 0.07801,
        "annualised_return": 1.07801 ** (252 / 5) - 1.0,
        "max_drawdown": 1_078.01 / 1_089.95 - 1.0,
        "fill_count": 2,
        "traded_shares": 100,
        "traded_usd": 1_099.0,
        "commission_usd": 10.99,
        "slippage_usd": 5.0 + 6.0,
        "fees_usd": 0.0,
        "interest_usd": 0.0,
        "borrow_fees_usd": 0.0,
        "sessions_invested_share": 2 / 5,
    }
    returns = np.diff([1_000.0, 1_000.0, 1_039.95, 1_089.95, 1_078.01, 1_078.01]) / [
        1_000.0,
        1_000.0,
        1_039.95,
        1_089.95,
        1_078.01,
    ]
    expected["volatility_annualised"] = returns.std(ddof=1) * np.sqrt(252)
    expected["sharpe_ratio"] = returns.mean() / returns.std(ddof=1) * np.sqrt(252)
    assert set(expected) == set(METRICS) == set(results.metrics)
    assert {name: _one(results, name) for name in METRICS} == pytest.approx(expected, rel=1e-12)


def test_a_purchase_is_cut_to_what_the_cash_pays_for() -> None:
    results = fused_sweep(timed, bars_of(), {"buy": 0, "sell": 9, "target": 200}, ONE_PERCENT)

    # 1,000 / (10.10 x 1.01) = 98.03
    assert (_one(results, "fill_count"), _one(results, "traded_shares")) == (1, 98)


def test_a_day_without_volume_fills_nothing_and_the_order_is_gone() -> None:
    bars = bars_of(volume=[1e6, 0.0, 1e6, 1e6, 1e6])

    results = fused_sweep(timed, bars, {"buy": [0, 1], "sell": 9, "target": 50}, ONE_PERCENT)

    assert results.metrics["fill_count"][:, 0].tolist() == [0, 1]


def test_the_volume_caps_what_a_bar_fills() -> None:
    config = dataclasses.replace(ONE_PERCENT, rules=TradingRules(participation_rate=0.1))

    results = fused_sweep(timed, bars_of(volume=123.0), {"buy": 0, "sell": 9, "target": 50}, config)

    assert _one(results, "traded_shares") == 12


def test_a_column_without_a_trade_has_no_sharpe_ratio() -> None:
    results = fused_sweep(timed, bars_of(), {"buy": 8, "sell": 9, "target": 50}, ONE_PERCENT)

    assert np.isnan(_one(results, "sharpe_ratio"))
    assert _one(results, "volatility_annualised") == _one(results, "max_drawdown") == 0.0


def test_every_column_begins_with_nothing_kept() -> None:
    results = fused_sweep(counting, bars_of(), {"first": [1, 2, 3, 5]}, ONE_PERCENT, workers=1)

    assert results.metrics["traded_shares"][:, 0].tolist() == [7, 7, 7, 0]


def test_numbers_do_not_depend_on_the_number_of_workers() -> None:
    random = np.random.default_rng(3)
    close = np.round(100 * np.exp(random.normal(0, 0.02, (400, 3)).cumsum(axis=0)), 2)
    bars = bars_of(np.vstack([close[:1], close[:-1]]), close, symbols=("A", "B", "C"))
    grid = parameter_grid(fast=range(2, 12), slow=[13.0, 20.0], target=[1.0])

    alone, shared = (fused_sweep(moving_average_cross, bars, grid, ONE_PERCENT, workers=n) for n in (1, 5))

    assert alone.metrics["fill_count"].min() > 2
    for name in METRICS:
        assert np.array_equal(alone.metrics[name], shared.metrics[name], equal_nan=True)


def test_averages_of_any_prices_are_those_of_their_windows() -> None:
    close = 10.1 * np.exp(np.random.default_rng(5).normal(0, 0.01, 5_000).cumsum())
    windows = np.lib.stride_tricks.sliding_window_view
    fast, slow = windows(close, 7)[50 - 7 :].mean(axis=1), windows(close, 50).mean(axis=1)
    holds = np.r_[np.zeros(49, bool), fast > slow]
    changes = np.flatnonzero(np.diff(np.r_[False, holds]))

    decided = moving_average_cross.decisions(close, np.array([7.0, 50.0, 0.5]))

    assert len(changes) > 50
    assert np.flatnonzero(~np.isnan(decided)).tolist() == changes.tolist()
    assert decided[changes].tolist() == np.where(holds[changes], 0.5, 0.0).tolist()


def test_missing_bars_are_left_out_of_a_symbols_account() -> None:
    gap = np.array([[1.0, 1.0], [np.nan, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    both = gap * np.array(OPEN)[:, None], gap * np.array(CLOSE)[:, None]
    results = fused_sweep(
        timed, bars_of(*both, volume=1e6 * gap, symbols=("A", "B")), {"buy": 0, "sell": 9, "target": 50}, ONE_PERCENT
    )

    # A's second bar is the third day: bought at 11.11 there.
    assert results.metrics["traded_usd"][0].tolist() == pytest.approx([50 * 11.11, 505.0])
    assert results.accounts == ("A", "B")


@pytest.mark.parametrize(
    ("signal", "parameters", "says"),
    [(clairvoyant, {"ahead": 1}, "decision at bar"), (hasty, {"window": 3}, "decision at bar [012] ")],
)
def test_a_signal_that_reads_other_closes_than_the_known_ones_is_refused(signal, parameters, says) -> None:
    close = 100 + np.random.default_rng(1).normal(0, 1, 200).cumsum()

    with pytest.raises(BacktestError, match=says):
        fused_sweep(signal, bars_of(close, close), parameters, ONE_PERCENT)


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        (failing, "failing, parameters at=3, bar 3 of 5: raised ValueError: enough"),
        (endless, "endless, parameters at=3: X 1970-01-05T00:00:00Z: a target weight of inf"),
    ],
)
def test_a_signal_that_fails_says_with_which_parameters_and_where(signal, says) -> None:
    with pytest.raises(StrategyFailed, match=says):
        fused_sweep(signal, bars_of(), {"at": [9, 8, 7, 3, 9, 9, 9]}, ONE_PERCENT, workers=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"events": [CorporateEvent(kind="split", symbol="X", ex_date=date(1970, 1, 3), ratio=2.0)]},
            "corporate events",
        ),
        ({"sessions_per_chunk": 2}, "chunks"),
        ({"tick_usd": {"Y": 0.01}}, "without bars .Y."),
    ],
)
def test_what_a_column_cannot_do_is_refused(change, says) -> None:
    with pytest.raises(BacktestError, match=says + ".*sweeps.sweep"):
        fused_sweep(timed, bars_of(), {"buy": 0, "sell": 2, "target": 50}, dataclasses.replace(ONE_PERCENT, **change))


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"buy": 0, "sell": 2}, "expected .'buy', 'sell', 'target'."),
        ({"buy": [0, 1], "sell": [1, 2, 3], "target": 5}, "shapes"),
        ({"buy": [0, np.nan], "sell": 2, "target": 5}, "parameters of set 1"),
        ({"buy": [], "sell": 2, "target": 5}, "shapes"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(parameters, says) -> None:
    with pytest.raises(BacktestError, match=says):
        fused_sweep(timed, bars_of(), parameters, ONE_PERCENT)


def test_no_workers_and_closures_are_refused() -> None:
    held = 3.0

    def closure(close, i, state, parameters):
        return held

    with pytest.raises(BacktestError, match="at least one"):
        fused_sweep(timed, bars_of(), {"buy": 0, "sell": 2, "target": 5}, ONE_PERCENT, workers=0)
    with pytest.raises(BacktestError, match="top of a module"):
        sweep_signal(parameters=())(closure)


def test_frames_and_arrays_are_no_data_of_a_sweep() -> None:
    with pytest.raises(BacktestError, match="data are DataFrame, expected Bars"):
        sweep(TargetShares, pd.DataFrame(), {"shares": 1}, ONE_PERCENT)  # type: ignore[arg-type]
    with pytest.raises(BacktestError, match="data are ndarray, expected Bars"):
        fused_sweep(timed, np.zeros(3), {"buy": 0, "sell": 2, "target": 5}, ONE_PERCENT)  # type: ignore[arg-type]


def test_results_become_a_table_and_name_the_best_set() -> None:
    results = fused_sweep(timed, bars_of(), {"buy": [0, 1, 8], "sell": [2, 3, 9], "target": 50}, ONE_PERCENT)

    table = results.to_frame()
    assert table.index.names == ["buy", "sell", "target", "account"]
    assert table.loc[(0, 2, 50, "X"), "fill_count"] == 2
    assert list(table.columns) == list(METRICS)
    assert results.best("final_equity_usd") == {"buy": 0.0, "sell": 2.0, "target": 50.0}
    with pytest.raises(BacktestError, match="no metric"):
        results.best("luck")
