"""How the closed trades of an account went: winners, losers, and what they made.

Belongs here: the formula of each number over the net profits of trades. What a trade is, and what it made, is
:mod:`aegis.backtesting.trades`.

Notes
-----
A profit is net of costs, in USD, one value a trade. A trade of exactly 0 neither won nor lost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aegis.errors import RiskError
from aegis.metrics.returns import FloatArray, finite_series


def winning_share(profits_usd: ArrayLike) -> float:
    """Return the share of trades that won among those that won or lost.

    Parameters
    ----------
    profits_usd : array-like of float, shape (n,)
        Net profit of each trade.

    Raises
    ------
    RiskError
        A value is not finite, or no trade won or lost.
    """
    profits = finite_series(profits_usd, "trade profits", minimum=0)
    decided = int(np.count_nonzero(profits))
    if decided == 0:
        raise RiskError(
            f"share of winning trades: none of {profits.size} trades won or lost; there is no share to take"
        )
    return int(np.count_nonzero(profits > 0.0)) / decided


def profit_factor(profits_usd: ArrayLike) -> float:
    """Return what the winners made over what the losers lost.

    Parameters
    ----------
    profits_usd : array-like of float, shape (n,)
        Net profit of each trade.

    Raises
    ------
    RiskError
        A value is not finite, or no trade lost.

    References
    ----------
    Pardo, R. (2008), The Evaluation and Optimization of Trading Strategies, 2nd edition, chapter 12.
    """
    profits = finite_series(profits_usd, "trade profits", minimum=0)
    return float(np.sum(np.maximum(profits, 0.0))) / -float(np.sum(_losers(profits, "profit factor")))


def average_win(profits_usd: ArrayLike) -> float:
    """Return the mean profit of the trades that won, USD.

    Raises
    ------
    RiskError
        A value is not finite, or no trade won.
    """
    profits = finite_series(profits_usd, "trade profits", minimum=0)
    winners = profits[profits > 0.0]
    if winners.size == 0:
        raise RiskError(f"average win: none of {profits.size} trades won; show that instead of a number")
    return float(np.mean(winners))


def average_loss(profits_usd: ArrayLike) -> float:
    """Return the mean profit of the trades that lost, USD; negative.

    Raises
    ------
    RiskError
        A value is not finite, or no trade lost.
    """
    return float(np.mean(_losers(finite_series(profits_usd, "trade profits", minimum=0), "average loss")))


def _losers(profits: FloatArray, name: str) -> FloatArray:
    losers: FloatArray = profits[profits < 0.0]
    if losers.size == 0:
        raise RiskError(f"{name}: none of {profits.size} trades lost; show that instead of a number")
    return losers
