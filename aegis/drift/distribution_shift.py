"""Whether current values come from the distribution of the reference: population stability, Kolmogorov-Smirnov.

Belongs here: the two measures of whole distributions. A slow shift of the mean alone is seen earlier by
:mod:`aegis.drift.mean_shift`.

Notes
-----
Both are judged at a false-alarm rate, with the values counted for as many as they are worth
(:mod:`aegis.drift.dependence`). The customary bounds of population stability (0.1, 0.25) know no sample size: with 63
values of ten bins an unchanged series passes 0.1 in most windows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from aegis.drift.dependence import MINIMUM_VALUES, autocorrelation_time
from aegis.drift.measures import DriftMeasure, FloatArray, finite_values
from aegis.errors import DriftError

POPULATION_STABILITY = "population stability"
KOLMOGOROV_SMIRNOV = "kolmogorov smirnov"

BINS = 10
MATERIAL_STABILITY_INDEX = 0.1
"""Below it a difference is too small to act on, however sure it is."""
FALSE_ALARM_RATE = 0.01
LEAST_INDEPENDENT = 8.0
"""Independent values below which a window says nothing of its distribution."""


def population_stability_index(reference: ArrayLike, current: ArrayLike, *, bins: int = BINS) -> float:
    """Return the population stability index: the symmetrised relative entropy of two histograms.

    Parameters
    ----------
    reference, current : array_like of float, shapes (n,) and (m,)
        At least 20 of each.
    bins : int
        Quantile bins of the reference; equal neighbours are merged.

    Notes
    -----
    Each bin has half a value added, so that an empty one does not make the index infinite.

    References
    ----------
    Siddiqi (2006), Credit Risk Scorecards, chapter 8: sum over bins of (current - reference) ln(current / reference).
    """
    old = finite_values(reference, "reference", minimum=MINIMUM_VALUES)
    new = finite_values(current, "current", minimum=MINIMUM_VALUES)
    return _index(*_shares(old, new, bins))


def population_stability(
    reference: ArrayLike, current: ArrayLike, *, false_alarm_rate: float = FALSE_ALARM_RATE, bins: int = BINS
) -> DriftMeasure:
    """Judge the population stability index.

    Parameters
    ----------
    reference, current : array_like of float, shapes (n,) and (m,)
        Oldest first, at least 20 of each.
    false_alarm_rate : float
        Share of unchanged windows that may alarm.
    bins : int
        Quantile bins of the reference.

    Raises
    ------
    DriftError
        Values are too few or not finite, or the rate is not between 0 and 1.

    Notes
    -----
    Of unchanged values the index is about (1/n + 1/m) times a chi-square with bins - 1 degrees of freedom.

    References
    ----------
    Yurdakul (2018), Statistical properties of population stability index, chapter 3.
    """
    old, new = _both(reference, current, false_alarm_rate)
    return _stability(old, new, autocorrelation_time(old), false_alarm_rate, bins)


def kolmogorov_smirnov(
    reference: ArrayLike, current: ArrayLike, *, false_alarm_rate: float = FALSE_ALARM_RATE
) -> DriftMeasure:
    """Judge the largest distance between two empirical distributions.

    Parameters
    ----------
    reference, current : array_like of float, shapes (n,) and (m,)
        Oldest first, at least 20 of each.
    false_alarm_rate : float
        Share of unchanged windows that may alarm.

    Raises
    ------
    DriftError
        Values are too few or not finite, or the rate is not between 0 and 1.

    References
    ----------
    Smirnov (1948), Annals of Mathematical Statistics 19: the limiting distribution, at n m / (n + m) values; divided
    here by the autocorrelation time.
    """
    old, new = _both(reference, current, false_alarm_rate)
    return _distance(old, new, autocorrelation_time(old), false_alarm_rate)


def distribution_measures(
    reference: ArrayLike, current: ArrayLike, *, time: float, false_alarm_rate: float = FALSE_ALARM_RATE
) -> tuple[DriftMeasure, DriftMeasure]:
    """Return both measures of a series whose dependence on itself is known from a longer history.

    Parameters
    ----------
    reference, current : array_like of float, shapes (n,) and (m,)
        Oldest first, at least 20 of each.
    time : float
        Sessions that one independent value takes: :func:`~aegis.drift.dependence.cautious_time` of the history.
    false_alarm_rate : float
        Share of unchanged windows that may alarm, for each of the two.

    Raises
    ------
    DriftError
        Values are too few or not finite, or the rate is not between 0 and 1.

    Notes
    -----
    Of a slow series a reference alone often shows too little dependence: of autoregressions with 0.98, whose values are
    worth a hundredth each, one in forty alarmed at a rate of 0.001. With the cautious time of 1,000 values before,
    none of 400 did.
    """
    old, new = _both(reference, current, false_alarm_rate)
    return _stability(old, new, time, false_alarm_rate, BINS), _distance(old, new, time, false_alarm_rate)


def _both(reference: ArrayLike, current: ArrayLike, rate: float) -> tuple[FloatArray, FloatArray]:
    if not 0.0 < rate < 1.0:
        raise DriftError(f"false-alarm rate {rate}: expected a number between 0 and 1; correct the setting")
    old = finite_values(reference, "reference", minimum=MINIMUM_VALUES)
    return old, finite_values(current, "current", minimum=MINIMUM_VALUES)


def _stability(old: FloatArray, new: FloatArray, time: float, rate: float, bins: int) -> DriftMeasure:
    old_share, new_share = _shares(old, new, bins)
    index = _index(old_share, new_share)
    chance = time * (1.0 / old.size + 1.0 / new.size) * float(special.chdtri(max(len(old_share) - 1, 1), rate))
    return _judged(POPULATION_STABILITY, index, max(chance, MATERIAL_STABILITY_INDEX), old, new, time)


def _distance(old: FloatArray, new: FloatArray, time: float, rate: float) -> DriftMeasure:
    both = np.concatenate([old, new])
    below_old = np.searchsorted(np.sort(old), both, side="right") / old.size
    below_new = np.searchsorted(np.sort(new), both, side="right") / new.size
    distance = float(np.max(np.abs(below_old - below_new)))
    values = old.size * new.size / (old.size + new.size) / time
    threshold = float(special.kolmogi(rate)) / math.sqrt(values)
    return _judged(KOLMOGOROV_SMIRNOV, distance, threshold, old, new, time)


def _judged(
    detector: str, observed: float, threshold: float, old: FloatArray, new: FloatArray, time: float
) -> DriftMeasure:
    is_judged = new.size / time >= LEAST_INDEPENDENT
    higher = float(np.median(new)) - float(np.median(old))
    return DriftMeasure(
        detector=detector,
        observed=observed,
        threshold=threshold if is_judged else math.inf,
        is_drift=is_judged and observed > threshold,
        is_judged=is_judged,
        at=new.size - 1,
        direction=int(np.sign(higher)),
    )


def _index(old_share: FloatArray, new_share: FloatArray) -> float:
    return float(np.sum((new_share - old_share) * np.log(new_share / old_share)))


def _shares(old: FloatArray, new: FloatArray, bins: int) -> tuple[FloatArray, FloatArray]:
    """Return each bin's share of the reference and of the current values."""
    edges = np.unique(np.quantile(old, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    return _share(old, edges), _share(new, edges)


def _share(values: FloatArray, edges: FloatArray) -> FloatArray:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=edges.size + 1) + 0.5
    shares: FloatArray = counts / counts.sum()
    return shares
