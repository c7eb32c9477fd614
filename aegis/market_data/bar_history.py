"""Each bar beside the bars before it: robust volatility, spikes that revert, copies of yesterday, unusual volume.

Belongs here: the columns on which the gate's checks of a bar's past rest, beside those of
:mod:`aegis.market_data.price_jumps`. Bounds that a person may set are settings; the verdict is the expectations'.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.config_quality import QualitySettings
from aegis.market_data.jump_causes import suspected_causes
from aegis.market_data.windows import window_count, window_median

WINDOW_SESSIONS = 28
"""Returns and volumes that a bar is compared with: with the return and the two closes before them, the look-back."""

FEWEST_OBSERVATIONS = 15
"""Fewer of them say nothing about what is usual."""

NORMAL_MAD = 1.4826
"""Makes a median absolute deviation the standard deviation of a normal distribution (Rousseeuw and Croux, 1993)."""

LEAST_VOLATILITY = 0.002
"""Robust volatility that is never gone below: halts and thin names have medians of zero."""

LEAST_OUTLIER = 0.1
"""Absolute log return below which no move is looked at, however calm the symbol was."""

SPIKE_ROBUST_VOLATILITIES = 6.0
"""Robust volatilities that both legs of a spike exceed, whenever it is taken back."""

REVERTED_ROBUST_VOLATILITIES = 3.0
"""Robust volatilities within which the second leg of such a spike ends at the level before the first."""

REOPENED_ROBUST_VOLATILITIES = 4.0
"""Robust volatilities that the mean leg of a spike exceeds if the next open is back already. A wrong price is gone with
the next quote, a true overreaction is not: BAC closed 29 % lower at 5.10 on 2009-01-20, opened at 5.53 and closed at
6.62."""

REOPENED_SHARE = 0.5
"""Share of the mean leg within which open and close after a spike stand at the level before it."""

_ROWS_AT_ONCE = 64
_PRICES = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd")

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def bars_in_history(
    bars: pd.DataFrame, context: pd.DataFrame, *, days: npt.NDArray[np.datetime64], settings: QualitySettings
) -> pd.DataFrame:
    """Return what the sessions before each bar say about it.

    Parameters
    ----------
    bars : DataFrame
        One bar for each session and symbol (:func:`~aegis.market_data.price_jumps.one_close_each`), look-back included.
    context : DataFrame
        What :func:`~aegis.market_data.price_jumps.closes_in_context` returned for them, row by row.
    days : ndarray of datetime64[D]
        Sessions, look-back included, ascending.
    settings : QualitySettings
        ``spike_log_return``, ``stale_repeat_sessions`` and those of
        :func:`~aegis.market_data.jump_causes.suspected_causes`.

    Returns
    -------
    DataFrame
        ``session``, ``symbol``, ``suspected_cause`` (words, null unless a jump looks like an error), ``robust_move``
        (unexplained move in robust volatilities; 0 below 0.1), ``reverted_spike``, ``repeated_bar`` and
        ``moved_without_volume`` (words, null where all is well), ``frozen_bars`` (bars with these four prices in a row,
        counted up to the setting) and ``dollar_volume_multiple`` (close × volume over its median). Numbers are NaN
        where fewer than 15 of the 28 sessions before are there.

    Notes
    -----
    Known when: a bar's row rests on its own session and the 30 before it, and on nothing later. That a close was a
    spike is known when the next one takes it back, and is said of that one. Returns are those from one session to the
    next after splits and dividends that were known with the bar; over a missing bar there is none. A close that was
    suspected in its own session is not said again.
    """
    cells = _Cells(bars, days)
    returned = cells.panel(context["one_session_log_return"].to_numpy())
    volatility = np.maximum(NORMAL_MAD * _median_before(np.abs(returned)), LEAST_VOLATILITY)
    volume = cells.panel(bars["volume_shares"].to_numpy())
    prices = [cells.panel(bars[name].to_numpy()) for name in _PRICES]
    ranged = (prices[1] > prices[2]) & (volume > 0)
    unchanged = ranged & np.logical_and.reduce([price == _shifted(price, 1) for price in prices])
    with np.errstate(over="ignore"):  # of what no bar can hold, which is judged by price and volume
        dollars = prices[3] * volume
    usual = _median_before(np.where(dollars > 0, dollars, np.nan))
    move = np.abs(context["unexplained_log_return"].to_numpy())
    multiple = cells.rows(np.where(dollars > 0, dollars, np.nan) / usual)
    moves = context[["unexplained_log_return", "overnight_log_return"]].assign(
        close_raw_usd=bars["close_raw_usd"].to_numpy(),
        robust_volatility=cells.rows(volatility),
        dollar_volume_multiple=multiple,
    )
    causes = suspected_causes(moves, settings=settings)
    suspected = cells.panel(pd.notna(causes).astype(np.float64)) > 0
    overnight = cells.panel(context["overnight_log_return"].to_numpy())
    spiked = _reverted(returned, overnight, volatility, smallest=settings.spike_log_return) & ~_told_before(suspected)
    return bars[["session", "symbol"]].assign(
        suspected_cause=causes,
        robust_move=np.where(move < LEAST_OUTLIER, 0.0, move / cells.rows(volatility)),
        reverted_spike=cells.said(spiked, lambda day, column: _spike_words(prices[3], volatility, day, column)),
        repeated_bar=cells.said(
            unchanged & (volume == _shifted(volume, 1)), lambda day, column: _copy_words(prices[3], volume, day, column)
        ),
        frozen_bars=cells.rows(_run(unchanged, settings.stale_repeat_sessions)),
        dollar_volume_multiple=multiple,
        moved_without_volume=cells.said(
            (volume == 0) & (prices[1] > prices[2]) & ~np.isnan(usual),
            lambda day, column: (
                f"high {prices[1][day, column]:.6g} and low {prices[2][day, column]:.6g} USD differ at a volume of 0"
            ),
        ),
    )


class _Cells:
    """The rows of a long table as cells of sessions by symbols."""

    def __init__(self, bars: pd.DataFrame, days: npt.NDArray[np.datetime64]) -> None:
        self._column, symbols = pd.factorize(bars["symbol"])
        self._day = np.searchsorted(days, bars["session"].to_numpy(dtype="datetime64[D]"))
        self._shape = len(days), len(symbols)

    def panel(self, values: Floats) -> Floats:
        cells = np.full(self._shape, np.nan)
        cells[self._day, self._column] = values
        return cells

    def rows(self, cells: Floats) -> Floats:
        values: Floats = cells[self._day, self._column]
        return values

    def said(self, flags: Flags, words: Callable[[int, int], str]) -> npt.NDArray[np.object_]:
        said: npt.NDArray[np.object_] = np.full(len(self._day), None, dtype=object)
        for row in np.flatnonzero(flags[self._day, self._column]):
            said[row] = words(int(self._day[row]), int(self._column[row]))
        return said


def _median_before(values: Floats) -> Floats:
    """Return for each cell the median of the 28 sessions before it; NaN where fewer than 15 are there."""
    padded = np.vstack([np.full((WINDOW_SESSIONS, values.shape[1]), np.nan), values])
    medians = np.empty_like(values)
    for start in range(0, len(values), _ROWS_AT_ONCE):
        rows = min(_ROWS_AT_ONCE, len(values) - start)
        medians[start : start + rows] = window_median(
            padded[start : start + WINDOW_SESSIONS + rows - 1], WINDOW_SESSIONS, rows=rows
        )
    counts = window_count(~np.isnan(padded), WINDOW_SESSIONS, rows=len(values), lag=1)
    return np.where(counts >= FEWEST_OBSERVATIONS, medians, np.nan)


def _shifted(cells: Floats, sessions: int) -> Floats:
    earlier = np.full_like(cells, np.nan)
    earlier[sessions:] = cells[: len(cells) - sessions]
    return earlier


def _reverted(returned: Floats, overnight: Floats, volatility: Floats, *, smallest: float) -> Flags:
    """Return where a close takes back the move of the close before: at the open already, or by far and entirely."""
    before, usual = _shifted(returned, 1), _shifted(volatility, 1)
    legs, left = np.abs(np.stack([before, returned])), np.abs(before + returned)
    size = legs.mean(axis=0)
    near = REOPENED_SHARE * size
    is_large = (size >= smallest) & (size >= REOPENED_ROBUST_VOLATILITIES * usual)
    reopened = is_large & (left <= near) & (np.abs(before + overnight) <= near)
    least = legs.min(axis=0)
    entirely = (least >= smallest) & (least >= SPIKE_ROBUST_VOLATILITIES * usual)
    entirely &= left <= REVERTED_ROBUST_VOLATILITIES * usual
    spiked: Flags = (before * returned < 0) & (reopened | entirely)
    return spiked


def _told_before(suspected: Flags) -> Flags:
    """Return whether the session before was suspected in its own right."""
    told = np.zeros_like(suspected)
    told[1:] = suspected[:-1]
    return told


def _run(unchanged: Flags, longest: int) -> Floats:
    """Return how many bars in a row have the same prices, this one included, counted up to `longest`."""
    run, unbroken = np.ones(unchanged.shape), unchanged.copy()
    for back in range(1, longest):
        run += unbroken
        earlier = np.zeros_like(unchanged)
        earlier[back:] = unchanged[: len(unchanged) - back]
        unbroken &= earlier
    return run


def _spike_words(close: Floats, volatility: Floats, day: int, column: int) -> str:
    older, spike, now = close[day - 2 : day + 1, column]
    return (
        f"the close {spike:.6g} USD of the session before is {spike / older:.3g} x the close {older:.6g} before it, "
        f"and {now:.6g} takes that back (robust volatility {volatility[day - 1, column]:.2%}): it looks like a "
        "wrong price"
    )


def _copy_words(close: Floats, volume: Floats, day: int, column: int) -> str:
    return (
        f"open, high, low, close {close[day, column]:.6g} USD and volume {volume[day, column]:.6g} are those of the "
        "session before"
    )
