from __future__ import annotations

import pytest

from aegis.errors import ExecutionError
from aegis.execution.order_splits import order_after_split, shares_after_split


@pytest.mark.parametrize(
    ("before", "ratio", "after"),
    [
        (100.0, 2.0, 200.0),
        (-25.0, 0.1, -2.0),
        (9.0, 0.1, 0.0),
        (49.0, 1 / 49, 1.0),  # 0.9999999999999999 in floating point
        (0.0, 3.0, 0.0),
    ],
)
def test_shares_are_multiplied_and_cut_to_whole_ones(before, ratio, after):
    assert shares_after_split(before, ratio) == after


def test_fractional_shares_are_multiplied_and_kept():
    assert shares_after_split(2.5, 0.1, is_fractional=True) == 0.25


@pytest.mark.parametrize("millionths", [4_662_455_921, 18_257_344_939, 11_187_923_103, *range(1, 10**10, 499_999_999)])
@pytest.mark.parametrize("ratio", [2, 3, 7])
def test_millionths_of_a_share_are_multiplied_without_losing_one(millionths, ratio):
    after = shares_after_split(millionths / 10**6, float(ratio), is_fractional=True)

    assert round(after * 10**6) == millionths * ratio


@pytest.mark.parametrize("ratio", [0.0, -2.0, float("nan"), float("inf")])
def test_a_ratio_that_is_none_is_refused(ratio):
    with pytest.raises(ExecutionError, match="split ratio"):
        shares_after_split(1.0, ratio)


def test_prices_are_divided_and_a_fraction_of_the_price_stays(order_of):
    stop_limit = order_of(
        algorithm="market",
        order_type="stop_limit",
        stop_price_usd=9.0,
        limit_price_usd=8.0,
        time_in_force="GTC",
        quantity_shares=-100.0,
    )
    after = order_after_split(stop_limit, 4.0)
    assert (after.stop_price_usd, after.limit_price_usd, after.arrival_price_usd) == (2.25, 2.0, 2.5)
    assert after.quantity_shares == -400.0
    trail = order_of(algorithm="market", order_type="trailing_stop", trail_usd=1.0)
    assert order_after_split(trail, 4.0).trail_usd == 0.25
    trail = order_of(algorithm="market", order_type="trailing_stop", trail_fraction=0.05)
    assert order_after_split(trail, 4.0).trail_fraction == 0.05


def test_what_is_filled_and_what_remains_are_cut_one_by_one(order_of):
    # 25 filled and 75 open, one for ten: 2 filled (the half share is cash in lieu) and 7 open.
    assert order_after_split(order_of(), 0.1, filled_shares=25.0).quantity_shares == 9.0
    # 96 filled and 4 open: nothing is left to fill.
    assert order_after_split(order_of(), 0.1, filled_shares=96.0) is None
    assert order_after_split(order_of(quantity_shares=9.0), 0.1) is None
