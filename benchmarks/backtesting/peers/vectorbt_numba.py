"""vectorbt with its engine in Numba."""

from __future__ import annotations

from functools import partial

from benchmarks.backtesting.peers.vectorbt_portfolios import (
    CANNOT,
    COMPILES,
    ENVIRONMENT,
    INCLUDES,
    LARGEST,
    rebalances,
    sma_cross,
    sweep,
    version,
)

__all__ = ["CANNOT", "COMPILES", "ENVIRONMENT", "INCLUDES", "LARGEST", "NAME", "version"]

NAME = "vectorbt (numba)"

task_a = partial(sma_cross, engine="numba")
task_b = partial(rebalances, engine="numba")
task_d = partial(sweep, engine="numba")
task_d50 = partial(sweep, engine="numba")
