"""The labels of an array strategy's data frames: whose column it is, and which step's row.

Belongs here: putting columns in the order of the bars' symbols, and refusing rows that are not of the bars' steps.
Arrays, and frames numbered from 0, have no labels: their places count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from aegis.backtesting.bar_times import instant
from aegis.backtesting.bars import Bars
from aegis.errors import BacktestError


def columns_by_symbol(name: str, values: ArrayLike, symbols: tuple[str, ...]) -> NDArray[Any]:
    """Return an array whose columns are in the order of the symbols.

    Parameters
    ----------
    name : str
        What messages call it.
    values : array_like, shape (n_steps, n_symbols) or (n_steps,)
        A DataFrame is put in order by its column labels.
    symbols : tuple of str
        Of the bars.

    Raises
    ------
    BacktestError
        A DataFrame has other columns than the symbols, or one of them twice.
    """
    if not isinstance(values, pd.DataFrame) or _is_numbered(values.columns, 0):
        return np.asarray(values)
    labels = [str(label) for label in values.columns]
    missing, unknown = sorted(set(symbols) - set(labels)), sorted(set(labels) - set(symbols))
    if missing or unknown or len(labels) != len(symbols):
        problem = (
            f"no column for {', '.join(missing[:5])}"
            if missing
            else f"columns for {', '.join(unknown[:5])}, of which there are no bars"
            if unknown
            else "a column twice"
        )
        raise BacktestError(
            f"'{name}' has {problem}; label one column for each of {', '.join(symbols[:5])} (NaN leaves a symbol as it "
            "is), or pass an array"
        )
    return values.to_numpy()[:, [labels.index(symbol) for symbol in symbols]]


def refuse_other_times(name: str, values: ArrayLike, bars: Bars, *, first_row: int = 0) -> None:
    """Refuse a DataFrame or Series whose rows are not of the bars' steps, in their order.

    Parameters
    ----------
    name : str
        What messages call it.
    values : array_like
        Labelled by closing times with a time zone, or, where each session has one bar, by days.
    bars : Bars
        All, or a chunk.
    first_row : int
        The row of the first step of `bars`.

    Raises
    ------
    BacktestError
        With the first time that differs.
    """
    if not isinstance(values, pd.DataFrame | pd.Series):
        return
    index = values.index[first_row : first_row + bars.n_steps]
    if _is_numbered(index, first_row):
        return
    found = _nanoseconds(index)
    if found is None and bars.n_steps == len(bars.session_days):
        found, expected = _days(index), bars.session_days.astype("datetime64[ns]").astype(np.int64)
    else:
        expected = bars.closes_at
    if found is None:
        raise BacktestError(
            f"'{name}' is labelled {index[0]!r}, ... where the bars close at {instant(bars.closes_at[0])}, ...; label "
            "rows with closing times in a time zone, or pass an array"
        )
    other = np.flatnonzero(found != expected[: len(found)])
    if len(other):
        row = int(other[0])
        raise BacktestError(
            f"'{name}' row {first_row + row} is labelled {instant(found[row])}, the bar of that step "
            f"{instant(expected[row])}; reindex it to the bars' times in their order, or pass an array"
        )


def _is_numbered(index: pd.Index[Any], first: int) -> bool:
    """Whether labels are places, which are no labels."""
    return index.dtype.kind in "iu" and bool((index == np.arange(first, first + len(index))).all())


def _nanoseconds(index: pd.Index[Any]) -> NDArray[np.int64] | None:
    """Return instants, ns since 1970 in UTC; None where the labels are none."""
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        return None
    return index.as_unit("ns").asi8


def _days(index: pd.Index[Any]) -> NDArray[np.int64] | None:
    """Return the midnights of days, ns; None where the labels are no days."""
    if index.dtype.kind not in "MO":
        return None
    try:
        days = pd.DatetimeIndex(index).as_unit("ns")
    except (TypeError, ValueError):
        return None
    return days.asi8 if days.tz is None and (days == days.normalize()).all() else None
