"""Aegis's own engine: the event-driven backtest, with jitted strategies, and a Python class in task E."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import PerShare
from aegis.backtesting.costs import CostModel
from aegis.backtesting.event_driven import AnyStrategy, EventDrivenBacktest
from aegis.backtesting.jitted import (
    JittedStrategy,
    bracket,
    close,
    equity,
    jitted_strategy,
    keep,
    market_order,
    n_symbols,
    order_target_shares,
    parameter,
    position,
    recall,
    step_number,
)
from aegis.backtesting.strategy import Strategy
from aegis.backtesting.sweeps import sweep
from benchmarks.backtesting import markets, tasks
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

NAME = "aegis"
COMPILES = True
INCLUDES = {
    "*": "from arrays over checked Bars and a jitted strategy to the records of orders and fills and the equity curve",
    "D": "one backtest of the full engine for each pair (sweeps.sweep, a thread for each processor), to fifteen "
    "numbers of each; its records are complete and then written over",
    "D50": "as D, for each symbol alone",
    "E": "from arrays over checked Bars and a Python class's on_bar to the records and the equity curve",
}
CANNOT: dict[str, str] = {}
LARGEST: dict[str, int] = {}

SWEPT = ("fill_count", "traded_shares", "traded_usd", "final_equity_usd", "sharpe_ratio", "max_drawdown")

PER_SHARE = CostModel(commission=PerShare(tasks.COMMISSION_PER_SHARE_USD))
IN_BPS = CostModel(slippage_bps=tasks.SLIPPAGE * 1e4, commission_bps=tasks.COMMISSION_RATE * 1e4)


def version() -> str:
    """Return what tells one state of the clone from another; it has no releases yet."""
    return "clone"


# The tasks' numbers reach compiled code as parameters: a constant of another module would stay in the code kept on
# disk.


@jitted_strategy
def sma_cross(market: int) -> None:
    """Be long while the fast average is above the slow one. Parameters: windows, shares."""
    step = step_number(market)
    fast, slow = int(parameter(market, 0)), int(parameter(market, 1))
    now = close(market, 0, 0)
    fast_sum = recall(market, 0) + now
    slow_sum = recall(market, 1) + now
    if step >= fast:
        fast_sum -= close(market, 0, fast)
    if step >= slow:
        slow_sum -= close(market, 0, slow)
    keep(market, 0, fast_sum)
    keep(market, 1, slow_sum)
    wanted = parameter(market, 2) if step >= slow - 1 and fast_sum / fast > slow_sum / slow else 0.0
    if wanted != position(market, 0):
        order_target_shares(market, 0, wanted)


@jitted_strategy
def rebalance(market: int) -> None:
    """Trade the whole shares, toward zero, missing to the weights. Parameters: first step, steps between, weights."""
    since, every = step_number(market) - int(parameter(market, 0)), int(parameter(market, 1))
    if since < 0 or since % every:
        return
    symbols = n_symbols(market)
    first = 2 + since // every * symbols
    for s in range(symbols):
        target = parameter(market, first + s) * equity(market) / close(market, s, 0)
        trade = np.trunc(target - position(market, s))
        if trade != 0.0:
            market_order(market, s, trade)


@jitted_strategy
def brackets(market: int) -> None:
    """Place a bracket at every tenth close. Parameters: steps between, first step, shares, width in USD."""
    if step_number(market) % int(parameter(market, 0)) == int(parameter(market, 1)):
        now, width = close(market, 0, 0), parameter(market, 3)
        bracket(market, 0, parameter(market, 2), now - width, now + width)


def cross_of(fast: float, slow: float) -> JittedStrategy:
    """Return the cross of two windows, in bars."""
    return sma_cross.using(fast, slow, tasks.CROSS_SHARES, memory_size=2)


class PythonCross(Strategy):
    """The cross in Python, a call for each bar, on averages made beforehand."""

    def indicators(self, bars: Bars) -> Mapping[str, Any]:
        """Return both averages."""
        return {
            "fast": tasks.moving_average(bars.close, tasks.FAST_BARS),
            "slow": tasks.moving_average(bars.close, tasks.SLOW_BARS),
        }

    def on_start(self, _desk: Any) -> None:
        """Begin out of the market."""
        self.is_long = False

    def on_bar(self, desk: Any) -> None:
        """Order when the side changes."""
        is_long = desk.indicator("fast") > desk.indicator("slow")
        if is_long != self.is_long:
            self.is_long = is_long
            desk.order(0, tasks.CROSS_SHARES if is_long else -tasks.CROSS_SHARES)


def strategy_of(task: Task) -> AnyStrategy:
    """Return the strategy of a task; in B it carries the weights."""
    if task.name == "B":
        weights = task.weights
        return rebalance.using(tasks.VOLATILITY_SESSIONS, tasks.REBALANCE_EVERY_SESSIONS, weights)
    if task.name == "C":
        return brackets.using(
            tasks.BRACKET_EVERY_BARS, tasks.BRACKET_AT_BAR, tasks.BRACKET_SHARES, tasks.BRACKET_WIDTH_USD
        )
    return PythonCross() if task.name == "E" else cross_of(tasks.FAST_BARS, tasks.SLOW_BARS)


def config_of(task: Task) -> BacktestConfig:
    """Return the settings of a task: those of the engine, but for cash and costs."""
    if task.name == "B":
        return BacktestConfig(initial_cash_usd=tasks.PORTFOLIO_CASH_USD, costs=IN_BPS)
    cash_usd = tasks.BRACKET_CASH_USD if task.name == "C" else tasks.CASH_USD
    return BacktestConfig(initial_cash_usd=cash_usd, costs=PER_SHARE)


def run(task: Task, watch: Stopwatch) -> Outcome:
    """Do one of the tasks A, B, C and E."""
    strategy, config = strategy_of(task), config_of(task)
    with watch.running():
        results = EventDrivenBacktest(strategy, bars_of(task.bars), config).run()
    fills = results.fill_records
    shares = np.abs(fills["quantity"])
    return Outcome(
        len(fills), float(shares.sum()), float((shares * fills["price"]).sum()), float(results.equity_usd[-1])
    )


task_a = task_b = task_c = task_e = run


def task_d(task: Task, watch: Stopwatch) -> Outcome:
    """Run one backtest for each pair of windows and symbol, a thread for each processor."""
    totals = np.zeros(6)
    symbols = 1 if task.bars.close.ndim == 1 else task.bars.close.shape[1]
    with watch.running():
        config = replace(config_of(task), sessions_per_year=tasks.PERIODS_PER_YEAR)
        fast, slow = tasks.sma_pairs(task).T
        for symbol in range(symbols):
            bars = bars_of(task.bars if symbols == 1 else task.bars.symbols(symbol, symbol + 1))
            swept = sweep(cross_of, bars, {"fast": fast, "slow": slow}, config, workers=os.cpu_count() or 1)
            totals += [np.nansum(swept.metrics[name]) for name in SWEPT]
    return Outcome(int(totals[0]), *totals[1:-1].tolist(), -totals[-1])


task_d50 = task_d


def bars_of(bars: markets.Bars) -> Bars:
    """Return generated bars as the engine takes them, checked and not copied."""
    symbols = 1 if bars.close.ndim == 1 else bars.close.shape[1]
    return Bars.from_arrays(
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        bars.volume,
        closes_at=bars.times,
        symbols=[f"S{symbol}" for symbol in range(symbols)],
    )
