"""The risk report of one session: what the target book risks, and how the account and its breakers stand.

Belongs here: which numbers are reported. Their formulas are :mod:`aegis.metrics` and the modules beside this one.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from aegis.config import RiskSettings
from aegis.errors import RiskError
from aegis.metrics.returns import SESSIONS_PER_YEAR, finite_series, level_series, simple_returns
from aegis.metrics.risk import historical_value_at_risk
from aegis.risk.breakers import BreakerState
from aegis.risk.exposure import concentration_hhi, gross_exposure, largest_weight, net_exposure
from aegis.risk.value_at_risk import book_volatility, parametric_expected_shortfall, parametric_value_at_risk


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskReport:
    """A row of ``risk/risk_report``; fields and units as there."""

    session: date
    account: str
    value_at_risk_95: float | None
    expected_shortfall_95: float | None
    historical_value_at_risk_95: float | None
    volatility_annualised: float | None
    gross_exposure: float
    net_exposure: float
    largest_weight: float
    concentration_hhi: float
    drawdown: float
    return_daily: float
    breaker_state: str
    exposure_scale: float
    known_at_utc: datetime

    def row(self) -> dict[str, Any]:
        """Return the row as a mapping of column to value."""
        return asdict(self)


def risk_report(
    session: date,
    account: str,
    *,
    weights: ArrayLike,
    covariance: ArrayLike,
    uncovered_weights: ArrayLike = (),
    equity_history_usd: ArrayLike,
    drawdown: float,
    return_daily: float,
    breaker: BreakerState,
    settings: RiskSettings,
    known_at_utc: datetime,
    drift_scale: float = 1.0,
) -> RiskReport:
    """Measure the target book and the account at the close of a session.

    Parameters
    ----------
    session : date
        Decision session.
    account : str
        Whose book it is.
    weights : array-like of float, shape (n,)
        Target weights of the names with a covariance, in its order.
    covariance : array-like of float, shape (n, n)
        Daily, as known at the close.
    uncovered_weights : array-like of float, shape (m,)
        Target weights of names held without a covariance; see :func:`~aegis.risk.value_at_risk.book_volatility`.
    equity_history_usd : array-like of float, shape (k,)
        Equity at closes, oldest first, this session's last. Only the last look-back + 1 are read.
    drawdown : float
        Of the account, from its highest equity ever; zero or negative.
    return_daily : float
        Of the account in this session.
    breaker : BreakerState
        After this session.
    settings : RiskSettings
        Look-back of the historical value at risk, and the exposure of a tripped breaker.
    known_at_utc : datetime
        Instant of the decision; aware UTC.
    drift_scale : float
        Share of the exposure that responses to drift leave.

    Returns
    -------
    RiskReport
        The three forecasts are None where something is held and no name has a covariance, as in a session without
        trusted bars: an unmeasured book is not a riskless one. ``historical_value_at_risk_95`` is None until the
        account has a full look-back of returns, so that the number means the same in every session that has it.

    Raises
    ------
    RiskError
        A weight, covariance, equity, drawdown or return cannot be used; the message names the session.
    """
    lookback = settings.value_at_risk_lookback_sessions
    try:
        _require_measured(drawdown, return_daily)
        held = finite_series(weights, "weights", minimum=0)
        book = np.concatenate((held, finite_series(uncovered_weights, "uncovered weights", minimum=0)))
        is_measurable = held.size > 0 or not np.any(book)
        volatility = book_volatility(held, covariance, uncovered_weights=uncovered_weights) if is_measurable else None
        equity = level_series(np.asarray(equity_history_usd, dtype=np.float64)[-(lookback + 1) :], "equity")
        historical = historical_value_at_risk(simple_returns(equity)) if equity.size > lookback else None
    except RiskError as error:
        raise RiskError(f"{account} {session}: {error}") from error
    return RiskReport(
        session=session,
        account=account,
        value_at_risk_95=None if volatility is None else parametric_value_at_risk(volatility),
        expected_shortfall_95=None if volatility is None else parametric_expected_shortfall(volatility),
        historical_value_at_risk_95=historical,
        volatility_annualised=None if volatility is None else volatility * math.sqrt(SESSIONS_PER_YEAR),
        gross_exposure=gross_exposure(book),
        net_exposure=net_exposure(book),
        largest_weight=largest_weight(book),
        concentration_hhi=concentration_hhi(book),
        drawdown=drawdown,
        return_daily=return_daily,
        breaker_state=breaker.status,
        exposure_scale=min(breaker.exposure_scale(settings), drift_scale),
        known_at_utc=known_at_utc,
    )


def _require_measured(drawdown: float, return_daily: float) -> None:
    if not math.isfinite(return_daily) or not -1.0 <= drawdown <= 0.0:
        raise RiskError(f"drawdown {drawdown} must lie in [-1, 0] and return {return_daily} be finite; measure them")
