"""Trailing windows of a block of symbols.

Belongs here: the ways to go through windows that features ask for, and what they need to reach back. Sums and products
of long windows are put together from segments of 1, 2, 4, ... sessions: a window of n sessions takes about 2 log2(n)
passes instead of n. The compiled loops are :mod:`aegis.features.compiled_windows`.

Notes
-----
A window is cut by its own length only: the same cell sees the same operations in the same order however the range is
cut, and nothing outside its window. A running sum would carry rounding over from all earlier rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis.features import compiled_windows

Floats = NDArray[np.float64]


def window_start(values: Floats, length: int, *, rows: int, lag: int = 0) -> int:
    """Return where the first of the trailing windows begins.

    Parameters
    ----------
    values : ndarray of shape (n_symbols, n_sessions)
        A panel, sessions ascending.
    length : int
        Number of sessions in a window.
    rows : int
        Number of sessions, the last of the panel, that get a window.
    lag : int, default=0
        Number of sessions between the end of the window and the session it belongs to.

    Raises
    ------
    ValueError
        The panel does not reach back far enough.
    """
    sessions = int(values.shape[1])
    start = sessions - lag - rows - length + 1
    if start < 0:
        raise ValueError(
            f"{rows} windows of {length} sessions, {lag} back, need {-start} more sessions than {sessions}"
        )
    return start


def segment_sum(values: Floats, length: int, *, rows: int, lag: int = 0) -> Floats:
    """Return the sum over each trailing window, shape (n_symbols, rows); see :func:`window_start`."""
    return _joined(compiled_windows.SUM, values, length, rows=rows, lag=lag)


def segment_product(values: Floats, length: int, *, rows: int, lag: int = 0) -> Floats:
    """Return the product over each trailing window, shape (n_symbols, rows); see :func:`window_start`."""
    return _joined(compiled_windows.PRODUCT, values, length, rows=rows, lag=lag)


def segment_maximum(values: Floats, length: int, *, rows: int) -> Floats:
    """Return the largest value of each trailing window, shape (n_symbols, rows); see :func:`window_start`."""
    return _joined(compiled_windows.LARGEST, values, length, rows=rows, lag=0)


def ordered_product(values: Floats, length: int, *, rows: int, lag: int = 0) -> Floats:
    """Return the product over each trailing window, multiplied oldest first; see :func:`window_start`."""
    start = window_start(values, length, rows=rows, lag=lag)
    found = np.empty((len(values), rows))
    compiled_windows.multiply_in_order(values, start, length, rows, found)
    return found


def nearness_to_largest(growth: Floats, length: int, *, rows: int) -> Floats:
    """Return the last level over the largest since before each trailing window, shape (n_symbols, rows).

    Parameters
    ----------
    growth : ndarray of shape (n_symbols, n_sessions)
        Each session's level over the one before. No level itself is needed.
    length, rows
        As for :func:`window_start`.
    """
    kind = compiled_windows.NEAREST_TO_HIGH
    return _scaled(kind, growth, np.minimum(growth, 1.0), length, rows=rows)


def discounted_growth(growth: Floats, length: int, *, rows: int, decay: float) -> Floats:
    """Return the sum of the levels within each trailing window, shape (n_symbols, rows).

    Parameters
    ----------
    growth : ndarray of shape (n_symbols, n_sessions)
        Each session's level over the one before; the level before the window is 1.
    length, rows
        As for :func:`window_start`.
    decay : float
        A level counts by this to the power of its age in sessions.
    """
    return _scaled(compiled_windows.DISCOUNTED_SUM, growth, growth, length, rows=rows, decay=decay)


def cash_per_share(ratios: Floats, cash: Floats, length: int, *, rows: int) -> Floats:
    """Return the cash of each trailing window, divided by the ratios that came after it, shape (n_symbols, rows)."""
    return _scaled(compiled_windows.CASH, ratios, cash, length, rows=rows)


def window_median(values: Floats, length: int, *, rows: int) -> Floats:
    """Return the median of the numbers in each trailing window; NaN where it holds none; see :func:`window_start`.

    Notes
    -----
    Missing values are left out; of an even number of values the two middle ones are averaged.
    """
    start = window_start(values, length, rows=rows)
    found = np.empty((len(values), rows))
    compiled_windows.medians(values, start, length, rows, found)
    return found


def _joined(kind: int, values: Floats, length: int, *, rows: int, lag: int) -> Floats:
    start = window_start(values, length, rows=rows, lag=lag)
    found = np.empty((len(values), rows))
    compiled_windows.segments(kind, values, start, length, rows, found)
    return found


def _scaled(kind: int, scales: Floats, values: Floats, length: int, *, rows: int, decay: float = 1.0) -> Floats:
    start = window_start(values, length, rows=rows)
    found = np.empty((len(values), rows))
    weights = np.array([decay ** (1 << level) for level in range(length.bit_length())])
    compiled_windows.scaled_segments(kind, scales, values, weights, start, length, rows, found)
    return found
