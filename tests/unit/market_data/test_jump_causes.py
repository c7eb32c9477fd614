"""What jumps look like; volatility and volume of the real cases were computed from their bars by pandas."""

import math

import numpy as np
import pandas as pd
import pytest

from aegis.config_quality import QualitySettings
from aegis.market_data.jump_causes import suspected_causes, words_for

NOTHING = math.nan


def cause(before, opened, closed, *, volatility=0.02, volume=1.0, **settings):
    """What a bar after the close `before` looks like; dollar volume is a multiple of its median."""
    moves = pd.DataFrame(
        {
            "unexplained_log_return": [0.0, math.log(closed / before)],
            "overnight_log_return": [0.0, math.log(opened / before)],
            "close_raw_usd": [before, closed],
            "robust_volatility": volatility,
            "dollar_volume_multiple": volume,
        }
    )
    calm, found = suspected_causes(moves, settings=QualitySettings(**settings))
    assert calm is None
    return found


@pytest.mark.parametrize(
    ("opened", "closed", "before", "volatility", "volume", "expected"),
    [
        (92.69, 93.70, 645.57, 0.006, 1.15, "a 7:1 split"),  # AAPL 2014-06-09
        (127.67, 129.04, 499.23, 0.021, 1.49, "a 4:1 split"),  # AAPL 2020-08-31, opened 2.3 % above the split level
        (50.50, 55.56, 101.00, 0.057, 1.45, "a 2:1 split"),  # AAPL 2000-06-21, closed 10 % above it
        (50.50, 55.56, 101.00, NOTHING, NOTHING, "a 2:1 split"),
        (18.01, 18.00, 2.13, 0.081, 0.54, "a 1:8 reverse split"),  # USO 2020-04-29, opened 5.7 % above the level
        (19.70, 18.08, 1.13, 0.045, 9.80, "an error in the prices"),  # AIG 2009-07-01, 1:20: no move is so large
        (0.18, 0.16, 1.77, 0.085, 0.0003, None),  # WM 2008-09-26: a failure, near 1/10; nobody splits into 16 cents
        (7.10, 5.09, 12.16, 0.064, 3.89, None),  # AIG 2008-09-15
        (2.70, 2.05, 3.94, 0.073, 1.10, None),  # AIG 2008-09-17: close near 1/2, open not, and used to such days
        (4.20, 4.22, 2.39, 0.077, 2.27, None),  # AIG 2008-09-19
        (13.70, 22.00, 13.52, 0.045, 20.6, None),  # AIG 2009-08-05: traded all the way
        (28.06, 25.81, 53.38, 0.035, 11.3, None),  # AAPL 2000-09-29: a profit warning, opened 5 % above one half
        (37.00, 33.88, 53.56, 0.017, 27.9, None),  # WMI 1999-07-07: near 2/3, a split too small to be told from a move
    ],
)
def test_real_splits_are_told_from_real_moves(opened, closed, before, volatility, volume, expected):
    found = cause(before, opened, closed, volatility=volatility, volume=volume)
    assert (found is None) if expected is None else (expected in found)


@pytest.mark.parametrize(
    ("opened", "closed", "before", "expected"),
    [
        (84_100.0, 84_000.0, 84.0, "1000 x too high"),
        (0.0841, 0.084, 84.0, "1000 x too low"),
        (840_100.0, 840_000.0, 84.0, "10000 x too high"),
        (10_100.0, 10_050.0, 100.0, "100 x too high"),
        (1.01, 1.02, 100.0, "100 x too low"),
        (300.0, 301.0, 30.0, "a 1:10 reverse split"),
        (290.0, 290.0, 30.0, "a 1:10 reverse split"),  # within 8 % of 1:9 as well, and 1:10 is nearer
        (405.0, 330.0, 30.0, "10 x too high"),  # the open stands 10 % or more off every split level
        (99.0, 750.0, 100.0, "an error in the prices"),  # 7.5 times, above e^2 = 7.39
    ],
)
def test_slips_and_splits_are_named(opened, closed, before, expected):
    assert expected in cause(before, opened, closed)


