"""Trailing windows, compiled: every window of a block of symbols in one pass over each symbol's sessions.

Belongs here: the loops over windows and nothing else; what a window means is its caller's. All compiled code of the
features stands in this file: numba takes code from disk as long as the file of the called function is unchanged, so a
compiled function of another file that is called here could go stale.

Notes
-----
Arrays are of shape (n_symbols, n_sessions), each symbol's sessions side by side: they stay in the processor's nearest
memory and are worked on several at a time. Window number i of a symbol begins at session ``start + i``. Every cell sees
the same operations in the same order however the range is cut, and nothing from outside its window. No fast-math: sums
are neither reordered nor contracted, so the bits are those of the same steps in numpy.
"""

from __future__ import annotations

import numpy as np
from numba import float64, int64, njit

_PANEL = float64[:, ::1]
_ARRAY = float64[::1]

_TILE = 512
"""Windows that are walked together: what is kept of them stays in the processor's nearest memory."""

SUM, PRODUCT, LARGEST = 0, 1, 2
NEAREST_TO_HIGH, DISCOUNTED_SUM, CASH = 0, 1, 2


@njit([(int64, _ARRAY, _ARRAY, _ARRAY)], cache=True, nogil=True)
def _join(kind, older, newer, joined):  # type: ignore[no-untyped-def]
    if kind == SUM:
        for i in range(joined.size):
            joined[i] = older[i] + newer[i]
    elif kind == PRODUCT:
        for i in range(joined.size):
            joined[i] = older[i] * newer[i]
    else:
        for i in range(joined.size):
            joined[i] = max(older[i], newer[i])


@njit([(int64, _ARRAY, _ARRAY, _ARRAY, _ARRAY, float64, _ARRAY)], cache=True, nogil=True)
def _join_scaled(kind, scale, older, newer_scale, newer, weight, joined):  # type: ignore[no-untyped-def]
    if kind == NEAREST_TO_HIGH:
        for i in range(joined.size):
            joined[i] = min(older[i] * newer_scale[i], newer[i])
    elif kind == DISCOUNTED_SUM:
        for i in range(joined.size):
            joined[i] = weight * older[i] + scale[i] * newer[i]
    else:
        for i in range(joined.size):
            joined[i] = older[i] / newer_scale[i] + newer[i]


@njit([(int64, _PANEL, int64, int64, int64, _PANEL)], cache=True, nogil=True)
def segments(kind, values, start, length, rows, found):  # type: ignore[no-untyped-def]
    """Write the sum, the product or the largest value of each window into `found`.

    It is put together from those of segments of 1, 2, 4, ... sessions.
    """
    last = start + rows + length - 1
    segment, longer = np.empty(last - start), np.empty(last - start)
    window, wider = np.empty(rows), np.empty(rows)
    for symbol in range(values.shape[0]):
        segment[:] = values[symbol, start:last]
        size, covered = 1, 0
        while covered < length:
            if length & size:
                if covered == 0:
                    window[:] = segment[:rows]
                else:
                    _join(kind, window, segment[covered : covered + rows], wider)
                    window, wider = wider, window
                covered += size
            if covered < length:
                places = last - start - 2 * size + 1
                _join(kind, segment[:places], segment[size : size + places], longer[:places])
                segment, longer = longer, segment
                size *= 2
        found[symbol] = window


@njit([(int64, _PANEL, _PANEL, _ARRAY, int64, int64, int64, _PANEL)], cache=True, nogil=True)
def scaled_segments(kind, scales, values, weights, start, length, rows, found):  # type: ignore[no-untyped-def]
    """Write a value of each window into `found`, of which segments also need to know a scale, which multiplies.

    The smallest of the values, each times the scales after it (growths: how near the last close is to the highest); the
    sum of the values, each times the scales before it and discounted by its age, where number k of `weights` discounts
    2**k sessions; or their sum, each divided by the scales after it.
    """
    last = start + rows + length - 1
    scale, longer_scale = np.empty(last - start), np.empty(last - start)
    segment, longer = np.empty(last - start), np.empty(last - start)
    window_scale, wider_scale, window, wider = np.empty(rows), np.empty(rows), np.empty(rows), np.empty(rows)
    for symbol in range(values.shape[0]):
        scale[:] = scales[symbol, start:last]
        segment[:] = values[symbol, start:last]
        level, size, covered = 0, 1, 0
        while covered < length:
            weight = weights[level]
            if length & size:
                if covered == 0:
                    window[:] = segment[:rows]
                    window_scale[:] = scale[:rows]
                else:
                    own = slice(covered, covered + rows)
                    _join_scaled(kind, window_scale, window, scale[own], segment[own], weight, wider)
                    _join(PRODUCT, window_scale, scale[own], wider_scale)
                    window, wider = wider, window
                    window_scale, wider_scale = wider_scale, window_scale
                covered += size
            if covered < length:
                places = last - start - 2 * size + 1
                older, newer = slice(0, places), slice(size, size + places)
                _join_scaled(kind, scale[older], segment[older], scale[newer], segment[newer], weight, longer[older])
                _join(PRODUCT, scale[older], scale[newer], longer_scale[older])
                segment, longer = longer, segment
                scale, longer_scale = longer_scale, scale
                size *= 2
                level += 1
        found[symbol] = window


