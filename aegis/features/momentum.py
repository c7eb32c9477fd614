"""Momentum and reversal: total returns over past windows, and the distance from the highest close.

Belongs here: what follows from the product of total returns. Formulas and sources of the columns are in
:mod:`aegis.lake.tables.features`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aegis.features.observations import Observations
from aegis.features.segments import nearness_to_largest, segment_product

Floats = NDArray[np.float64]


class WindowProduct(Protocol):
    """The product over each trailing window: in segments, or session by session. They differ in the last bits.

    Notes
    -----
    Orders of earlier versions were decided on windows multiplied session by session, and what an optimizer makes of a
    last bit is not bounded by it: features that decide keep their order of multiplication.
    """

    def __call__(self, values: Floats, length: int, *, rows: int, lag: int) -> Floats:
        """Return an array of shape (n_symbols, rows)."""
        ...


def momentum(observed: Observations, *, since: int, until: int, product: WindowProduct = segment_product) -> Floats:
    """Return the total return from `since` to `until` sessions ago, shape (n_symbols, rows)."""
    length = since - until
    value = product(observed.gross_returns, length, rows=observed.rows, lag=until) - 1.0
    return np.where(observed.is_full(length + 1, lag=until), value, np.nan)


def reversal(observed: Observations, *, sessions: int, product: WindowProduct = segment_product) -> Floats:
    """Return minus the total return of the last `sessions` sessions, shape (n_symbols, rows)."""
    value = 1.0 - product(observed.gross_returns, sessions, rows=observed.rows, lag=0)
    return np.where(observed.is_full(sessions + 1), value, np.nan)


def nearness_to_high(observed: Observations, *, closes: int) -> Floats:
    """Return the adjusted close over the highest of `closes` adjusted closes, 0 to 1, shape (n_symbols, rows).

    Notes
    -----
    The smallest of 1 and the growth since each earlier close of the window: no level of the adjusted close is needed.
    """
    nearness = nearness_to_largest(observed.gross_returns, closes - 1, rows=observed.rows)
    return np.where(observed.is_full(closes), nearness, np.nan)
