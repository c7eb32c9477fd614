"""What every engine must report: the tasks in plain Python, slow and easy to check by eye.

Belongs here: the arbiter, which no engine wrote and which imports none. One loop over the bars, one list of fills.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.backtesting import tasks
from benchmarks.backtesting.markets import Bars, Floats
from benchmarks.backtesting.tasks import Outcome, Task


@dataclass(frozen=True)
class Fill:
    """One execution at `bar`; `shares` are negative for a sale."""

    bar: int
    symbol: int
    shares: float
    price_usd: float
    commission_usd: float


@dataclass(frozen=True)
class Account:
    """The fills in order and the equity at each close, in USD."""

    fills: list[Fill]
    equity_usd: Floats


def outcome(task: Task) -> Outcome:
    """Return what an engine must report for `task`."""
    if task.name in {"A", "E"}:
        return _summary(sma_cross(task.bars, tasks.FAST_BARS, tasks.SLOW_BARS))
    if task.name == "B":
        return _summary(rebalances(task.bars))
    if task.name == "C":
        return _summary(brackets(task.bars))
    return _sweep(task)


def sma_cross(bars: Bars, fast_bars: int, slow_bars: int) -> Account:
    """Trade at the open after a close at which the side changed: long while the fast average is above the slow one."""
    opens, closes = bars.open.tolist(), bars.close.tolist()
    cash, shares, order = tasks.CASH_USD, 0.0, 0.0
    fills, equity = [], []
    fast_sum = slow_sum = 0.0
    for bar, close in enumerate(closes):
        if order:
            commission = abs(order) * tasks.COMMISSION_PER_SHARE_USD
            fills.append(Fill(bar, 0, order, opens[bar], commission))
            cash -= order * opens[bar] + commission
            shares += order
        equity.append(cash + shares * close)
        fast_sum += close - (closes[bar - fast_bars] if bar >= fast_bars else 0.0)
        slow_sum += close - (closes[bar - slow_bars] if bar >= slow_bars else 0.0)
        is_long = bar >= slow_bars - 1 and fast_sum / fast_bars > slow_sum / slow_bars
        order = (tasks.CROSS_SHARES if is_long else 0.0) - shares
    return Account(fills, np.array(equity))


def rebalances(bars: Bars) -> Account:
    """At each rebalance's close size all trades in whole shares, toward zero; fill them at the next open, slipped."""
    weights = dict(zip(tasks.rebalance_rows(bars).tolist(), tasks.inverse_volatility_weights(bars), strict=True))
    symbols = bars.close.shape[1]
    cash, shares, orders = tasks.PORTFOLIO_CASH_USD, [0.0] * symbols, [0.0] * symbols
    fills, equity = [], []
    for bar in range(len(bars.times)):
        opens, closes = bars.open[bar].tolist(), bars.close[bar].tolist()
        for symbol, order in enumerate(orders):
            if order:
                price = opens[symbol] * (1.0 + math.copysign(tasks.SLIPPAGE, order))
                commission = abs(order) * price * tasks.COMMISSION_RATE
                fills.append(Fill(bar, symbol, order, price, commission))
                cash -= order * price + commission
                shares[symbol] += order
        orders = [0.0] * symbols
        equity.append(cash + math.fsum(held * close for held, close in zip(shares, closes, strict=True)))
        if bar in weights:
            targets = weights[bar].tolist()
            orders = [float(int(targets[s] * equity[-1] / closes[s] - shares[s])) for s in range(symbols)]
    return Account(fills, np.array(equity))


def brackets(bars: Bars) -> Account:
    """Every 10th close buy at the next open, with a stop-loss and a take-profit at fixed distances from that close.

    Notes
    -----
    Exits act from the bar after the entry; on these bars none would act earlier, nor both in one bar. A stop that is
    gapped through sells at the open, a limit that is gapped through sells at the better open.
    """
    opens, highs, lows, closes = (column.tolist() for column in (bars.open, bars.high, bars.low, bars.close))
    cash, shares = tasks.BRACKET_CASH_USD, 0.0
    size, commission = tasks.BRACKET_SHARES, tasks.BRACKET_SHARES * tasks.COMMISSION_PER_SHARE_USD
    fills, equity = [], []
    exits: list[tuple[float, float]] = []  # stop-loss and take-profit of each open bracket
    entry: tuple[float, float] | None = None
    for bar, close in enumerate(closes):
        still_open = []
        for stop, limit in exits:
            if lows[bar] <= stop:
                price = min(opens[bar], stop)
            elif highs[bar] >= limit:
                price = max(opens[bar], limit)
            else:
                still_open.append((stop, limit))
                continue
            fills.append(Fill(bar, 0, -size, price, commission))
            cash += size * price - commission
            shares -= size
        exits = still_open
        if entry is not None:
            fills.append(Fill(bar, 0, size, opens[bar], commission))
            cash -= size * opens[bar] + commission
            shares += size
            exits.append(entry)
            entry = None
        equity.append(cash + shares * close)
        if bar % tasks.BRACKET_EVERY_BARS == tasks.BRACKET_AT_BAR:
            entry = (close - tasks.BRACKET_WIDTH_USD, close + tasks.BRACKET_WIDTH_USD)
    return Account(fills, np.array(equity))


def _summary(account: Account) -> Outcome:
    return Outcome(
        fills=len(account.fills),
        traded_shares=math.fsum(abs(fill.shares) for fill in account.fills),
        traded_usd=math.fsum(abs(fill.shares) * fill.price_usd for fill in account.fills),
        final_equity_usd=float(account.equity_usd[-1]),
    )


def _sweep(task: Task) -> Outcome:
    columns = (
        [task.bars] if task.bars.close.ndim == 1 else [task.bars.symbols(s, s + 1) for s in range(tasks.SWEEP_SYMBOLS)]
    )
    totals = np.zeros(6)
    for bars in columns:
        for fast, slow in tasks.sma_pairs(task).tolist():
            account = sma_cross(bars, fast, slow)
            one = _summary(account)
            risk = sharpe_ratio(account.equity_usd), max_drawdown(account.equity_usd)
            totals += [one.fills, one.traded_shares, one.traded_usd, one.final_equity_usd, *risk]
    return Outcome(int(totals[0]), *totals[1:].tolist())


def sharpe_ratio(equity_usd: Floats) -> float:
    """Return the annualised ratio of mean to standard deviation of the daily returns, 0 where nothing changes.

    The first day's return is from the cash it began with.
    """
    before = np.concatenate([[tasks.CASH_USD], equity_usd[:-1]])
    returns = equity_usd / before - 1.0
    deviation = returns.std(ddof=1)
    return float(returns.mean() / deviation * math.sqrt(tasks.PERIODS_PER_YEAR)) if deviation else 0.0


def max_drawdown(equity_usd: Floats) -> float:
    """Return the largest fraction lost from a peak, positive."""
    return float((1.0 - equity_usd / np.maximum.accumulate(equity_usd)).max())
