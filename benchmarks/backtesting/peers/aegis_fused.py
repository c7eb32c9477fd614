"""Aegis's fused sweep: signal, simulation and numbers of each pair in one compiled pass."""

from __future__ import annotations

import numpy as np

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.sweep_signals import moving_average_cross
from aegis.backtesting.sweeps import fused_sweep
from benchmarks.backtesting import tasks
from benchmarks.backtesting.peers.aegis_engine import PER_SHARE, bars_of, version
from benchmarks.backtesting.tasks import Outcome, Stopwatch, Task

__all__ = ["CANNOT", "COMPILES", "INCLUDES", "LARGEST", "NAME", "sweep", "version"]

NAME = "aegis fused"
COMPILES = True
INCLUDES = {
    "*": "from arrays over checked Bars and a compiled signal to fifteen numbers of each pair and symbol, a thread "
    "for each processor; every order and fill is the kernel's, none is kept",
}
CANNOT = {
    "A": "sweeps only; the line of aegis is this task's",
    "B": "sweeps only; the line of aegis is this task's",
    "C": "sweeps only; the line of aegis is this task's",
    "E": "sweeps only; the line of aegis is this task's",
}
LARGEST: dict[str, int] = {}


def sweep(task: Task, watch: Stopwatch) -> Outcome:
    """Do all pairs on all symbols, a thread for each processor."""
    config = BacktestConfig(initial_cash_usd=tasks.CASH_USD, costs=PER_SHARE, sessions_per_year=tasks.PERIODS_PER_YEAR)
    with watch.running():
        fast, slow = tasks.sma_pairs(task).T
        results = fused_sweep(
            moving_average_cross.in_shares(),
            bars_of(task.bars),
            {"fast": fast, "slow": slow, "target": tasks.CROSS_SHARES},
            config,
        )
    total = {name: float(np.nansum(numbers)) for name, numbers in results.metrics.items()}
    return Outcome(
        fills=int(total["fill_count"]),
        traded_shares=total["traded_shares"],
        traded_usd=total["traded_usd"],
        final_equity_usd=total["final_equity_usd"],
        sharpe=total["sharpe_ratio"],
        drawdown=-total["max_drawdown"],
    )


task_d = task_d50 = sweep
