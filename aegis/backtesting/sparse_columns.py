"""A column of sparse bars, read as if it were a table of steps and symbols.

Belongs here: finding the row of a symbol's bar in a step, of which most symbols have none.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars


class SparseColumn:
    """A column of sparse bars.

    Parameters
    ----------
    bars : Bars
        In the sparse layout.
    values : ndarray of float64, shape (n_rows,)
        A value for each of their rows.

    Raises
    ------
    ValueError
        The bars are dense.
    """

    def __init__(self, bars: Bars, values: NDArray[np.float64]) -> None:
        if bars.row_symbol is None or bars.first_row is None:
            raise ValueError("dense bars are a table already")
        self._values, self._row_symbol, self._first_row = values.data, bars.row_symbol.data, bars.first_row.data
        self._n = len(bars.symbols)

    def __getitem__(self, place: int | tuple[slice, int]) -> float | NDArray[np.float64]:
        """Return the value at ``step * symbols + symbol``, or those of one symbol in a slice of steps; NaN for none."""
        if isinstance(place, int):
            return self._value(*divmod(place, self._n))
        steps, symbol = place
        found = np.array([self._value(step, symbol) for step in range(steps.start, steps.stop)], dtype=np.float64)
        found.flags.writeable = False
        return found

    def _value(self, step: int, symbol: int) -> float:
        end = self._first_row[step + 1]
        row = bisect_left(self._row_symbol, symbol, self._first_row[step], end)
        return self._values[row] if row < end and self._row_symbol[row] == symbol else float("nan")
