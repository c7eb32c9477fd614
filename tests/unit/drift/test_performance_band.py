"""The sequential test against the integral that defines it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from aegis.drift.performance_band import sequential_mean
from aegis.errors import DriftError
from tests.unit.drift.test_mean_shift import ALTERNATING, SCALE


@pytest.mark.parametrize("count", [1, 20, 200])
def test_the_ratio_is_the_likelihood_mixed_over_normal_shifts(count) -> None:
    live = np.full(count, -0.4)
    total = -0.4 * count / SCALE

    def mixed(shift):
        return stats.norm.pdf(shift, scale=0.1) * math.exp(shift * total - 0.5 * count * shift**2)

    expected, _ = integrate.quad(mixed, -2.0, 2.0, points=[0.0], limit=500, epsabs=1e-14)
    found = sequential_mean(ALTERNATING, live, band_confidence=0.0)

    assert found.observed == pytest.approx(expected, rel=1e-8)


def test_the_band_is_taken_off_before_the_sum_counts() -> None:
    # One standard error of the expected mean is 1 / sqrt(200) of a deviation: live results just inside say nothing.
    inside = -0.99 / math.sqrt(200) * SCALE
    found = sequential_mean(ALTERNATING, np.full(2_000, inside), band_confidence=1.0)

    assert found.observed <= 1.0
    assert sequential_mean(ALTERNATING, np.full(2_000, 10 * inside), band_confidence=1.0).is_drift


def test_results_far_below_the_band_alarm_early_and_downwards() -> None:
    found = sequential_mean(ALTERNATING, np.full(100, -0.8))

    assert found.is_drift
    assert found.direction == -1
    assert found.threshold == 20.0
    assert found.at < 60


def test_an_alarm_stays_though_later_results_make_up_for_it() -> None:
    live = np.concatenate([np.full(80, -0.8), np.full(80, 0.8)])

    assert sequential_mean(ALTERNATING, live).is_drift
    assert sequential_mean(ALTERNATING, live).at == sequential_mean(ALTERNATING, live[:80]).at


@pytest.mark.parametrize("setting", [{"false_alarm_rate": 0.0}, {"band_confidence": -1.0}, {"mixture": 0.0}])
def test_settings_out_of_bounds_are_refused(setting) -> None:
    with pytest.raises(DriftError, match="sequential mean"):
        sequential_mean(ALTERNATING, [0.0], **setting)
