import math
import statistics

import numpy as np
import pytest

from aegis.features.segments import (
    cash_per_share,
    discounted_growth,
    nearness_to_largest,
    ordered_product,
    segment_maximum,
    segment_product,
    segment_sum,
    window_median,
)


def panel(sessions=60, symbols=3):
    return np.random.default_rng(4).normal(1.0, 0.1, size=(symbols, sessions))


def windows_of(values, length, *, rows=4, lag=0):
    """The windows of each symbol, written out."""
    ends = range(values.shape[1] - lag - rows + 1, values.shape[1] - lag + 1)
    return [[symbol[end - length : end] for end in ends] for symbol in values]


def each(function, windows):
    return [[function(window) for window in symbol] for symbol in windows]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 21, 42])
@pytest.mark.parametrize("lag", [0, 5])
def test_a_window_joins_exactly_its_own_sessions(length, lag):
    values = panel()
    windows = windows_of(values, length, lag=lag)

    arguments = {"rows": 4, "lag": lag}

    np.testing.assert_allclose(segment_sum(values, length, **arguments), each(math.fsum, windows), rtol=1e-13)
    np.testing.assert_allclose(segment_product(values, length, **arguments), each(math.prod, windows), rtol=1e-13)
    assert ordered_product(values, length, **arguments).tolist() == each(math.prod, windows)


@pytest.mark.parametrize("length", [1, 2, 7, 21])
def test_the_largest_and_the_median_are_of_exactly_the_window(length):
    values = panel()
    windows = windows_of(values, length)

    assert segment_maximum(values, length, rows=4).tolist() == each(max, windows)
    assert window_median(values, length, rows=4).tolist() == each(statistics.median, windows)


def test_a_median_is_of_the_numbers_that_a_window_holds_ties_and_infinity_among_them():
    nan, inf = math.nan, math.inf
    values = np.array([[nan, nan, nan, 2.0, 2.0, nan, inf, 1.0, 2.0, nan, nan, nan]])

    found = window_median(values, 3, rows=10)

    expected = [nan, 2.0, 2.0, 2.0, inf, inf, 2.0, 1.5, 2.0, nan]
    np.testing.assert_array_equal(found, [expected])


@pytest.mark.parametrize("length", [1, 5, 8, 20])
def test_the_last_level_is_compared_with_the_largest_since_before_the_window(length):
    def nearness(window):
        levels = [math.prod(window[:count]) for count in range(len(window) + 1)]
        return levels[-1] / max(levels)

    found = nearness_to_largest(panel(), length, rows=4)

    np.testing.assert_allclose(found, each(nearness, windows_of(panel(), length)), rtol=1e-13)


@pytest.mark.parametrize("length", [1, 5, 8, 20])
def test_levels_are_discounted_by_their_age(length):
    def discounted(window):
        return sum(math.prod(window[: count + 1]) * 0.8 ** (len(window) - 1 - count) for count in range(len(window)))

    found = discounted_growth(panel(), length, rows=4, decay=0.8)

    np.testing.assert_allclose(found, each(discounted, windows_of(panel(), length)), rtol=1e-13)


def test_cash_is_in_terms_of_the_shares_after_later_splits():
    ratios = np.array([[1.0, 1.0, 2.0, 1.0, 5.0, 1.0]])
    cash = np.array([[9.0, 1.0, 0.4, 0.0, 0.1, 0.3]])

    found = cash_per_share(ratios, cash, 5, rows=2)

    # the oldest window: 9, 1 before both splits, 0.4 before the second one; the younger one: without the 9
    np.testing.assert_allclose(found, [[10.0 / 10.0 + 0.4 / 5.0 + 0.1, 1.0 / 10.0 + 0.4 / 5.0 + 0.1 + 0.3]], rtol=1e-15)


def test_a_window_has_the_same_bits_wherever_the_range_starts_and_ends():
    values = panel(sessions=1400)

    for function in (segment_sum, ordered_product, window_median):
        everything = function(values, 252, rows=1100)
        one = function(np.ascontiguousarray(values[:, :850]), 252, rows=1)
        shorter = function(np.ascontiguousarray(values[:, 1400 - 252 - 9 :]), 252, rows=10)

        assert everything[:, 549].tobytes() == one[:, 0].tobytes()
        assert everything[:, -10:].tobytes() == shorter.tobytes()


def test_a_panel_that_does_not_reach_back_far_enough_is_refused():
    with pytest.raises(ValueError, match="need 2 more sessions than 60"):
        segment_sum(panel(), 50, rows=10, lag=3)
