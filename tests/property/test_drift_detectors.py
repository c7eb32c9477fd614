"""How often detectors alarm when nothing changed, and how soon they do when something did, at their default settings.

One year is watched against two before it; the windows of whole distributions are one quarter.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from aegis.drift.dependence import cautious_time
from aegis.drift.distribution_shift import distribution_measures, kolmogorov_smirnov, population_stability
from aegis.drift.mean_shift import cusum
from aegis.drift.outliers import outlier
from aegis.drift.performance_band import sequential_mean
from tests.property.stationary_series import KINDS, stationary

SEED = 20_260_604
REFERENCE, QUARTER, YEAR = 504, 63, 252
WATCHED = {
    population_stability: QUARTER,
    kolmogorov_smirnov: QUARTER,
    cusum: YEAR,
    sequential_mean: YEAR,
    outlier: YEAR,
}
HIGHEST_FALSE_ALARM_RATE = 0.05
MOST_OF_FORTY = 6
"""Alarms of 40 that a rate of 5 % passes with a probability below 1 %: the sample of a default run proves no rate."""

# Detector, planted shift in deviations, least share noticed, largest median delay in sessions (None: the window).
PLANTED = [
    (population_stability, 1.0, 0.95, None),
    (kolmogorov_smirnov, 1.0, 0.95, None),
    (cusum, 1.0, 0.95, 45),
    (cusum, 2.0, 0.99, 20),
    (sequential_mean, 0.5, 0.90, 120),
    (sequential_mean, 1.0, 0.99, 50),
]


def alarms(detector, series):
    watched = WATCHED[detector]
    return [detector(row[:REFERENCE], row[REFERENCE : REFERENCE + watched]) for row in series]


def false_alarm_rate(detector, kind, runs):
    series = stationary(kind, runs=runs, length=REFERENCE + YEAR, seed=SEED)
    return float(np.mean([found.is_drift for found in alarms(detector, series)]))


def noticed(detector, kind, shift, runs):
    """Return the share of planted shifts that were noticed, and the median delay of those in sessions."""
    series = stationary(kind, runs=runs, length=REFERENCE + YEAR, seed=SEED + 1)
    series[:, REFERENCE:] -= shift * series[:, :REFERENCE].std(axis=1, keepdims=True)
    found = [measure for measure in alarms(detector, series) if measure.is_drift and measure.direction == -1]
    return len(found) / runs, float(np.median([measure.at + 1 for measure in found])) if found else np.inf


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("detector", list(WATCHED), ids=lambda detector: detector.__name__)
def test_unchanged_series_seldom_alarm(detector, kind) -> None:
    assert round(40 * false_alarm_rate(detector, kind, runs=40)) <= MOST_OF_FORTY


@pytest.mark.parametrize(("detector", "shift", "share", "delay"), PLANTED)
def test_a_planted_shift_is_noticed(detector, shift, share, delay) -> None:
    found, median = noticed(detector, "independent", shift, runs=40)

    assert found >= share
    assert delay is None or median <= delay


@pytest.mark.parametrize("kind", ["independent", "heavy tailed (t, 3)"])
def test_one_delivery_beyond_all_seen_is_noticed_at_once(kind) -> None:
    series = stationary(kind, runs=20, length=REFERENCE + YEAR, seed=SEED + 2)
    series[:, REFERENCE + 10] = 10.0 * np.abs(series[:, :REFERENCE]).max(axis=1)
    found = alarms(outlier, series)

    assert [(measure.is_drift, measure.at) for measure in found] == [(True, 10)] * 20


def alarms_of_slow_series(runs):
    """Count alarms at a rate of 0.001 of autoregressions with 0.98, dependence taken from 1,000 values before."""
    noise = np.random.default_rng(SEED + 3).standard_normal((runs, 3_000))
    series = signal.lfilter([1.0], [1.0, -0.98], noise, axis=1)[:, -1_252:]
    found = [
        distribution_measures(
            row[-YEAR - REFERENCE : -YEAR], row[-YEAR:], time=cautious_time(row[:-YEAR]), false_alarm_rate=0.001
        )
        for row in series
    ]
    return sum(stability.is_drift or distance.is_drift for stability, distance in found)


def test_a_slow_series_that_did_not_change_does_not_alarm() -> None:
    assert alarms_of_slow_series(runs=40) == 0


@pytest.mark.long
def test_slow_series_that_did_not_change_alarm_in_less_than_half_a_percent_of_a_thousand() -> None:
    assert alarms_of_slow_series(runs=1_000) < 5


@pytest.mark.long
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("detector", list(WATCHED), ids=lambda detector: detector.__name__)
def test_unchanged_series_alarm_in_at_most_five_percent_of_a_thousand(detector, kind) -> None:
    rate = false_alarm_rate(detector, kind, runs=1000)

    assert rate <= HIGHEST_FALSE_ALARM_RATE


@pytest.mark.long
@pytest.mark.parametrize("kind", ["independent", "heavy tailed (t, 3)"])
@pytest.mark.parametrize(("detector", "shift", "share", "delay"), PLANTED)
def test_planted_shifts_are_noticed_in_a_thousand(detector, shift, share, delay, kind) -> None:
    found, median = noticed(detector, kind, shift, runs=1000)

    assert found >= share
    assert delay is None or median <= delay
