"""backtesting.py: one symbol, a Python method for each bar, market orders at the next open."""

from __future__ import annotations

import warnings
from typing import Any

import backtesting
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

from benchmarks.backtesting import tasks
from benchmarks.backtesting.markets import Bars
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

NAME = "backtesting.py"
ENVIRONMENT = "backtesting_py"
COMPILES = False
INCLUDES = {
    "*": "preparing: arrays to a DataFrame; run: Backtest.run() with trades, equity curve and its statistics",
    "D": "Backtest.run() for each pair, with its statistics",
}
CANNOT = {
    "B": "one symbol a run",
    "D50": "one symbol and one pair a run; task D states its speed",
}
LARGEST = {"A": 50_000, "C": 20_000, "D": 20, "E": 50_000}
DIFFERS = {"D": "its Sharpe ratio has another formula and is not compared"}


def version() -> str:
    """Return the installed version."""
    return str(backtesting.__version__)


class SmaCross(Strategy):  # type: ignore[misc]
    """Long while the fast average is above the slow one; the averages are made beforehand by `Strategy.I`."""

    fast_bars, slow_bars = tasks.FAST_BARS, tasks.SLOW_BARS

    def init(self) -> None:
        """Make the averages."""
        close = np.asarray(self.data.Close)
        self.fast = self.I(_average, close, self.fast_bars)
        self.slow = self.I(_average, close, self.slow_bars)
        self.is_long = False

    def next(self) -> None:
        """Decide at a bar."""
        is_long = bool(self.fast[-1] > self.slow[-1])
        if is_long != self.is_long:
            self.is_long = is_long
            if is_long:
                self.buy(size=int(tasks.CROSS_SHARES))
            else:
                self.position.close()


def _average(close: Any, window: int) -> Any:
    # Bars on which an indicator is NaN are skipped, and one more: a side that is long from the first would be entered
    # late.
    return np.nan_to_num(tasks.moving_average(close, window), nan=np.inf)


class Brackets(Strategy):  # type: ignore[misc]
    """A bracket at every tenth close."""

    def init(self) -> None:
        """Nothing is made beforehand."""

    def next(self) -> None:
        """Decide at a bar."""
        if (len(self.data) - 1) % tasks.BRACKET_EVERY_BARS == tasks.BRACKET_AT_BAR:
            close = self.data.Close[-1]
            self.buy(
                size=int(tasks.BRACKET_SHARES), sl=close - tasks.BRACKET_WIDTH_USD, tp=close + tasks.BRACKET_WIDTH_USD
            )


def task_a(task: Task, watch: Stopwatch) -> Outcome:
    """SMA cross."""
    return _run(task, watch, SmaCross, cash_usd=tasks.CASH_USD)


task_e = task_a


def task_c(task: Task, watch: Stopwatch) -> Outcome:
    """Bracket orders."""
    return _run(task, watch, Brackets, cash_usd=tasks.BRACKET_CASH_USD)


def task_d(task: Task, watch: Stopwatch) -> Outcome:
    """One run for each pair."""
    totals = np.zeros(6)
    for fast, slow in tasks.sma_pairs(task).tolist():
        one = _run(task, watch, SmaCross, cash_usd=tasks.CASH_USD, fast_bars=fast, slow_bars=slow)
        totals += [one.fills, one.traded_shares, one.traded_usd, one.final_equity_usd, float("nan"), one.drawdown]
    return Outcome(int(totals[0]), *totals[1:].tolist())


def _run(task: Task, watch: Stopwatch, strategy: type[Strategy], *, cash_usd: float, **parameters: int) -> Outcome:
    with watch.preparing():
        frame = _frame(task.bars)
        backtest = Backtest(
            frame,
            strategy,
            cash=cash_usd,
            commission=lambda size, _price: abs(size) * tasks.COMMISSION_PER_SHARE_USD,
        )
    with watch.running(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trades that are open at the end are meant to be
        statistics = backtest.run(**parameters)
    return _outcome(statistics)


def _frame(bars: Bars) -> pd.DataFrame:
    columns = {"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close, "Volume": bars.volume}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(bars.times))


def _outcome(statistics: Any) -> Outcome:
    closed, still_open = statistics["_trades"], statistics["_strategy"].trades
    entry_usd = float((closed["Size"].abs() * closed["EntryPrice"]).sum())
    exit_usd = float((closed["Size"].abs() * closed["ExitPrice"]).sum())
    return Outcome(
        fills=2 * len(closed) + len(still_open),
        traded_shares=2.0 * float(closed["Size"].abs().sum()) + sum(abs(trade.size) for trade in still_open),
        traded_usd=entry_usd + exit_usd + sum(abs(trade.size) * trade.entry_price for trade in still_open),
        final_equity_usd=float(statistics["_equity_curve"]["Equity"].iloc[-1]),
        drawdown=-float(statistics["Max. Drawdown [%]"]) / 100.0,
    )
