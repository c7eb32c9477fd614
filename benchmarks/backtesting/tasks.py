"""The tasks: what is traded, by which rules, at what cost. Every engine reads them from here.

Belongs here: sizes, rules and the inputs that a task hands to every engine alike. How an engine does it is its module
under :mod:`benchmarks.backtesting.peers`; what must come out is :mod:`benchmarks.backtesting.reference`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from benchmarks.backtesting.markets import Bars, Floats, Integers

CASH_USD = 1_000_000.0

# A, D and E: long a fixed number of shares while the fast average is above the slow one, else flat.
FAST_BARS, SLOW_BARS = 20, 50
CROSS_SHARES = 100.0
COMMISSION_PER_SHARE_USD = 0.01

# B: whole shares; a trade is rounded toward zero.
REBALANCE_EVERY_SESSIONS = 21
VOLATILITY_SESSIONS = 63
INVESTED = 0.95
PORTFOLIO_CASH_USD = 100_000_000.0
SLIPPAGE = 5e-4
COMMISSION_RATE = 1e-4

# C: off the tick by a sixteenth, so that touching a limit and trading through it are the same event; sixteen shares, so
# that an engine whose money has two decimals rounds nothing.
BRACKET_EVERY_BARS = 10
BRACKET_AT_BAR = 9
"""The tenth bar, the twentieth and so on; counted from zero."""
BRACKET_SHARES = 16.0
BRACKET_WIDTH_USD = 4.0625
BRACKET_CASH_USD = 10_000_000.0

PERIODS_PER_YEAR = 252


@dataclass(frozen=True)
class Task:
    """One piece of work of a stated size.

    `size` counts bars in A, C and E, sessions in B, pairs of averages in D and D50. `units` is what speed is stated
    per: bars, symbol-bars, or cells of a sweep (pair × symbol × session).
    """

    name: str
    size: int
    bars: Bars
    unit: str

    @property
    def units(self) -> int:
        """How many of `unit` the task has."""
        return self.bars.close.size * (self.size if self.name in {"D", "D50"} else 1)

    @cached_property
    def weights(self) -> Floats:
        """What task B trades to, made once: :func:`inverse_volatility_weights`."""
        return inverse_volatility_weights(self.bars)


@dataclass(frozen=True)
class Size:
    """What a task is called in the table, its market and its sizes."""

    title: str
    market: str
    unit: str
    full: int
    quick: int


SIZES = {
    "A": Size("SMA 20/50 cross, 1 symbol, minute bars", "minutes", "bar", 1_000_000, 20_000),
    "B": Size("monthly rebalance, 500 symbols, daily bars", "days", "symbol-bar", 2_520, 130),
    "C": Size("a bracket every 10th bar, 1 symbol, minute bars", "minutes", "bar", 1_000_000, 20_000),
    "D": Size("SMA pairs x 1 symbol x 2,500 days", "days", "cell", 10_000, 100),
    "D50": Size("SMA pairs x 50 symbols x 2,500 days", "days", "cell", 1_000, 10),
    "E": Size("a Python function for each bar, 1 symbol, minute bars", "minutes", "bar", 1_000_000, 20_000),
}
MARKETS = {"minutes": (1_000_000,), "days": (2_520, 500)}
SWEEP_SESSIONS = 2_500
SWEEP_SYMBOLS = 50


def make_task(name: str, size: int, market: Bars) -> Task:
    """Return task `name` of `size` on the part of `market` that it needs."""
    if name == "D":
        bars = market.first(SWEEP_SESSIONS).symbols(0, 1)
    elif name == "D50":
        bars = market.first(SWEEP_SESSIONS).symbols(0, SWEEP_SYMBOLS)
    else:
        bars = market.first(size)
    return Task(name, size, bars, SIZES[name].unit)


def sma_pairs(task: Task) -> Integers:
    """Return the fast and slow windows of a sweep, in bars, of shape (pairs, 2)."""
    fast, slow = (range(5, 105), range(105, 205)) if task.name == "D" else (range(5, 30), range(30, 70))
    pairs = [(short, long) for short in fast for long in slow]
    return np.array(pairs[: task.size], dtype=np.int64)


def rebalance_rows(bars: Bars) -> Integers:
    """Return the rows at whose close the portfolio is rebalanced; the last row is left out, nothing trades after it."""
    return np.arange(VOLATILITY_SESSIONS, len(bars.times) - 1, REBALANCE_EVERY_SESSIONS)


def inverse_volatility_weights(bars: Bars) -> Floats:
    """Return the target weights at `rebalance_rows`, of shape (rows, symbols).

    Notes
    -----
    Inverse standard deviations of the last 63 log returns up to and including the row, scaled to a sum of 0.95: the
    rest pays for gaps and costs, so that buying power never decides. An input of the task, made before any clock runs,
    so that no engine's rounding of a standard deviation changes a share.
    """
    returns = np.diff(np.log(bars.close), axis=0)
    rows = [returns[row - VOLATILITY_SESSIONS : row].std(axis=0, ddof=1) for row in rebalance_rows(bars)]
    inverse = 1.0 / np.array(rows)
    weights: Floats = INVESTED * inverse / inverse.sum(axis=1, keepdims=True)
    return weights


def moving_average(close: Floats, window: int) -> Floats:
    """Return the mean of the last `window` closes, NaN before there are as many; exact on prices in eighths."""
    sums = np.cumsum(close)
    average = np.full(len(close), np.nan)
    average[window - 1] = sums[window - 1] / window
    average[window:] = (sums[window:] - sums[:-window]) / window
    return average


@dataclass(frozen=True)
class Outcome:
    """What an engine says it did; the reference says what it had to be.

    `sharpe`, `drawdown`: sums over the columns of a sweep, D only, NaN elsewhere: annualised ratio of mean to standard
    deviation of the daily returns (0 where nothing was traded), and the largest fraction lost from a peak.
    """

    fills: int
    traded_shares: float
    traded_usd: float
    final_equity_usd: float
    sharpe: float = float("nan")
    drawdown: float = float("nan")


@dataclass
class Stopwatch:
    """Seconds spent on turning arrays into what an engine reads, and on its run up to its results."""

    preparing_seconds: float = 0.0
    running_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Count the time inside as preparation."""
        began = time.perf_counter()
        yield
        self.preparing_seconds += time.perf_counter() - began

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time inside as the run."""
        began = time.perf_counter()
        yield
        self.running_seconds += time.perf_counter() - began
