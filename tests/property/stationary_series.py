"""Series that do not change, of the kinds that fool detectors, many at a time."""

from __future__ import annotations

import numpy as np
from scipy import signal

WARM_UP = 500


def _independent(draw, runs, length):
    return draw.standard_normal((runs, length))


def _heavy_tailed(draw, runs, length):
    return draw.standard_t(3, (runs, length))


def _skewed(draw, runs, length):
    return np.exp(draw.standard_normal((runs, length)))


def _autoregressive(coefficient, noise):
    return signal.lfilter([1.0], [1.0, -coefficient], noise, axis=1)[:, WARM_UP:]


def _autocorrelated(draw, runs, length):
    return _autoregressive(0.5, draw.standard_normal((runs, length + WARM_UP)))


def _slow(draw, runs, length):
    return _autoregressive(0.9, draw.standard_normal((runs, length + WARM_UP)))


def _autocorrelated_heavy_tailed(draw, runs, length):
    return _autoregressive(0.5, draw.standard_t(4, (runs, length + WARM_UP)))


def _clustered_volatility(draw, runs, length):
    noise = draw.standard_normal((length + WARM_UP, runs))
    variance, found = np.ones(runs), np.empty((length + WARM_UP, runs))
    for step in range(length + WARM_UP):
        found[step] = np.sqrt(variance) * noise[step]
        variance = 0.02 + 0.08 * found[step] ** 2 + 0.90 * variance
    return found[WARM_UP:].T


KINDS = {
    "independent": _independent,
    "heavy tailed (t, 3)": _heavy_tailed,
    "skewed (lognormal)": _skewed,
    "autocorrelated (0.5)": _autocorrelated,
    "slow (0.9)": _slow,
    "autocorrelated and heavy tailed": _autocorrelated_heavy_tailed,
    "clustered volatility (GARCH)": _clustered_volatility,
}


def stationary(kind: str, *, runs: int, length: int, seed: int) -> np.ndarray:
    """Return `runs` series of one kind, each a row."""
    return KINDS[kind](np.random.default_rng([seed, list(KINDS).index(kind)]), runs, length)
