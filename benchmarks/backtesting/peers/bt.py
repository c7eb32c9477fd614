"""bt: portfolios rebalanced by algos over a DataFrame of prices; it trades at the row's price and has no orders.

Notes
-----
Its rows are the opens, so that what was decided at a close trades at the next open; a last row holds the last closes,
for the final value. The algo sizes each trade from the closes before, as the task asks, and calls ``transact``.
"""

from __future__ import annotations

import math
from typing import Any

import bt
import numpy as np
import pandas as pd

from benchmarks.backtesting import tasks
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

NAME = "bt"
ENVIRONMENT = "bt"
COMPILES = False
INCLUDES = {
    "*": "preparing: arrays to a DataFrame and a Backtest; run: Backtest.run() with positions, transactions and values",
}
CANNOT = {
    "C": "no orders that wait: every trade is at the row's price",
    "D": "one run a pair; task A states its speed",
    "D50": "one run a pair; task A states its speed",
}
LARGEST = {"A": 20_000, "B": 520, "E": 20_000}


def version() -> str:
    """Return the installed version."""
    return str(bt.__version__)


class Trades(bt.Algo):  # type: ignore[misc]
    """What was decided at the close before a row, as shares to trade on it."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.names = [f"s{symbol}" for symbol in range(np.atleast_2d(task.bars.close[0]).shape[1])]
        self.row = -1

    def __call__(self, target: Any) -> bool:
        """Trade on a row."""
        self.row += 1
        for symbol, shares in self.decided(target):
            target.transact(shares, child=self.names[symbol])
        return True

    def decided(self, target: Any) -> Any:
        """Return pairs of symbol and shares."""
        raise NotImplementedError


class SmaCross(Trades):
    """Long while the fast average is above the slow one."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        close = task.bars.close
        fast, slow = (tasks.moving_average(close, window) for window in (tasks.FAST_BARS, tasks.SLOW_BARS))
        side = np.concatenate([[0.0], (fast > slow).astype(float)])
        self.trades = np.append(np.diff(side, prepend=0.0)[: len(close)], 0.0) * tasks.CROSS_SHARES

    def decided(self, _target: Any) -> Any:
        """Return pairs of symbol and shares."""
        shares = self.trades[self.row]
        return [(0, shares)] if shares else []


class Rebalance(Trades):
    """Sizes every trade from the closes before the row."""

    def __init__(self, task: Task, weights: Any) -> None:
        super().__init__(task)
        self.rows = dict(zip((tasks.rebalance_rows(task.bars) + 1).tolist(), weights, strict=True))
        self.close = task.bars.close

    def decided(self, target: Any) -> Any:
        """Return pairs of symbol and shares."""
        if self.row not in self.rows:
            return []
        closes = self.close[self.row - 1]
        held = np.array([target.children[name].position if name in target.children else 0.0 for name in self.names])
        equity = target.capital + float(held @ closes)
        trades = np.trunc(self.rows[self.row] * equity / closes - held)
        return [(symbol, trades[symbol]) for symbol in np.flatnonzero(trades).tolist()]


def task_a(task: Task, watch: Stopwatch) -> Outcome:
    """SMA cross."""
    return _run(task, watch, SmaCross, cash_usd=tasks.CASH_USD)


task_e = task_a


def task_b(task: Task, watch: Stopwatch) -> Outcome:
    """Monthly rebalances, with the slippage as half of a spread."""
    weights = task.weights
    return _run(task, watch, Rebalance, cash_usd=tasks.PORTFOLIO_CASH_USD, weights=weights)


def _run(task: Task, watch: Stopwatch, algo: type[Trades], *, cash_usd: float, **inputs: Any) -> Outcome:
    is_portfolio = task.name == "B"
    with watch.preparing():
        bars = task.bars
        prices = np.concatenate([bars.open, bars.close[-1:]]).reshape(len(bars.times) + 1, -1)
        frame = pd.DataFrame(
            prices,
            index=pd.DatetimeIndex(np.append(bars.times, bars.times[-1] + 1)),
            columns=[f"s{symbol}" for symbol in range(prices.shape[1])],
        )
        spread = {"bidoffer": 2.0 * tasks.SLIPPAGE * frame} if is_portfolio else {}
        strategy = bt.Strategy("task", [algo(task, **inputs)], children=list(frame.columns))
        backtest = bt.Backtest(
            strategy,
            frame,
            initial_capital=cash_usd,
            commissions=_commission_rate if is_portfolio else _commission_per_share,
            integer_positions=True,
            progress_bar=False,
            additional_data=spread,
        )
    with watch.running():
        backtest.run()
        equity = backtest.strategy.values  # noqa: PD011 - a series of bt's, not of pandas
    trades = backtest.strategy.get_transactions()
    shares = trades["quantity"].abs()
    return Outcome(
        fills=len(trades),
        traded_shares=float(shares.sum()),
        traded_usd=float((shares * trades["price"]).sum()),
        final_equity_usd=float(equity.iloc[-1]),
    )


def _commission_per_share(shares: float, _price: float) -> float:
    return abs(shares) * tasks.COMMISSION_PER_SHARE_USD


def _commission_rate(shares: float, price: float) -> float:
    return abs(shares) * price * (1.0 + math.copysign(tasks.SLIPPAGE, shares)) * tasks.COMMISSION_RATE
