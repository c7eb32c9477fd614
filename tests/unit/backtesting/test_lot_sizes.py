"""What counts as a whole lot or a tick in floating point."""

from __future__ import annotations

import pytest

from aegis.backtesting.kernel.lot_sizes import is_multiple, is_nothing, whole_lots


@pytest.mark.parametrize(
    ("value", "step"),
    [
        (1.0, 1.0),
        (49 * (1 / 49), 1.0),  # 0.9999999999999999
        (100.01, 0.01),
        (0.1 + 0.2, 1e-6),  # 0.30000000000000004
        (1e9 + 0.000001, 1e-6),
        (10_000_000.01, 0.01),
        (16_190.58469 - 16_125.892539, 1e-6),  # 64.69215099999929
    ],
)
def test_rounding_leaves_a_multiple_one(value, step):
    assert is_multiple(value, step)


@pytest.mark.parametrize(
    ("value", "step"),
    [
        (1e-10, 1.0),
        (1e-10, 1e-6),
        (0.5, 1.0),
        (1e9 + 0.5, 1.0),
        (10_000_000.004, 0.01),
        (100.0049, 0.01),
    ],
)
def test_what_is_between_two_steps_is_no_multiple_however_large(value, step):
    assert not is_multiple(value, step)


def test_whole_lots_of_many_lots_are_all_of_them():
    # 9,999,999.999999 / 1e-6 is a little less than 9,999,999,999,999 in floating point.
    assert whole_lots(9_999_999.999999, 1e-6) == pytest.approx(9_999_999.999999, abs=1e-8)
    assert whole_lots(-2.7, 1.0) == -2.0
    assert whole_lots(1e-10, 1.0) == 0.0


def test_rounding_of_a_sum_is_nothing_and_a_lot_is_something():
    assert is_nothing(0.1 + 0.2 - 0.3, 0.3)
    assert is_nothing(1e-7, 1e9)  # the distance of two floats at 1e9
    assert not is_nothing(1e-6, 1.0)
