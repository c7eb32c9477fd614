"""The example of Almgren and Chriss (2000), section 3.4, table 1, and other programs' answers to it.

The paper: a share of 50 USD with 30 % volatility and a spread of 1/8, five million shares a day; a million shares in
five days. It states the parameters and that kappa is about 0.61/day for a risk aversion of 1e-6. The frontier comes
from DROP 4.66.0 (L. Krishnamurthy), the published output of its AlmgrenChriss run; the optimum from scipy's optimiser
on the paper's cost, written here with its price process instead of the closed form.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from aegis.errors import ExecutionError
from aegis.execution.algorithms.almgren_chriss import (
    LinearImpact,
    cost_of,
    efficient_frontier,
    holdings,
    optimal_trades,
    urgency,
)

PAPER = LinearImpact(sigma=0.95, epsilon=0.0625, eta=2.5e-6, gamma=2.5e-7)
X, DAYS, STEPS = 1e6, 5.0, 5

# DROP's lambda, expectation and variance are in 1e-6/USD, 1e6 USD and 1e12 USD^2; the half-life is 1/kappa in days.
DROP_FRONTIER = [
    (0.001, 0.6625, 1.0812, 51.30),
    (0.002, 0.6625, 1.0794, 36.27),
    (0.003, 0.6625, 1.0776, 29.62),
    (0.004, 0.6625, 1.0758, 25.65),
    (0.005, 0.6625, 1.0740, 22.94),
    (0.006, 0.6625, 1.0722, 20.94),
    (0.007, 0.6625, 1.0704, 19.39),
    (0.008, 0.6626, 1.0687, 18.14),
    (0.009, 0.6626, 1.0669, 17.10),
]


def _trades(risk_aversion: float) -> np.ndarray:
    return optimal_trades(X, horizon_days=DAYS, steps=STEPS, impact=PAPER, risk_aversion=risk_aversion)


def test_the_rules_of_thumb_give_the_parameters_of_the_papers_table():
    found = LinearImpact.of_market(
        price_usd=50.0, spread_usd=1 / 8, daily_volatility=0.95 / 50, daily_volume_shares=5e6
    )
    assert (found.sigma, found.epsilon) == pytest.approx((0.95, 1 / 16), rel=1e-15)
    assert (found.eta, found.gamma) == pytest.approx((2.5e-6, 2.5e-7), rel=1e-15)


def test_the_urgency_is_the_one_that_the_paper_states():
    assert round(urgency(PAPER, risk_aversion=1e-6, tau=1.0), 2) == 0.61


@pytest.mark.parametrize(("risk_aversion", "expected", "variance", "half_life"), DROP_FRONTIER)
def test_the_frontier_is_the_one_that_drop_publishes(risk_aversion, expected, variance, half_life):
    (point,) = efficient_frontier(
        X, horizon_days=DAYS, steps=STEPS, impact=PAPER, risk_aversions=[risk_aversion * 1e-6]
    )
    assert point.expected_usd / 1e6 == pytest.approx(expected, abs=0.00005001)
    assert point.variance_usd2 / 1e12 == pytest.approx(variance, abs=0.00005001)
    assert 1 / urgency(PAPER, risk_aversion=risk_aversion * 1e-6, tau=1.0) == pytest.approx(half_life, abs=0.011)


def test_even_trading_costs_what_the_paper_derives_for_it():
    # gamma X^2 / 2 + epsilon X + (eta - gamma tau / 2) X^2 / T and sigma^2 X^2 T (1 - 1/N)(1 - 1/2N) / 3
    cost = cost_of(np.full(STEPS, X / STEPS), horizon_days=DAYS, impact=PAPER)
    assert cost.expected_usd == pytest.approx(125_000 + 62_500 + 475_000, rel=1e-14)
    assert cost.variance_usd2 == pytest.approx(0.9025e12 * 5 / 3 * 0.8 * 0.9, rel=1e-14)


def test_selling_at_once_has_no_risk_and_costs_what_the_paper_derives_for_it():
    # epsilon X + eta X^2 / tau: permanent impact does not matter.
    cost = cost_of([X, 0, 0, 0, 0], horizon_days=DAYS, impact=PAPER)
    assert cost.expected_usd == pytest.approx(62_500 + 2_500_000, rel=1e-14)
    assert cost.variance_usd2 == 0.0


def _objective(trades: np.ndarray, risk_aversion: float) -> float:
    """Return E + lambda V in millions by walking through the price process of section 1, sale after sale."""
    tau, left, moved, shortfall, variance = DAYS / len(trades), X, 0.0, 0.0, 0.0
    for sold in trades:
        shortfall += sold * (moved + PAPER.epsilon + PAPER.eta * sold / tau)
        moved += PAPER.gamma * sold
        left -= sold
        variance += PAPER.sigma**2 * tau * left**2
    return (shortfall + risk_aversion * variance) / 1e6


@pytest.mark.parametrize("risk_aversion", [1e-7, 1e-6, 2e-6, 1e-5])
def test_the_closed_form_is_the_minimum_that_a_numerical_optimiser_finds(risk_aversion):
    scale = X / STEPS

    def of_free(free: np.ndarray) -> float:
        return _objective(np.append(free, STEPS - free.sum()) * scale, risk_aversion)

    found = minimize(of_free, np.ones(STEPS - 1), method="BFGS", options={"gtol": 1e-9, "xrtol": 1e-14})
    closed = _trades(risk_aversion)
    assert np.append(found.x, STEPS - found.x.sum()) * scale == pytest.approx(closed, rel=2e-5, abs=2.0)
    assert _objective(closed, risk_aversion) <= found.fun + 1e-12


def test_expectation_and_variance_are_those_of_the_price_process():
    for risk_aversion in (0.0, 1e-6):
        trades = _trades(risk_aversion)
        cost = cost_of(trades, horizon_days=DAYS, impact=PAPER)
        assert _objective(trades, 0.0) * 1e6 == pytest.approx(cost.expected_usd, rel=1e-13)
        difference = _objective(trades, 1.0) - _objective(trades, 0.0)
        assert difference * 1e6 == pytest.approx(cost.variance_usd2, rel=1e-6)


def test_trades_satisfy_the_recursion_of_the_paper():
    # x_{j-1} - 2 x_j + x_{j+1} = tau^2 kappa~^2 x_j, with kappa~^2 = lambda sigma^2 / (eta - gamma tau / 2)
    left = X - np.concatenate(([0.0], np.cumsum(_trades(1e-6))))
    kappa_tilde_squared = 1e-6 * 0.9025 / (2.5e-6 - 1.25e-7)
    assert left[:-2] - 2 * left[1:-1] + left[2:] == pytest.approx(kappa_tilde_squared * left[1:-1], rel=1e-12)


@pytest.mark.parametrize("risk_aversion", [0.0, 1e-300, 1e-30, 1e-22])
def test_without_risk_aversion_it_is_twap(risk_aversion):
    assert _trades(risk_aversion) / X == pytest.approx(np.full(STEPS, 0.2), abs=1e-12)


@pytest.mark.parametrize("kappa", [1e-14, 0.364, 0.819, 3.0, 700.0, 1e5])
def test_what_is_left_falls_from_exactly_all_to_exactly_nothing(kappa):
    left = holdings(np.linspace(0.0, 1.0, 391).tolist(), kappa=kappa)
    assert (left[0], left[-1]) == (1.0, 0.0)
    assert (np.diff(left) <= 0).all()


def test_extreme_urgency_sells_all_in_the_first_step_without_overflow():
    trades = _trades(1e6)
    assert trades[0] == pytest.approx(X, rel=1e-9)
    assert np.isfinite(trades).all()
    assert holdings([0.0, 1.0, 1000.0], kappa=1e6).tolist() == [1.0, 0.0, 0.0]


def test_more_risk_aversion_is_dearer_and_safer():
    points = efficient_frontier(
        X, horizon_days=DAYS, steps=STEPS, impact=PAPER, risk_aversions=[0.0, 1e-8, 1e-7, 1e-6, 1e-5]
    )
    assert [point.expected_usd for point in points] == sorted({point.expected_usd for point in points})
    deviations = [point.deviation_usd for point in points]
    assert deviations == sorted(set(deviations), reverse=True)


def test_a_purchase_is_the_mirror_image_of_a_sale():
    assert optimal_trades(-X, horizon_days=DAYS, steps=STEPS, impact=PAPER, risk_aversion=1e-6) == pytest.approx(
        -_trades(1e-6)
    )


def test_steps_in_which_permanent_impact_outweighs_the_temporary_are_refused():
    with pytest.raises(ExecutionError, match="is not above gamma \\* tau / 2 = 1e-05 for steps of 80 days"):
        urgency(PAPER, risk_aversion=1e-6, tau=80.0)


@pytest.mark.parametrize("wrong", [{"eta": 0.0}, {"sigma": -1.0}, {"gamma": float("nan")}])
def test_parameters_that_are_no_market_are_refused(wrong):
    with pytest.raises(ExecutionError, match="linear impact: "):
        LinearImpact(**{"sigma": 0.95, "epsilon": 0.06, "eta": 2.5e-6, "gamma": 2.5e-7, **wrong})
