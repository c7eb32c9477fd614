"""Metrics against vectorbt 1.0, skfolio 1.12 and scipy, on the same fat-tailed series with the conventions matched."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.typing import NDArray

from aegis.metrics import ratios, returns, risk, transactions

RATE = 0.02
DAILY_RATE = 1.02 ** (1 / 252) - 1
YEAR = 252

Series = NDArray[np.float64]


@pytest.fixture(scope="module")
def series() -> tuple[Series, Series]:
    rng = np.random.default_rng(20140609)
    benchmark = 0.0003 + 0.008 * rng.standard_t(4, size=1003)
    account = 0.0002 + 0.7 * benchmark + 0.004 * rng.standard_t(4, size=1003)
    account[0] = 0.01  # vectorbt does not count the starting level as a peak; ours agrees when the start is a gain
    return account, benchmark


@pytest.fixture(scope="module")
def vectorbt():
    from vectorbt.returns import nb  # noqa: PLC0415 - takes seconds to import

    return nb


@pytest.fixture(scope="module")
def skfolio():
    from skfolio.measures import _measures  # noqa: PLC0415 - takes seconds to import

    return _measures


def test_returns_and_volatility_agree_with_vectorbt(series, vectorbt) -> None:
    account, _ = series
    assert returns.total_return(account) == pytest.approx(vectorbt.cum_returns_final_1d_nb(account, 0.0), rel=1e-12)
    assert returns.annualised_return(account) == pytest.approx(
        vectorbt.annualized_return_1d_nb(account, YEAR), rel=1e-12
    )
    assert risk.annualised_volatility(account) == pytest.approx(
        vectorbt.annualized_volatility_1d_nb(account, YEAR, 2.0, 1), rel=1e-12
    )


def test_ratios_agree_with_vectorbt(series, vectorbt) -> None:
    account, benchmark = series
    assert ratios.sharpe_ratio(account, risk_free_rate=RATE) == pytest.approx(
        vectorbt.sharpe_ratio_1d_nb(account, YEAR, DAILY_RATE, 1), rel=1e-11
    )
    assert ratios.sortino_ratio(account, risk_free_rate=RATE) == pytest.approx(
        vectorbt.sortino_ratio_1d_nb(account, YEAR, DAILY_RATE), rel=1e-11
    )
    assert ratios.calmar_ratio(account) == pytest.approx(vectorbt.calmar_ratio_1d_nb(account, YEAR), rel=1e-11)
    # vectorbt does not annualise the information ratio
    assert ratios.information_ratio(account, benchmark) == pytest.approx(
        vectorbt.information_ratio_1d_nb(account, benchmark, 1) * math.sqrt(YEAR), rel=1e-11
    )


def test_beta_and_alpha_agree_with_vectorbt_and_with_a_regression(series, vectorbt) -> None:
    account, benchmark = series
    fitted = scipy.stats.linregress(benchmark - DAILY_RATE, account - DAILY_RATE)
    assert ratios.beta(account, benchmark) == pytest.approx(fitted.slope, rel=1e-11)
    assert ratios.beta(account, benchmark) == pytest.approx(vectorbt.beta_1d_nb(account, benchmark), rel=1e-11)
    found = ratios.alpha(account, benchmark, risk_free_rate=RATE)
    assert found == pytest.approx(fitted.intercept * YEAR, rel=1e-9)
    # vectorbt compounds the daily alpha, which is undone here
    compounded = vectorbt.alpha_1d_nb(account, benchmark, YEAR, DAILY_RATE)
    assert found == pytest.approx(((1 + compounded) ** (1 / YEAR) - 1) * YEAR, rel=1e-9)


def test_tracking_error_is_scipys_deviation_of_the_difference(series) -> None:
    account, benchmark = series
    assert ratios.tracking_error(account, benchmark) == pytest.approx(
        scipy.stats.tstd(account - benchmark) * math.sqrt(YEAR), rel=1e-12
    )


def test_drawdowns_agree_with_skfolio_and_vectorbt(series, skfolio, vectorbt) -> None:
    account, _ = series
    falling = np.concatenate(([-0.03], account))
    theirs = skfolio.get_drawdowns(falling, compounded=True)
    ours = risk.drawdowns(returns.compounded_levels(falling))
    assert ours[1:] == pytest.approx(theirs, abs=1e-13)
    assert -risk.max_drawdown(returns.compounded_levels(falling)).depth == pytest.approx(
        skfolio.max_drawdown(theirs), rel=1e-12
    )
    assert risk.max_drawdown(returns.compounded_levels(account)).depth == pytest.approx(
        vectorbt.max_drawdown_1d_nb(account), rel=1e-12
    )


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.975, 0.99])
@pytest.mark.parametrize("sessions", [100, 252, 1000, 1003])
def test_historical_tail_numbers_agree_with_skfolio(series, skfolio, confidence: float, sessions: int) -> None:
    account = series[0][:sessions]
    assert risk.historical_value_at_risk(account, confidence=confidence) == skfolio.value_at_risk(account, confidence)
    assert risk.historical_expected_shortfall(account, confidence=confidence) == pytest.approx(
        skfolio.cvar(account, confidence), rel=1e-12
    )


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.975, 0.99])
def test_normal_tail_numbers_agree_with_scipy(confidence: float) -> None:
    normal = scipy.stats.norm(loc=0.0005, scale=0.012)
    assert risk.normal_value_at_risk(0.012, mean=0.0005, confidence=confidence) == pytest.approx(
        -normal.ppf(1 - confidence), rel=1e-12
    )
    tail_mean = normal.expect(lambda r: r, ub=normal.ppf(1 - confidence), conditional=True)
    assert risk.normal_expected_shortfall(0.012, mean=0.0005, confidence=confidence) == pytest.approx(
        -tail_mean, rel=1e-6
    )


def test_normal_value_at_risk_is_the_riskmetrics_165_standard_deviations() -> None:
    # J.P. Morgan/Reuters (1996): 1.65 standard deviations bound 5 % of a normal's losses
    assert risk.normal_value_at_risk(1.0, confidence=0.95) == pytest.approx(1.65, abs=0.006)


@pytest.mark.long
def test_costs_agree_with_vectorbts_books() -> None:
    # vectorbt books fixed slippage and commission on the same trades: buy 100 at 10, sell 100 at 12, 10 bps and 5 bps
    from vectorbt.portfolio.base import Portfolio  # noqa: PLC0415 - takes seconds to import

    close = pd.Series([10.0, 11.0, 12.0])
    book = Portfolio.from_orders(
        close, size=[100.0, 0.0, -100.0], fees=0.001, slippage=0.0005, init_cash=10_000.0, freq="1D"
    )
    records = book.orders.records
    signed = np.where(records["side"] == 0, records["size"], -records["size"])
    slippage = signed * (records["price"] - close.iloc[records["idx"]].to_numpy())
    totals = transactions.cost_totals(signed, records["price"], commissions_usd=records["fees"], slippages_usd=slippage)
    frictionless = Portfolio.from_orders(close, size=[100.0, 0.0, -100.0], init_cash=10_000.0, freq="1D")
    assert totals.fills == 2
    assert totals.total_usd == pytest.approx(frictionless.final_value() - book.final_value(), rel=1e-9)
