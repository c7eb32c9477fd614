"""What a session knows about a symbol's liquidity before it opens: trailing volatility and average volume.

Belongs here: the two windows that slippage and impact read. Both leave the session itself out, so they may be used from
its open on.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aegis.backtesting.compilation import compiled
from aegis.errors import ConfigurationError

MIN_WINDOW_SESSIONS: Final = 2
"""A sample standard deviation needs two returns."""


def trailing_sigma(
    close_usd: NDArray[np.float64], *, window_sessions: int, split_ratios: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the sample standard deviation (n - 1) of the last simple close-to-close returns before each session.

    Parameters
    ----------
    close_usd : ndarray of float64, shape (n_sessions, n_symbols)
        Raw closes of consecutive sessions, USD; NaN without a bar.
    window_sessions : int
        Number of returns, 2 or more; the window reaches back one close further.
    split_ratios : ndarray of float64, shape (n_sessions, n_symbols), optional
        New shares for one old, in the session of the ex-date, and 1 elsewhere. Leave it out if prices are adjusted.

    Returns
    -------
    ndarray of float64, shape (n_sessions, n_symbols)
        Fraction a session, not annualised. NaN until the window is full, and while a close of it is missing or not
        positive: a gap is not bridged.

    Raises
    ------
    ConfigurationError
        The window is shorter than two sessions.
    ValueError
        Arrays are not of one two-dimensional shape.

    Notes
    -----
    Row t uses closes through t - 1. Every window is computed from its own values, in one order, so a value does not
    depend on where the range began. Dividends count as part of the move.
    """
    close, ratios = _checked(close_usd, window_sessions, split_ratios)
    sigma: NDArray[np.float64] = _window_deviation(_returns(close, ratios), window_sessions)
    return sigma


def average_daily_volume(
    volume_shares: NDArray[np.float64], *, window_sessions: int, split_ratios: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the mean volume of the last sessions before each session.

    Parameters
    ----------
    volume_shares : ndarray of float64, shape (n_sessions, n_symbols)
        Volumes of consecutive sessions as traded, shares; NaN without a bar.
    window_sessions : int
        Number of sessions, 2 or more.
    split_ratios : ndarray of float64, shape (n_sessions, n_symbols), optional
        New shares for one old, in the session of the ex-date, and 1 elsewhere. Leave it out if volumes are adjusted.

    Returns
    -------
    ndarray of float64, shape (n_sessions, n_symbols)
        Shares of the session itself: earlier volumes are multiplied by the splits since, today's included, which is
        effective at the open. NaN until the window is full, and while a volume of it is missing.

    Raises
    ------
    ConfigurationError
        The window is shorter than two sessions.
    ValueError
        Arrays are not of one two-dimensional shape.

    Notes
    -----
    Row t uses volumes through t - 1. A value does not depend on where the range began.
    """
    volume, ratios = _checked(volume_shares, window_sessions, split_ratios)
    average: NDArray[np.float64] = _window_volume(volume, ratios, window_sessions)
    return average


def _checked(
    values: NDArray[np.float64], window_sessions: int, split_ratios: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if window_sessions < MIN_WINDOW_SESSIONS:
        raise ConfigurationError(
            f"a liquidity window needs {MIN_WINDOW_SESSIONS} sessions or more, found {window_sessions}; make it longer"
        )
    ratios = np.ones(values.shape) if split_ratios is None else split_ratios
    if values.ndim != 2 or ratios.shape != values.shape:  # noqa: PLR2004 - sessions by symbols
        raise ValueError(
            "values and split_ratios must have one shape (n_sessions, n_symbols), found "
            f"{values.shape} and {ratios.shape}; cut both for the same sessions and symbols"
        )
    return np.ascontiguousarray(values, np.float64), np.ascontiguousarray(ratios, np.float64)


@compiled
def _returns(close: NDArray[np.float64], ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return simple returns in the shares of their session, NaN where a close is missing or not positive."""
    returns = np.full(close.shape, np.nan)
    for t in range(1, close.shape[0]):
        for s in range(close.shape[1]):
            if close[t, s] > 0.0 and close[t - 1, s] > 0.0:
                returns[t, s] = close[t, s] * ratios[t, s] / close[t - 1, s] - 1.0
    return returns


@compiled
def _window_deviation(returns: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    sessions, symbols = returns.shape
    deviation = np.full((sessions, symbols), np.nan)
    mean, squares = np.empty(symbols), np.empty(symbols)
    for t in range(window + 1, sessions):
        # Symbols are the innermost loops: the processor does several at once, and each adds up in its one order.
        mean[:] = 0.0
        squares[:] = 0.0
        for k in range(t - window, t):
            for s in range(symbols):
                mean[s] += returns[k, s]
        for s in range(symbols):
            mean[s] /= window
        for k in range(t - window, t):
            for s in range(symbols):
                squares[s] += (returns[k, s] - mean[s]) ** 2
        for s in range(symbols):
            deviation[t, s] = np.sqrt(squares[s] / (window - 1))
    return deviation


@compiled
def _window_volume(volume: NDArray[np.float64], ratios: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    sessions, symbols = volume.shape
    average = np.full((sessions, symbols), np.nan)
    total, since = np.empty(symbols), np.empty(symbols)
    for t in range(window, sessions):
        total[:] = 0.0
        since[:] = 1.0
        for back in range(1, window + 1):
            for s in range(symbols):
                since[s] *= ratios[t - back + 1, s]
                total[s] += volume[t - back, s] * since[s]
        for s in range(symbols):
            average[t, s] = total[s] / window
    return average
