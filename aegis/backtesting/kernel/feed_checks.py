"""What is given to the kernel beside the bars, before it reads it without looking.

Belongs here: shapes. A wrong one would be read beyond its end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis.errors import BacktestError

_TABLE = 2


def check_targets(steps: NDArray[np.int64], values: NDArray[np.float64], n_symbols: int) -> None:
    """Refuse targets that are not one row for each decision and one column for each symbol."""
    if values.shape != (len(steps), n_symbols):
        raise BacktestError(
            f"targets have the shape {values.shape}, expected {(len(steps), n_symbols)}: one row for each decision, "
            "one column for each symbol"
        )


def checked_column(name: str, column: NDArray[np.float64] | None, rows: int) -> NDArray[np.float64] | None:
    """Return a column as the kernel reads it; refuse one that has not a value for each row."""
    if column is not None and column.shape != (rows,):
        raise BacktestError(f"'{name}' has the shape {column.shape}, expected {(rows,)}: one value for each bar")
    return None if column is None else np.ascontiguousarray(column, dtype=np.float64)


def check_indicators(values: NDArray[np.float64], rows: int) -> None:
    """Refuse a table of indicators that has not a value for each row."""
    if values.ndim != _TABLE or values.shape[1] != rows:
        raise BacktestError(f"indicators have the shape {values.shape}, expected (indicators, {rows}): a value a bar")
