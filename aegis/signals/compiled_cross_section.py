"""Ranks and scores of sessions side by side, compiled.

Belongs here: the loops over a grid with a row for each session and NaN where a row has no value. What a rank and a
score are is said in :mod:`aegis.signals.cross_section`. All compiled code of cross-sections stands in this file: numba
takes code from disk as long as the file of the called function is unchanged.

Notes
-----
Sums are added in the order of the cells, without fast-math: the bits are those of the same steps in Python.
"""

from __future__ import annotations

import numpy as np
from numba import float64, int64, njit

_GRID = float64[:, ::1]
_TINY = float(np.finfo(np.float64).tiny)


@njit([(_GRID, int64[:, ::1], int64, _GRID)], cache=True, nogil=True)
def rank_rows(grid, order, fewest, found):  # type: ignore[no-untyped-def]
    """Write (rank - 1/2) / n of each cell into `found`; `order` sorts each row, NaN last."""
    for row in range(grid.shape[0]):
        values, places, ranks = grid[row], order[row], found[row]
        count = 0
        for i in range(values.size):
            ranks[i] = np.nan
            count += not np.isnan(values[i])
        if count < fewest:
            continue
        first = 0
        while first < count:
            after = first + 1
            while after < count and values[places[after]] == values[places[first]]:
                after += 1
            share = (first + 0.5 * (after - first + 1) - 0.5) / count
            for i in range(first, after):
                ranks[places[i]] = share
            first = after


@njit([(_GRID, int64, float64, float64, _GRID)], cache=True, nogil=True)
def score_rows(grid, fewest, limit, rounding, found):  # type: ignore[no-untyped-def]
    """Write each cell's standard score in its row, cut at `limit`, into `found`."""
    for row in range(grid.shape[0]):
        values, scores = grid[row], found[row]
        count, total = 0, 0.0
        for i in range(values.size):
            scores[i] = np.nan
            if not np.isnan(values[i]):
                count += 1
                total += values[i]
        if count < fewest:
            continue
        mean, squares = total / count, 0.0
        for i in range(values.size):
            if not np.isnan(values[i]):
                deviation = values[i] - mean
                squares += deviation * deviation
        spread = np.sqrt(squares / max(count - 1, 1))
        varies = spread > rounding * max(abs(mean), _TINY)
        for i in range(values.size):
            if not np.isnan(values[i]):
                score = (values[i] - mean) / spread if varies else 0.0
                scores[i] = min(max(score, -limit), limit)
