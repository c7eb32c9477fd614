"""Target weights against closed forms, another solver and the optimality conditions."""

import numpy as np
import pytest
from scipy.optimize import minimize

from aegis.config import PortfolioSettings
from aegis.errors import PortfolioError
from aegis.portfolio import optimizer
from aegis.portfolio.optimizer import TargetWeightsOptimizer, risk_factor

FREE = PortfolioSettings(max_position_weight=1.0, turnover_cost_bps=0.0, risk_aversion=5.0)
COSTLY = PortfolioSettings(
    max_position_weight=1.0, turnover_cost_bps=10.0, holding_period_sessions=20, risk_aversion=5.0
)


def market(n, seed):
    """One factor and own risk: expected returns, covariance and weights held."""
    random = np.random.default_rng(seed)
    beta = random.normal(1.0, 0.3, size=(n, 1)) * 0.01
    covariance = beta @ beta.T + np.diag(random.uniform(0.01, 0.025, size=n) ** 2)
    alpha = random.normal(size=n) * 1.5e-4 + 5 * covariance @ np.full(n, 0.95 / n)
    return alpha, covariance, np.clip(random.normal(0.03, 0.02, size=n), 0.0, 0.05)


def test_without_costs_or_binding_limits_weights_are_alpha_over_risk():
    variances = np.array([1e-4, 4e-4])

    weights = TargetWeightsOptimizer(FREE).solve(
        np.array([1e-4, 2e-4]), np.diag(variances), np.zeros(2), exposure_scale=1.0
    )

    # alpha / (gamma * variance): 1e-4 / 5e-4 and 2e-4 / 20e-4
    np.testing.assert_allclose(weights, [0.2, 0.1], atol=1e-7)


def test_a_negative_expected_return_is_not_held():
    weights = TargetWeightsOptimizer(FREE).solve(
        np.array([1e-4, -1e-4]), np.diag([1e-4, 1e-4]), np.zeros(2), exposure_scale=1.0
    )

    assert weights[1] == 0.0


def test_a_binding_exposure_is_shared_at_equal_marginal_return():
    weights = TargetWeightsOptimizer(FREE).solve(
        np.array([4e-4, 3e-4]), np.diag([1e-4, 1e-4]), np.zeros(2), exposure_scale=0.5
    )

    # w = (alpha - lambda) / 5e-4 and the sum is 0.5: lambda = (7e-4 - 2.5e-4) / 2 = 2.25e-4
    np.testing.assert_allclose(weights, [0.35, 0.15], atol=1e-7)
    assert weights.sum() <= 0.5


def test_the_cap_binds_exactly():
    settings = PortfolioSettings(max_position_weight=0.05, turnover_cost_bps=0.0)

    weights = TargetWeightsOptimizer(settings).solve(
        np.array([1e-3, 1e-5]), np.diag([1e-4, 1e-4]), np.zeros(2), exposure_scale=1.0
    )

    assert weights[0] == 0.05
    assert weights[1] == pytest.approx(1e-5 / 5e-4, abs=1e-7)


def test_turnover_cost_leaves_a_zone_without_trades_and_trades_to_its_edge():
    # cost 10 bp over 20 sessions = 5e-5 a session; gamma * variance = 5e-4: the zone is alpha / 5e-4 -+ 0.1
    alpha = np.array([1e-4, 1e-4, 1e-4])
    held = np.array([0.15, 0.02, 0.5])

    weights = TargetWeightsOptimizer(COSTLY).solve(alpha, np.diag([1e-4] * 3), held, exposure_scale=1.0)

    assert weights[0] == 0.15  # inside 0.1 .. 0.3
    np.testing.assert_allclose(weights[1:], [0.1, 0.3], atol=1e-7)


def test_no_exposure_allowed_means_no_positions():
    alpha, covariance, held = market(6, seed=3)

    weights = TargetWeightsOptimizer(PortfolioSettings()).solve(alpha, covariance, held, exposure_scale=0.0)

    assert weights.tolist() == [0.0] * 6


