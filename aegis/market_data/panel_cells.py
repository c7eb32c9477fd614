"""Long tables as sessions-by-symbols arrays.

Belongs here: how a table's rows become cells of a panel. What is computed from the cells is its reader's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def cell_positions(
    frame: pd.DataFrame, *, sessions: Sequence[date], symbols: Sequence[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the row and column of each row of a long table in a sessions-by-symbols array; -1 where it has none."""
    rows = session_positions(frame["session"], sessions)
    columns = pd.Index(np.array(symbols, dtype=object)).get_indexer(pd.Index(frame["symbol"].to_numpy(dtype=object)))
    return rows, columns


def session_positions(column: pd.Series, sessions: Sequence[date]) -> NDArray[np.intp]:
    """Return the place of each row's session among `sessions`; -1 where it has none.

    Rows of one session commonly stand together: each run of them is looked up once.
    """
    of_rows = pd.DatetimeIndex(column).to_numpy()
    begins = np.flatnonzero(np.concatenate((np.ones(min(1, len(of_rows)), dtype=bool), of_rows[1:] != of_rows[:-1])))
    places = pd.DatetimeIndex(list(sessions)).get_indexer(pd.DatetimeIndex(of_rows[begins]))
    return np.repeat(places, np.diff(begins, append=len(of_rows)))


def session_symbol_array(
    frame: pd.DataFrame, column: str, *, sessions: Sequence[date], symbols: Sequence[str], fill: float = np.nan
) -> NDArray[np.float64]:
    """Return a column of a long table as an array.

    Parameters
    ----------
    frame : DataFrame
        Columns ``session``, ``symbol`` and `column`; rows outside `sessions` and `symbols` are left out.
    fill : float, default=NaN
        Value of the cells for which the table has no row.

    Returns
    -------
    ndarray of float64, shape (n_sessions, n_symbols)
    """
    return session_symbol_arrays(frame, [column], sessions=sessions, symbols=symbols, fill=fill)[0]


def session_symbol_arrays(
    frame: pd.DataFrame,
    columns: Sequence[str],
    *,
    sessions: Sequence[date],
    symbols: Sequence[str],
    fill: float = np.nan,
) -> list[NDArray[np.float64]]:
    """Return several columns of a long table as arrays; see :func:`session_symbol_array`."""
    at, of = cell_positions(frame, sessions=sessions, symbols=symbols)
    inside = (at >= 0) & (of >= 0)
    chosen = slice(None) if inside.all() else inside
    cells = at[chosen] * len(symbols) + of[chosen]
    arrays = []
    for column in columns:
        values = np.full((len(sessions), len(symbols)), fill)
        values.ravel()[cells] = frame[column].to_numpy(dtype=np.float64)[chosen]
        arrays.append(values)
    return arrays