@njit([(_PANEL, int64, int64, int64, _PANEL)], cache=True, nogil=True)
def multiply_in_order(values, start, length, rows, found):  # type: ignore[no-untyped-def]
    """Write the product of each window, multiplied oldest first, into `found`."""
    for symbol in range(values.shape[0]):
        for low in range(0, rows, _TILE):
            high = min(low + _TILE, rows)
            product = found[symbol, low:high]
            product[:] = 1.0
            for offset in range(start, start + length):
                row = values[symbol, offset + low : offset + high]
                for i in range(row.size):
                    product[i] *= row[i]


@njit([(_PANEL, _PANEL, _PANEL, int64, int64, int64, _PANEL)], cache=True, nogil=True)
def squared_deviations(values, weights, count, start, length, rows, found):  # type: ignore[no-untyped-def]
    """Write each window's weighted sum of squared deviations from its mean, oldest first, into `found`.

    The mean is the sum of the values, oldest first, over `count`; values of weight 0 are 0.
    """
    mean = np.empty(_TILE)
    for symbol in range(values.shape[0]):
        for low in range(0, rows, _TILE):
            high = min(low + _TILE, rows)
            mean[:] = 0.0
            for offset in range(start, start + length):
                row = values[symbol, offset + low : offset + high]
                for i in range(row.size):
                    mean[i] += row[i]
            squares, divisor = found[symbol, low:high], count[symbol, low:high]
            for i in range(squares.size):
                mean[i] = mean[i] / divisor[i]
                squares[i] = 0.0
            for offset in range(start, start + length):
                row = values[symbol, offset + low : offset + high]
                weight = weights[symbol, offset + low : offset + high]
                for i in range(row.size):
                    deviation = row[i] - mean[i]
                    squares[i] += weight[i] * (deviation * deviation)


@njit([(_PANEL, int64, int64, int64, int64, _PANEL, _PANEL)], cache=True, nogil=True)
def compounded_sums(growth, start, short, long, rows, found_short, found_long):  # type: ignore[no-untyped-def]
    """Write the sums of the last `short` and of all `long` levels of each window, the oldest level being 1.

    The window holds the ``long - 1`` growths from one level to the next.
    """
    level = np.empty(_TILE)
    for symbol in range(growth.shape[0]):
        for low in range(0, rows, _TILE):
            high = min(low + _TILE, rows)
            total_short, total_long = found_short[symbol, low:high], found_long[symbol, low:high]
            level[:] = 1.0
            total_short[:] = 0.0
            total_long[:] = 1.0
            for number in range(long - 1):
                row = growth[symbol, start + number + low : start + number + high]
                if long - 2 - number < short:
                    for i in range(row.size):
                        level[i] *= row[i]
                        total_long[i] += level[i]
                        total_short[i] += level[i]
                else:
                    for i in range(row.size):
                        level[i] *= row[i]
                        total_long[i] += level[i]


@njit([(_PANEL, int64, int64, int64, _PANEL, _PANEL, _PANEL)], cache=True, nogil=True)
def path_moments(steps, start, closes, rows, total, moment, squares):  # type: ignore[no-untyped-def]
    """Write sum, first moment about the middle and sum of squares of each window's path, which begins at 0.

    The window holds the ``closes - 1`` steps from one point of the path to the next.
    """
    middle = (closes - 1) / 2.0
    path = np.empty(_TILE)
    for symbol in range(steps.shape[0]):
        for low in range(0, rows, _TILE):
            high = min(low + _TILE, rows)
            a, b, c = total[symbol, low:high], moment[symbol, low:high], squares[symbol, low:high]
            path[:] = 0.0
            a[:] = 0.0
            b[:] = 0.0
            c[:] = 0.0
            for number in range(1, closes):
                row = steps[symbol, start + number - 1 + low : start + number - 1 + high]
                place = number - middle
                for i in range(row.size):
                    path[i] += row[i]
                    a[i] += path[i]
                    b[i] += place * path[i]
                    c[i] += path[i] * path[i]


@njit([(_PANEL, int64, int64, int64, _PANEL)], cache=True, nogil=True)
def medians(values, start, length, rows, found):  # type: ignore[no-untyped-def]
    """Write the median of the numbers in each window into `found`; NaN where a window holds none.

    The window is kept in order, NaN as infinity at its end: each step, the numbers between the one that leaves and the
    one that enters move by one place.
    """
    held = np.empty(length)
    for symbol in range(values.shape[0]):
        row = values[symbol]
        held[:] = np.inf
        size = 0
        for session in range(start, start + length + rows - 1):
            leaving, entering = np.inf, row[session]
            if session - length >= start and not np.isnan(row[session - length]):
                leaving = row[session - length]
                size -= 1
            if np.isnan(entering):
                entering = np.inf
            else:
                size += 1
            place = 0
            while held[place] < leaving:
                place += 1
            while place + 1 < length and held[place + 1] < entering:
                held[place] = held[place + 1]
                place += 1
            while place > 0 and held[place - 1] > entering:
                held[place] = held[place - 1]
                place -= 1
            held[place] = entering
            window = session - start - length + 1
            if window >= 0:
                found[symbol, window] = 0.5 * (held[(size - 1) // 2] + held[size // 2]) if size else np.nan


@njit([(_PANEL, int64[:, ::1], float64[::1])], cache=True, nogil=True)
def place_cells(panel, places, column):  # type: ignore[no-untyped-def]
    """Write the cells of a panel to their places in a column of a long table.

    `places` is of shape (n_sessions, n_symbols); a place of -1 is none.
    """
    for session in range(panel.shape[1]):
        for symbol in range(panel.shape[0]):
            place = places[session, symbol]
            if place >= 0:
                column[place] = panel[symbol, session]
