"""Many opinions into one: the combined score and the expected return it stands for.

Belongs here: how strategies are weighed against each other and how a score becomes a return. What a strategy thinks
is in its own module.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aegis.config import SignalSettings
from aegis.errors import FeatureError
from aegis.lake.tables import ENSEMBLE_SIGNALS
from aegis.metrics.returns import SESSIONS_PER_YEAR

IC_HORIZON_SESSIONS = 21
"""Horizon of ``signals.information_coefficient``: correlation of the score with the return of the next month."""


def ensemble_signals(
    strategy_signals: pd.DataFrame, features: pd.DataFrame, *, settings: SignalSettings
) -> pd.DataFrame:
    r"""Combine the strategies' scores and turn them into expected daily excess returns.

    Parameters
    ----------
    strategy_signals : DataFrame
        Rows of ``signals/strategy_signals``.
    features : DataFrame
        Rows of ``features/daily_features`` of the same sessions; read for ``volatility_63``.
    settings : SignalSettings
        The information coefficient at a horizon of :data:`IC_HORIZON_SESSIONS` sessions.

    Returns
    -------
    DataFrame
        Rows of ``signals/ensemble_signals`` for each member whose volatility is known; a member without one has no
        signal, which is not the same as a signal of zero.

    Raises
    ------
    FeatureError
        A signal has no row of features.

    Notes
    -----
    With scores :math:`s_k` and confidences :math:`c_k` of K strategies, ``score`` is
    :math:`\sum c_k s_k / \sum c_k` (0 when nobody has an opinion) and ``confidence`` the mean of :math:`c_k`. The
    score is not stretched back to unit variance: strategies that disagree leave a smaller score, and so a smaller
    return.

    Expected return is Grinold's rule, alpha = IC times volatility times score, with the IC scaled by the confidence. It
    holds for a month of H = 21 sessions, whose volatility is :math:`\sigma\sqrt{H}`; spread evenly over the month
    that is :math:`\alpha_{daily} = IC \cdot c \cdot \sigma_{daily} \cdot s / \sqrt{H}`. Read as a daily coefficient,
    the same number would promise 4.6 times as much.

    References
    ----------
    Grinold, R. and Kahn, R. (2000), Active Portfolio Management, 2nd ed., ch. 11: the forecasting rule of thumb,
    volatility times IC times score.
    """
    keys = ["session", "symbol"]
    volatility = features[[*keys, "volatility_63"]].assign(has_features=True)
    signals = strategy_signals.sort_values([*keys, "strategy"], ignore_index=True).merge(
        volatility, on=keys, how="left", validate="many_to_one"
    )
    _refuse_orphans(signals)
    combined = _combined(signals)
    combined = combined[combined["volatility_63"].notna()]
    ic_per_session = settings.information_coefficient / np.sqrt(IC_HORIZON_SESSIONS)
    volatility_daily = combined["volatility_63"] / np.sqrt(SESSIONS_PER_YEAR)
    expected = ic_per_session * combined["confidence"] * volatility_daily * combined["score"]
    return ENSEMBLE_SIGNALS.conform(combined.assign(expected_return_daily=expected).drop(columns="volatility_63"))


def _combined(signals: pd.DataFrame) -> pd.DataFrame:
    starts = ~signals.duplicated(["session", "symbol"])
    codes = starts.cumsum().to_numpy() - 1
    size = int(starts.sum())
    confidence = signals["confidence"].to_numpy()
    belief = np.bincount(codes, confidence, minlength=size)
    weighted = np.bincount(codes, confidence * signals["score"].to_numpy(), minlength=size)
    voices = np.bincount(codes, minlength=size)
    heard = belief > 0.0
    return signals.loc[starts, ["session", "symbol", "known_at_utc", "volatility_63"]].assign(
        score=np.where(heard, weighted / np.where(heard, belief, 1.0), 0.0),
        confidence=belief / np.maximum(voices, 1),
    )


def _refuse_orphans(signals: pd.DataFrame) -> None:
    orphans = signals["has_features"].isna()
    if orphans.any():
        row = signals[orphans].iloc[0]
        raise FeatureError(
            f"{row['symbol']} {row['session']:%Y-%m-%d}: strategy {row['strategy']!r} has a signal without features; "
            "pass the features that the signals were made from"
        )
