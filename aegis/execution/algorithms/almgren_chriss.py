r"""Optimal execution after Almgren and Chriss: impact, risk, and the trajectory between them.

Belongs here: the closed forms of the paper, in its symbols. From them to the slices of an order is
:mod:`aegis.execution.algorithms.implementation_shortfall`; what a simulated fill moves is
:mod:`aegis.backtesting.market_impact`, another model for another question.

References
----------
Almgren, R. and Chriss, N. (2000), Optimal execution of portfolio transactions, Journal of Risk 3, 5-39 (2001);
sections below are those of the version of December 2000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from aegis.errors import ExecutionError

FloatArray = NDArray[np.float64]

_SPREAD_PER_SHARE_OF_VOLUME_TEMPORARY = 0.01
_SPREAD_PER_SHARE_OF_VOLUME_PERMANENT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearImpact:
    r"""The paper's market: a random walk that trading moves, for a while and for good.

    Parameters
    ----------
    sigma : float
        Volatility, USD per share and square root of a day; :math:`\sigma`.
    epsilon : float
        Cost of trading at all, half the spread and fees, USD per share; :math:`\epsilon`.
    eta : float
        Temporary impact: USD per share for each share a day; :math:`\eta`. Above 0.
    gamma : float
        Permanent impact: USD per share for each share; :math:`\gamma`.

    Raises
    ------
    ExecutionError
        A parameter is negative or not finite, or `eta` is 0.
    """

    sigma: float
    epsilon: float
    eta: float
    gamma: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0) or (field.name == "eta" and value == 0):
                bound = "above 0" if field.name == "eta" else "of at least 0"
                raise ExecutionError(f"linear impact: {field.name} {value!r} must be a finite number {bound}")

    @classmethod
    def of_market(
        cls, *, price_usd: float, spread_usd: float, daily_volatility: float, daily_volume_shares: float
    ) -> LinearImpact:
        """Return the parameters that the paper's rules of thumb give for a share.

        Parameters
        ----------
        price_usd, spread_usd : float
            Of a share; the spread between bid and ask.
        daily_volatility : float
            Standard deviation of daily returns, a fraction.
        daily_volume_shares : float
            Expected volume of a day; above 0.

        Raises
        ------
        ExecutionError
            A number is not as described.

        Notes
        -----
        Section 3.4: trading costs half the spread; each percent of the daily volume traded in a day moves the price by
        a spread while it lasts, and ten percent by a spread for good.
        """
        if not (math.isfinite(daily_volume_shares) and daily_volume_shares > 0):
            raise ExecutionError(f"linear impact: a daily volume of {daily_volume_shares!r} shares; expected above 0")
        return cls(
            sigma=price_usd * daily_volatility,
            epsilon=spread_usd / 2.0,
            eta=spread_usd / (_SPREAD_PER_SHARE_OF_VOLUME_TEMPORARY * daily_volume_shares),
            gamma=spread_usd / (_SPREAD_PER_SHARE_OF_VOLUME_PERMANENT * daily_volume_shares),
        )

    def eta_tilde(self, tau: float) -> float:
        r"""Return :math:`\tilde\eta = \eta - \gamma\tau/2` for steps of `tau` days, section 1.5.

        Raises
        ------
        ExecutionError
            It is not positive: permanent impact within a step would outweigh the temporary one, and more trading would
            cost less.
        """
        value = self.eta - self.gamma * tau / 2.0
        if value <= 0:
            raise ExecutionError(
                f"linear impact: eta {self.eta:g} is not above gamma * tau / 2 = {self.gamma * tau / 2:g} for steps of "
                f"{tau:g} days; shorten the interval"
            )
        return value


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a trajectory is expected to cost against the price at its begin.

    Parameters
    ----------
    expected_usd : float
        Expected implementation shortfall.
    variance_usd2 : float
        Its variance.
    """

    expected_usd: float
    variance_usd2: float

    @property
    def deviation_usd(self) -> float:
        """Return the standard deviation of the shortfall."""
        return math.sqrt(self.variance_usd2)


def urgency(impact: LinearImpact, *, risk_aversion: float, tau: float) -> float:
    r"""Return :math:`\kappa`, by which the optimal trajectory decays, 1/day.

    Parameters
    ----------
    impact : LinearImpact
        The market.
    risk_aversion : float
        :math:`\lambda`, 1/USD: what a USD^2 of variance is worth; at least 0.
    tau : float
        Length of a step, days.

    Raises
    ------
    ExecutionError
        `risk_aversion` is negative or not finite.

    Notes
    -----
    Section 2.2: :math:`2(\cosh\kappa\tau - 1)/\tau^2 = \tilde\kappa^2 = \lambda\sigma^2/\tilde\eta`,
    solved without cancellation by :math:`\cosh x - 1 = 2 \sinh^2(x/2)`. :math:`1/\kappa` is the trade's half-life.
    """
    if not (math.isfinite(risk_aversion) and risk_aversion >= 0):
        raise ExecutionError(f"risk aversion {risk_aversion!r} must be a finite number of at least 0; correct it")
    kappa_tilde = math.sqrt(risk_aversion / impact.eta_tilde(tau)) * impact.sigma
    return 2.0 / tau * math.asinh(kappa_tilde * tau / 2.0)


