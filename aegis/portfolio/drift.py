"""How far a book has moved from its targets since it was decided.

Belongs here: weights that prices moved, and the band around targets. What follows from leaving the band is the
orchestration's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping


def drifted_weights(weights: Mapping[str, float], returns: Mapping[str, float]) -> dict[str, float]:
    """Return the weights of a book that held still while prices moved.

    Parameters
    ----------
    weights : mapping of str to float
        Shares of equity before the move; what is missing to 1 is cash, which earns nothing.
    returns : mapping of str to float
        Simple return of each symbol over the move. Absent or NaN: no price was seen, the last one stands.

    Returns
    -------
    dict of str to float
        ``w_i (1 + r_i) / (1 + sum_j w_j r_j)``.
    """
    known = {symbol: returns.get(symbol, math.nan) for symbol in weights}
    moves = {symbol: 0.0 if math.isnan(value) else value for symbol, value in known.items()}
    growth = 1.0 + math.fsum(weight * moves[symbol] for symbol, weight in weights.items())
    return {symbol: weight * (1.0 + moves[symbol]) / growth for symbol, weight in weights.items()}


def outside_band(current: Mapping[str, float], target: Mapping[str, float], *, band: float) -> list[str]:
    """Return the symbols, ascending, whose current weight is further than `band` from its target; absent means 0."""
    return sorted(
        symbol
        for symbol in current.keys() | target.keys()
        if abs(current.get(symbol, 0.0) - target.get(symbol, 0.0)) > band
    )
