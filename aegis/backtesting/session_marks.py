"""What each symbol was worth at the close of each session.

Belongs here: last closes, and carrying them forward over missing bars in the shares of the day. Which positions are
valued at them is :mod:`aegis.backtesting.results`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.codes import ActionKind

_SPLIT = int(ActionKind.SPLIT)


def session_closes(
    close_usd: NDArray[np.float64],
    *,
    session_first_steps: NDArray[np.int64],
    n_symbols: int,
    row_symbol: NDArray[np.int32] | None = None,
    first_row: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Return the last close of each symbol within each session.

    Parameters
    ----------
    close_usd : ndarray of float64, shape (rows,)
        Closes of :class:`~aegis.backtesting.bars.Bars`, NaN where a bar is missing.
    session_first_steps : ndarray of int64, shape (sessions + 1,)
        First step of each session, and the number of steps.
    n_symbols : int
    row_symbol, first_row
        The sparse layout of :class:`~aegis.backtesting.bars.Bars`; dense if not given.

    Returns
    -------
    ndarray of float64, shape (sessions, symbols)
        USD; NaN where a symbol had no bar in the session. It may be stacked over chunks of whole sessions.
    """
    if row_symbol is None or first_row is None:
        return _last_of_dense(close_usd.reshape(-1, n_symbols), session_first_steps)  # type: ignore[no-any-return]
    return _last_of_sparse(close_usd, row_symbol, first_row[session_first_steps], n_symbols)  # type: ignore[no-any-return]


def session_marks(
    closes_usd: NDArray[np.float64], actions: NDArray[Any], session_days: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the mark of each symbol at the end of each session: its last close until then.

    Parameters
    ----------
    closes_usd : ndarray of float64, shape (sessions, symbols)
        :func:`session_closes`.
    actions : ndarray of ACTION
        Corporate actions in the order of their ex-dates. A split divides the mark that it meets; others leave it.
    session_days : ndarray of int64, shape (sessions,)
        Days since 1970.

    Returns
    -------
    ndarray of float64, shape (sessions, symbols)
        USD per share of that session; NaN before a symbol's first bar.
    """
    return _carried(closes_usd, actions, session_days)  # type: ignore[no-any-return]


def last_closes(closes_usd: NDArray[np.float64], before_usd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the last close of each symbol in some sessions, that of before where it has none in them.

    Parameters
    ----------
    closes_usd : ndarray of float64, shape (sessions, symbols)
        :func:`session_closes`.
    before_usd : ndarray of float64, shape (symbols,)
        As of before the sessions; NaN for none.
    """
    found = ~np.isnan(closes_usd)
    last = len(closes_usd) - 1 - found[::-1].argmax(axis=0)
    return np.where(found.any(axis=0), closes_usd[last, np.arange(closes_usd.shape[1])], before_usd)


@compiled
def _last_of_dense(closes: NDArray[np.float64], first_steps: NDArray[np.int64]) -> NDArray[np.float64]:
    sessions, symbols = first_steps.size - 1, closes.shape[1]
    last = np.full((sessions, symbols), np.nan)
    for session in range(sessions):
        for step in range(first_steps[session], first_steps[session + 1]):
            for symbol in range(symbols):
                if not np.isnan(closes[step, symbol]):
                    last[session, symbol] = closes[step, symbol]
    return last


@compiled
def _last_of_sparse(
    closes: NDArray[np.float64], row_symbol: NDArray[np.int32], first_rows: NDArray[np.int64], symbols: int
) -> NDArray[np.float64]:
    last = np.full((first_rows.size - 1, symbols), np.nan)
    for session in range(first_rows.size - 1):
        for row in range(first_rows[session], first_rows[session + 1]):
            if not np.isnan(closes[row]):
                last[session, row_symbol[row]] = closes[row]
    return last


@compiled
def _carried(closes: NDArray[np.float64], actions: NDArray[Any], days: NDArray[np.int64]) -> NDArray[np.float64]:
    marks = closes.copy()
    mark = np.full(closes.shape[1], np.nan)
    action = 0
    for session in range(days.size):
        while action < actions.size and actions[action].day <= days[session]:
            if actions[action].kind == _SPLIT:
                mark[actions[action].symbol] /= actions[action].ratio
            action += 1
        for symbol in range(mark.size):
            if np.isnan(marks[session, symbol]):
                marks[session, symbol] = mark[symbol]
        mark[:] = marks[session]
    return marks
