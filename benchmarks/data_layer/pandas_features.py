"""The columns of ``features/daily_features`` as a person would write them with pandas: group-by, rolling, shift.

Belongs here: the peer of the feature benchmark. It expects what its market has: every bar there, no actions.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from aegis.lake.tables.features import RANKED_FEATURES

_WINDOWED_AT_ONCE = np.lib.stride_tricks.sliding_window_view


def pandas_features(bars: pd.DataFrame, *, first: pd.Timestamp, benchmark: str) -> pd.DataFrame:
    """Return the features of each symbol but the benchmark from `first` on, in order of session and symbol."""
    b = bars.sort_values(["symbol", "session"], ignore_index=True)
    by = b["symbol"]
    opened, high, low, close = (b[f"{field}_raw_usd"] for field in ("open", "high", "low", "close"))
    r = close / close.groupby(by).shift() - 1.0
    dollars = close * b["volume_shares"]
    f = b[["session", "symbol"]].copy()

    def rolled(values: pd.Series, length: int) -> pd.core.window.rolling.RollingGroupby:
        return values.groupby(by, sort=False).rolling(length)

    def mean(values: pd.Series, length: int) -> np.ndarray:
        return rolled(values, length).mean().to_numpy()

    def ago(sessions: int) -> pd.Series:
        return close.groupby(by).shift(sessions)

    f["momentum_12_1"] = ago(21) / ago(252) - 1.0
    f["momentum_12_7"] = ago(126) / ago(252) - 1.0
    f["momentum_6_1"] = ago(21) / ago(126) - 1.0
    f["momentum_3_1"] = ago(21) / ago(63) - 1.0
    f["high_52w"] = close / rolled(close, 252).max().to_numpy()
    f["seasonality_12"] = ago(231) / ago(252) - 1.0
    for length in (1, 5, 21):
        f[f"reversal_{length}"] = 1.0 - close / ago(length)
    for length in (21, 63):
        f[f"volatility_{length}"] = rolled(r, length).std().to_numpy() * math.sqrt(252)
    f["downside_volatility_63"] = np.sqrt(252 * mean(r.clip(upper=0.0) ** 2, 63))
    ranges = np.log(high / low) ** 2
    f["parkinson_volatility_21"] = np.sqrt(252 * mean(ranges, 21) / (4 * math.log(2)))
    moves = np.log(close / opened) ** 2
    f["garman_klass_volatility_21"] = np.sqrt(252 * mean(ranges / 2 - (2 * math.log(2) - 1) * moves, 21))
    x = b["session"].map(pd.Series(r[by == benchmark].to_numpy(), index=b["session"][by == benchmark]))
    mean_x, mean_r = mean(x, 252), mean(r, 252)
    shared, spread_x = mean(x * r, 252) - mean_x * mean_r, mean(x * x, 252) - mean_x**2
    f["beta_252"] = shared / spread_x
    residual = mean(r * r, 252) - mean_r**2 - f["beta_252"] * shared
    f["idiosyncratic_volatility_252"] = np.sqrt(252 * residual.clip(lower=0.0) * 252 / 250)
    f["skewness_63"] = rolled(r, 63).skew().to_numpy()
    f["max_return_21"] = rolled(r, 21).max().to_numpy()
    f["trend_50_200"] = np.log(mean(close, 50) / mean(close, 200))
    f["trend_t_63"] = np.log(close).groupby(by).transform(_slope_t_statistic)
    f["macd_12_26"] = close.groupby(by).transform(_exponential_mean_ratio)
    f["liquidity_21"] = np.log(rolled(dollars, 21).median().to_numpy())
    f["amihud_21"] = mean(r.abs() / dollars * 1e6, 21)
    f["volume_5_63"] = np.log(mean(dollars, 5) / mean(dollars, 63))
    f["corwin_schultz_spread_21"] = mean(_spreads(high, low, close, by), 21)
    f["dividend_yield_12"] = rolled(pd.Series(0.0, index=b.index), 252).sum().to_numpy() / close
    f = f[(f["session"] >= first) & (by != benchmark)].sort_values(["session", "symbol"], ignore_index=True)
    for name in RANKED_FEATURES:
        within = f.groupby("session")[name]
        f[f"{name}_rank"] = (within.rank() - 0.5) / within.transform("count")
        spread = within.transform("std")
        score = ((f[name] - within.transform("mean")) / spread.where(spread > 0)).clip(-3.0, 3.0)
        f[f"{name}_z"] = score.mask((spread == 0) & f[name].notna(), 0.0)
    return f


def _slope_t_statistic(log_close: pd.Series) -> pd.Series:
    windows = _WINDOWED_AT_ONCE(log_close.to_numpy(), 63)
    moment, spread = windows @ (np.arange(63) - 31.0), 63 * (63**2 - 1) / 12
    residual = windows.var(axis=1) * 63 - moment**2 / spread
    return _from_the_first_window(moment / spread / np.sqrt(residual / 61 / spread), log_close.index)


def _exponential_mean_ratio(close: pd.Series) -> pd.Series:
    windows = _WINDOWED_AT_ONCE(close.to_numpy(), 104)
    means = []
    for span in (12, 26):
        weights = (1 - 2 / (span + 1)) ** np.arange(103, -1, -1)
        means.append(windows @ (weights / weights.sum()))
    return _from_the_first_window(means[0] / means[1] - 1.0, close.index)


def _from_the_first_window(values: np.ndarray, index: pd.Index) -> pd.Series:
    return pd.Series(np.concatenate([np.full(len(index) - len(values), np.nan), values]), index=index)


def _spreads(high: pd.Series, low: pd.Series, close: pd.Series, by: pd.Series) -> pd.Series:
    before = pd.DataFrame({"high": high, "low": low, "close": close}).groupby(by).shift()
    shift = (before["close"] - high).clip(lower=0.0) - (low - before["close"]).clip(lower=0.0)
    high, low = high + shift, low + shift
    beta = np.log(before["high"] / before["low"]) ** 2 + np.log(high / low) ** 2
    gamma = np.log(np.maximum(before["high"], high) / np.minimum(before["low"], low)) ** 2
    k = 3.0 - 2.0 * math.sqrt(2.0)
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
    return (2.0 * (np.exp(alpha) - 1.0) / (1.0 + np.exp(alpha))).clip(lower=0.0)
