"""How splits and dividends scale prices and returns, as known at an instant.

Belongs here: the only adjustment formulas of Aegis. Stored prices are raw; what is adjusted is computed on read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.errors import MalformedData
from aegis.lake.tables import ADJUSTMENT_FACTORS
from aegis.market_data.panel_cells import session_symbol_array

PREVIOUS_CLOSE_LOOKBACK = timedelta(days=45)
"""How old the close before an ex-session may be: calendar days, fixed, so that earlier history changes nothing."""

FloatPanel = npt.NDArray[np.float64]
KnownAt = datetime | pd.Timestamp | pd.DatetimeIndex


def adjustment_factors(bars: pd.DataFrame, actions: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    """Return the factors by which each split and dividend scales earlier prices.

    Parameters
    ----------
    bars : DataFrame
        Raw daily bars (``session``, ``symbol``, ``close_raw_usd``, ``known_at_utc``); reaches
        :data:`PREVIOUS_CLOSE_LOOKBACK` before `first`.
    actions : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`; renames and delistings scale nothing.
    first, last : date
        Ex-sessions wanted, both included.

    Returns
    -------
    DataFrame
        :data:`aegis.lake.tables.ADJUSTMENT_FACTORS`, one row for each ex-session and symbol.

    Raises
    ------
    MalformedData
        A dividend is as large as the close before it.

    Notes
    -----
    split_factor = 1 / ratio; dividend_factor = 1 - dividend / p(t'), where p(t') is the last raw close before the
    ex-session and at most 45 days old, in terms of the shares held before a split on the same day. Without such a
    close there is no earlier price to scale and a dividend gives no row. Known when the action and that close are.

    References
    ----------
    CRSP, "Data Descriptions Guide: CRSP US Stock & US Index Databases", factor to adjust price and total returns:
    r(t) = (p(t) f(t) + d(t)) / p(t') - 1.
    """
    sessions = pd.to_datetime(actions["session"])
    wanted = actions["action"].isin(["split", "dividend"]) & sessions.between(pd.Timestamp(first), pd.Timestamp(last))
    events = _by_ex_session(actions[wanted])
    if events.empty:
        return ADJUSTMENT_FACTORS.empty()
    closes = bars.loc[bars["close_raw_usd"].notna(), ["session", "symbol", "close_raw_usd", "known_at_utc"]]
    priced = pd.merge_asof(
        events.sort_values("session", kind="stable"),
        closes.rename(columns={"known_at_utc": "close_known_at"}).sort_values("session", kind="stable"),
        on="session",
        by="symbol",
        allow_exact_matches=False,
        tolerance=pd.Timedelta(PREVIOUS_CLOSE_LOOKBACK),
    )
    dividend_factor = 1.0 - priced["dividend_usd"] / priced["close_raw_usd"]
    _refuse_whole_price_dividends(priced, dividend_factor)
    priced["dividend_factor"] = dividend_factor.where(priced["dividend_usd"] > 0, 1.0)
    priced["split_factor"] = 1.0 / priced["split_ratio"]
    priced["known_at_utc"] = priced[["known_at_utc", "close_known_at"]].max(axis=1)
    scaling = priced["dividend_factor"].notna() | (priced["split_ratio"] != 1.0)
    priced["dividend_factor"] = priced["dividend_factor"].fillna(1.0)
    return ADJUSTMENT_FACTORS.conform(priced.loc[scaling, ADJUSTMENT_FACTORS.column_names])


def total_return_panel(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    symbols: Sequence[str],
    sessions: Sequence[date],
    *,
    as_known_at: KnownAt,
    max_gap_sessions: int = 0,
) -> FloatPanel:
    """Return daily total returns, splits and dividends included.

    Parameters
    ----------
    bars : DataFrame
        Raw daily bars: ``session``, ``symbol``, ``close_raw_usd``.
    actions : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`.
    symbols : sequence of str
        Columns of the result.
    sessions : sequence of date
        Rows of the result, ascending; an action that goes ex on another day is not applied.
    as_known_at : datetime or DatetimeIndex
        Actions known later are not applied. One instant for the whole panel, or one for each session: its decision
        time, so that a row never depends on which other sessions were asked for.
    max_gap_sessions : int, default=0
        Rows in a row without a close that a return may reach back over.

    Returns
    -------
    ndarray of float64, shape (sessions, symbols)
        Simple returns, r(t) = (p(t) f + d) / p(t') - 1, where t' is the session of the last close, f the new shares for
        one held at t' and d the dividends paid on them since, in USD.

    Notes
    -----
    NaN without a close, after a longer gap, and in the first row, which has no session before it: ask for one session
    more. A dividend is per share held before its ex-session, so a split on the same day does not scale it and an
    earlier one within the gap does. Cash is not reinvested within a gap: there is no price at which it could be.

    References
    ----------
    CRSP, "Data Descriptions Guide: CRSP US Stock & US Index Databases", total returns:
    r(t) = (p(t) f(t) + d(t)) / p(t') - 1, where t' reaches back over missing prices.
    """
    closes = session_symbol_array(bars, "close_raw_usd", sessions=sessions, symbols=symbols)
    ratios, dividends = splits_and_dividends(actions, symbols, sessions, as_known_at=as_known_at)
    return total_returns(closes, ratios, dividends, max_gap_sessions=max_gap_sessions)


def total_returns(
    closes: FloatPanel, ratios: FloatPanel, dividends: FloatPanel, *, max_gap_sessions: int
) -> FloatPanel:
    """Return daily total returns of raw closes; see :func:`total_return_panel`.

    Parameters
    ----------
    closes, ratios, dividends : ndarray of float64, shape (sessions, symbols)
        Raw closes, NaN without one; splits and dividends as :func:`splits_and_dividends` gives them.
    """
    returns = np.full_like(closes, np.nan)
    none, one = np.zeros(closes.shape[1]), np.ones(closes.shape[1])
    last_close, shares, cash, missed = np.full_like(none, np.nan), one, none, none
    has_close: npt.NDArray[np.bool_] = ~np.isnan(closes)
    has_all = np.all(has_close, axis=1)
    has_action = np.any((ratios != 1.0) | (dividends != 0.0), axis=1)
    for row, close in enumerate(closes):
        if has_action[row]:
            cash = cash + shares * dividends[row]
            shares = shares * ratios[row]
        returns[row] = (close * shares + cash) / last_close - 1.0
        if has_all[row]:
            last_close, shares, cash, missed = close, one, none, none
            continue
        traded = has_close[row]
        shares = np.where(traded, 1.0, shares)
        cash = np.where(traded, 0.0, cash)
        missed = np.where(traded, 0.0, missed + 1.0)
        last_close = np.where(traded, close, np.where(missed > max_gap_sessions, np.nan, last_close))
    return returns


def splits_and_dividends(
    actions: pd.DataFrame, symbols: Sequence[str], sessions: Sequence[date], *, as_known_at: KnownAt
) -> tuple[FloatPanel, FloatPanel]:
    """Return the split ratio and the dividend that go ex in each session, as known at an instant.

    Parameters
    ----------
    actions, symbols, sessions, as_known_at
        As for :func:`total_return_panel`.

    Returns
    -------
    two ndarrays of float64, shape (sessions, symbols)
        New shares for one old, 1 without a split; USD per share held before the ex-session, 0 without a dividend.
    """
    known = _known_actions(actions, sessions, as_known_at)
    ratios: FloatPanel = session_symbol_array(
        known[known["action"] == "split"], "split_ratio", sessions=sessions, symbols=symbols, fill=1.0
    )
    dividends: FloatPanel = session_symbol_array(
        known[known["action"] == "dividend"], "dividend_usd", sessions=sessions, symbols=symbols, fill=0.0
    )
    return ratios, dividends


def adjusted_closes(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    symbols: Sequence[str],
    sessions: Sequence[date],
    *,
    as_known_at: datetime | pd.Timestamp,
) -> FloatPanel:
    """Return closes adjusted for splits and dividends, as they looked at an instant.

    Parameters
    ----------
    bars, actions, symbols, sessions
        As for :func:`total_return_panel`; `bars` reaches 45 days before the first session.
    as_known_at : datetime
        Actions known later are not applied.

    Returns
    -------
    ndarray of float64, shape (sessions, symbols)
        USD of the last session in `sessions`, whose closes are raw. NaN where a close is missing.

    Notes
    -----
    Dividends already lower earlier prices here: never add dividend cash to returns of adjusted closes.
    """
    closes = session_symbol_array(bars, "close_raw_usd", sessions=sessions, symbols=symbols)
    if not len(closes):
        return closes
    factors = adjustment_factors(bars, actions[_is_known(actions, as_known_at)], sessions[0], sessions[-1])
    scale = session_symbol_array(factors, "split_factor", sessions=sessions, symbols=symbols, fill=1.0)
    scale *= session_symbol_array(factors, "dividend_factor", sessions=sessions, symbols=symbols, fill=1.0)
    later = np.ones_like(closes)
    later[:-1] = np.cumprod(scale[:0:-1], axis=0)[::-1]
    adjusted: FloatPanel = closes * later
    return adjusted


def _by_ex_session(actions: pd.DataFrame) -> pd.DataFrame:
    frame = actions.assign(session=pd.to_datetime(actions["session"]).astype("datetime64[ns]"))
    return frame.groupby(["session", "symbol"], as_index=False, sort=True).agg(
        split_ratio=("split_ratio", "prod"), dividend_usd=("dividend_usd", "sum"), known_at_utc=("known_at_utc", "max")
    )


def _refuse_whole_price_dividends(priced: pd.DataFrame, dividend_factor: pd.Series) -> None:
    bad = dividend_factor <= 0
    if bad.any():
        row = priced.loc[bad].iloc[0]
        raise MalformedData(
            f"{row['symbol']} {row['session']:%Y-%m-%d}: dividend {row['dividend_usd']} is not below the previous "
            f"close {row['close_raw_usd']}; correct the dividend, or record a delisting if the company was paid out"
        )


def _is_known(actions: pd.DataFrame, as_known_at: datetime | pd.Timestamp) -> pd.Series:
    return pd.to_datetime(actions["known_at_utc"], utc=True) <= pd.Timestamp(as_known_at)


def _known_actions(actions: pd.DataFrame, sessions: Sequence[date], as_known_at: KnownAt) -> pd.DataFrame:
    if not isinstance(as_known_at, pd.DatetimeIndex):
        return actions[_is_known(actions, as_known_at)]
    if len(as_known_at) != len(sessions):
        message = f"as_known_at holds {len(as_known_at)} instants for {len(sessions)} sessions; give one for each"
        raise ValueError(message)
    rows = pd.DatetimeIndex(list(sessions)).get_indexer(pd.DatetimeIndex(actions["session"]))
    known = pd.DatetimeIndex(actions["known_at_utc"]) <= as_known_at[rows]
    return actions[(rows >= 0) & known]