def test_no_names_give_no_weights():
    empty = np.zeros(0)

    assert TargetWeightsOptimizer(FREE).solve(empty, np.zeros((0, 0)), empty, exposure_scale=1.0).shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_weights_agree_with_another_solver(seed):
    settings = PortfolioSettings()
    alpha, covariance, held = market(8, seed)
    held *= 3  # of 8 names, the cap of 5 % then forces sales
    cost = settings.turnover_cost_bps / 1e4 / settings.holding_period_sessions

    def loss(trades):  # bought then sold parts of each name, in basis points
        weights = held + trades[:8] - trades[8:]
        risk = 0.5 * settings.risk_aversion * weights @ covariance @ weights
        return 1e4 * (risk - alpha @ weights + cost * trades.sum())

    def slope(trades):
        weights = held + trades[:8] - trades[8:]
        gradient = settings.risk_aversion * covariance @ weights - alpha
        return 1e4 * np.r_[gradient + cost, cost - gradient]

    change = np.c_[np.eye(8), -np.eye(8)]
    reference = minimize(
        loss,
        np.r_[np.zeros(8), held],
        jac=slope,
        method="SLSQP",
        bounds=[(0, None)] * 16,
        constraints=[
            {"type": "ineq", "fun": lambda t: held + change @ t, "jac": lambda _: change},
            {"type": "ineq", "fun": lambda t: 0.05 - held - change @ t, "jac": lambda _: -change},
        ],
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert reference.success

    weights = TargetWeightsOptimizer(settings).solve(alpha, covariance, held, exposure_scale=1.0)

    np.testing.assert_allclose(weights, held + change @ reference.x, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("exposure_scale", [1.0, 0.4])
def test_weights_satisfy_the_optimality_conditions(seed, exposure_scale):
    settings = PortfolioSettings()
    alpha, covariance, held = market(30, seed)
    cost = settings.turnover_cost_bps / 1e4 / settings.holding_period_sessions

    weights = TargetWeightsOptimizer(settings).solve(alpha, covariance, held, exposure_scale=exposure_scale)

    assert (weights >= 0.0).all()
    assert (weights <= settings.max_position_weight).all()
    assert weights.sum() <= exposure_scale * settings.max_gross_exposure + 1e-12
    gain = alpha - settings.risk_aversion * covariance @ weights
    of_more = gain - np.where(weights >= held, cost, -cost)  # slope of the objective when a weight grows
    of_less = gain - np.where(weights > held, cost, -cost)  # and, with its sign turned, when it shrinks
    can_grow = weights < settings.max_position_weight
    can_shrink = weights > 0.0
    best_growth = of_more[can_grow].max()
    if weights.sum() < exposure_scale - 1e-7:
        assert best_growth < 1e-8  # nothing more is worth holding: slopes are of the order 1e-4
    assert of_less[can_shrink].min() > -1e-8  # nothing is worth selling
    assert of_less[can_shrink].min() > best_growth - 1e-8  # nothing is worth exchanging
    assert weights.sum() > 0.1


def test_the_result_does_not_depend_on_what_was_solved_before():
    first, second, third = market(30, seed=1), market(30, seed=2), market(29, seed=3)
    forward, backward = TargetWeightsOptimizer(PortfolioSettings()), TargetWeightsOptimizer(PortfolioSettings())

    in_order = [forward.solve(*case, exposure_scale=1.0) for case in (first, second, third)]
    reversed_order = [backward.solve(*case, exposure_scale=1.0) for case in (third, second, first)][::-1]
    alone = [TargetWeightsOptimizer(PortfolioSettings()).solve(*case, exposure_scale=1.0) for case in (first, second)]

    assert [w.tobytes() for w in in_order] == [w.tobytes() for w in reversed_order]
    assert [w.tobytes() for w in in_order[:2]] == [w.tobytes() for w in alone]
    assert in_order[0].tobytes() != in_order[1].tobytes()


def test_a_singular_covariance_has_a_factor():
    covariance = np.array([[4e-4, 2e-4], [2e-4, 1e-4]])  # two names that move as one

    factor = risk_factor(covariance)

    np.testing.assert_allclose(factor.T @ factor, covariance, atol=1e-18)


def test_a_covariance_with_a_negative_eigenvalue_is_refused():
    with pytest.raises(PortfolioError, match="2020-01-02: covariance of 2 names is not positive semi-definite"):
        TargetWeightsOptimizer(FREE).solve(
            np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros(2), exposure_scale=1.0, label="2020-01-02"
        )


@pytest.mark.parametrize(
    ("alpha", "covariance", "held", "scale", "message"),
    [
        ([0.0, np.nan], np.eye(2), [0.0, 0.0], 1.0, r"expected return at index \(1,\) is nan"),
        ([0.0, 0.0], np.diag([1.0, np.inf]), [0.0, 0.0], 1.0, r"covariance at index \(1, 1\) is inf"),
        ([0.0, 0.0], np.eye(2), [np.nan, 0.0], 1.0, r"current weight at index \(0,\) is nan"),
        ([0.0, 0.0], np.eye(3), [0.0, 0.0], 1.0, r"expected 2 returns, 2 current weights and a 2 by 2 covariance"),
        ([0.0, 0.0], np.eye(2), [0.0], 1.0, r"found shapes \(2,\), \(1,\) and \(2, 2\)"),
        ([0.0, 0.0], np.array([[1.0, 0.1], [0.2, 1.0]]), [0.0, 0.0], 1.0, "covariance is not symmetric"),
        ([0.0, 0.0], np.eye(2), [0.0, 0.0], 1.5, "exposure_scale is 1.5"),
        ([0.0, 0.0], np.eye(2), [0.0, 0.0], float("nan"), "exposure_scale is nan"),
    ],
)
def test_unusable_inputs_are_refused(alpha, covariance, held, scale, message):
    with pytest.raises(PortfolioError, match=message):
        TargetWeightsOptimizer(FREE).solve(np.array(alpha), covariance, np.array(held), exposure_scale=scale)


def test_a_solver_that_does_not_reach_the_optimum_is_refused(monkeypatch):
    monkeypatch.setitem(optimizer._SOLVER_OPTIONS, "max_iter", 1)
    alpha, covariance, held = market(5, seed=1)

    with pytest.raises(PortfolioError, match=r"2020-01-02: .*5 names"):
        TargetWeightsOptimizer(FREE).solve(alpha, covariance, held, exposure_scale=1.0, label="2020-01-02")
