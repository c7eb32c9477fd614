"""What a sweep leaves behind: a row of numbers for each set of parameters and account.

Belongs here: which numbers, how they follow from the sums of a backtest, and the table of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.sweep_signals import Floats
from aegis.backtesting.sweep_sums import Sums
from aegis.errors import BacktestError
from aegis.metrics.returns import session_rate

METRICS: Final = (
    "final_equity_usd",
    "total_return",
    "annualised_return",
    "volatility_annualised",
    "sharpe_ratio",
    "max_drawdown",
    "fill_count",
    "traded_shares",
    "traded_usd",
    "commission_usd",
    "fees_usd",
    "slippage_usd",
    "interest_usd",
    "borrow_fees_usd",
    "sessions_invested_share",
)
"""What a sweep measures; the words are :class:`~aegis.backtesting.backtest_metrics.BacktestMetrics`'s."""

PORTFOLIO: Final = "portfolio"
"""Name of the one account that :func:`sweep` has for each set of parameters."""

_SAME_RETURN = 1e-12
_CANCELLED = 1e-13


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SweepResults:
    """One row of numbers for each set of parameters and account.

    Parameters
    ----------
    names : tuple of str
        Of the parameters.
    parameters : ndarray of float64, shape (sets, names)
    accounts : tuple of str
        The symbols, each with an account of its own; :data:`PORTFOLIO` alone where all share one.
    metrics : dict of str to ndarray of float64, shape (sets, accounts)
        By the names of :data:`METRICS`; NaN where a number does not exist, as a Sharpe ratio without a trade.
    """

    names: tuple[str, ...]
    parameters: Floats
    accounts: tuple[str, ...]
    metrics: dict[str, Floats]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each set and account; the index says which."""
        index: dict[str, Any] = {
            name: np.repeat(self.parameters[:, k], len(self.accounts)) for k, name in enumerate(self.names)
        }
        index["account"] = np.tile(np.array(self.accounts, dtype=object), len(self.parameters))
        values = {name: numbers.reshape(-1) for name, numbers in self.metrics.items()}
        return pd.DataFrame(values, index=pd.MultiIndex.from_arrays(list(index.values()), names=list(index)))

    def best(self, metric: str = "sharpe_ratio") -> dict[str, float]:
        """Return the parameters whose mean of `metric` over the accounts is largest.

        Raises
        ------
        BacktestError
            There is no such metric, or no set has one.
        """
        if metric not in self.metrics:
            raise BacktestError(f"no metric is called {metric!r}; there are {', '.join(self.metrics)}")
        mean = self.metrics[metric].mean(axis=1)
        if np.isnan(mean).all():
            raise BacktestError(f"no set of parameters has a {metric} in every account; did any of them trade?")
        return dict(zip(self.names, self.parameters[int(np.nanargmax(mean))].tolist(), strict=True))


def metrics_of_sums(sums: Floats, n_sessions: Floats, config: BacktestConfig) -> dict[str, Floats]:
    """Return the metrics, shape (sets, accounts), from the sums, shape (accounts, sets, N_SUMS).

    Notes
    -----
    The definitions are those of :mod:`aegis.metrics`, on sums in place of series: with d the distances from the first
    return that is not zero, the variance is that of d, the mean of its squares less the square of its mean.
    """
    taken = sums.transpose(2, 1, 0)
    final, total, first = taken[Sums.FINAL_EQUITY], taken[Sums.RETURNS], taken[Sums.FIRST_RETURN]
    per_year = config.sessions_per_year
    survived = np.where(taken[Sums.LOWEST_EQUITY] > 0.0, 1.0, np.nan)
    growth = np.where(survived == 1.0, final / config.initial_cash_usd, np.nan)
    mean = survived * total / n_sessions
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = taken[Sums.SQUARED_DISTANCES] + (n_sessions - taken[Sums.SESSIONS_MOVED]) * first * first
        spread = squares - n_sessions * (total / n_sessions - first) ** 2
        # What is left after cancellation is rounding noise.
        spread = np.where(spread <= _CANCELLED * squares, 0.0, spread)
        deviation = survived * np.where(n_sessions > 1, np.sqrt(spread / (n_sessions - 1)), np.nan)
        excess = mean - session_rate(config.risk_free_rate, sessions_per_year=per_year)
        sharpe = np.where(deviation > _SAME_RETURN, excess / deviation * np.sqrt(per_year), np.nan)
    return {
        "final_equity_usd": final.copy(),
        "total_return": growth - 1.0,
        "annualised_return": growth ** (per_year / n_sessions) - 1.0,
        "volatility_annualised": deviation * np.sqrt(per_year),
        "sharpe_ratio": sharpe,
        "max_drawdown": survived * taken[Sums.DEEPEST],
        "fill_count": taken[Sums.FILLS].copy(),
        "traded_shares": taken[Sums.TRADED_SHARES].copy(),
        "traded_usd": taken[Sums.TRADED_USD].copy(),
        "commission_usd": taken[Sums.COMMISSION].copy(),
        "fees_usd": taken[Sums.FEES].copy(),
        "slippage_usd": taken[Sums.SLIPPAGE].copy(),
        "interest_usd": taken[Sums.INTEREST].copy(),
        "borrow_fees_usd": taken[Sums.BORROW_FEES].copy(),
        "sessions_invested_share": taken[Sums.SESSIONS_INVESTED] / n_sessions,
    }
