from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.errors import ExecutionError
from aegis.execution.algorithms.apportionment import apportioned

weights_of_slices = st.lists(st.floats(0, 1e6), min_size=1, max_size=80).filter(any)


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, (1, 1, 1), (4, 3, 3)),
        (4, (1.5, 2.5), (2, 2)),  # both remainders are one half: the earlier is rounded up
        (100, (47, 16, 15.8, 12, 6.1, 3.1), (47, 16, 16, 12, 6, 3)),
        (3, (0, 1, 0, 1), (0, 2, 0, 1)),
        (0, (1, 2), (0, 0)),
    ],
)
def test_lots_go_by_the_largest_remainders(total, weights, parts):
    assert apportioned(total, weights) == parts


@given(st.integers(0, 10**9), weights_of_slices)
def test_parts_add_up_and_each_is_its_share_rounded(total, weights):
    parts = apportioned(total, weights)
    whole = math.fsum(weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / whole) < 1 + total * 1e-12


@given(st.integers(0, 10**6), weights_of_slices)
def test_a_larger_weight_never_gets_less(total, weights):
    by_weight = sorted(zip(weights, apportioned(total, weights), strict=True))
    for (smaller, fewer), (larger, more) in pairwise(by_weight):
        assert smaller == larger or fewer <= more


@pytest.mark.parametrize("weights", [(), (0.0, 0.0), (1.0, -0.1), (1.0, math.nan), (math.inf,)])
def test_weights_that_divide_nothing_are_refused(weights):
    with pytest.raises(ExecutionError, match="5 lots cannot be divided by"):
        apportioned(5, weights)


def test_a_negative_size_is_refused():
    with pytest.raises(ExecutionError, match="pass the size without its side"):
        apportioned(-1, (1.0,))
