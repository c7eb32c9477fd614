"""Trailing windows whose value for a session depends on that window's own rows and on nothing else.

Belongs here: the way a window is walked. What a window means is said by whoever asks for it.

Notes
-----
A running sum (``pandas.rolling``, a difference of cumulative sums) carries rounding from all earlier rows, so the same
session gets other bits when the range starts elsewhere. Here every window is walked from its oldest to its newest row,
for all sessions and symbols at once: each cell sees the same operations in the same order however the range is cut.
Only whole numbers are counted with cumulative sums, because these are exact.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def window_rows(values: NDArray[np.float64], length: int, *, rows: int, lag: int = 0) -> Iterator[NDArray[np.float64]]:
    """Yield the rows of trailing windows, oldest first, for the last `rows` sessions at once.

    Parameters
    ----------
    values : ndarray of shape (n_sessions, n_symbols)
        A panel, sessions ascending.
    length : int
        Number of sessions in a window.
    rows : int
        Number of sessions, the last of the panel, that get a window.
    lag : int, default=0
        Number of sessions between the end of the window and the session it belongs to.

    Yields
    ------
    ndarray of shape (rows, n_symbols)
        The k-th row of every window; `length` arrays in all.

    Raises
    ------
    ValueError
        The panel does not reach back far enough.
    """
    start = len(values) - lag - rows - length + 1
    if start < 0:
        raise ValueError(f"{rows} windows of {length} sessions, {lag} back, need {-start} more rows than {len(values)}")
    for offset in range(start, start + length):
        yield values[offset : offset + rows]


def window_sum(values: NDArray[np.float64], length: int, *, rows: int, lag: int = 0) -> NDArray[np.float64]:
    """Return the sum over each trailing window, added oldest first; see :func:`window_rows`."""
    total = np.zeros((rows, values.shape[1]))
    for row in window_rows(values, length, rows=rows, lag=lag):
        total += row
    return total


def window_product(values: NDArray[np.float64], length: int, *, rows: int, lag: int = 0) -> NDArray[np.float64]:
    """Return the product over each trailing window, multiplied oldest first; see :func:`window_rows`."""
    product = np.ones((rows, values.shape[1]))
    for row in window_rows(values, length, rows=rows, lag=lag):
        product *= row
    return product


def window_count(flags: NDArray[np.bool_], length: int, *, rows: int, lag: int = 0) -> NDArray[np.int64]:
    """Return how many flags are true in each trailing window; see :func:`window_rows`.

    Notes
    -----
    A difference of cumulative counts: whole numbers, therefore exact.
    """
    counts = np.zeros((len(flags) + 1, flags.shape[1]), dtype=np.int64)
    np.cumsum(flags, axis=0, out=counts[1:])
    end = len(flags) - lag
    start = end - rows - length + 1
    if start < 0:
        raise ValueError(f"{rows} windows of {length} sessions, {lag} back, need {-start} more rows than {len(flags)}")
    return counts[end - rows + 1 : end + 1] - counts[start : start + rows]


def window_median(values: NDArray[np.float64], length: int, *, rows: int) -> NDArray[np.float64]:
    """Return the median of the numbers in each trailing window; NaN where a window holds none.

    Notes
    -----
    Missing values are left out; of an even number of values the two middle ones are averaged.
    """
    stacked = np.stack(list(window_rows(values, length, rows=rows)), axis=-1)
    stacked.sort(axis=-1)  # NaN goes last
    present = length - np.isnan(stacked).sum(axis=-1)
    lower = np.maximum(present - 1, 0) // 2
    upper = np.minimum(present // 2, length - 1)
    low = np.take_along_axis(stacked, lower[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(stacked, upper[..., None], axis=-1)[..., 0]
    return np.where(present > 0, 0.5 * (low + high), np.nan)