def holdings(times: Sequence[float], *, kappa: float) -> FloatArray:
    r"""Return the fraction of the order that is still to be traded at each time.

    Parameters
    ----------
    times : sequence of float, shape (n + 1,)
        Ascending, days; from the first to the last the order is traded.
    kappa : float
        See :func:`urgency`.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        From 1 to 0.

    Notes
    -----
    Section 2.2: :math:`\sinh(\kappa(T - t)) / \sinh(\kappa T)`, written with decaying exponentials: it neither
    overflows for a large :math:`\kappa` nor loses digits for a small one. At 0 it is the straight line, TWAP.
    """
    left = times[-1] - np.asarray(times, dtype=float)
    whole = left[0]
    if kappa * whole == 0.0:
        return np.asarray(left / whole)
    decay = np.exp(-kappa * (whole - left))
    return np.asarray(decay * np.expm1(-2.0 * kappa * left) / np.expm1(-2.0 * kappa * whole))


def optimal_trades(
    shares: float, *, horizon_days: float, steps: int, impact: LinearImpact, risk_aversion: float
) -> FloatArray:
    r"""Return what to trade in each of `steps` equal steps to minimise :math:`E + \lambda V`.

    Parameters
    ----------
    shares : float
        The order; its sign is that of the trades.
    horizon_days : float
        Time in which to trade it.
    steps : int
        At least 1.
    impact : LinearImpact
        The market.
    risk_aversion : float
        See :func:`urgency`.

    Returns
    -------
    ndarray of float64, shape (steps,)
        Shares in each step.

    Raises
    ------
    ExecutionError
        There is no step or no time.
    """
    tau = _step_days(horizon_days, steps)
    kappa = urgency(impact, risk_aversion=risk_aversion, tau=tau)
    times = np.arange(steps + 1) * tau
    return np.asarray(-np.diff(shares * holdings(times.tolist(), kappa=kappa)))


def cost_of(trades: Sequence[float] | FloatArray, *, horizon_days: float, impact: LinearImpact) -> CostEstimate:
    r"""Return expectation and variance of what trades in equal steps cost.

    Parameters
    ----------
    trades : array-like of float, shape (n,)
        Shares in each step; all on one side.
    horizon_days : float
        Time of all steps together.
    impact : LinearImpact
        The market.

    Notes
    -----
    Sections 1.4 and 1.5: :math:`E = \frac12\gamma X^2 + \epsilon\sum|n_k| + \frac{\tilde\eta}{\tau}\sum n_k^2`,
    :math:`V = \sigma^2 \sum_k \tau x_k^2`, with :math:`x_k` what is left after step k.
    """
    sizes = np.asarray(trades, dtype=float)
    tau = _step_days(horizon_days, sizes.size)
    left = sizes.sum() - np.cumsum(sizes)
    expected = (
        impact.gamma * sizes.sum() ** 2 / 2.0
        + impact.epsilon * np.abs(sizes).sum()
        + impact.eta_tilde(tau) / tau * np.square(sizes).sum()
    )
    return CostEstimate(float(expected), float(impact.sigma**2 * tau * np.square(left).sum()))


def efficient_frontier(
    shares: float, *, horizon_days: float, steps: int, impact: LinearImpact, risk_aversions: Sequence[float]
) -> tuple[CostEstimate, ...]:
    """Return the cost of the optimal trajectory of each risk aversion: no other has less risk at its cost.

    Parameters
    ----------
    shares, horizon_days, steps, impact
        As of :func:`optimal_trades`.
    risk_aversions : sequence of float
        Each gives one point, in their order.
    """
    return tuple(
        cost_of(
            optimal_trades(shares, horizon_days=horizon_days, steps=steps, impact=impact, risk_aversion=risk_aversion),
            horizon_days=horizon_days,
            impact=impact,
        )
        for risk_aversion in risk_aversions
    )


def _step_days(horizon_days: float, steps: int) -> float:
    if steps < 1 or not (math.isfinite(horizon_days) and horizon_days > 0):
        raise ExecutionError(
            f"a trajectory of {steps} steps in {horizon_days!r} days: expected at least one step and a time above 0"
        )
    return horizon_days / steps
