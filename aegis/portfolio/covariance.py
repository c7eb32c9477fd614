"""Covariance of the universe's daily total returns, shrunk towards a multiple of the identity.

Belongs here: the estimate and how a matrix is stored as rows. What it is used for is the optimizer's and the risk
report's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.calendars import TradingCalendar
from aegis.config import PortfolioSettings
from aegis.errors import PortfolioError
from aegis.features.daily import members_between
from aegis.features.panel import MAX_GAP_SESSIONS, SessionSymbolPanel, decision_instants, epoch_panels
from aegis.lake.tables import COVARIANCES

MIN_RETURN_SHARE = 0.95
"""A member with a smaller share of the returns that the look-back holds is left out of the matrix. Sessions in which no
member has one are not counted: the gate blocked them, or the history begins with them."""

RETURN_FLOOR = 0.7
"""Share of the whole look-back in which a member must have a return, however many sessions were blocked."""


def lookback_sessions(settings: PortfolioSettings) -> int:
    """Return how many sessions before the first one a history must hold."""
    return settings.covariance_lookback_sessions + MAX_GAP_SESSIONS


def covariances(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    universe: pd.DataFrame,
    *,
    first: date,
    last: date,
    calendar: TradingCalendar,
    settings: PortfolioSettings,
    decision_times: Mapping[date, datetime],
) -> pd.DataFrame:
    """Estimate the covariance of the members' daily total returns for each session in ``[first, last]``.

    Parameters
    ----------
    bars, actions, universe : DataFrame
        ``market_data/daily_bars``, ``corporate_actions`` and ``universe``; bars from :func:`lookback_sessions` sessions
        before `first` or earlier.
    settings : PortfolioSettings
        Length of the trailing window.
    decision_times : mapping of date to datetime
        Aware UTC instant of each session's decision; it stamps ``known_at_utc``.

    Returns
    -------
    DataFrame
        Rows of ``portfolio/covariances``, 1/session: symmetric, positive semi-definite, symbols ascending. A session
        without members has no rows.

    Raises
    ------
    PortfolioError
        The range is empty.
    FeatureError
        A session has no decision time.

    Notes
    -----
    NaN policy: a member needs returns in :data:`MIN_RETURN_SHARE` of the window's sessions in which any member has one,
    and in :data:`RETURN_FLOOR` of all, else it has no row and the book can neither buy nor resize it. Sessions in which
    nobody has a return are left out. Each name's mean is taken over the returns it has; a missing return is then set to
    that mean, which biases its variance down by at most 5 %. A return over a gap of up to
    :data:`~aegis.features.panel.MAX_GAP_SESSIONS` sessions counts at the first bar after it.

    One BLAS thread, so that the bits do not depend on the machine's load.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 - as scikit-learn, below

    if first > last:
        raise PortfolioError(
            f"covariances were asked for from {first} to {last}; the first session must not be the later"
        )
    members = members_between(universe, first, last)
    symbols = sorted(members["symbol"].unique())
    parts: list[pd.DataFrame] = [COVARIANCES.empty()]
    with threadpool_limits(limits=1, user_api="blas"):
        for epoch, panel in epoch_panels(
            bars,
            actions,
            first=first,
            last=last,
            symbols=symbols,
            lookback_sessions=lookback_sessions(settings),
            calendar=calendar,
            decision_times=decision_times,
        ):
            parts.extend(_epoch_rows(panel, members, epoch.sessions, settings.covariance_lookback_sessions))
    rows = pd.concat(parts[1:] or parts, ignore_index=True)
    rows["known_at_utc"] = decision_instants(rows["session"], decision_times)
    return COVARIANCES.conform(rows)


def shrunk_covariance(returns: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    r"""Shrink the sample covariance of `returns` towards its mean variance times the identity.

    Parameters
    ----------
    returns : ndarray of float64, shape (n_sessions, n_symbols)
        Simple returns, 1/session; NaN where missing.

    Returns
    -------
    covariance : ndarray of float64, shape (n_symbols, n_symbols)
        :math:`(1 - \delta) S + \delta \mu I` with S the sample covariance (divisor n) and :math:`\mu` its mean
        diagonal.
    shrinkage : float
        :math:`\delta`, 0 to 1.

    References
    ----------
    Ledoit, O. and Wolf, M. (2004), A well-conditioned estimator for large-dimensional covariance matrices, Journal of
    Multivariate Analysis 88, section 3.2.
    """
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415 - takes seconds to import

    centred = np.where(np.isnan(returns), 0.0, returns - np.nanmean(returns, axis=0))
    estimate, shrinkage = ledoit_wolf(centred, assume_centered=True)
    return 0.5 * (estimate + estimate.T), float(shrinkage)


def covariance_matrix(rows: pd.DataFrame) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the symbols and the matrix that the rows of one session hold.

    Parameters
    ----------
    rows : DataFrame
        Rows of ``portfolio/covariances`` of one session, in any order.

    Raises
    ------
    PortfolioError
        The rows are of several sessions, or one is missing.
    """
    ordered = rows.sort_values("position", kind="stable")
    n = len(ordered)
    lengths = {len(row) for row in ordered["covariance_row"]}
    if len(set(ordered["session"])) > 1 or ordered["position"].tolist() != list(range(n)) or not lengths <= {n}:
        raise PortfolioError(
            f"covariance rows from {ordered['session'].min()} to {ordered['session'].max()}: expected positions 0 to "
            f"{n - 1} of one session with {n} entries each, found positions {ordered['position'].tolist()} with "
            f"{sorted(lengths)} entries; read the whole session"
        )
    matrix = np.array([np.asarray(row, dtype=np.float64) for row in ordered["covariance_row"]]).reshape(n, n)
    return tuple(ordered["symbol"]), matrix


def _epoch_rows(
    panel: SessionSymbolPanel, members: pd.DataFrame, decided: Sequence[date], lookback: int
) -> Iterator[pd.DataFrame]:
    column_of = {symbol: column for column, symbol in enumerate(panel.symbols)}
    offset = len(panel.sessions) - len(decided)
    position: dict[Any, int] = {pd.Timestamp(session): offset + index for index, session in enumerate(decided)}
    for session, symbols in members[members["session"].isin(position)].groupby("session")["symbol"]:
        end = position[session] + 1
        columns = [column_of[symbol] for symbol in symbols]
        returns = panel.total_returns[end - lookback : end, columns]
        returns = np.ascontiguousarray(returns[~np.isnan(returns).all(axis=1)])
        enough = np.sum(~np.isnan(returns), axis=0) >= max(MIN_RETURN_SHARE * len(returns), RETURN_FLOOR * lookback)
        if enough.any():
            yield _session_rows(session, symbols.to_numpy()[enough], np.ascontiguousarray(returns[:, enough]))


def _session_rows(session: Any, symbols: NDArray[np.object_], returns: NDArray[np.float64]) -> pd.DataFrame:
    covariance, shrinkage = shrunk_covariance(returns)
    return pd.DataFrame(
        {
            "session": session,
            "symbol": symbols,
            "position": np.arange(len(symbols)),
            "covariance_row": list(covariance),
            "shrinkage": shrinkage,
        }
    )
