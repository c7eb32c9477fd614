"""The CUSUM against its recursion and its published run length."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aegis.drift.mean_shift import cusum, standardised, threshold
from aegis.errors import DriftError

ALTERNATING = np.tile([1.0, -1.0], 100)
SCALE = math.sqrt(200 / 199) * math.sqrt(1.0 + math.sqrt(22.0 / 200.0))
"""Deviation of the alternating series, and the caution about its dependence."""


def test_the_sums_are_those_of_pages_recursion() -> None:
    current = np.random.default_rng(1).uniform(-1.5, 2.0, 50)
    up = down = 0.0
    highest = 0.0
    for value in current / SCALE:
        up, down = max(0.0, up + value - 0.25), max(0.0, down - value - 0.25)
        highest = max(highest, up, down)

    assert cusum(ALTERNATING, current).observed == pytest.approx(highest, rel=1e-12)


def test_the_height_gives_the_published_run_length() -> None:
    # k = 0.5, h = 5: a two-sided run of 465 in Montgomery's tables, 938.2 one-sided by Siegmund's approximation.
    horizon = 100
    rate = 1.0 - math.exp(-horizon / 465.0)

    assert threshold(10**12, allowance=0.5, horizon_sessions=horizon, false_alarm_rate=rate) == pytest.approx(
        5.0, abs=0.02
    )


def test_a_short_reference_asks_for_a_higher_chart() -> None:
    assert threshold(60) > threshold(252) > threshold(504) > threshold(5_000)


def test_a_lasting_shift_is_noticed_with_its_direction_and_session() -> None:
    current = np.concatenate([ALTERNATING[:50], ALTERNATING[:150] - 2.0])
    found = cusum(ALTERNATING, current)

    assert found.is_drift
    assert found.direction == -1
    assert 50 < found.at < 80


def test_one_outlier_is_no_shift() -> None:
    current = ALTERNATING.copy()
    current[100] = 1e9

    assert not cusum(ALTERNATING, current).is_drift


def test_values_are_cut_at_their_own_deviations() -> None:
    moved = standardised(ALTERNATING, np.array([1e9, -1e9, 0.0]), clip=3.0)

    assert moved == pytest.approx([3.0 / _own_scale(), -3.0 / _own_scale(), 0.0], abs=1e-12)


def _own_scale() -> float:
    return math.sqrt(1.0 + math.sqrt(22.0 / 200.0))


def test_a_reference_that_never_moves_is_refused() -> None:
    with pytest.raises(DriftError, match="all 60 values are 5; a series that never moves has no scale"):
        cusum(np.full(60, 5.0), [5.0])


@pytest.mark.parametrize("setting", [{"allowance": 0.0}, {"horizon_sessions": 0}, {"false_alarm_rate": 1.0}])
def test_settings_out_of_bounds_are_refused(setting) -> None:
    with pytest.raises(DriftError, match="cusum"):
        cusum(ALTERNATING, [0.0], **setting)
