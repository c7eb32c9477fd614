"""Chunks that begin with the end of the chunk before.

Belongs here: joining the last sessions of one chunk to the next, so that a strategy can look back across the seam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars


def with_history(chunks: Iterator[Bars], history_sessions: int) -> Iterator[tuple[Bars, int]]:
    """Yield each chunk behind the last sessions of before, and how many these are.

    Parameters
    ----------
    chunks : iterator of Bars
        Whole sessions, in the order of time.
    history_sessions : int
        Sessions to repeat; fewer at the beginning.
    """
    history: Bars | None = None
    for chunk in chunks:
        joined = chunk if history is None else _join(history, chunk)
        yield joined, 0 if history is None else len(history.sessions) - 1
        if history_sessions > 0:
            sessions = len(joined.sessions) - 1
            history = joined.part(max(sessions - history_sessions, 0), sessions)


def _join(first: Bars, second: Bars) -> Bars:
    sessions = np.concatenate([first.sessions[:-1], second.sessions])
    sessions["first_step"][len(first.sessions) - 1 :] += first.n_steps
    begins = None
    if first.first_row is not None and second.first_row is not None:
        begins = np.r_[first.first_row[:-1], second.first_row + first.n_rows]
    return replace(
        second,
        open=np.concatenate([first.open, second.open]),
        high=np.concatenate([first.high, second.high]),
        low=np.concatenate([first.low, second.low]),
        close=np.concatenate([first.close, second.close]),
        volume=np.concatenate([first.volume, second.volume]),
        closes_at=np.concatenate([first.closes_at, second.closes_at]),
        sessions=sessions,
        opens_at=_joined(first.opens_at, second.opens_at),
        row_symbol=_joined(first.row_symbol, second.row_symbol),
        first_row=begins,
        row_opens_at=_joined(first.row_opens_at, second.row_opens_at),
    )


def _joined(first: NDArray[Any] | None, second: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if first is None or second is None else np.concatenate([first, second])
