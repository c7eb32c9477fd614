"""Bars as sessions-by-symbols arrays, as the world knew them at a decision.

Belongs here: which gaps a window may bridge, and which sessions share one state of knowledge about corporate actions.
The total return itself is defined in :mod:`aegis.market_data.adjustments`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aegis.calendars import TradingCalendar
from aegis.errors import FeatureError
from aegis.market_data.adjustments import splits_and_dividends, total_returns
from aegis.market_data.panel_cells import session_positions, session_symbol_arrays

MAX_GAP_SESSIONS = 5
"""A close stands for at most this many following sessions without a bar; a longer gap is not bridged."""

_FIELDS = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd", "volume_shares")


@dataclass(frozen=True)
class SessionSymbolPanel:
    """Bars of some symbols on consecutive sessions, and their total returns as known at one instant.

    Parameters
    ----------
    sessions : tuple of date
        Consecutive sessions of the calendar, ascending, whether they have bars or not.
    symbols : tuple of str
        Columns of the arrays.
    has_bar : ndarray of bool, shape (n_sessions, n_symbols)
        Whether `daily_bars` holds the row.
    is_known : ndarray of bool, shape (n_sessions, n_symbols)
        Whether the session, or one of the `MAX_GAP_SESSIONS` before it, has a bar: the close may be carried forward.
    total_returns : ndarray of float64, shape (n_sessions, n_symbols)
        Total return since the last close, simple, 1/session. A return over a gap stands at the first bar after it;
        NaN without a bar and after a gap of more than `MAX_GAP_SESSIONS`.
    dollar_volume_usd : ndarray of float64, shape (n_sessions, n_symbols)
        Raw close times volume; NaN without a bar.
    open_usd, high_usd, low_usd, close_usd : ndarray of float64, shape (n_sessions, n_symbols)
        Raw prices; NaN without a bar.
    split_ratios, dividends_usd : ndarray of float64, shape (n_sessions, n_symbols)
        New shares for one old, 1 without a split; cash per share held before the ex-session, 0 without a dividend.
    """

    sessions: tuple[date, ...]
    symbols: tuple[str, ...]
    has_bar: NDArray[np.bool_]
    is_known: NDArray[np.bool_]
    total_returns: NDArray[np.float64]
    dollar_volume_usd: NDArray[np.float64]
    open_usd: NDArray[np.float64]
    high_usd: NDArray[np.float64]
    low_usd: NDArray[np.float64]
    close_usd: NDArray[np.float64]
    split_ratios: NDArray[np.float64]
    dividends_usd: NDArray[np.float64]

    @property
    def gross_returns(self) -> NDArray[np.float64]:
        """One plus the total return; 1 in a session without a bar, so that the adjusted close is carried forward."""
        return np.where(np.isnan(self.total_returns), 1.0, 1.0 + self.total_returns)


@dataclass(frozen=True)
class KnowledgeEpoch:
    """Consecutive decision sessions in which the same corporate actions were known."""

    sessions: tuple[date, ...]
    as_known_at: datetime


def session_symbol_panel(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    *,
    sessions: Sequence[date],
    symbols: Sequence[str],
    as_known_at: datetime,
) -> SessionSymbolPanel:
    """Build the panel of `symbols` over `sessions` with the actions known at an instant.

    Parameters
    ----------
    bars, actions : DataFrame
        Rows of ``market_data/daily_bars`` and ``market_data/corporate_actions``; other sessions are ignored.
    as_known_at : datetime
        Aware UTC; a split or dividend that became known later does not enter a return.
    """
    opens, highs, lows, close, volume = session_symbol_arrays(bars, _FIELDS, sessions=sessions, symbols=symbols)
    ratios, dividends = splits_and_dividends(actions, symbols, sessions, as_known_at=as_known_at)
    has_bar = ~np.isnan(close)
    return SessionSymbolPanel(
        tuple(sessions),
        tuple(symbols),
        has_bar,
        _is_known(has_bar),
        total_returns(close, ratios, dividends, max_gap_sessions=MAX_GAP_SESSIONS),
        close * volume,
        opens,
        highs,
        lows,
        close,
        ratios,
        dividends,
    )


def epoch_panels(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    *,
    first: date,
    last: date,
    symbols: Sequence[str],
    lookback_sessions: int,
    calendar: TradingCalendar,
    decision_times: Mapping[date, datetime],
) -> Iterator[tuple[KnowledgeEpoch, SessionSymbolPanel]]:
    """Yield each knowledge epoch of ``[first, last]`` with a panel that reaches `lookback_sessions` further back.

    Notes
    -----
    The panel starts at a fixed distance before the epoch, whatever the history holds: bars older than that are not
    looked at, so a session's windows do not change with the length of the history.

    Raises
    ------
    CalendarError
        `first` or `last` is not a session.
    FeatureError
        A session of the range has no decision time.
    """
    calendar.require_session(first)
    calendar.require_session(last)
    for epoch in knowledge_epochs(actions, calendar.sessions(first, last), decision_times):
        start = calendar.offset(epoch.sessions[0], -lookback_sessions)
        sessions = calendar.sessions(start, epoch.sessions[-1])
        panel = session_symbol_panel(bars, actions, sessions=sessions, symbols=symbols, as_known_at=epoch.as_known_at)
        yield epoch, panel


def knowledge_epochs(
    actions: pd.DataFrame, sessions: Sequence[date], decision_times: Mapping[date, datetime]
) -> list[KnowledgeEpoch]:
    """Cut `sessions` where an action that is already past its ex-date becomes known.

    Parameters
    ----------
    actions : DataFrame
        ``session`` (ex-date) and ``known_at_utc`` of ``market_data/corporate_actions``.
    sessions : sequence of date
        Decision sessions, ascending.
    decision_times : mapping of date to datetime
        Instant of each decision, aware UTC, ascending.

    Returns
    -------
    list of KnowledgeEpoch
        In order; normally one. ``as_known_at`` is the epoch's last decision: what became known within the epoch goes ex
        after its first session and only enters returns from that ex-date on.

    Raises
    ------
    FeatureError
        A session has no decision time.
    """
    decided_at = _decision_instants(sessions, decision_times)
    dates = pd.DatetimeIndex(list(sessions))
    known_at = pd.DatetimeIndex(actions["known_at_utc"]).as_unit("ns")
    first_use = dates.searchsorted(pd.DatetimeIndex(actions["session"]).as_unit("ns"))
    inside = first_use < len(dates)
    first_known = decided_at.searchsorted(known_at[inside], side="left")
    late = first_known > first_use[inside]
    cuts = sorted({0, len(dates)} | {int(cut) for cut in first_known[late]})
    return [
        KnowledgeEpoch(tuple(sessions[start:stop]), decision_times[sessions[stop - 1]])
        for start, stop in pairwise(cuts)
    ]


def decision_instants(session_column: pd.Series, decision_times: Mapping[date, datetime]) -> pd.Series:
    """Return the decision instant of each row's session: what stamps ``known_at_utc`` of a computed row."""
    decided = pd.Series(decision_times).sort_index()
    places = session_positions(session_column, list(decided.index))
    instants = pd.DatetimeIndex(pd.to_datetime(decided.to_numpy(), utc=True)).as_unit("ns")
    return pd.Series(instants[places], index=session_column.index)


def _is_known(has_bar: NDArray[np.bool_]) -> NDArray[np.bool_]:
    known = has_bar.copy()
    for gap in range(1, MAX_GAP_SESSIONS + 1):
        known[gap:] |= has_bar[:-gap]
    return known


def _decision_instants(sessions: Sequence[date], decision_times: Mapping[date, datetime]) -> pd.DatetimeIndex:
    missing = [session for session in sessions if session not in decision_times]
    if missing:
        raise FeatureError(
            f"{missing[0]}: no decision time is given for it and {len(missing) - 1} more session(s); "
            "pass the close plus the vendor's delay of every session of the range"
        )
    instants = pd.DatetimeIndex([pd.Timestamp(decision_times[session]).tz_convert("UTC") for session in sessions])
    if not instants.is_monotonic_increasing:
        raise FeatureError(f"decision times from {sessions[0]} to {sessions[-1]} must ascend; they do not")
    return instants.as_unit("ns")
