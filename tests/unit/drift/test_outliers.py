"""Single values against everything seen, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aegis.drift.outliers import outlier
from aegis.errors import DriftError

REFERENCE = np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], 20)
"""Median 0, median distance 1, largest distance 2."""


@pytest.mark.parametrize(("value", "is_outlier"), [(11.86, False), (11.87, True), (-11.87, True)])
def test_a_value_beyond_eight_robust_deviations_is_one(value, is_outlier) -> None:
    found = outlier(REFERENCE, [0.0, value])

    assert found.threshold == pytest.approx(8 * 1.4826)
    assert found.is_drift is is_outlier
    assert (found.at, found.direction, found.observed) == (1, math.copysign(1, value), abs(value))


@pytest.mark.parametrize(("value", "is_outlier"), [(29.9, False), (30.1, True)])
def test_a_heavy_tail_must_be_passed_by_three_times(value, is_outlier) -> None:
    reference = REFERENCE.copy()
    reference[0] = 10.0

    assert outlier(reference, [value]).is_drift is is_outlier


def test_a_reference_that_never_changed_makes_any_change_an_outlier() -> None:
    assert outlier(np.full(100, 500.0), [499.0]).is_drift
    assert not outlier(np.full(100, 500.0), [500.0]).is_drift


@pytest.mark.parametrize("setting", [{"robust_deviations": 0.0}, {"beyond_all_seen": -1.0}])
def test_settings_out_of_bounds_are_refused(setting) -> None:
    with pytest.raises(DriftError, match="outlier"):
        outlier(REFERENCE, [0.0], **setting)


def test_an_unknown_value_is_refused() -> None:
    with pytest.raises(DriftError, match="current: value nan at position 1"):
        outlier(REFERENCE, [0.0, math.nan])
