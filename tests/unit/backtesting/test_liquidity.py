"""Trailing volatility and average volume: worked windows, and that a session does not know itself."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from aegis.backtesting.liquidity import average_daily_volume, trailing_sigma
from aegis.errors import ConfigurationError

NAN = math.nan


def _column(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)[:, np.newaxis]


def test_sigma_is_the_sample_deviation_of_the_returns_before_the_session() -> None:
    # 100, 110, 99, 108.9: returns +10 %, -10 %, +10 %. Two returns of +0.1 and -0.1 deviate by sqrt(0.02 / 1).
    sigma = trailing_sigma(_column(100, 110, 99, 108.9, 500), window_sessions=2)
    np.testing.assert_allclose(sigma[:, 0], [NAN, NAN, NAN, math.sqrt(0.02), math.sqrt(0.02)], rtol=1e-12)


def test_average_volume_is_the_mean_of_the_sessions_before() -> None:
    average = average_daily_volume(_column(100, 300, 800, 9_000), window_sessions=2)
    np.testing.assert_array_equal(average[:, 0], [NAN, NAN, 200.0, 550.0])


def test_a_split_is_no_return() -> None:
    # 100, 102, then 2 for 1: 51.51 is 103.02 of before, +1 %. Returns +2 %, +1 %: half their distance times sqrt(2).
    closes, ratios = _column(100, 102, 51.51, 52), _column(1, 1, 2, 1)
    sigma = trailing_sigma(closes, window_sessions=2, split_ratios=ratios)
    assert sigma[3, 0] == pytest.approx(0.01 / math.sqrt(2), rel=1e-9)


def test_volumes_before_a_split_count_in_shares_of_the_session() -> None:
    # 2 for 1 in the third session: 1 000 and 3 000 shares of before are 2 000 and 6 000 of it, already at its open.
    volumes, ratios = _column(1_000, 3_000, 5_000, 7_000), _column(1, 1, 2, 1)
    average = average_daily_volume(volumes, window_sessions=2, split_ratios=ratios)
    np.testing.assert_array_equal(average[:, 0], [NAN, NAN, 4_000.0, (6_000 + 5_000) / 2])


def test_a_gap_keeps_the_window_empty_until_it_is_full_again() -> None:
    # The missing close of session 2 makes two returns unknown; a window of two returns is full again in session 6.
    sigma = trailing_sigma(_column(10, 11, NAN, 11, 12, 13, 14, 15), window_sessions=2)
    assert np.isnan(sigma[:6, 0]).all()
    assert not np.isnan(sigma[6:, 0]).any()
    average = average_daily_volume(_column(1, NAN, 3, 4, 5), window_sessions=2)
    np.testing.assert_array_equal(average[:, 0], [NAN, NAN, NAN, NAN, 3.5])


def test_a_close_that_is_no_price_is_missing() -> None:
    assert np.isnan(trailing_sigma(_column(10, 0, 12, 13, 14), window_sessions=2)).all()


def test_sessions_without_trades_count_as_no_volume() -> None:
    assert average_daily_volume(_column(0, 0, 5), window_sessions=2)[2, 0] == 0.0


def test_short_histories_are_not_known() -> None:
    assert np.isnan(trailing_sigma(_column(10, 11), window_sessions=5)).all()
    assert np.isnan(average_daily_volume(_column(10, 11), window_sessions=5)).all()
    assert trailing_sigma(np.empty((0, 3)), window_sessions=5).shape == (0, 3)


def test_malformed_windows_and_shapes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs 2 sessions or more, found 1"):
        trailing_sigma(_column(1, 2, 3), window_sessions=1)
    with pytest.raises(ValueError, match=r"found \(3,\) and \(3,\)"):
        average_daily_volume(np.ones(3), window_sessions=2)
    with pytest.raises(ValueError, match=r"found \(3, 1\) and \(2, 1\)"):
        average_daily_volume(_column(1, 2, 3), window_sessions=2, split_ratios=_column(1, 1))


PANELS = st.tuples(st.integers(1, 30), st.integers(1, 3), st.integers(0, 2**32 - 1))


def _panel(shape: tuple[int, int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    sessions, symbols, seed = shape
    random = np.random.default_rng(seed)
    closes = 50.0 * np.exp(np.cumsum(random.normal(0, 0.02, (sessions, symbols)), axis=0))
    closes[random.random(closes.shape) < 0.03] = NAN
    volumes = random.integers(0, 10_000, closes.shape).astype(np.float64)
    return closes, volumes, random.choice([1.0, 1.0, 1.0, 1.0, 2.0, 0.1], closes.shape)


@given(shape=PANELS, window=st.integers(2, 6))
def test_windows_agree_with_the_library(shape: tuple[int, int, int], window: int) -> None:
    closes, volumes, _ = _panel(shape)
    sigma = trailing_sigma(closes, window_sessions=window)
    average = average_daily_volume(volumes, window_sessions=window)
    for (t, s), value in np.ndenumerate(sigma):
        if t > window and not np.isnan(closes[t - window - 1 : t, s]).any():
            returns = [closes[k, s] / closes[k - 1, s] - 1 for k in range(t - window, t)]
            assert value == pytest.approx(statistics.stdev(returns), rel=1e-9)
        else:
            assert math.isnan(value)
    for (t, s), value in np.ndenumerate(average):
        if t >= window:
            assert value == pytest.approx(statistics.mean(volumes[t - window : t, s]), rel=1e-12)
        else:
            assert math.isnan(value)


@given(shape=PANELS, window=st.integers(2, 6), cut=st.integers(0, 29))
def test_a_session_knows_neither_itself_nor_what_follows_but_its_own_split(
    shape: tuple[int, int, int], window: int, cut: int
) -> None:
    closes, volumes, ratios = _panel(shape)
    t = min(cut, len(closes) - 1)
    sigma = trailing_sigma(closes, window_sessions=window, split_ratios=ratios)
    average = average_daily_volume(volumes, window_sessions=window, split_ratios=ratios)
    for garbled in (closes, volumes):
        garbled[t:] = 1e9
    ratios[t + 1 :] = 77.0
    again = trailing_sigma(closes, window_sessions=window, split_ratios=ratios)
    np.testing.assert_array_equal(again[: t + 1], sigma[: t + 1])
    again = average_daily_volume(volumes, window_sessions=window, split_ratios=ratios)
    np.testing.assert_array_equal(again[: t + 1], average[: t + 1])


@given(shape=PANELS, window=st.integers(2, 6), start=st.integers(0, 29))
def test_values_do_not_depend_on_where_the_range_began(shape: tuple[int, int, int], window: int, start: int) -> None:
    closes, volumes, ratios = _panel(shape)
    sigma = trailing_sigma(closes, window_sessions=window, split_ratios=ratios)
    average = average_daily_volume(volumes, window_sessions=window, split_ratios=ratios)
    later = trailing_sigma(closes[start:], window_sessions=window, split_ratios=ratios[start:])
    np.testing.assert_array_equal(later[window + 1 :], sigma[start + window + 1 :])
    later = average_daily_volume(volumes[start:], window_sessions=window, split_ratios=ratios[start:])
    np.testing.assert_array_equal(later[window:], average[start + window :])
