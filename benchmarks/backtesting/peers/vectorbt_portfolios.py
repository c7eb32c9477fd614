"""The tasks on vectorbt's public interface, for either of its engines.

Belongs here: what :mod:`~benchmarks.backtesting.peers.vectorbt_numba` and
:mod:`~benchmarks.backtesting.peers.vectorbt_rust` have in common, which is everything but the engine's name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import vectorbt as vbt

from benchmarks.backtesting import tasks
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

ENVIRONMENT = "vectorbt"
COMPILES = True
INCLUDES = {
    "*": "from arrays over moving averages, signals and Portfolio.from_signals to order records and the equity curve",
    "B": "from arrays and target weights over Portfolio.from_orders to order records and the equity curve",
    "D": "all pairs in one Portfolio.from_signals, as its documentation does it, to final equity, Sharpe, drawdown",
    "D50": "all pairs and symbols in one Portfolio.from_signals, to final equity, Sharpe, drawdown",
}
CANNOT = {
    "C": "a column holds one position with one stop and one target: brackets may not overlap",
    "E": "its callbacks are compiled by numba; a Python function is never called for a bar",
}
LARGEST: dict[str, int] = {}


def version() -> str:
    """Return the installed version."""
    return str(vbt.__version__)


def sma_cross(task: Task, watch: Stopwatch, *, engine: str) -> Outcome:
    """Task A."""
    with watch.running():
        close = task.bars.close
        fast = vbt.MA.run(close, tasks.FAST_BARS, engine=engine).ma.to_numpy()
        slow = vbt.MA.run(close, tasks.SLOW_BARS, engine=engine).ma.to_numpy()
        is_long = fast > slow
        portfolio = vbt.Portfolio.from_signals(
            close,
            entries=_one_later(is_long),
            exits=_one_later(~is_long),
            size=tasks.CROSS_SHARES,
            price=task.bars.open,
            fixed_fees=tasks.CROSS_SHARES * tasks.COMMISSION_PER_SHARE_USD,
            init_cash=tasks.CASH_USD,
            engine=engine,
        )
        orders, equity = portfolio.orders.values, portfolio.value(engine=engine).to_numpy()
    return _outcome(orders, equity[-1])


def rebalances(task: Task, watch: Stopwatch, *, engine: str) -> Outcome:
    """Task B."""
    rows, weights = tasks.rebalance_rows(task.bars), task.weights
    with watch.running():
        close = task.bars.close
        size = np.full(close.shape, np.nan)
        size[rows + 1] = weights
        previous_close = np.roll(close, 1, axis=0)
        portfolio = vbt.Portfolio.from_orders(
            close,
            size=size,
            size_type="targetpercent",
            price=task.bars.open,
            val_price=previous_close,  # sized at the close before, filled at the open
            slippage=tasks.SLIPPAGE,
            fees=tasks.COMMISSION_RATE,
            size_granularity=1.0,
            group_by=True,
            cash_sharing=True,
            call_seq="auto",  # sells before buys
            init_cash=tasks.PORTFOLIO_CASH_USD,
            engine=engine,
        )
        orders, equity = portfolio.orders.values, portfolio.value(engine=engine).to_numpy()
    return _outcome(orders, equity[-1])


def sweep(task: Task, watch: Stopwatch, *, engine: str) -> Outcome:
    """Tasks D and D50: every pair of windows on every symbol, each column with an account of its own."""
    with watch.running():
        pairs = tasks.sma_pairs(task)
        close = task.bars.close.reshape(len(task.bars.times), -1)
        open_ = task.bars.open.reshape(close.shape)
        is_long = np.concatenate([_is_long(close[:, [s]], pairs, engine) for s in range(close.shape[1])], axis=1)
        portfolio = vbt.Portfolio.from_signals(
            np.repeat(close, len(pairs), axis=1),
            entries=_one_later(is_long),
            exits=_one_later(~is_long),
            size=tasks.CROSS_SHARES,
            price=np.repeat(open_, len(pairs), axis=1),
            fixed_fees=tasks.CROSS_SHARES * tasks.COMMISSION_PER_SHARE_USD,
            init_cash=tasks.CASH_USD,
            freq="1D",
            engine=engine,
        )
        orders = portfolio.orders.values
        final = portfolio.final_value(engine=engine).to_numpy()
        sharpe = portfolio.sharpe_ratio(year_freq=f"{tasks.PERIODS_PER_YEAR} days", engine=engine).to_numpy()
        drawdown = -portfolio.max_drawdown(engine=engine).to_numpy()
    return _outcome(orders, final.sum(), sharpe=np.nan_to_num(sharpe).sum(), drawdown=np.nan_to_num(drawdown).sum())


def _is_long(close: Any, pairs: Any, engine: str) -> Any:
    averages = {
        window: vbt.MA.run(close, int(window), engine=engine).ma.to_numpy().ravel() for window in np.unique(pairs)
    }
    fast = np.column_stack([averages[window] for window in pairs[:, 0]])
    slow = np.column_stack([averages[window] for window in pairs[:, 1]])
    return fast > slow


def _one_later(signal: Any) -> Any:
    later = np.zeros_like(signal)
    later[1:] = signal[:-1]
    return later


def _outcome(orders: Any, final_equity_usd: float, **risk: float) -> Outcome:
    return Outcome(
        fills=len(orders),
        traded_shares=float(orders["size"].sum()),
        traded_usd=float((orders["size"] * orders["price"]).sum()),
        final_equity_usd=float(final_equity_usd),
        **{name: float(value) for name, value in risk.items()},
    )
