"""Trailing volatility and volume beside each bar, over chunks.

Belongs here: cutting bars into sessions for the windows of :mod:`aegis.backtesting.liquidity`, and laying a session's
numbers beside all its bars.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.bars import Bars
from aegis.backtesting.compilation import compiled
from aegis.backtesting.kernel.codes import ActionKind
from aegis.backtesting.liquidity import average_daily_volume, trailing_sigma
from aegis.backtesting.session_marks import session_closes

Columns = tuple[NDArray[np.float64], NDArray[np.float64]]


class TrailingLiquidity:
    """The windows of consecutive chunks.

    Parameters
    ----------
    window_sessions : int
        Sessions before each session.
    actions : ndarray of ACTION
        Its splits put earlier volumes and closes into today's shares.
    """

    def __init__(self, window_sessions: int, actions: NDArray[np.void]) -> None:
        self._window = window_sessions
        self._splits = actions[actions["kind"] == ActionKind.SPLIT]
        self._closes: NDArray[np.float64] | None = None
        self._volumes: NDArray[np.float64] | None = None
        self._days: NDArray[np.int64] = np.zeros(0, np.int64)

    def beside(self, bars: Bars) -> Columns:
        """Return daily volatility (a fraction) and average daily volume (shares) for each row of the next chunk.

        Notes
        -----
        A session's numbers come from the sessions before it; they are NaN until the window is full.
        """
        n = len(bars.symbols)
        closes = session_closes(
            bars.close,
            session_first_steps=bars.sessions["first_step"],
            n_symbols=n,
            row_symbol=bars.row_symbol,
            first_row=bars.first_row,
        )
        row_symbol = np.zeros(0, np.int32) if bars.row_symbol is None else bars.row_symbol
        volumes = _volumes(bars.volume, bars.first_row_of_session, row_symbol, n)
        days = bars.sessions["day"][:-1].astype(np.int64)
        known = 0
        if self._closes is not None and self._volumes is not None:
            known = len(self._closes)
            closes, volumes = np.vstack([self._closes, closes]), np.vstack([self._volumes, volumes])
            days = np.r_[self._days, days]
        ratios = self._ratios(days, n)
        sigma = trailing_sigma(closes, window_sessions=self._window, split_ratios=ratios)[known:]
        average = average_daily_volume(volumes, window_sessions=self._window, split_ratios=ratios)[known:]
        kept = self._window + 1
        self._closes, self._volumes, self._days = closes[-kept:], volumes[-kept:], days[-kept:]
        return _beside_rows(sigma, bars), _beside_rows(average, bars)

    def _ratios(self, days: NDArray[np.int64], n_symbols: int) -> NDArray[np.float64]:
        ratios = np.ones((len(days), n_symbols))
        for split in self._splits:
            session = int(np.searchsorted(days, split["day"]))
            if session < len(days) and split["day"] > days[0]:
                ratios[session, split["symbol"]] *= split["ratio"]
        return ratios


def _beside_rows(by_session: NDArray[np.float64], bars: Bars) -> NDArray[np.float64]:
    """Lay a number of each session and symbol beside its rows."""
    if bars.row_symbol is None:
        steps = np.diff(bars.sessions["first_step"])
        by_step = by_session if len(by_session) == bars.n_steps else np.repeat(by_session, steps, axis=0)
        return by_step.reshape(-1)
    session_of_row = np.repeat(np.arange(len(by_session)), np.diff(bars.first_row_of_session))
    return by_session[session_of_row, bars.row_symbol]


@compiled
def _volumes(
    volume: NDArray[np.float64], first_rows: NDArray[np.int64], row_symbol: NDArray[np.int32], n_symbols: int
) -> NDArray[np.float64]:
    """Add the volumes of each session and symbol up; NaN where there is no bar. No `row_symbol` is the dense layout."""
    total = np.full((len(first_rows) - 1, n_symbols), np.nan)
    for i in range(len(first_rows) - 1):
        s = 0
        for row in range(first_rows[i], first_rows[i + 1]):
            if len(row_symbol) > 0:
                s = row_symbol[row]
            if not np.isnan(volume[row]):
                total[i, s] = volume[row] if np.isnan(total[i, s]) else total[i, s] + volume[row]
            s = s + 1 if s + 1 < n_symbols else 0
    return total
