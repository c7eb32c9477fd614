"""Every number of a series of session returns: a backtest's, or its benchmark's.

Belongs here: which numbers there are, and that one which does not exist, such as the Sharpe ratio of one session, is
None. The formulas are in :mod:`aegis.metrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pandas as pd

from aegis.errors import RiskError
from aegis.metrics import ratios, returns, risk

_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnMetrics:
    """What a series of session returns was like; None where a number does not exist.

    Parameters
    ----------
    total_return : float
        Compounded over all sessions; 0.1 is ten percent.
    annualised_return, volatility_annualised : float
        1/year.
    sharpe_ratio, sortino_ratio : float
        Annualised, over the risk-free rate.
    calmar_ratio : float
        Annualised return over the depth of the deepest drawdown.
    max_drawdown : float
        Zero or negative.
    drawdown_peak, drawdown_trough, drawdown_recovery : date
        Sessions of the deepest drawdown; the peak is None where it was the beginning, the recovery where there is none
        yet, and all are where equity never fell.
    value_at_risk_95, expected_shortfall_95 : float
        Of one session, historical; positive is a loss.
    best_session_return, worst_session_return : float
        1/session.
    winning_sessions_share : float
        Sessions that gained among those that gained or lost.
    """

    total_return: float | None
    annualised_return: float | None
    volatility_annualised: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    calmar_ratio: float | None
    max_drawdown: float | None
    drawdown_peak: date | None
    drawdown_trough: date | None
    drawdown_recovery: date | None
    value_at_risk_95: float | None
    expected_shortfall_95: float | None
    best_session_return: float | None
    worst_session_return: float | None
    winning_sessions_share: float | None


def return_metrics(
    session_returns: pd.Series[float], *, risk_free_rate_annual: float, sessions_per_year: int
) -> ReturnMetrics:
    """Measure a series of returns: an account's, or a benchmark's.

    Parameters
    ----------
    session_returns : Series of float, by session
        1/session.
    risk_free_rate_annual : float
        Effective, 1/year.
    sessions_per_year : int
        252 for an exchange with weekends, 365 for a market that never closes.

    Raises
    ------
    RiskError
        There is no return, or a value is no return.
    """
    series = returns.return_series(session_returns.to_numpy())
    rate: dict[str, Any] = {"risk_free_rate": risk_free_rate_annual, "sessions_per_year": sessions_per_year}
    per_year: dict[str, Any] = {"sessions_per_year": sessions_per_year}
    fall = risk.max_drawdown(returns.compounded_levels(series)) if series.min() > -1.0 else None
    days = [None, *(session.date() for session in pd.DatetimeIndex(session_returns.index))]
    fell = fall is not None and fall.depth < 0.0
    return ReturnMetrics(
        total_return=returns.total_return(series),
        annualised_return=returns.annualised_return(series, **per_year),
        volatility_annualised=unless_undefined(risk.annualised_volatility, series, **per_year),
        sharpe_ratio=unless_undefined(ratios.sharpe_ratio, series, **rate),
        sortino_ratio=unless_undefined(ratios.sortino_ratio, series, **rate),
        calmar_ratio=unless_undefined(ratios.calmar_ratio, series, **per_year),
        max_drawdown=fall.depth if fall else None,
        drawdown_peak=days[fall.peak] if fall and fell else None,
        drawdown_trough=days[fall.trough] if fall and fell else None,
        drawdown_recovery=days[fall.recovery] if fall and fell and fall.recovery is not None else None,
        value_at_risk_95=unless_undefined(risk.historical_value_at_risk, series, confidence=_CONFIDENCE),
        expected_shortfall_95=unless_undefined(risk.historical_expected_shortfall, series, confidence=_CONFIDENCE),
        best_session_return=float(series.max()),
        worst_session_return=float(series.min()),
        winning_sessions_share=unless_undefined(returns.hit_rate, series),
    )


def unless_undefined(metric: Callable[..., float], *arguments: Any, **options: Any) -> float | None:
    """Return the metric, or None where it does not exist for a series that is sound."""
    try:
        return metric(*arguments, **options)
    except RiskError:
        return None
