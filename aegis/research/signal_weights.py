"""From stored signals to the weights that a backtest trades: one simple rule, the same for every strategy.

Belongs here: when the rule decides and what it wants to hold. It is there to compare strategies with each other; the
book's own weights come from the optimizer, with covariances and turnover costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.calendars import TradingCalendar
from aegis.market_data.panel_cells import session_symbol_array

FloatArray = NDArray[np.float64]


def weekly_weights(
    signals: pd.DataFrame,
    *,
    sessions: Sequence[date],
    symbols: Sequence[str],
    calendar: TradingCalendar,
    max_position_weight: float,
    max_gross_exposure: float,
) -> FloatArray:
    """Return the weights that a strategy's signals stand for.

    Parameters
    ----------
    signals : DataFrame
        ``session, symbol, score, confidence``: one row for each member of the universe.
    sessions : sequence of date
        Rows of the result, ascending.
    symbols : sequence of str
        Columns of the result.
    calendar : TradingCalendar
        Knows which session is the last of its week, before the week is over.
    max_position_weight, max_gross_exposure : float
        Shares of equity, see :func:`capped_weights`.

    Returns
    -------
    ndarray of float64, shape (sessions, symbols)
        NaN in the rows that decide nothing: all but the last session of each calendar week, and that one too if it has
        no signals. In a row that decides, everything without a positive signal has weight 0.

    Notes
    -----
    Known when: row t holds what the signals of session t say, so it is decided after the close of t and executes in the
    session after. Strength is score times confidence where that is positive.
    """
    strengths = session_symbol_array(
        signals.assign(strength=signals["score"].clip(lower=0.0) * signals["confidence"]),
        "strength",
        sessions=sessions,
        symbols=symbols,
    )
    decides = _ends_week(sessions, calendar) & ~np.isnan(strengths).all(axis=1)
    weights = np.full(strengths.shape, np.nan)
    for row in np.flatnonzero(decides):
        weights[row] = capped_weights(
            np.nan_to_num(strengths[row]),
            max_position_weight=max_position_weight,
            max_gross_exposure=max_gross_exposure,
        )
    return weights


def capped_weights(strengths: FloatArray, *, max_position_weight: float, max_gross_exposure: float) -> FloatArray:
    """Return weights in proportion to strength, none above the largest allowed.

    Parameters
    ----------
    strengths : ndarray of float64, shape (n,)
        Zero or positive.
    max_position_weight : float
        Share of equity that no weight exceeds. What it cuts off goes to the others, in proportion again.
    max_gross_exposure : float
        Sum of the weights; less if there are too few names to reach it, and then the rest stays cash.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``min(max_position_weight, c * strengths)`` with the c that reaches the sum.
    """
    order = np.argsort(-strengths, kind="stable")
    sorted_strengths = strengths[order]
    from_here_on = np.cumsum(sorted_strengths[::-1])[::-1]
    weights = np.zeros(len(strengths))
    left = max_gross_exposure
    for position, strength in enumerate(sorted_strengths):
        if strength <= 0.0:
            break
        if left * strength <= max_position_weight * from_here_on[position]:
            # The strongest that is left fits, so all weaker ones do.
            weights[order[position:]] = left * sorted_strengths[position:] / from_here_on[position]
            break
        weights[order[position]] = max_position_weight
        left -= max_position_weight
    return weights


def _ends_week(sessions: Sequence[date], calendar: TradingCalendar) -> NDArray[np.bool_]:
    """Say which sessions are the last of their ISO week."""
    return np.array([day.isocalendar()[:2] != calendar.next(day).isocalendar()[:2] for day in sessions])
