"""Population stability by hand, Kolmogorov-Smirnov against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from aegis.drift.distribution_shift import kolmogorov_smirnov, population_stability, population_stability_index
from aegis.errors import DriftError


def test_population_stability_of_two_bins_by_hand() -> None:
    # Two bins of the median: 20 and 20 before, 10 and 30 now, half a value added to each.
    reference = np.arange(40.0)
    current = np.concatenate([np.full(10, 0.0), np.full(30, 39.0)])
    before, now = 20.5 / 41.0, np.array([10.5, 30.5]) / 41.0
    expected = sum((share - before) * math.log(share / before) for share in now)

    assert population_stability_index(reference, current, bins=2) == pytest.approx(expected, rel=1e-12)


def test_population_stability_is_the_sum_of_both_relative_entropies() -> None:
    draw = np.random.default_rng(1)
    reference, current = draw.standard_normal(500), draw.standard_normal(300) + 0.4
    edges = np.quantile(reference, np.arange(0.1, 0.95, 0.1))
    old = np.array([((reference > low) & (reference <= high)).sum() for low, high in _bins(edges)]) + 0.5
    new = np.array([((current > low) & (current <= high)).sum() for low, high in _bins(edges)]) + 0.5
    expected = stats.entropy(new, old) + stats.entropy(old, new)

    assert population_stability_index(reference, current) == pytest.approx(expected, rel=1e-12)


def _bins(edges):
    return zip([-math.inf, *edges], [*edges, math.inf], strict=True)


def test_equal_samples_have_no_index_and_no_distance() -> None:
    values = np.random.default_rng(2).standard_normal(100)

    assert population_stability_index(values, values) == 0.0
    assert kolmogorov_smirnov(values, values).observed == 0.0


def test_many_equal_values_share_a_bin() -> None:
    reference = np.array([0.0] * 90 + [1.0] * 10)

    assert population_stability_index(reference, reference) == 0.0
    assert population_stability_index(reference, np.ones(50)) > 1.0


@pytest.mark.parametrize("sizes", [(504, 63), (100, 100), (60, 20)])
def test_the_distance_is_that_of_scipy(sizes) -> None:
    draw = np.random.default_rng(3)
    reference, current = draw.standard_t(3, sizes[0]), draw.standard_t(3, sizes[1]) + 0.3

    assert kolmogorov_smirnov(reference, current).observed == pytest.approx(
        stats.ks_2samp(reference, current).statistic, rel=1e-12
    )


def test_ties_between_the_samples_are_taken_as_scipy_takes_them() -> None:
    draw = np.random.default_rng(4)
    reference, current = draw.integers(0, 5, 200).astype(float), draw.integers(0, 6, 80).astype(float)

    assert kolmogorov_smirnov(reference, current).observed == pytest.approx(
        stats.ks_2samp(reference, current).statistic, rel=1e-12
    )


def test_the_threshold_of_independent_values_is_smirnovs() -> None:
    # 1.6276 / sqrt(n m / (n + m)) at one percent, Smirnov's table; an alternating series is worth all its values.
    reference, current = np.tile([1.0, -1.0], 250), np.tile([1.0, -1.0], 50)

    assert kolmogorov_smirnov(reference, current, false_alarm_rate=0.01).threshold == pytest.approx(
        1.6276 / math.sqrt(500 * 100 / 600), rel=1e-4
    )


def test_the_threshold_of_the_index_is_a_chi_square_of_its_bins() -> None:
    # Ten bins at one percent: 21.666 with nine degrees of freedom; 1/500 + 1/40 of it.
    reference = np.tile(np.arange(10.0), 50)
    found = population_stability(reference, reference[:40], false_alarm_rate=0.01)

    assert found.threshold >= 21.666 * (1 / 500 + 1 / 40) * 0.9999


def test_a_small_difference_is_not_material_however_sure_it_is() -> None:
    draw = np.random.default_rng(5)
    found = population_stability(draw.standard_normal(20_000), draw.standard_normal(20_000) + 0.1)

    assert found.threshold == 0.1
    assert not found.is_drift


def test_a_shift_of_one_deviation_is_drift_and_told_upwards() -> None:
    draw = np.random.default_rng(6)
    reference, current = draw.standard_normal(504), draw.standard_normal(63) - 1.0

    for found in (population_stability(reference, current), kolmogorov_smirnov(reference, current)):
        assert found.is_drift
        assert found.direction == -1


def test_a_wider_spread_is_drift_though_the_middle_stays() -> None:
    draw = np.random.default_rng(7)

    assert population_stability(draw.standard_normal(504), 4.0 * draw.standard_normal(63)).is_drift


def test_a_series_too_slow_for_its_window_is_not_judged() -> None:
    walk = np.cumsum(np.random.default_rng(8).standard_normal(567))

    for found in (population_stability(walk[:504], walk[504:]), kolmogorov_smirnov(walk[:504], walk[504:])):
        assert (found.is_judged, found.is_drift, found.threshold) == (False, False, math.inf)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, math.nan])
def test_a_false_alarm_rate_outside_its_bounds_is_refused(rate) -> None:
    with pytest.raises(DriftError, match="between 0 and 1"):
        kolmogorov_smirnov(np.arange(50.0), np.arange(50.0), false_alarm_rate=rate)
