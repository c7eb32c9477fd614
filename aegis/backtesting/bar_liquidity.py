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
        session_of_row = np.searchsorted(bars.sessions["first_step"], bars.step_of_row, side="right") - 1
        volumes = _volumes(session_of_row, bars.symbol_of_row, bars.volume, np.full(closes.shape, np.nan))
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
        return sigma[session_of_row, bars.symbol_of_row], average[session_of_row, bars.symbol_of_row]

    def _ratios(self, days: NDArray[np.int64], n_symbols: int) -> NDArray[np.float64]:
        ratios = np.ones((len(days), n_symbols))
        for split in self._splits:
            session = int(np.searchsorted(days, split["day"]))
            if session < len(days) and split["day"] > days[0]:
                ratios[session, split["symbol"]] *= split["ratio"]
        return ratios


@compiled
def _volumes(
    session_of_row: NDArray[np.int64],
    symbol_of_row: NDArray[np.int32],
    volume: NDArray[np.float64],
    total: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Add the volumes of each session and symbol up; NaN where there is no bar."""
    for row in range(len(volume)):
        if not np.isnan(volume[row]):
            i, s = session_of_row[row], symbol_of_row[row]
            total[i, s] = volume[row] if np.isnan(total[i, s]) else total[i, s] + volume[row]
    return total
