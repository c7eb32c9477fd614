"""Stylised facts of the simulated market, numbered as in Cont (2001), "Empirical properties of asset returns: stylized
facts and statistical issues", Quantitative Finance 1, 223-236, section 2. Independent Gaussian returns, drawn at the
end of this file, meet none of the thresholds.
"""

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import SimulatedMarketSettings
from aegis.market_data.sources.simulated import SimulatedSource

XNYS = trading_calendar("XNYS")
FIRST, LAST = date(2014, 1, 2), date(2025, 12, 31)
SEEDS = (20140102, 1, 2, 3)
MONTH, YEAR = 21, 252


@lru_cache
def bars(seed: int) -> pd.DataFrame:
    settings = SimulatedMarketSettings(seed=seed)
    source = SimulatedSource(settings, XNYS, last_session=LAST, vendor_delay=timedelta(minutes=15))
    return source.bars(FIRST, LAST)


@lru_cache
def market(seed: int) -> np.ndarray:
    closes = bars(seed).query("symbol == 'SIMX'")["close_raw_usd"].to_numpy()
    return np.diff(np.log(closes))


@lru_cache
def companies(seed: int) -> dict[str, pd.DataFrame]:
    """Log returns, with the sessions of splits (moves above 45 %) left out, and volume of full-history companies."""
    found = {}
    for symbol, of_symbol in bars(seed).query("symbol != 'SIMX'").groupby("symbol"):
        frame = pd.DataFrame(
            {
                "log_return": np.log(of_symbol["close_raw_usd"]).diff(),
                "dollars": of_symbol["volume_shares"] * of_symbol["close_raw_usd"],
                "range": np.log(of_symbol["high_raw_usd"] / of_symbol["low_raw_usd"]),
                "intraday": np.log(of_symbol["close_raw_usd"] / of_symbol["open_raw_usd"]),
            }
        )
        keep = (frame["log_return"].abs() < 0.45) & (frame["dollars"] > 0)
        if keep.sum() > 2500:
            found[str(symbol)] = frame[keep]
    return found


def correlation_at(x: np.ndarray, y: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(x[:-lag], y[lag:])[0, 1])


def excess_kurtosis(x: np.ndarray) -> float:
    x = x - x.mean()
    return float((x**4).mean() / (x**2).mean() ** 2 - 3)


def skewness(x: np.ndarray) -> float:
    x = x - x.mean()
    return float((x**3).mean() / (x**2).mean() ** 1.5)


