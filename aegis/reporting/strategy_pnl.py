"""What each strategy's opinions earned for the book, from the tables that it left.

Belongs here: lining up positions with the decision that they came from, and with what they earned after it. The formula
that shares out a weight is :mod:`aegis.metrics.attribution`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.config import PortfolioSettings
from aegis.lake.tables import STRATEGY_PNL
from aegis.market_data.adjustments import total_return_panel
from aegis.market_data.panel_cells import session_symbol_array
from aegis.metrics.attribution import credited_weights

FloatArray = NDArray[np.float64]

DECISION_LAG = 2
"""Sessions from a decision to the first session that its positions are held through: decided after the close of D,
traded in D+1, held overnight into D+2."""


@dataclass(frozen=True)
class AttributionInputs:
    """Rows of the tables that an attribution reads; those of a book are all of one account."""

    daily_pnl: pd.DataFrame
    account_values: pd.DataFrame
    positions: pd.DataFrame
    target_weights: pd.DataFrame
    risk_report: pd.DataFrame
    strategy_signals: pd.DataFrame
    daily_bars: pd.DataFrame
    corporate_actions: pd.DataFrame


def strategy_pnl(inputs: AttributionInputs, *, account: str, settings: PortfolioSettings) -> pd.DataFrame:
    """Share out price P&L and dividends of each session among the neutral book and the strategies.

    Parameters
    ----------
    inputs : AttributionInputs
    account : str
        The account that the rows belong to.
    settings : PortfolioSettings
        ``neutral_exposure`` and ``max_gross_exposure`` say what the optimizer holds without an opinion; those of now,
        also for sessions that were decided under others.

    Returns
    -------
    DataFrame
        Rows of ``portfolio/strategy_pnl``.

    Notes
    -----
    Positions at the close of session t-1 were decided at t-2, and earn in t. Without an opinion the optimizer would
    have held the same share of each name that it was asked about, as much as the breakers allowed then; that is the
    neutral book. The weight held beside it is credited by :func:`~aegis.metrics.attribution.credited_weights`, with
    confidence times score of each strategy in t-2 as its opinion: the expected return by which the optimizer bet is
    linear in these products. A name that was not held was an underweight, and counts as one.

    'unattributed' is what is left of price P&L and dividends: weights that no strategy argued for, which limits, costs,
    diversification and drift leave behind, names without a signal, and fractions of shares. A return over sessions
    without a bar counts in the session of the next one.
    """
    sessions = [stamp.date() for stamp in inputs.account_values["session"].sort_values()]
    if not sessions:
        return STRATEGY_PNL.empty()
    symbols = sorted({*inputs.positions["symbol"], *_asked(inputs.target_weights)["symbol"]})
    strategies = sorted(inputs.strategy_signals["strategy"].unique())
    panel = {"sessions": sessions, "symbols": symbols}
    held = _later(session_symbol_array(inputs.positions, "weight", **panel, fill=0.0), 1)
    neutral = _later(_neutral_weights(inputs, sessions, symbols, settings), DECISION_LAG)
    opinions = [
        _later(_opinions(inputs.strategy_signals, name, sessions, symbols), DECISION_LAG) for name in strategies
    ]
    stacked = np.array(opinions).reshape(len(strategies), len(sessions), len(symbols))
    credited = credited_weights(held, neutral, stacked)
    earned = _returns(inputs, sessions, symbols) * _later(_equity(inputs, sessions), 1)[:, None]
    parts = {("neutral", "neutral"): neutral} | {
        ("strategy", name): weights for name, weights in zip(strategies, credited, strict=True)
    }
    return _rows(parts, earned, inputs.daily_pnl, account=account, sessions=sessions)


def _asked(target_weights: pd.DataFrame) -> pd.DataFrame:
    """Return the names that the optimizer was asked about: all others have an optimized return of 0."""
    return target_weights[target_weights["optimized_return_daily"] != 0.0]


def _neutral_weights(
    inputs: AttributionInputs, sessions: Sequence[date], symbols: Sequence[str], settings: PortfolioSettings
) -> FloatArray:
    asked = session_symbol_array(
        _asked(inputs.target_weights).assign(one=1.0), "one", sessions=sessions, symbols=symbols, fill=0.0
    )
    scale = _by_session(inputs.risk_report, "exposure_scale", sessions)
    exposure = np.minimum(settings.neutral_exposure, settings.max_gross_exposure * scale)
    weights: FloatArray = asked * (exposure / np.maximum(asked.sum(axis=1), 1.0))[:, None]
    return weights


def _opinions(signals: pd.DataFrame, strategy: str, sessions: Sequence[date], symbols: Sequence[str]) -> FloatArray:
    own = signals[signals["strategy"] == strategy]
    strength = own.assign(strength=own["confidence"] * own["score"])
    return session_symbol_array(strength, "strength", sessions=sessions, symbols=symbols, fill=0.0)


def _returns(inputs: AttributionInputs, sessions: Sequence[date], symbols: Sequence[str]) -> FloatArray:
    """Return total returns as the book booked them: with the actions known when each session was decided."""
    decided = inputs.risk_report.set_index("session")["known_at_utc"].reindex(pd.DatetimeIndex(list(sessions)))
    returns = total_return_panel(
        inputs.daily_bars,
        inputs.corporate_actions,
        symbols,
        sessions,
        as_known_at=pd.DatetimeIndex(decided),
        max_gap_sessions=len(sessions),
    )
    return np.nan_to_num(returns, nan=0.0)


def _equity(inputs: AttributionInputs, sessions: Sequence[date]) -> FloatArray:
    return _by_session(inputs.account_values, "equity_usd", sessions)


def _by_session(frame: pd.DataFrame, column: str, sessions: Sequence[date]) -> FloatArray:
    values: FloatArray = (
        frame.set_index("session")[column].reindex(pd.DatetimeIndex(list(sessions))).to_numpy(dtype=np.float64)
    )
    return values


def _later(values: FloatArray, sessions: int) -> FloatArray:
    """Return each row at the session where it counts: that many sessions later, 0 before."""
    moved = np.zeros_like(values)
    moved[sessions:] = values[:-sessions] if len(values) > sessions else values[:0]
    return moved


def _rows(
    parts: Mapping[tuple[str, str], FloatArray],
    earned: FloatArray,
    daily_pnl: pd.DataFrame,
    *,
    account: str,
    sessions: Sequence[date],
) -> pd.DataFrame:
    holding = _by_session(daily_pnl, "price_pnl_usd", sessions) + _by_session(daily_pnl, "dividends_usd", sessions)
    decided = pd.Series(pd.DatetimeIndex(list(sessions))).shift(DECISION_LAG)
    stamp = {"session": pd.DatetimeIndex(list(sessions)), "account": account, "decision_session": decided}
    frames = [
        pd.DataFrame(
            {
                **stamp,
                "kind": kind,
                "attributed_to": name,
                "net_weight": weights.sum(axis=1),
                "gross_weight": np.abs(weights).sum(axis=1),
                "pnl_usd": (weights * earned).sum(axis=1),
            }
        )
        for (kind, name), weights in parts.items()
    ]
    credited = np.sum([frame["pnl_usd"].to_numpy() for frame in frames], axis=0)
    left = {"kind": "unattributed", "attributed_to": "unattributed", "net_weight": np.nan, "gross_weight": np.nan}
    frames.append(pd.DataFrame({**stamp, **left, "pnl_usd": holding - credited}))
    return STRATEGY_PNL.conform(pd.concat(frames, ignore_index=True))
