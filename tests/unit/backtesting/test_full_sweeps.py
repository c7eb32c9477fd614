from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from aegis.backtesting.array_strategies import TargetShares
from aegis.backtesting.bars import Bars
from aegis.backtesting.desk import Desk
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.jitted import jitted_strategy
from aegis.backtesting.strategy import Strategy
from aegis.backtesting.sweep_results import METRICS
from aegis.backtesting.sweeps import fused_sweep, parameter_grid, sweep
from aegis.errors import BacktestError, StrategyFailed
from tests.unit.backtesting.swept_market import ONE_PERCENT, bars_of, timed


@jitted_strategy
def held_alone(market):
    """Do nothing."""


@pytest.mark.parametrize("workers", [1, 2])
def test_the_sweep_of_full_backtests_has_the_same_numbers(workers: int) -> None:
    grid = parameter_grid(buy=[0, 1], sell=[2, 3])

    def timed_shares(buy: float, sell: float) -> TargetShares:
        shares = np.full(5, np.nan)
        shares[int(buy)], shares[int(sell)] = 50.0, 0.0
        return TargetShares(shares=shares)

    full = sweep(timed_shares, bars_of(), grid, ONE_PERCENT, workers=workers)
    fused = fused_sweep(timed, bars_of(), {**grid, "target": 50}, ONE_PERCENT)

    assert full.parameters.tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
    for name in METRICS:
        np.testing.assert_allclose(full.metrics[name], fused.metrics[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_threads_that_run_one_backtest_after_the_other_measure_what_one_alone_does() -> None:
    random = np.random.default_rng(3)
    close = np.round(50.0 * np.exp(random.normal(0.0, 0.02, 3_000).cumsum()), 2)
    bars = bars_of(np.r_[close[:1], close[:-1]], close)
    rich = dataclasses.replace(ONE_PERCENT, initial_cash_usd=1_000_000.0)
    grid = parameter_grid(length=range(2, 42))
    asked: set[tuple[int, int]] = set()

    def rows(length: float) -> TargetShares:
        asked.add((os.getpid(), threading.get_ident()))
        return TargetShares(shares=np.where(np.arange(3_000) % length < 2, 10.0, 5.0))

    threads, alone = (sweep(rows, bars, grid, rich, workers=workers) for workers in (3, 1))

    assert {process for process, _ in asked} == {os.getpid()}
    assert len(asked) > 2
    assert (alone.metrics["fill_count"][1:] > 100).all()
    for name in METRICS:
        np.testing.assert_array_equal(threads.metrics[name], alone.metrics[name], err_msg=name)


@pytest.mark.long
def test_a_source_that_may_not_bear_threads_is_read_in_other_processes() -> None:
    bars, here = bars_of(), os.getpid()

    class Source:  # in here, because other processes cannot import tests
        symbols = bars.symbols

        def chunks(self, sessions_per_chunk: int) -> Iterator[Bars]:
            assert os.getpid() != here, "read by a thread"
            return bars.chunks(sessions_per_chunk)

    def buys(at: float) -> TargetShares:
        return TargetShares(shares=np.where(np.arange(5) == at, 10.0, np.nan))

    swept = sweep(buys, Source(), {"at": [0, 1]}, ONE_PERCENT, workers=2)
    assert swept.metrics["fill_count"].tolist() == [[1.0], [1.0]]


def test_no_worker_is_refused() -> None:
    with pytest.raises(BacktestError, match="workers is 0"):
        sweep(lambda at: TargetShares(shares=np.full(5, at)), bars_of(), {"at": 1}, ONE_PERCENT, workers=0)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_python_classes_are_swept_too(workers: int) -> None:
    class Timed(Strategy):  # in here, because other processes cannot import tests
        def __init__(self, buy: float, sell: float) -> None:
            self._shares = {buy: 50.0, sell: -50.0}

        def on_bar(self, desk: Desk) -> None:
            if desk.step in self._shares:
                desk.order(0, self._shares[desk.step])

    grid = parameter_grid(buy=[0, 1], sell=[2, 3])
    full = sweep(Timed, bars_of(), grid, ONE_PERCENT, workers=workers)
    fused = fused_sweep(timed, bars_of(), {**grid, "target": 50}, ONE_PERCENT)

    for name in METRICS:
        np.testing.assert_allclose(full.metrics[name], fused.metrics[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_sweep_over_chunks_measures_the_same() -> None:
    def timed_shares(sell: float) -> TargetShares:
        shares = np.full(5, np.nan)
        shares[0], shares[int(sell)] = 50.0, 0.0
        return TargetShares(shares=shares)

    parts = dataclasses.replace(ONE_PERCENT, sessions_per_chunk=2)
    whole, chunked = (sweep(timed_shares, bars_of(), {"sell": [2, 3]}, config) for config in (ONE_PERCENT, parts))

    for name in METRICS:
        np.testing.assert_array_equal(chunked.metrics[name], whole.metrics[name], err_msg=name)


def test_a_set_whose_strategy_fails_ends_the_sweep_and_says_when() -> None:
    class Failing(Strategy):
        def __init__(self, at: float) -> None:
            self._at = at

        def on_bar(self, desk: Desk) -> None:
            if desk.step == self._at:
                raise ValueError("enough")

    with pytest.raises(StrategyFailed, match=r"1970-01-04.*enough"):
        sweep(Failing, bars_of(), {"at": [9, 2]}, ONE_PERCENT)


def test_a_backtest_runs_another_strategy_only_after_it_ran_and_over_bars_in_one_piece() -> None:
    buys = TargetShares(shares=np.full(5, 10.0))
    fresh = EventDrivenBacktest(buys, bars_of(), ONE_PERCENT)
    with pytest.raises(BacktestError, match="that was run"):
        fresh.rerun(buys)
    chunked = EventDrivenBacktest(buys, bars_of(), dataclasses.replace(ONE_PERCENT, sessions_per_chunk=2))
    chunked.run()
    with pytest.raises(BacktestError, match="in one piece"):
        chunked.rerun(buys)
    fresh.run()
    with pytest.raises(BacktestError, match="list is no strategy"):
        fresh.rerun([1.0])  # type: ignore[arg-type]
    fresh.rerun(buys)
    assert len(fresh.results().fill_records) == 1
    for refused in (TargetShares(shares=np.full(4, 10.0)), held_alone.using(indicators=lambda _: np.zeros((1, 3)))):
        with pytest.raises(BacktestError, match="shape"):
            fresh.rerun(refused)
        with pytest.raises(BacktestError, match="no results yet"):
            fresh.results()
    fresh.rerun(buys)
    assert len(fresh.results().fill_records) == 1
