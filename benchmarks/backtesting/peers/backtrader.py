"""backtrader: a Python method for each bar, indicators made beforehand, market orders at the next open."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np

from benchmarks.backtesting import tasks
from benchmarks.backtesting.markets import Bars
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

NAME = "backtrader"
ENVIRONMENT = "backtrader"
COMPILES = False
INCLUDES = {
    "*": "preparing: arrays to data feeds; run: Cerebro.run() with orders, fills and the broker's value at each bar",
}
CANNOT = {
    "D": "one run a pair; task A states its speed",
    "D50": "one run a pair; task A states its speed",
}
LARGEST = {"A": 50_000, "B": 260, "C": 20_000, "E": 50_000}


def version() -> str:
    """Return the installed version."""
    return str(bt.__version__)


class Columns(bt.feed.DataBase):  # type: ignore[misc]
    """A feed over columns in memory."""

    params = (("columns", None),)

    def start(self) -> None:
        """Begin to read."""
        super().start()
        self.rows = zip(*self.p.columns, strict=True)

    def _load(self) -> bool:
        row = next(self.rows, None)
        if row is None:
            return False
        lines = self.lines
        lines.datetime[0], lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = row
        lines.openinterest[0] = 0.0
        return True


class Traded(bt.Strategy):  # type: ignore[misc]
    """What the strategies share: the fills and the equity at each bar."""

    params = (("task", None),)

    def __init__(self) -> None:
        self.fills: list[tuple[float, float]] = []
        self.equity: list[float] = []
        self.bar_index = -1

    def notify_order(self, order: Any) -> None:
        """Keep the fills."""
        if order.status == order.Completed:
            self.fills.append((order.executed.size, order.executed.price))

    def prenext(self) -> None:
        """Count a bar before the averages exist."""
        self.next()

    def next(self) -> None:
        """Decide at a bar."""
        self.bar_index += 1
        self.equity.append(self.broker.getvalue())


class SmaCross(Traded):
    """Long while the fast average is above the slow one."""

    def __init__(self) -> None:
        super().__init__()
        self.fast = bt.indicators.SMA(self.data.close, period=tasks.FAST_BARS)
        self.slow = bt.indicators.SMA(self.data.close, period=tasks.SLOW_BARS)
        self.is_long = False

    def prenext(self) -> None:
        """Count a bar before the averages exist."""
        Traded.next(self)

    def next(self) -> None:
        """Decide at a bar."""
        super().next()
        is_long = self.fast[0] > self.slow[0]
        if is_long != self.is_long:
            self.is_long = is_long
            if is_long:
                self.buy(size=tasks.CROSS_SHARES)
            else:
                self.sell(size=tasks.CROSS_SHARES)


class Rebalance(Traded):
    """Sizes every trade at a rebalance's close."""

    params = (("weights", None),)

    def __init__(self) -> None:
        super().__init__()
        self.rows = dict(zip(tasks.rebalance_rows(self.p.task.bars).tolist(), self.p.weights, strict=True))

    def next(self) -> None:
        """Decide at a bar."""
        super().next()
        if self.bar_index not in self.rows:
            return
        closes = np.array([data.close[0] for data in self.datas])
        held = np.array([self.getposition(data).size for data in self.datas])
        trades = np.trunc(self.rows[self.bar_index] * self.equity[-1] / closes - held).tolist()
        for data, shares in zip(self.datas, trades, strict=True):
            if shares < 0:
                self.sell(data, size=-shares)
        for data, shares in zip(self.datas, trades, strict=True):
            if shares > 0:
                self.buy(data, size=shares)


class Brackets(Traded):
    """A bracket at every tenth close."""

    def next(self) -> None:
        """Decide at a bar."""
        super().next()
        if self.bar_index % tasks.BRACKET_EVERY_BARS == tasks.BRACKET_AT_BAR:
            close = self.data.close[0]
            self.buy_bracket(
                size=tasks.BRACKET_SHARES,
                exectype=bt.Order.Market,
                stopprice=close - tasks.BRACKET_WIDTH_USD,
                limitprice=close + tasks.BRACKET_WIDTH_USD,
            )


def task_a(task: Task, watch: Stopwatch) -> Outcome:
    """SMA cross."""
    return _run(task, watch, SmaCross, cash_usd=tasks.CASH_USD)


task_e = task_a


def task_b(task: Task, watch: Stopwatch) -> Outcome:
    """Monthly rebalances."""
    weights = task.weights
    return _run(task, watch, Rebalance, cash_usd=tasks.PORTFOLIO_CASH_USD, weights=weights)


def task_c(task: Task, watch: Stopwatch) -> Outcome:
    """Bracket orders."""
    return _run(task, watch, Brackets, cash_usd=tasks.BRACKET_CASH_USD)


def _run(task: Task, watch: Stopwatch, strategy: type[Traded], *, cash_usd: float, **inputs: Any) -> Outcome:
    with watch.preparing():
        cerebro = bt.Cerebro(stdstats=False)
        for columns in _columns(task.bars):
            cerebro.adddata(Columns(columns=columns))
        cerebro.broker.setcash(cash_usd)
        if task.name == "B":
            cerebro.broker.setcommission(commission=tasks.COMMISSION_RATE)
            cerebro.broker.set_slippage_perc(tasks.SLIPPAGE, slip_open=True, slip_match=True, slip_out=True)
        else:
            cerebro.broker.setcommission(
                commission=tasks.COMMISSION_PER_SHARE_USD, commtype=bt.CommInfoBase.COMM_FIXED, stocklike=True
            )
        cerebro.addstrategy(strategy, task=task, **inputs)
    with watch.running():
        (traded,) = cerebro.run()
    return Outcome(
        fills=len(traded.fills),
        traded_shares=sum(abs(shares) for shares, _ in traded.fills),
        traded_usd=sum(abs(shares) * price for shares, price in traded.fills),
        final_equity_usd=traded.equity[-1],
    )


def _columns(bars: Bars) -> list[tuple[list[float], ...]]:
    days = (bars.times / 86_400e9 + 719_163.0).tolist()  # its dates count days from the year 1
    columns = [np.reshape(each, (len(days), -1)) for each in (bars.open, bars.high, bars.low, bars.close, bars.volume)]
    symbols = columns[0].shape[1]
    return [(days, *(column[:, symbol].tolist() for column in columns)) for symbol in range(symbols)]
