from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from aegis.calendars import trading_calendar
from aegis.config import SimulatedMarketSettings
from aegis.market_data.sources.simulated import SimulatedSource
from aegis.market_data.sources.simulated_market.ground_truth import GroundTruth

XNYS = trading_calendar("XNYS")
FIRST, LAST = date(2014, 1, 2), date(2026, 10, 30)
DEFAULT_SEED = 20140102
SEEDS = (DEFAULT_SEED, 1, 2, 3)
COST = 6e-4
YEAR = 252


@lru_cache
def source(seed: int) -> SimulatedSource:
    return SimulatedSource(SimulatedMarketSettings(seed=seed), XNYS, last_session=LAST, vendor_delay=timedelta(0))


@lru_cache
def truth(seed: int) -> GroundTruth:
    return source(seed).ground_truth()


@lru_cache
def total_returns(seed: int) -> pd.DataFrame:
    """Simple total returns from raw closes and actions: (close x ratio) / (previous close - dividend x ratio) - 1."""
    closes = source(seed).bars(FIRST, LAST).pivot_table(index="session", columns="symbol", values="close_raw_usd")
    previous = closes.shift(1)
    for action in source(seed).corporate_actions(FIRST, LAST).itertuples():
        if action.action in ("split", "dividend"):
            before = previous.loc[action.session, action.symbol]
            previous.loc[action.session, action.symbol] = before / action.split_ratio - action.dividend_usd
    return closes / previous - 1


def companies(seed: int) -> np.ndarray:
    return total_returns(seed)[list(truth(seed).symbols)].to_numpy()


def standardised(x: np.ndarray) -> np.ndarray:
    return (x - np.nanmean(x, axis=1, keepdims=True)) / np.nanstd(x, axis=1, keepdims=True)


