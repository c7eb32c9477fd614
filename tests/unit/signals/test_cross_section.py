import math

import numpy as np
import pandas as pd
import pytest

from aegis.signals.cross_section import coverage, median, rank, z_score

ONE = pd.Series(["2020-01-02"] * 5)


def test_z_scores_are_in_sample_standard_deviations():
    # mean 6, deviations -4 -2 0 2 4, sample variance 40 / 4 = 10
    scores = z_score(pd.Series([2.0, 4.0, 6.0, 8.0, 10.0]), ONE)

    assert scores.tolist() == pytest.approx([-4 / math.sqrt(10), -2 / math.sqrt(10), 0, 2 / math.sqrt(10), 4 / 10**0.5])


def test_sessions_are_scored_apart_even_when_their_rows_alternate():
    sessions = pd.Series(["a", "b"] * 5)
    values = pd.Series([2.0, 200.0, 4.0, 400.0, 6.0, 600.0, 8.0, 800.0, 10.0, 1000.0])

    scores = z_score(values, sessions)

    np.testing.assert_allclose(scores[::2], scores[1::2], rtol=1e-15)


def test_an_outlier_is_cut_at_three_deviations():
    # 0 twenty-nine times and 1: mean 1/30, sample sd sqrt(1/30) = 0.18257, z of the outlier 5.295
    values = pd.Series([0.0] * 29 + [1.0])

    scores = z_score(values, pd.Series(["a"] * 30))

    assert scores.iloc[-1] == 3.0
    assert scores.iloc[0] == pytest.approx(-(1 / 30) / math.sqrt(1 / 30))


def test_missing_values_take_no_part_and_stay_missing():
    scores = z_score(pd.Series([2.0, 4.0, math.nan, 6.0, 8.0, 10.0]), pd.Series(["a"] * 6))

    assert math.isnan(scores[2])
    assert scores[5] == pytest.approx(4 / math.sqrt(10))


def test_four_values_are_no_cross_section():
    values = pd.Series([1.0, 2.0, 3.0, 4.0, math.nan])

    assert z_score(values, ONE).isna().all()
    assert coverage(values, ONE).tolist() == [0.0] * 5


def test_equal_values_have_score_zero():
    # 0.1 + ... / 5 is not exactly 0.1: the differences are rounding and must not be blown up to standard deviations
    assert z_score(pd.Series([0.1] * 5), ONE).tolist() == [0.0] * 5


def test_coverage_is_the_share_of_rows_with_a_value():
    values = pd.Series([1.0, 2.0, 3.0, 4.0, 5.0, math.nan, math.nan, math.nan])

    assert coverage(values, pd.Series(["a"] * 8)).tolist() == [5 / 8] * 8


def test_the_median_is_of_the_row_s_session():
    values = pd.Series([1.0, 5.0, 2.0, math.nan, 10.0])

    assert median(values, pd.Series(["a", "b", "a", "a", "b"])).tolist() == [1.5, 7.5, 1.5, 1.5, 7.5]


def test_a_rank_is_the_share_of_members_below_and_ties_share_the_mean():
    values = pd.Series([3.0, 1.0, 2.0, 2.0, np.nan, 9.0, -1.0])
    sessions = pd.Series(pd.Timestamp("2020-01-02"), index=values.index)

    # six values: -1, 1, 2, 2, 3, 9 rank 1, 2, 3.5, 3.5, 5, 6
    expected = [4.5 / 6, 1.5 / 6, 3 / 6, 3 / 6, np.nan, 5.5 / 6, 0.5 / 6]
    np.testing.assert_allclose(rank(values, sessions), expected, rtol=1e-15)


def test_ranks_know_nothing_of_other_sessions_in_whatever_order_rows_come():
    random = np.random.default_rng(2)
    days = pd.Series(pd.to_datetime(random.choice(["2020-01-02", "2020-01-03", "2020-01-06"], size=90)))
    values = pd.Series(random.integers(0, 12, size=90).astype(float)).where(random.uniform(size=90) > 0.1)

    found = rank(values, days)

    for day in days.unique():
        own = values[days == day]
        expected = (own.rank(method="average") - 0.5) / own.notna().sum()
        np.testing.assert_allclose(found[days == day], expected, rtol=1e-15)


def test_four_values_are_no_cross_section_to_rank_in():
    sessions = pd.Series(pd.Timestamp("2020-01-02"), index=range(5))

    assert rank(pd.Series([1.0, 2.0, 3.0, 4.0, np.nan]), sessions).isna().all()
    assert rank(pd.Series([], dtype=float), pd.Series([], dtype="datetime64[ns]")).empty
