"""Autocorrelation times against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import signal

from aegis.drift.dependence import autocorrelation_time, cautious_time
from aegis.errors import DriftError


def autoregressive(coefficient, size, seed):
    noise = np.random.default_rng(seed).standard_normal(size + 1000)
    return signal.lfilter([1.0], [1.0, -coefficient], noise)[1000:]


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.8])
def test_an_autoregressive_series_has_the_time_of_its_coefficient(coefficient) -> None:
    # The time of an AR(1) is (1 + phi) / (1 - phi); ranks of normal values correlate a little less: 6/pi asin(phi/2).
    lags = np.arange(1, 200)
    expected = 1.0 + 2.0 * float(np.sum(6.0 / math.pi * np.arcsin(coefficient**lags / 2.0)))

    assert autocorrelation_time(autoregressive(coefficient, 100_000, seed=7)) == pytest.approx(expected, rel=0.06)


def test_clustered_volatility_is_dependence_though_the_values_are_uncorrelated() -> None:
    signs = np.random.default_rng(3).choice([-1.0, 1.0], 20_000)
    volatility = np.exp(autoregressive(0.95, 20_000, seed=4) * 0.3)

    assert autocorrelation_time(signs) < 1.5
    assert autocorrelation_time(signs * volatility) > 10.0


def test_any_increasing_transformation_leaves_the_time_as_it_is() -> None:
    series = autoregressive(0.5, 2_000, seed=5)

    assert autocorrelation_time(np.exp(3.0 * series)) == pytest.approx(autocorrelation_time(series), rel=1e-12)


def test_an_alternating_series_counts_no_more_than_its_values() -> None:
    assert autocorrelation_time(np.tile([1.0, -1.0], 100)) == 1.0


def test_a_constant_series_counts_no_more_than_its_values() -> None:
    assert autocorrelation_time(np.ones(100)) == 1.0


def test_the_cautious_time_adds_one_standard_error() -> None:
    # Time 1, summed over 5 lags: sqrt(2 * 11 / 200).
    assert cautious_time(np.tile([1.0, -1.0], 100)) == pytest.approx(1.0 + math.sqrt(22.0 / 200.0), rel=1e-12)


@pytest.mark.parametrize("values", [np.ones(19), np.array([1.0] * 19 + [math.nan]), np.ones((5, 5))])
def test_too_few_or_unknown_values_are_refused(values) -> None:
    with pytest.raises(DriftError, match="series"):
        autocorrelation_time(values)