@lru_cache
def signals(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Momentum from 252 to 21 sessions ago, and minus the return of 5 sessions: cross-sectional scores of session t."""
    r = companies(seed)
    level = np.cumsum(np.log1p(np.nan_to_num(r)), axis=0)
    momentum, reversal = np.full_like(r, np.nan), np.full_like(r, np.nan)
    momentum[252:] = level[231:-21] - level[:-252]
    reversal[252:] = level[247:-5] - level[252:]
    known = ~np.isnan(r)
    known[252:] &= ~np.isnan(r[1:-251])
    momentum[~known] = reversal[~known] = np.nan
    return standardised(momentum[252:]), standardised(reversal[252:])


def fama_macbeth(returns: np.ndarray, regressors: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Means of the daily cross-sectional slopes and their t-statistics (Fama and MacBeth 1973, section IV)."""
    slopes = []
    for t in range(len(returns)):
        columns = [np.ones(returns.shape[1]), *(x[t] for x in regressors)]
        design = np.column_stack(columns)
        usable = ~np.isnan(design).any(axis=1) & ~np.isnan(returns[t])
        slopes.append(np.linalg.lstsq(design[usable], returns[t, usable], rcond=None)[0][1:])
    path = np.array(slopes)
    means = path.mean(axis=0)
    return means, means / (path.std(axis=0) / np.sqrt(len(path)))


@lru_cache
def found_in_prices(seed: int) -> np.ndarray:
    momentum, reversal = signals(seed)
    return fama_macbeth(companies(seed)[253:], (momentum[:-1], reversal[:-1]))[1]


def test_momentum_and_reversal_are_found_in_the_prices_of_the_embedded_market():
    momentum, reversal = found_in_prices(DEFAULT_SEED)
    assert momentum >= 3
    assert reversal >= 3


def test_momentum_and_reversal_are_found_whatever_the_seed():
    scores = np.array([found_in_prices(seed) for seed in SEEDS])
    # A t-statistic scatters by 1 around the planted strength.
    assert (scores.mean(axis=0) >= 3).all()
    assert (scores >= 2).all()


def test_scores_dealt_to_the_wrong_companies_find_nothing():
    momentum, reversal = signals(DEFAULT_SEED)
    wrong = np.roll(momentum[:-1], 7, axis=1), np.roll(reversal[:-1], 7, axis=1)
    _, scores = fama_macbeth(companies(DEFAULT_SEED)[253:], wrong)
    assert (np.abs(scores) < 3).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ground_truth_is_what_returns_expect(seed):
    planted = truth(seed)
    slopes, scores = fama_macbeth(companies(seed)[1:], (planted.drift[1:], planted.reversal[1:]))
    assert (scores > 3).all()
    np.testing.assert_allclose(slopes, 1, atol=3.5 * np.max(slopes / scores))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_planted_strengths_are_the_stated_ones(seed):
    planted = truth(seed)
    # 13 % a year before demeaning over 30 companies; a half-life of a year leaves about 13 independent cross-sections.
    assert planted.drift.std() * YEAR == pytest.approx(0.13 * np.sqrt(29 / 30), abs=0.025)
    np.testing.assert_allclose(planted.drift.sum(axis=1), 0, atol=1e-12)
    persistence = [np.corrcoef(column[250:], column[:-250])[0, 1] for column in planted.drift.T]
    assert np.mean(persistence) == pytest.approx(0.5, abs=0.25)
    # Reversal: expected return -(1 - 0.75) x transient, transient = AR(1) of 10 % of each innovation.
    own = 0.20 / np.sqrt(YEAR)
    assert planted.reversal.std() == pytest.approx(0.25 * 0.10 * own / np.sqrt(1 - 0.75**2), rel=0.15)
    decay = [np.corrcoef(column[1:], column[:-1])[0, 1] for column in planted.reversal.T]
    assert np.mean(decay) == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_benchmark_is_the_market_factor(seed):
    benchmark = total_returns(seed)["SIMX"].to_numpy()[1:]
    # A cent of rounding at a level of about 100 USD.
    np.testing.assert_allclose(benchmark, truth(seed).market_return[1:], atol=2.5e-4)
    equal_weighted = np.nanmean(companies(seed)[1:], axis=1)
    assert np.corrcoef(benchmark, equal_weighted)[0, 1] > 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_betas_are_recovered_by_regression_on_the_benchmark(seed):
    r, benchmark = companies(seed)[1:], total_returns(seed)["SIMX"].to_numpy()[1:]
    estimated = []
    for column in r.T:
        usable = ~np.isnan(column)
        estimated.append(np.polyfit(benchmark[usable], column[usable], 1)[0])
    errors = np.array(estimated) - truth(seed).betas
    assert np.abs(errors).mean() < 0.06
    assert np.abs(errors.mean()) < 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_turbulent_sessions_are_more_than_twice_as_volatile(seed):
    planted = truth(seed)
    benchmark = total_returns(seed)["SIMX"].to_numpy()[1:]
    turbulent = planted.regime[1:] == 1
    assert 1.9 < benchmark[turbulent].std() / benchmark[~turbulent].std() < 3.2  # stated: 28 % / 11.5 % = 2.43
    assert 0.08 < turbulent.mean() < 0.35  # stated: 20 %
    spells = (np.diff(planted.regime) == 1).sum()
    assert 20 < planted.regime.sum() / spells < 125  # stated: 50, from some 13 spells


@pytest.mark.parametrize("seed", SEEDS)
def test_companies_of_one_sector_move_together_beyond_the_market(seed):
    planted = truth(seed)
    listings = source(seed).listings().drop_duplicates("symbol").set_index("symbol")
    own = companies(seed)[1:] - planted.betas * planted.market_return[1:, None]
    correlation = pd.DataFrame(own).corr().to_numpy()
    sector = listings.loc[list(planted.symbols), "sector"].to_numpy()
    same = (sector[:, None] == sector) & ~np.eye(len(sector), dtype=bool)
    # Stated: 9 % sector and about 20 % own volatility: 0.09^2 / (0.09^2 + 0.20^2) = 0.17.
    assert np.nanmean(correlation[same]) == pytest.approx(0.17, abs=0.05)
    different = sector[:, None] != sector  # two of them never trade at the same time: no correlation
    assert np.nanmean(correlation[different]) == pytest.approx(0, abs=0.03)


def sharpe_of_a_long_only_book(seed: int) -> float:
    """At most 5 % a name, scores smoothed over 10 sessions, traded half a session late, 6 basis points of turnover."""
    momentum, reversal = signals(seed)
    r = np.nan_to_num(companies(seed)[252:])
    smoothed, held, results = np.zeros(r.shape[1]), np.zeros(r.shape[1]), []
    for t in range(len(r) - 2):
        smoothed = 0.9 * smoothed + 0.1 * np.nan_to_num(momentum[t] + 0.5 * reversal[t])
        wanted = np.clip(0.02 + 0.02 * smoothed, 0, 0.05) * ~np.isnan(momentum[t])
        earned = (wanted * (r[t + 1] + r[t + 2])).sum() / 2
        results.append(earned - COST * np.abs(wanted - held).sum())
        held = wanted
    return float(np.mean(results) / np.std(results) * np.sqrt(YEAR))


def test_a_diversified_book_of_both_effects_earns_a_realistic_sharpe_ratio():
    ratios = [sharpe_of_a_long_only_book(seed) for seed in SEEDS]
    assert 0.5 < ratios[0] < 1.5
    assert 0.4 < np.mean(ratios) < 1.5
    assert max(ratios) < 1.7
