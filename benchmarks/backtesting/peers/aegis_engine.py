"""Aegis's own engine: the event-driven backtest, with jitted strategies, and a Python class in task E."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import PerShare
from aegis.backtesting.costs import CostModel
from aegis.backtesting.event_driven import AnyStrategy, EventDrivenBacktest
from aegis.backtesting.jitted import (
    bracket,
    close,
    equity,
    jitted_strategy,
    keep,
    market_order,
    n_symbols,
    parameter,
    position,
    recall,
    step_number,
)
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.strategy import Strategy
from benchmarks.backtesting import markets, reference, tasks
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

NAME = "aegis"
COMPILES = True
INCLUDES = {
    "*": "from arrays over checked Bars and a jitted strategy to the records of orders and fills and the equity curve",
    "D": "one backtest of the full engine for each pair, its Sharpe ratio and drawdown with numpy",
    "D50": "one backtest of the full engine for each pair and symbol, its Sharpe ratio and drawdown with numpy",
    "E": "from arrays over checked Bars and a Python class's on_bar to the records and the equity curve",
}
CANNOT: dict[str, str] = {}
LARGEST = {"D": 1_000, "D50": 20}

FAST, SLOW, SHARES = tasks.FAST_BARS, tasks.SLOW_BARS, tasks.CROSS_SHARES
FIRST_REBALANCE, REBALANCE_EVERY = tasks.VOLATILITY_SESSIONS, tasks.REBALANCE_EVERY_SESSIONS
EVERY, AT, WIDTH, SIZE = (
    tasks.BRACKET_EVERY_BARS,
    tasks.BRACKET_AT_BAR,
    tasks.BRACKET_WIDTH_USD,
    tasks.BRACKET_SHARES,
)
PER_SHARE = CostModel(commission=PerShare(tasks.COMMISSION_PER_SHARE_USD))
IN_BPS = CostModel(slippage_bps=tasks.SLIPPAGE * 1e4, commission_bps=tasks.COMMISSION_RATE * 1e4)


def version() -> str:
    """Return what tells one state of the clone from another; it has no releases yet."""
    return "clone"


@jitted_strategy
def sma_cross(market: int) -> None:
    """Long while the fast average is above the slow one; the windows are parameters, the sums are kept."""
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
    wanted = SHARES if step >= slow - 1 and fast_sum / fast > slow_sum / slow else 0.0
    held = position(market, 0)
    if wanted != held:
        market_order(market, 0, wanted - held)


@jitted_strategy
def rebalance(market: int) -> None:
    """Trade the whole shares, toward zero, that are missing to the weights, which are parameters."""
    since = step_number(market) - FIRST_REBALANCE
    if since < 0 or since % REBALANCE_EVERY:
        return
    symbols = n_symbols(market)
    first = since // REBALANCE_EVERY * symbols
    for s in range(symbols):
        target = parameter(market, first + s) * equity(market) / close(market, s, 0)
        trade = np.trunc(target - position(market, s))
        if trade != 0.0:
            market_order(market, s, trade)


@jitted_strategy
def brackets(market: int) -> None:
    """Place a bracket at every tenth close."""
    if step_number(market) % EVERY == AT:
        now = close(market, 0, 0)
        bracket(market, 0, SIZE, now - WIDTH, now + WIDTH)


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


def task_a(task: Task, watch: Stopwatch) -> Outcome:
    """SMA cross."""
    strategy = sma_cross.using(FAST, SLOW, memory_size=2)
    return _run(task, watch, strategy, cash_usd=tasks.CASH_USD, costs=PER_SHARE)


def task_b(task: Task, watch: Stopwatch) -> Outcome:
    """Monthly rebalances."""
    weights = tasks.inverse_volatility_weights(task.bars).ravel()
    with watch.running():
        strategy = rebalance.using(*weights.tolist())
    return _run(task, watch, strategy, cash_usd=tasks.PORTFOLIO_CASH_USD, costs=IN_BPS)


def task_c(task: Task, watch: Stopwatch) -> Outcome:
    """Bracket orders."""
    return _run(task, watch, brackets, cash_usd=tasks.BRACKET_CASH_USD, costs=PER_SHARE)


def task_d(task: Task, watch: Stopwatch) -> Outcome:
    """One backtest for each pair of windows and symbol."""
    totals = np.zeros(6)
    symbols = 1 if task.bars.close.ndim == 1 else task.bars.close.shape[1]
    with watch.running():
        config = _config(tasks.CASH_USD, PER_SHARE)
        for symbol in range(symbols):
            bars = _bars(task.bars if symbols == 1 else task.bars.symbols(symbol, symbol + 1))
            for fast, slow in tasks.sma_pairs(task).tolist():
                backtest = EventDrivenBacktest(sma_cross.using(fast, slow, memory_size=2), bars, config)
                totals += _numbers(backtest.run())
    return Outcome(int(totals[0]), *totals[1:].tolist())


task_d50 = task_d


def task_e(task: Task, watch: Stopwatch) -> Outcome:
    """Call Python for each bar."""
    return _run(task, watch, PythonCross(), cash_usd=tasks.CASH_USD, costs=PER_SHARE)


def _run(task: Task, watch: Stopwatch, strategy: AnyStrategy, *, cash_usd: float, costs: CostModel) -> Outcome:
    with watch.running():
        results = EventDrivenBacktest(strategy, _bars(task.bars), _config(cash_usd, costs)).run()
    fills, shares, traded, final, *_ = _numbers(results).tolist()
    return Outcome(int(fills), shares, traded, final)


def _bars(bars: markets.Bars) -> Bars:
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


def _config(cash_usd: float, costs: CostModel) -> BacktestConfig:
    return BacktestConfig(initial_cash_usd=cash_usd, costs=costs)


def _numbers(results: BacktestResults) -> NDArray[np.float64]:
    fills, equity_usd = results.fill_records, results.equity_usd
    shares = np.abs(fills["quantity"])
    return np.array(
        [
            len(fills),
            shares.sum(),
            (shares * fills["price"]).sum(),
            equity_usd[-1],
            reference.sharpe_ratio(equity_usd),
            reference.max_drawdown(equity_usd),
        ]
    )
