"""Trailing windows put together from segments of 1, 2, 4, ... sessions.

Belongs here: the way such a window is put together, and the few ways to join two neighbouring segments. A window of n
sessions takes about 2 log2(n) passes over the panel instead of n. Windows that are walked session by session, where
what is added depends on the window's own mean, are :mod:`aegis.market_data.windows`.

Notes
-----
A window is cut by its own length only: the same cell sees the same operations in the same order however the range is
cut, and nothing outside its window. A running sum would carry rounding over from all earlier rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Segment = tuple[Floats, ...]
"""What is known of a segment of sessions, for all places of it in the panel: arrays of shape (n_places, n_symbols)."""

Join = Callable[[Segment, Segment, int, int], Segment]
"""From two neighbours, the older one first, and their lengths in sessions, to what is known of both together."""


def window_segment(sessions: Segment, join: Join, length: int, *, rows: int, lag: int = 0) -> Segment:
    """Return what is known of each trailing window.

    Parameters
    ----------
    sessions : tuple of ndarray, each of shape (n_sessions, n_symbols)
        What is known of each single session, ascending.
    join : callable
        Associative but for rounding.
    length : int
        Number of sessions in a window.
    rows : int
        Number of sessions, the last of the panel, that get a window.
    lag : int, default=0
        Number of sessions between the end of the window and the session it belongs to.

    Returns
    -------
    tuple of ndarray, each of shape (rows, n_symbols)

    Raises
    ------
    ValueError
        The panel does not reach back far enough.
    """
    end = len(sessions[0]) - lag
    start = end - rows - length + 1
    if start < 0:
        raise ValueError(f"{rows} windows of {length} sessions, {lag} back, need {-start} more rows than {end + lag}")
    segment, size = tuple(values[start:end] for values in sessions), 1
    window: Segment = ()
    covered = 0
    while covered < length:
        if length & size:
            piece = tuple(values[covered : covered + rows] for values in segment)
            window = join(window, piece, covered, size) if covered else piece
            covered += size
        if covered < length:
            older = tuple(values[:-size] for values in segment)
            newer = tuple(values[size:] for values in segment)
            segment, size = join(older, newer, size, size), 2 * size
    return window


def segment_sum(values: Floats, length: int, *, rows: int, lag: int = 0) -> Floats:
    """Return the sum over each trailing window; see :func:`window_segment`."""
    return window_segment((values,), _added, length, rows=rows, lag=lag)[0]


def segment_product(values: Floats, length: int, *, rows: int, lag: int = 0) -> Floats:
    """Return the product over each trailing window; see :func:`window_segment`."""
    return window_segment((values,), _multiplied, length, rows=rows, lag=lag)[0]


def segment_maximum(values: Floats, length: int, *, rows: int, lag: int = 0) -> Floats:
    """Return the largest value of each trailing window; see :func:`window_segment`."""
    return window_segment((values,), _larger, length, rows=rows, lag=lag)[0]


def _added(older: Segment, newer: Segment, _older_length: int, _newer_length: int) -> Segment:
    return (older[0] + newer[0],)


def _multiplied(older: Segment, newer: Segment, _older_length: int, _newer_length: int) -> Segment:
    return (older[0] * newer[0],)


def _larger(older: Segment, newer: Segment, _older_length: int, _newer_length: int) -> Segment:
    return (np.maximum(older[0], newer[0]),)