@pytest.mark.parametrize(
    ("volatility", "volume", "expected"),
    [
        (0.025, 1.0, "a 2:1 split"),  # 45.5 is 9.4 % below one half, four volatilities are 10 %
        (0.025, NOTHING, "a 2:1 split"),  # no volume shows no burst of trading
        (0.025, 2.99, "a 2:1 split"),
        (0.025, 3.0, None),  # news
        (0.023, 1.0, None),  # four volatilities are 9.2 %
        (0.078, 1.0, "a 2:1 split"),  # the open is 10.1 volatilities away
        (0.079, 1.0, None),  # 9.97: the symbol does such things
        (NOTHING, 1.0, None),
    ],
)
def test_a_split_may_miss_its_level_by_a_days_move_where_no_news_is_traded(volatility, volume, expected):
    found = cause(100.0, 45.5, 45.5, volatility=volatility, volume=volume)
    assert (found is None) if expected is None else (expected in found)


def test_a_fifth_that_opens_seven_percent_off_is_a_split_unless_news_is_traded():
    assert "a 5:1 split" in cause(155.50, 33.21, 33.208, volatility=0.03)
    assert "nobody recorded, 51 robust volatilities away" in cause(155.50, 33.21, 33.208, volatility=0.03, volume=8.0)


def test_the_close_may_miss_the_level_by_15_percent_or_a_days_move():
    assert "a 2:1 split" in cause(100.0, 47.0, 57.0, volatility=0.02)  # 14 % above one half
    assert cause(100.0, 47.0, 59.0, volatility=0.02) is None  # 18 %; four volatilities are 8 %
    assert "a 2:1 split" in cause(100.0, 47.0, 59.0, volatility=0.045)  # four volatilities are 18 %: ln 1.18 = 0.166


@pytest.mark.parametrize(
    ("closed", "volatility", "is_doubted"),
    [
        (251.0, 0.02, True),
        (249.0, 0.02, False),  # below a factor of 2.5
        (39.5, 0.02, True),  # 1 / 2.53
        (40.5, 0.02, False),
        (251.0, 0.092, True),  # ln 2.51 = 0.9203 is ten volatilities of 0.09203
        (251.0, 0.093, False),
        (251.0, NOTHING, True),  # nothing says that it is used to such moves
        (0.99, 0.2, True),  # 1 / 101: a slip of cents for dollars
    ],
)
def test_a_move_out_of_character_is_an_error_whatever_the_volume(closed, volatility, is_doubted):
    found = cause(100.0, 100.0, closed, volatility=volatility, volume=20.0)
    assert (found is not None) == is_doubted


def test_a_failure_that_ends_below_a_dollar_is_no_error():
    assert cause(3.0, 0.80, 0.70, volatility=0.02, volume=20.0) is None
    assert cause(3.0, 1.10, 1.01, volatility=0.02, volume=20.0) is not None


@pytest.mark.parametrize(
    ("settings", "is_doubted"),
    [
        ({}, True),
        ({"implausible_jump": 1.2}, False),
        ({"implausible_robust_volatilities": 60.0}, False),
        ({"unexplained_jump": 1.2}, False),  # a move within the bound needs no action
    ],
)
def test_what_is_out_of_character_is_a_setting(settings, is_doubted):
    assert (cause(100.0, 100.0, 300.0, volume=20.0, **settings) is not None) == is_doubted  # ln 3 = 1.0986


def test_moves_within_the_bound_have_no_cause():
    assert cause(100.0, 50.0, 50.0) is not None
    assert cause(100.0, 50.0, 50.0, unexplained_jump=0.70) is None


def test_a_bar_without_an_open_is_judged_by_its_close():
    moves = pd.DataFrame(
        {
            "unexplained_log_return": [math.log(0.5), math.log(0.3)], "overnight_log_return": np.nan,
            "close_raw_usd": [50.0, 30.0], "robust_volatility": 0.02, "dollar_volume_multiple": 1.0,
        }
    )  # fmt: skip
    half, third = suspected_causes(moves, settings=QualitySettings())
    assert half is None
    assert "60 robust volatilities away" in third


@pytest.mark.parametrize(
    ("suspected", "ratio", "recorded", "cure"),
    [
        ("a 2:1 split missing", 1.0, "no split is recorded", "add the split"),
        ("a unit slip, 100 x too high", 1.0, "no split is recorded", "correct the price in the source"),
        ("a wrong price or an action that nobody recorded, 31", 1.0, "no split", "look it up, then record the action"),
        ("a 2:1 split missing", 3.0, "a split of 3 new shares for one is recorded", "correct the recorded action"),
    ],
)
def test_the_cure_follows_from_the_cause(suspected, ratio, recorded, cure):
    row = {"suspected_cause": suspected, "recorded_split_ratio": ratio, "recorded_dividend_usd": 0.0}
    words = words_for(row)
    assert words["recorded"].startswith(recorded)
    assert words["cure"].startswith(cure)
