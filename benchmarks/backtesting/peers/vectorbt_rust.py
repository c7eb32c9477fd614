"""vectorbt with its engine in Rust."""

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

NAME = "vectorbt (rust)"

task_a = partial(sma_cross, engine="rust")
task_b = partial(rebalances, engine="rust")
task_d = partial(sweep, engine="rust")
task_d50 = partial(sweep, engine="rust")
