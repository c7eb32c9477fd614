"""How much is held: gross and net exposure, concentration, share of volume, and the book that orders lead to.

Belongs here: sizes. What they may be is :mod:`aegis.risk.limits`; what they may lose is
:mod:`aegis.risk.value_at_risk`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from aegis.metrics.returns import finite_series


def gross_exposure(weights: ArrayLike) -> float:
    """Return the sum of absolute weights, as a share of equity; 0 for an empty book.

    Raises
    ------
    RiskError
        A weight is NaN or infinite.
    """
    return float(np.sum(np.abs(finite_series(weights, "weights", minimum=0))))


def net_exposure(weights: ArrayLike) -> float:
    """Return the sum of weights, as a share of equity; 0 for an empty book.

    Raises
    ------
    RiskError
        A weight is NaN or infinite.
    """
    return float(np.sum(finite_series(weights, "weights", minimum=0)))


def largest_weight(weights: ArrayLike) -> float:
    """Return the largest absolute weight; 0 for an empty book.

    Raises
    ------
    RiskError
        A weight is NaN or infinite.
    """
    return float(np.max(np.abs(finite_series(weights, "weights", minimum=0)), initial=0.0))


def concentration_hhi(weights: ArrayLike) -> float:
    """Return the Herfindahl-Hirschman index of the absolute weights as shares of their sum.

    Returns
    -------
    float
        1 for a single holding, 1/n for n equal ones, 0 for an empty book.

    Raises
    ------
    RiskError
        A weight is NaN or infinite.

    References
    ----------
    Herfindahl, O. (1950), Concentration in the steel industry; Hirschman, A. (1964), American Economic Review 54.
    """
    sizes = np.abs(finite_series(weights, "weights", minimum=0))
    gross = float(np.sum(sizes))
    return float(np.sum((sizes / gross) ** 2)) if gross > 0.0 else 0.0


def projected_weights(
    positions_shares: Mapping[str, float],
    trades_shares: Iterable[tuple[str, float]],
    *,
    prices_usd: Mapping[str, float],
    equity_usd: float,
) -> dict[str, float]:
    """Return the weights of the book if every trade filled in full at today's prices.

    Parameters
    ----------
    positions_shares : mapping of str to float
        Signed shares held.
    trades_shares : iterable of (symbol, signed shares)
        Orders and what remains of open orders; a symbol may repeat.
    prices_usd : mapping of str to float
        Marks in the decision session.
    equity_usd : float
        Equity at the close.

    Returns
    -------
    dict of str to float
        Signed share of equity. Infinite where it cannot be known: no usable price, no usable quantity, or an equity
        that is not a number above 0. An infinite weight is within no limit.

    Notes
    -----
    Sales are assumed to fill with purchases: the projection is the book that was decided, not the worst path to it.
    """
    quantities = dict(positions_shares)
    for symbol, shares in trades_shares:
        quantities[symbol] = quantities.get(symbol, 0.0) + shares
    valued = is_positive_amount(equity_usd)
    weights: dict[str, float] = {}
    for symbol, shares in quantities.items():
        if shares == 0.0:
            continue
        price = prices_usd.get(symbol)
        if valued and is_positive_amount(price) and math.isfinite(shares):
            weights[symbol] = shares * price / equity_usd
        else:
            weights[symbol] = math.inf
    return weights


def participations(
    trades_shares: Iterable[tuple[str, float]],
    *,
    prices_usd: Mapping[str, float],
    median_dollar_volume_usd: Mapping[str, float],
) -> dict[str, float]:
    """Return what is traded in each symbol as a share of its median daily dollar volume.

    Parameters
    ----------
    trades_shares : iterable of (symbol, signed shares)
        A symbol may repeat; its shares are added without regard to side.
    prices_usd : mapping of str to float
        Marks in the decision session.
    median_dollar_volume_usd : mapping of str to float
        Median of close times volume over the trailing window. Dollars rather than shares, as a split inside the window
        changes the one and not the other.

    Returns
    -------
    dict of str to float
        Zero or positive; infinite where price or volume is unknown or the volume is 0.
    """
    traded: dict[str, float] = {}
    for symbol, shares in trades_shares:
        traded[symbol] = traded.get(symbol, 0.0) + abs(shares)
    shares_of_volume: dict[str, float] = {}
    for symbol, shares in traded.items():
        price, volume = prices_usd.get(symbol), median_dollar_volume_usd.get(symbol)
        if is_positive_amount(price) and is_positive_amount(volume) and math.isfinite(shares):
            shares_of_volume[symbol] = shares * price / volume
        else:
            shares_of_volume[symbol] = math.inf
    return shares_of_volume


def is_positive_amount(value: float | None) -> TypeGuard[float]:
    """Whether `value` is a finite amount above 0."""
    return value is not None and math.isfinite(value) and value > 0.0
