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
    bars: pd.DataFrame, actions: pd.DataFrame, symbols: Sequence[str], sessions: Sequence[date], *, as_known_at: KnownAt
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
        Rows of the result: consecutive sessions, ascending.
    as_known_at : datetime or DatetimeIndex
        Actions known later are not applied. One instant for the whole panel, or one for each session: its decision
        time, so that a row never depends on which other sessions were asked for.

    Returns
    -------
    ndarray of float64, shape (sessions, symbols)
        Simple returns, r(s) = (close(s) x ratio(s) + dividend(s)) / close(s-1) - 1.

    Notes
    -----
    NaN where either close is missing, and in the first row, which has no session before it: ask for one session more.
    The dividend is per share held before the ex-session, so with a split on the same day it is not scaled by it.

    References
    ----------
    CRSP, "Data Descriptions Guide: CRSP US Stock & US Index Databases", total returns:
    r(t) = (p(t) f(t) + d(t)) / p(t') - 1. CRSP lets t' reach back over missing prices; here such a return is NaN.
    """
    closes = close_panel(bars, symbols, sessions)
    known = _known_actions(actions, sessions, as_known_at)
    ratios = _action_panel(known[known["action"] == "split"], "split_ratio", symbols, sessions, fill=1.0)
    dividends = _action_panel(known[known["action"] == "dividend"], "dividend_usd", symbols, sessions, fill=0.0)
    returns = np.full_like(closes, np.nan)
    returns[1:] = (closes[1:] * ratios[1:] + dividends[1:]) / closes[:-1] - 1.0
    return returns


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
    closes = close_panel(bars, symbols, sessions)
    if not len(closes):
        return closes
    factors = adjustment_factors(bars, actions[_is_known(actions, as_known_at)], sessions[0], sessions[-1])
    scale = _action_panel(factors, "split_factor", symbols, sessions, fill=1.0)
    scale *= _action_panel(factors, "dividend_factor", symbols, sessions, fill=1.0)
    later = np.ones_like(closes)
    later[:-1] = np.cumprod(scale[:0:-1], axis=0)[::-1]
    adjusted: FloatPanel = closes * later
    return adjusted


def close_panel(bars: pd.DataFrame, symbols: Sequence[str], sessions: Sequence[date]) -> FloatPanel:
    """Return raw closes in USD, shape (sessions, symbols); NaN where there is no bar."""
    return _action_panel(bars, "close_raw_usd", symbols, sessions, fill=np.nan)


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


def _action_panel(
    frame: pd.DataFrame, column: str, symbols: Sequence[str], sessions: Sequence[date], *, fill: float
) -> FloatPanel:
    panel = np.full((len(sessions), len(symbols)), fill)
    rows = pd.DatetimeIndex(list(sessions)).get_indexer(pd.DatetimeIndex(frame["session"]))
    columns = pd.Index(list(symbols)).get_indexer(pd.Index(frame["symbol"]))
    inside = (rows >= 0) & (columns >= 0)
    panel[rows[inside], columns[inside]] = frame[column].to_numpy(dtype=np.float64)[inside]
    return panel
