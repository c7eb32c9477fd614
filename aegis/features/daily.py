"""Daily features of the universe's members: momentum, reversal, volatility, trend, liquidity.

Belongs here: the definition of each column of ``features/daily_features``. How a window is walked is
:mod:`aegis.market_data.windows`; which returns were known is :mod:`aegis.features.panel`.

Notes
-----
What is known when: the row of session D uses bars up to D's close and the corporate actions known at D's decision.

NaN policy: a session without a bar carries the last close forward for at most
:data:`~aegis.features.panel.MAX_GAP_SESSIONS` sessions, and the return over the gap accrues at the next bar. A
feature is null when its window, the close it starts from included, holds a longer gap or begins before the first bar,
or when more sessions lack a bar than :func:`missing_allowed` grants: 5 % of the window, at least one, so that a
single session blocked by the data gate silences no feature.

Each value depends on the :data:`LOOKBACK_SESSIONS` sessions before it and on nothing earlier, to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.calendars import TradingCalendar
from aegis.errors import FeatureError
from aegis.features.panel import MAX_GAP_SESSIONS, SessionSymbolPanel, decision_instants, epoch_panels
from aegis.lake.tables import DAILY_FEATURES
from aegis.market_data.panel_cells import cell_positions
from aegis.market_data.windows import window_count, window_median, window_product, window_rows, window_sum
from aegis.metrics.returns import SESSIONS_PER_YEAR

MOMENTUM_SESSIONS = 252
MOMENTUM_SKIPPED_SESSIONS = 21
REVERSAL_SESSIONS = 5
VOLATILITY_SESSIONS = 63
TREND_SHORT_SESSIONS = 50
TREND_LONG_SESSIONS = 200
LIQUIDITY_SESSIONS = 21

LOOKBACK_SESSIONS = MOMENTUM_SESSIONS + MAX_GAP_SESSIONS
"""Sessions before the first one asked for that a history must hold."""


def daily_features(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    universe: pd.DataFrame,
    *,
    first: date,
    last: date,
    calendar: TradingCalendar,
    decision_times: Mapping[date, datetime],
) -> pd.DataFrame:
    """Compute the features of each member of the universe in ``[first, last]``.

    Parameters
    ----------
    bars : DataFrame
        ``market_data/daily_bars``, from :data:`LOOKBACK_SESSIONS` sessions before `first` or earlier, to `last`.
    actions : DataFrame
        ``market_data/corporate_actions`` of the same sessions.
    universe : DataFrame
        ``market_data/universe``; only members get a row.
    decision_times : mapping of date to datetime
        Aware UTC instant of each session's decision; it stamps ``known_at_utc``.

    Returns
    -------
    DataFrame
        Rows of ``features/daily_features``, null where a look-back is not full.

    Raises
    ------
    CalendarError
        `first` or `last` is not a session.
    FeatureError
        The range is empty, or a session has no decision time.
    """
    if first > last:
        raise FeatureError(
            f"features were asked for from {first} to {last}; the first session must not be the later one"
        )
    members = members_between(universe, first, last)
    symbols = sorted(members["symbol"].unique())
    parts = [
        _epoch_features(panel, members, decided=epoch.sessions)
        for epoch, panel in epoch_panels(
            bars,
            actions,
            first=first,
            last=last,
            symbols=symbols,
            lookback_sessions=LOOKBACK_SESSIONS,
            calendar=calendar,
            decision_times=decision_times,
        )
    ]
    features = pd.concat(parts, ignore_index=True)
    features["known_at_utc"] = decision_instants(features["session"], decision_times)
    return DAILY_FEATURES.conform(features)


def members_between(universe: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    """Return ``session`` and ``symbol`` of the members in ``[first, last]``, in key order."""
    inside = universe["session"].between(pd.Timestamp(first), pd.Timestamp(last)) & universe["is_member"]
    return universe.loc[inside, ["session", "symbol"]].sort_values(["session", "symbol"], ignore_index=True)


def missing_allowed(length: int) -> int:
    """Return how many sessions of a window may lack a bar: 5 % of its `length`, rounded down, and at least one."""
    return max(1, length // 20)


def momentum(panel: SessionSymbolPanel, *, rows: int) -> NDArray[np.float64]:
    """Return the total return from 252 to 21 sessions ago for the last `rows` sessions.

    Notes
    -----
    The last month is left out because it reverses.

    References
    ----------
    Jegadeesh, N. and Titman, S. (1993), Returns to buying winners and selling losers, Journal of Finance 48.
    """
    length = MOMENTUM_SESSIONS - MOMENTUM_SKIPPED_SESSIONS
    skipped = MOMENTUM_SKIPPED_SESSIONS
    value = window_product(panel.gross_returns, length, rows=rows, lag=skipped) - 1.0
    return np.where(_is_full(panel, length + 1, rows=rows, lag=skipped), value, np.nan)


def reversal(panel: SessionSymbolPanel, *, rows: int) -> NDArray[np.float64]:
    """Return minus the total return of the last 5 sessions.

    References
    ----------
    Lehmann, B. (1990), Fads, martingales, and market efficiency, Quarterly Journal of Economics 105.
    """
    value = 1.0 - window_product(panel.gross_returns, REVERSAL_SESSIONS, rows=rows)
    return np.where(_is_full(panel, REVERSAL_SESSIONS + 1, rows=rows), value, np.nan)


def volatility(panel: SessionSymbolPanel, *, rows: int) -> NDArray[np.float64]:
    """Return the annualised sample standard deviation (n - 1) of the daily total returns of 63 sessions, 1/year.

    Notes
    -----
    Sessions without a bar have no return; a return over a gap counts as one observation.
    """
    length = VOLATILITY_SESSIONS
    observed = ~np.isnan(panel.total_returns)
    returns = np.where(observed, panel.total_returns, 0.0)
    count = window_count(observed, length, rows=rows)
    mean = window_sum(returns, length, rows=rows) / np.maximum(count, 1)
    squares = np.zeros_like(mean)
    masks = window_rows(observed.astype(np.float64), length, rows=rows)
    for row, mask in zip(window_rows(returns, length, rows=rows), masks, strict=True):
        squares += mask * (row - mean) ** 2
    value = np.sqrt(SESSIONS_PER_YEAR * squares / np.maximum(count - 1, 1))
    return np.where(_is_full(panel, length + 1, rows=rows), value, np.nan)


def trend(panel: SessionSymbolPanel, *, rows: int) -> NDArray[np.float64]:
    """Return the log ratio of the 50- to the 200-session mean of the adjusted close.

    Notes
    -----
    The adjusted close is compounded within the window from its oldest session; the ratio does not depend on its level.

    References
    ----------
    Brock, W., Lakonishok, J. and LeBaron, B. (1992), Simple technical trading rules and the stochastic properties of
    stock returns, Journal of Finance 47: the moving-average rule, here as a continuous value.
    """
    level = np.ones((rows, len(panel.symbols)))
    total_long = level.copy()
    total_short = np.zeros_like(level)
    growth = window_rows(panel.gross_returns, TREND_LONG_SESSIONS - 1, rows=rows)
    for age, row in zip(range(TREND_LONG_SESSIONS - 2, -1, -1), growth, strict=True):
        level *= row
        total_long += level
        if age < TREND_SHORT_SESSIONS:
            total_short += level
    value = np.log((total_short / TREND_SHORT_SESSIONS) / (total_long / TREND_LONG_SESSIONS))
    return np.where(_is_full(panel, TREND_LONG_SESSIONS, rows=rows), value, np.nan)


def liquidity(panel: SessionSymbolPanel, *, rows: int) -> NDArray[np.float64]:
    """Return the log of the median dollar volume (raw close times volume) of 21 sessions, log USD.

    Notes
    -----
    Null as well where the median is zero: a source without volume, or a name halted for most of the window.
    """
    median = window_median(panel.dollar_volume_usd, LIQUIDITY_SESSIONS, rows=rows)
    usable = _is_full(panel, LIQUIDITY_SESSIONS, rows=rows) & (median > 0.0)
    return np.where(usable, np.log(np.where(usable, median, 1.0)), np.nan)


def _is_full(panel: SessionSymbolPanel, length: int, *, rows: int, lag: int = 0) -> NDArray[np.bool_]:
    bars = window_count(panel.has_bar, length, rows=rows, lag=lag)
    known = window_count(panel.is_known, length, rows=rows, lag=lag)
    full: NDArray[np.bool_] = (known == length) & (bars >= length - missing_allowed(length))
    return full


def _epoch_features(panel: SessionSymbolPanel, members: pd.DataFrame, *, decided: tuple[date, ...]) -> pd.DataFrame:
    rows = len(decided)
    row, column = cell_positions(members, sessions=decided, symbols=panel.symbols)
    wanted = row >= 0
    cells = row[wanted], column[wanted]
    return members[wanted].assign(
        momentum_12_1=momentum(panel, rows=rows)[cells],
        reversal_5=reversal(panel, rows=rows)[cells],
        volatility_63=volatility(panel, rows=rows)[cells],
        trend_50_200=trend(panel, rows=rows)[cells],
        liquidity_21=liquidity(panel, rows=rows)[cells],
    )
