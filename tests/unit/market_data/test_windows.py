import math
import statistics

import numpy as np
import pytest

from aegis.market_data.windows import window_count, window_median, window_product, window_sum


def panel(columns):
    return np.array(columns, dtype=np.float64).T


def test_sums_and_products_cover_exactly_the_window():
    values = panel([[1, 2, 3, 4, 5], [10, 20, 30, 40, 50]])

    assert window_sum(values, 3, rows=2).tolist() == [[9, 90], [12, 120]]
    assert window_product(values, 2, rows=2).tolist() == [[12, 1200], [20, 2000]]


def test_a_lag_ends_the_window_earlier():
    values = panel([[1, 2, 3, 4, 5]])

    assert window_sum(values, 2, rows=1, lag=2).tolist() == [[5]]
    assert window_count(values > 2, 2, rows=1, lag=2).tolist() == [[1]]


def test_a_window_is_added_from_its_oldest_row_whatever_came_before():
    # 0.1 + 0.2 + 0.3 rounds to 0.6000000000000001; 0.3 + 0.2 + 0.1 to 0.6; a running sum would carry 1e16 along
    values = panel([[1e16, 0.1, 0.2, 0.3]])

    assert window_sum(values, 3, rows=1)[0, 0] == 0.1 + 0.2 + 0.3
    assert window_sum(values, 3, rows=2)[1, 0] == 0.1 + 0.2 + 0.3


def test_counts_are_of_the_window_only():
    flags = np.array([[True], [False], [True], [True]])

    assert window_count(flags, 2, rows=3).ravel().tolist() == [1, 1, 2]


def test_medians_leave_missing_values_out():
    values = panel([[5, 1, math.nan, 3], [math.nan, math.nan, math.nan, math.nan]])

    medians = window_median(values, 3, rows=2)

    assert medians[:, 0].tolist() == [statistics.median([5, 1]), statistics.median([1, 3])]
    assert np.isnan(medians[:, 1]).all()
    assert window_median(values[[0, 1, 3]], 3, rows=1)[0, 0] == 3


@pytest.mark.parametrize("function", [window_sum, window_product, window_count])
def test_a_window_longer_than_the_history_is_refused(function):
    with pytest.raises(ValueError, match="need 2 more rows than 3"):
        function(np.ones((3, 1)), 4, rows=2)
