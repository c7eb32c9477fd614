"""How much a series repeats itself, and so how many independent values it is worth.

Belongs here: the one estimate of dependence that every detector corrects itself by. Tests that count each session as
new evidence alarm on every series that moves slowly.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from aegis.drift.measures import FloatArray, finite_values

MINIMUM_VALUES = 20
_WINDOW = 5.0


def autocorrelation_time(values: ArrayLike) -> float:
    """Return the integrated autocorrelation time of ranks, in sessions; 1 for independent values.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        Oldest first, at least 20.

    Returns
    -------
    float
        A series of n values says as much of its distribution as n / time independent ones. Never below 1.

    Raises
    ------
    DriftError
        There are fewer than 20 values, or one is not finite.

    Notes
    -----
    The larger of two times: of the ranks, which follow the level, and of their distances from the middle, which follow
    the volatility, so that clustered volatility is dependence too. Ranks make it indifferent to heavy tails. The sum
    ends at the first lag that is five times the time found so far.

    References
    ----------
    Sokal (1997), Monte Carlo methods in statistical mechanics, section 3: the window of self-consistency, c = 5.
    """
    series = finite_values(values, "series", minimum=MINIMUM_VALUES)
    ranks = _ranks(series)
    return max(_time(ranks), _time(np.abs(ranks - 0.5)))


def cautious_time(values: ArrayLike) -> float:
    """Return the autocorrelation time plus one standard error of its estimate, which is what detectors use.

    Notes
    -----
    The error grows with the time itself: a series that moves slowly is not known to move only that slowly.

    References
    ----------
    Madras and Sokal (1988), Journal of Statistical Physics 50, equation E.19: variance 2 (2 M + 1) / n of the relative
    error, for a sum over M lags.
    """
    size = np.size(values)
    time = autocorrelation_time(values)
    lags = max(_WINDOW * time, 1.0)
    return time * (1.0 + math.sqrt(2.0 * (2.0 * lags + 1.0) / size))


def _ranks(series: FloatArray) -> FloatArray:
    """Return ranks scaled to (0, 1); equal values share the average of theirs."""
    _, position, counts = np.unique(series, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - 0.5 * counts)[position] / series.size
    return ranks


def _time(values: FloatArray) -> float:
    centred = values - values.mean()
    variance = float(centred @ centred)
    if variance <= 0.0:
        return 1.0
    length = values.size
    spectrum = np.fft.rfft(centred, 2 * length)
    correlations = np.fft.irfft(spectrum * np.conj(spectrum))[:length] / variance
    times = 2.0 * np.cumsum(correlations) - 1.0
    lags = np.arange(length)
    closed = np.flatnonzero(lags >= _WINDOW * times)
    last = int(closed[0]) if closed.size else length - 1
    return max(float(times[last]), 1.0)