def summed(x: np.ndarray, sessions: int) -> np.ndarray:
    return x[: len(x) // sessions * sessions].reshape(-1, sessions).sum(axis=1)


def hill_tail_index(x: np.ndarray, share: float = 0.05) -> float:
    """Hill (1975) estimator of the tail index of |x| from its largest observations."""
    ordered = np.sort(np.abs(x - x.mean()))[::-1]
    count = int(share * len(ordered))
    return float(1 / np.mean(np.log(ordered[:count] / ordered[count])))


@pytest.mark.parametrize("seed", SEEDS)
def test_fact_1_market_returns_have_no_linear_autocorrelation(seed):
    x = market(seed) - market(seed).mean()
    for lag in range(1, 21):
        products = x[lag:] * x[:-lag]
        score = products.sum() / np.sqrt((products**2).sum())  # robust to changing volatility
        assert abs(score) < 3.5, lag
    assert abs(correlation_at(x, x, 1)) < 0.08


@pytest.mark.parametrize("seed", SEEDS)
def test_fact_2_tails_are_heavy_with_an_index_between_two_and_five(seed):
    assert excess_kurtosis(market(seed)) > 2
    assert 2 < hill_tail_index(market(seed)) < 4
    of_companies = [frame["log_return"].to_numpy() for frame in companies(seed).values()]
    assert min(excess_kurtosis(x) for x in of_companies) > 1
    assert 2 < np.median([hill_tail_index(x) for x in of_companies]) < 5


def test_fact_3_large_losses_are_heavier_than_large_gains_over_a_month():
    assert np.mean([skewness(summed(market(seed), MONTH)) for seed in SEEDS]) < -0.5


def test_fact_4_returns_become_more_gaussian_over_longer_periods():
    of_companies = [frame["log_return"].to_numpy() for seed in SEEDS for frame in companies(seed).values()]
    day, week, month, quarter = (
        np.median([excess_kurtosis(summed(x, sessions)) for x in of_companies]) for sessions in (1, 5, MONTH, 3 * MONTH)
    )
    assert day > week > month > quarter
    assert quarter < 0.35 * day


@pytest.mark.parametrize("seed", SEEDS)
def test_facts_6_and_8_absolute_returns_stay_correlated_for_weeks(seed):
    size = np.abs(market(seed))
    by_lag = np.array([correlation_at(size, size, lag) for lag in range(1, 3 * MONTH)])
    band = 2 / np.sqrt(len(size))
    assert by_lag[0] > 0.15
    assert by_lag[:20].min() > 0
    assert by_lag[:20].mean() > 3 * band
    assert by_lag[20:40].mean() > band / 2  # the mean of 20 lags of independent returns scatters by a ninth of the band


def test_fact_9_volatility_rises_after_losses_and_not_before_them():
    lags = range(1, 11)
    after = [np.mean([correlation_at(market(seed), market(seed) ** 2, lag) for lag in lags]) for seed in SEEDS]
    before = [np.mean([correlation_at(market(seed) ** 2, market(seed), lag) for lag in lags]) for seed in SEEDS]
    assert max(after) < -0.03
    assert np.mean(before) > np.mean(after) / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_fact_10_volume_is_persistent_and_moves_with_volatility(seed):
    with_size, with_itself = [], []
    for frame in companies(seed).values():
        volume, size = np.log(frame["dollars"].to_numpy()), frame["log_return"].abs().to_numpy()
        with_size.append(np.corrcoef(volume, size)[0, 1])
        with_itself.append(correlation_at(volume, volume, 5))
    assert min(with_size) > 0.15
    assert np.median(with_size) < 0.6
    assert min(with_itself) > 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_volumes_are_close_to_lognormal(seed):
    for frame in companies(seed).values():
        volume = np.log(frame["dollars"].to_numpy())
        assert abs(skewness(volume)) < 0.7
        assert excess_kurtosis(volume) < 1.5


@pytest.mark.parametrize("seed", SEEDS)
def test_the_daily_range_and_the_intraday_return_measure_one_variance(seed):
    # Parkinson (1980): E[ln(high/low)^2] = 4 ln 2 variance for a continuous path without drift.
    ratios = [
        (frame["range"] ** 2).mean() / (4 * np.log(2)) / (frame["intraday"] ** 2).mean()
        for frame in companies(seed).values()
    ]
    assert 0.95 < np.mean(ratios) < 1.05


@pytest.mark.parametrize("seed", SEEDS)
def test_volatility_is_that_of_shares_and_of_their_index(seed):
    of_companies = np.array([f["log_return"].std() * np.sqrt(YEAR) for f in companies(seed).values()])
    assert 0.18 < of_companies.min() < of_companies.max() < 0.42
    assert 0.24 < np.median(of_companies) < 0.34
    assert 0.13 < market(seed).std() * np.sqrt(YEAR) < 0.20


def test_the_market_rises_by_about_seven_percent_a_year():
    growth = np.array([market(seed).mean() * YEAR for seed in (*SEEDS, *range(4, 9))])
    # One market of 12 years estimates its drift to 4.6 %, nine of them to 1.5 %.
    assert growth.mean() == pytest.approx(0.07, abs=3 * 0.016)
    assert growth.mean() > 0


def test_independent_gaussian_returns_meet_none_of_the_thresholds():
    x = np.random.default_rng(0).standard_normal(3000) * 0.01
    size = np.abs(x)
    assert excess_kurtosis(x) < 1
    assert hill_tail_index(x) > 4
    assert correlation_at(size, size, 1) < 0.15
    assert np.mean([correlation_at(size, size, lag) for lag in range(1, 21)]) < 3 * 2 / np.sqrt(len(x))
    assert np.mean([correlation_at(x, x**2, lag) for lag in range(1, 11)]) > -0.03
    assert skewness(summed(x, MONTH)) > -0.5
