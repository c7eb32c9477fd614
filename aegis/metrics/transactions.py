"""Turnover and costs of what was traded.

Belongs here: the formula of each number over fills. Why a trade was made is not asked here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aegis.errors import RiskError
from aegis.metrics.returns import SESSIONS_PER_YEAR, FloatArray, finite_series, level_series

_BPS = 10_000.0


@dataclass(frozen=True, slots=True)
class CostTotals:
    """What trading cost.

    Parameters
    ----------
    fills : int
        Executions counted.
    traded_usd : float
        Bought plus sold at execution prices.
    commission_usd : float
        Commission and fees; positive is a cost.
    slippage_usd : float
        Against the reference price of the fill convention; positive is a cost.
    """

    fills: int
    traded_usd: float
    commission_usd: float
    slippage_usd: float

    @property
    def total_usd(self) -> float:
        """Commission plus slippage."""
        return self.commission_usd + self.slippage_usd

    def in_bps(self) -> float:
        """Return the total cost in basis points of what was traded.

        Raises
        ------
        RiskError
            Nothing was traded.
        """
        if self.traded_usd <= 0.0:
            raise RiskError(f"cost in basis points: {self.fills} fills traded 0 USD; there is nothing to relate it to")
        return self.total_usd / self.traded_usd * _BPS


def cost_totals(
    quantities_shares: ArrayLike, prices_usd: ArrayLike, *, commissions_usd: ArrayLike, slippages_usd: ArrayLike
) -> CostTotals:
    """Add up the costs of fills.

    Parameters
    ----------
    quantities_shares : array-like of float, shape (n,)
        Signed shares of each fill.
    prices_usd : array-like of float, shape (n,)
        Execution prices.
    commissions_usd, slippages_usd : array-like of float, shape (n,)
        Costs of each fill; positive is a cost.

    Raises
    ------
    RiskError
        Unequal lengths, or a value that is not finite. No fills at all is a total of 0, not an error.

    References
    ----------
    Kissell, R. (2014), The Science of Algorithmic Trading and Portfolio Management, chapter 3: the parts of cost.
    """
    quantities, prices, commissions, slippages = (
        finite_series(values, name, minimum=0)
        for values, name in (
            (quantities_shares, "fill quantities"),
            (prices_usd, "fill prices"),
            (commissions_usd, "commissions"),
            (slippages_usd, "slippages"),
        )
    )
    lengths = {series.size for series in (quantities, prices, commissions, slippages)}
    if len(lengths) > 1:
        raise RiskError(f"cost totals: columns of {sorted(lengths)} fills; pass one value of each for every fill")
    return CostTotals(
        fills=quantities.size,
        traded_usd=float(np.sum(np.abs(quantities) * prices)),
        commission_usd=float(np.sum(commissions)),
        slippage_usd=float(np.sum(slippages)),
    )


def turnover(
    bought_usd: ArrayLike, sold_usd: ArrayLike, *, equity_usd: ArrayLike, sessions_per_year: int = SESSIONS_PER_YEAR
) -> float:
    """Return the one-way turnover of a year: how often the average equity was exchanged.

    Parameters
    ----------
    bought_usd, sold_usd : array-like of float, shape (n,)
        Bought and sold in each session at execution prices, both positive.
    equity_usd : array-like of float, shape (n,)
        Equity at each close.

    Returns
    -------
    float
        ``sum(bought + sold) / 2 / mean(equity) * sessions_per_year / n``, 1/year.

    Raises
    ------
    RiskError
        Unequal lengths, no session, a negative or non-finite value, or an equity of 0 or below.

    Notes
    -----
    Half of both sides, not the smaller one: building the book from cash counts, so a year of pure buying is not 0.

    References
    ----------
    Grinold, R. and Kahn, R. (2000), Active Portfolio Management, 2nd edition, chapter 16. The smaller side is the
    convention of the US Securities and Exchange Commission, Form N-1A, item 13.
    """
    equity = level_series(equity_usd, "equity")
    bought, sold = _non_negative(bought_usd, "bought"), _non_negative(sold_usd, "sold")
    if not bought.size == sold.size == equity.size:
        raise RiskError(
            f"turnover: {bought.size} sessions of purchases, {sold.size} of sales, {equity.size} of equity; align them"
        )
    return float(np.sum(bought) + np.sum(sold)) / 2.0 / float(np.mean(equity)) * sessions_per_year / equity.size


def _non_negative(values: ArrayLike, name: str) -> FloatArray:
    series = finite_series(values, name)
    if float(np.min(series)) < 0.0:
        raise RiskError(f"{name}: expected amounts of at least 0, found {np.min(series)}; pass both sides as positive")
    return series
