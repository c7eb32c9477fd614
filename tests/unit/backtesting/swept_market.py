"""A market of five sessions whose sweeps can be worked out by hand, and a signal for it."""

# ruff: noqa: ARG001 - a signal takes all four arguments, whether it needs them or not
from __future__ import annotations

import numpy as np

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bars import Bars
from aegis.backtesting.costs import CostModel
from aegis.backtesting.sweep_signals import sweep_signal

DAY = 86_400_000_000_000
OPEN = [10.0, 10.0, 11.0, 12.0, 13.0]
CLOSE = [10.0, 11.0, 12.0, 9.0, 13.0]
ONE_PERCENT = BacktestConfig(initial_cash_usd=1_000.0, costs=CostModel(slippage_bps=100.0, commission_bps=100.0))


@sweep_signal(parameters=("buy", "sell", "target"), targets="shares")
def timed(close, i, state, parameters):
    if i == parameters[0]:
        return parameters[2]
    return 0.0 if i == parameters[1] else np.nan


def bars_of(opened=OPEN, close=CLOSE, volume=1e6, symbols=("X",)) -> Bars:
    opened, close = np.array(opened), np.array(close)
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    shares = np.broadcast_to(np.asarray(volume, dtype=float), close.shape)
    return Bars.from_arrays(
        opened, high, low, close, shares, closes_at=np.arange(1, len(close) + 1) * DAY, symbols=symbols
    )
