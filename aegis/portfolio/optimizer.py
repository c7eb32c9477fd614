"""Target weights: long-only mean-variance with a cost of trading, as one convex problem.

Belongs here: the problem, its solver and the refusal of inputs it cannot take. Which names enter it and why a weight
came out as it did is :mod:`aegis.portfolio.rebalancing`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis.config import PortfolioSettings
from aegis.errors import PortfolioError

FloatArray = NDArray[np.float64]

OBJECTIVE_SCALE = 1e4
"""The objective is handed to the solver in basis points a session, so that its absolute tolerances bite."""

SNAP_TOLERANCE = 1e-7
"""Weights this close to zero, the cap or the weight held are on it: an interior-point solver stops just beside a
kink."""

_SOLVER_OPTIONS = {
    "tol_gap_abs": 1e-10,
    "tol_gap_rel": 1e-10,
    "tol_feas": 1e-10,
    "max_iter": 200,
    "direct_solve_method": "qdldl",
}


@dataclass(frozen=True)
class _Problem:
    """One compiled problem of a given number of names, with the parameters that a solve fills in."""

    problem: Any
    weights: Any
    expected_returns: Any
    risk_factor: Any
    current_weights: Any
    max_gross: Any


class TargetWeightsOptimizer:
    r"""Find the weights that a long-only book should hold.

    Parameters
    ----------
    settings : PortfolioSettings
        Risk aversion, turnover cost and the session count it is spread over, position cap, gross exposure.

    Notes
    -----
    .. math::

        \max_w \; \alpha^\top w - \tfrac{\gamma}{2} w^\top \Sigma w - \tfrac{c}{H} \lVert w - w_0 \rVert_1
        \quad \text{s.t. } 0 \le w \le u, \; \mathbf{1}^\top w \le g

    Horizons agree: :math:`\alpha` and :math:`\Sigma` are per session, and the cost c of a trade, paid once, is spread
    over the H = ``holding_period_sessions`` sessions for which the position is expected to be held.

    The problem is compiled once for each number of names (cvxpy's parametrised form, DPP) and solved by Clarabel, an
    interior-point method, one thread, always from a cold start: the result depends on the arguments to the bit and not
    on what was solved before. An instance is not meant to be shared by threads.

    References
    ----------
    Markowitz, H. (1952), Portfolio selection, Journal of Finance 7.
    Boyd, S. et al. (2017), Multi-period trading via convex optimization, Foundations and Trends in Optimization 3,
    section 4: single-period optimization with costs; section 4.6 on the holding period.
    Goulart, P. and Chen, Y. (2024), Clarabel: an interior-point solver for conic programs with quadratic objectives.
    """

    def __init__(self, settings: PortfolioSettings) -> None:
        self._settings = settings
        self._problems: dict[int, _Problem] = {}

    @property
    def settings(self) -> PortfolioSettings:
        """The settings it was made with."""
        return self._settings

    def solve(
        self,
        expected_returns: FloatArray,
        covariance: FloatArray,
        current_weights: FloatArray,
        *,
        exposure_scale: float,
        label: str = "",
    ) -> FloatArray:
        """Solve one decision.

        Parameters
        ----------
        expected_returns : ndarray of float64, shape (n,)
            Expected excess return, 1/session.
        covariance : ndarray of float64, shape (n, n)
            Covariance of daily returns, 1/session; symmetric, positive semi-definite.
        current_weights : ndarray of float64, shape (n,)
            Weights held, from which turnover is counted.
        exposure_scale : float
            Share of ``max_gross_exposure`` that may be used, 0 to 1.
        label : str, optional
            Session and names for the error message.

        Returns
        -------
        ndarray of float64, shape (n,)
            Weights within ``[0, max_position_weight]`` whose sum is at most ``max_gross_exposure * exposure_scale``.

        Raises
        ------
        PortfolioError
            An input is not finite, has the wrong shape or, for the covariance, is not symmetric positive semi-definite;
            or the solver did not reach the optimum.
        """
        n = len(expected_returns)
        _refuse_unusable(expected_returns, covariance, current_weights, exposure_scale, label)
        if n == 0:
            return np.zeros(0)
        compiled = self._problems.get(n)
        if compiled is None:
            compiled = self._problems[n] = self._compile(n)
        max_gross = self._settings.max_gross_exposure * exposure_scale
        compiled.expected_returns.value = OBJECTIVE_SCALE * expected_returns
        compiled.risk_factor.value = np.sqrt(OBJECTIVE_SCALE) * risk_factor(covariance, label=label)
        compiled.current_weights.value = current_weights
        compiled.max_gross.value = max_gross
        return self._feasible(_solved(compiled, n, label), current_weights, max_gross)

    def _compile(self, n: int) -> _Problem:
        import cvxpy  # noqa: PLC0415 - takes a second to import, and only decisions need it

        weights = cvxpy.Variable(n)
        expected_returns = cvxpy.Parameter(n)
        factor = cvxpy.Parameter((n, n))
        current_weights = cvxpy.Parameter(n)
        max_gross = cvxpy.Parameter(nonneg=True)
        cost = self._settings.turnover_cost_bps / 1e4 / self._settings.holding_period_sessions
        objective = (
            expected_returns @ weights
            - 0.5 * self._settings.risk_aversion * cvxpy.sum_squares(factor @ weights)
            - OBJECTIVE_SCALE * cost * cvxpy.norm1(weights - current_weights)
        )
        constraints = [weights >= 0, weights <= self._settings.max_position_weight, cvxpy.sum(weights) <= max_gross]
        problem = cvxpy.Problem(cvxpy.Maximize(objective), constraints)
        return _Problem(problem, weights, expected_returns, factor, current_weights, max_gross)

    def _feasible(self, weights: FloatArray, current_weights: FloatArray, max_gross: float) -> FloatArray:
        cap = self._settings.max_position_weight
        kept = np.where(np.abs(weights - current_weights) < SNAP_TOLERANCE, current_weights, weights)
        snapped = np.where(kept < SNAP_TOLERANCE, 0.0, np.where(kept > cap - SNAP_TOLERANCE, cap, kept))
        return _within_gross(snapped, max_gross, is_free=(snapped != current_weights) & (snapped < cap))


def _within_gross(weights: FloatArray, max_gross: float, *, is_free: NDArray[np.bool_]) -> FloatArray:
    # Snapping adds up to 1e-7 a name. It is taken off the names that nothing holds in place, so that a capped weight
    # stays at the cap and an unchanged one unchanged.
    excess = float(np.sum(weights)) - max_gross
    if excess <= 0.0:
        return weights
    payers = is_free if float(np.sum(weights[is_free])) > excess else np.ones_like(is_free)
    return np.where(payers, weights * (1.0 - excess / float(np.sum(weights[payers]))), weights)


def risk_factor(covariance: FloatArray, *, label: str = "") -> FloatArray:
    """Return F with ``F.T @ F`` equal to `covariance`.

    Parameters
    ----------
    covariance : ndarray of float64, shape (n, n)
        Symmetric, positive semi-definite, 1/session.

    Raises
    ------
    PortfolioError
        An eigenvalue is negative beyond rounding.
    """
    try:
        factor = np.asarray(np.linalg.cholesky(covariance).T, dtype=np.float64)
    except np.linalg.LinAlgError:
        factor = _eigenvalue_factor(covariance, label)
    return factor


def _eigenvalue_factor(covariance: FloatArray, label: str) -> FloatArray:
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-10 * max(values[-1], 0.0) or values[-1] < 0.0:
        raise PortfolioError(
            f"{_prefix(label)}covariance of {len(covariance)} names is not positive semi-definite: smallest eigenvalue "
            f"{values[0]:.3e}, largest {values[-1]:.3e}; shrink the estimate or drop the offending name"
        )
    factor: FloatArray = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return factor


def _solved(compiled: _Problem, n: int, label: str) -> FloatArray:
    import cvxpy  # noqa: PLC0415 - see _compile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "may be inaccurate" is refused below by its status
            compiled.problem.solve(solver=cvxpy.CLARABEL, warm_start=False, **_SOLVER_OPTIONS)
    except cvxpy.error.SolverError as error:
        raise PortfolioError(f"{_prefix(label)}the solver failed on {n} names: {error}; look at the inputs") from error
    if compiled.problem.status != cvxpy.OPTIMAL:
        raise PortfolioError(
            f"{_prefix(label)}expected an optimal solution for {n} names, the solver says "
            f"{compiled.problem.status!r}; no weights are taken from it. Look for extreme expected returns or variances"
        )
    solution: FloatArray = np.asarray(compiled.weights.value, dtype=np.float64)
    return solution


def _refuse_unusable(
    expected_returns: FloatArray,
    covariance: FloatArray,
    current_weights: FloatArray,
    exposure_scale: float,
    label: str,
) -> None:
    n = len(expected_returns)
    if expected_returns.shape != (n,) or current_weights.shape != (n,) or covariance.shape != (n, n):
        raise PortfolioError(
            f"{_prefix(label)}expected {n} returns, {n} current weights and a {n} by {n} covariance, found shapes "
            f"{expected_returns.shape}, {current_weights.shape} and {covariance.shape}; align them by symbol"
        )
    for name, values in (
        ("expected return", expected_returns),
        ("covariance", covariance),
        ("current weight", current_weights),
    ):
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise PortfolioError(
                f"{_prefix(label)}{name} at index {tuple(int(i) for i in bad[0])} is {values[tuple(bad[0])]}; "
                "it must be finite: leave the name out of the decision"
            )
    asymmetry = np.abs(covariance - covariance.T)
    if n and asymmetry.max() > 1e-12 * np.abs(covariance).max():
        i, j = np.unravel_index(int(asymmetry.argmax()), asymmetry.shape)
        raise PortfolioError(
            f"{_prefix(label)}covariance is not symmetric: entries ({i}, {j}) and ({j}, {i}) are {covariance[i, j]} "
            f"and {covariance[j, i]}; average them or look for a wrong row order"
        )
    if not 0.0 <= exposure_scale <= 1.0:
        raise PortfolioError(f"{_prefix(label)}exposure_scale is {exposure_scale}; expected a share between 0 and 1")


def _prefix(label: str) -> str:
    return f"{label}: " if label else ""
