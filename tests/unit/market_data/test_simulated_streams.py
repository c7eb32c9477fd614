from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from aegis.market_data.sources.simulated_market.streams import BLOCK_SESSIONS, draw_block, draw_normal, stream

NUMBERS = 4096


def keys() -> list[tuple[int, str, str, int]]:
    return [
        (seed, owner, purpose, block)
        for seed in (7, 8, 9)
        for owner in ("AAA", "AAB", "market")
        for purpose in ("normal", "drift")
        for block in (0, 1, 2)
    ]


def test_streams_that_differ_in_one_part_of_the_key_are_uncorrelated():
    draws = np.array([stream(*key).standard_normal(NUMBERS) for key in keys()])
    pairs = np.array([np.corrcoef(draws[i], draws[j])[0, 1] for i, j in combinations(range(len(draws)), 2)])
    scores = pairs * np.sqrt(NUMBERS)
    # 1431 independent standard normal scores: their largest exceeds 4.6 with probability 0.6 %.
    assert len(scores) == 1431
    assert np.abs(scores).max() < 4.6
    assert stats.kstest(scores, "norm").pvalue > 0.01


def test_averages_over_streams_scatter_no_less_and_no_more_than_independent_ones():
    means = np.array([stream(seed, "AAA", "normal", 0).standard_normal(256).mean() for seed in range(2000)])
    scores = means * np.sqrt(256)
    assert scores.mean() == pytest.approx(0, abs=4 / np.sqrt(2000))
    assert scores.var() == pytest.approx(1, abs=4 * np.sqrt(2 / 2000))
    lagged = np.corrcoef(scores[1:], scores[:-1])[0, 1]
    assert abs(lagged) < 4 / np.sqrt(2000)


def test_no_two_streams_share_a_number():
    draws = np.concatenate([stream(*key).integers(0, 2**63, 512) for key in keys()])
    assert len(np.unique(draws)) == len(draws)


def test_the_parts_of_a_key_cannot_run_into_each_other():
    one = stream(1, "AB", "C", 1).standard_normal(4)
    other = stream(1, "A", "BC", 1).standard_normal(4)
    eleven = stream(11, "AB", "C", 1).standard_normal(4)
    assert not np.isin(one, np.concatenate([other, eleven])).any()


def test_a_column_of_a_block_does_not_depend_on_its_neighbours():
    together = draw_block(5, 3, owners=("AAA", "BBB", "CCC"), purpose="normal", draw=draw_normal)
    alone = draw_block(5, 3, owners=("BBB",), purpose="normal", draw=draw_normal)
    assert together.shape == (BLOCK_SESSIONS, 3)
    np.testing.assert_array_equal(together[:, 1], alone[:, 0])
