"""What the listings say of each bar, and how many symbols they hold in each session.

Belongs here: joining bars and sessions with listings, without any verdict. Which bars are missing is
:func:`aegis.market_data.bar_evidence.expected_bars`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.market_data.bar_evidence import JudgedSessions

Texts = npt.NDArray[np.object_]


def listing_words(bars: pd.DataFrame, listings: pd.DataFrame) -> pd.DataFrame:
    """Return what contradicts the listings in each bar.

    Parameters
    ----------
    bars : DataFrame
        Evidence of :func:`~aegis.market_data.bar_evidence.bar_evidence`. Rows outside sessions, and those whose symbol
        or ticker is no plain text, are other checks' and get nothing said.
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS`.

    Returns
    -------
    DataFrame
        ``unlisted`` and ``other_ticker`` in the index of `bars`, null where all is well.
    """
    left = bars[["session", "symbol", "ticker"]].assign(row=np.arange(len(bars)))
    right = listings[["symbol", "first_session", "last_session", "ticker"]].rename(columns={"ticker": "listed_ticker"})
    for frame, column in ((left, "session"), (right, "first_session"), (right, "last_session")):
        frame[column] = pd.to_datetime(frame[column]).astype("datetime64[ns]")
    matched = pd.merge_asof(
        left.sort_values("session", kind="stable"),
        right.sort_values("first_session", kind="stable"),
        left_on="session",
        right_on="first_session",
        by="symbol",
    ).sort_values("row")
    judged = (bars["calendar_session"].notna() & bars["unclean_text"].isna()).to_numpy()
    ended = (matched["last_session"] < matched["session"]).to_numpy()
    absent = matched["first_session"].isna().to_numpy()
    strange = judged & (absent | ended)
    renamed = judged & ~strange & (matched["ticker"] != matched["listed_ticker"]).to_numpy()
    renamed &= bars["unclean_ticker"].isna().to_numpy()
    said = {"unlisted": _filled(matched, strange, _unlisted), "other_ticker": _filled(matched, renamed, _renamed)}
    return pd.DataFrame(said, index=bars.index, dtype=object)


def listed_counts(listings: pd.DataFrame, *, sessions: JudgedSessions) -> pd.DataFrame:
    """Return one row for each session with the number of listed symbols, and of those of the session before.

    Returns
    -------
    DataFrame
        ``session``, ``symbol`` (null), ``session_number``, ``session_rows`` (listed symbols), ``listed_symbols``,
        ``listed_before``, and ``lost_share_of_universe`` (null where nothing was listed before).
    """
    days = sessions.with_lookback[len(sessions.lookback) - 1 :]
    starts = np.sort(listings["first_session"].to_numpy(dtype="datetime64[D]"))
    last = pd.to_datetime(listings["last_session"]).dropna()
    ends = np.sort(last.to_numpy(dtype="datetime64[D]"))
    counts = np.searchsorted(starts, days, side="right") - np.searchsorted(ends, days, side="left")
    before, now = counts[:-1].astype(np.float64), counts[1:].astype(np.float64)
    lost = np.divide(before - now, before, out=np.full(len(now), np.nan), where=before > 0)
    return pd.DataFrame(
        {
            "session": sessions.days.astype("datetime64[ns]"),
            "symbol": _empty(len(now)),
            "session_number": np.arange(len(now)),
            "session_rows": counts[1:],
            "listed_symbols": counts[1:],
            "listed_before": counts[:-1],
            "lost_share_of_universe": lost,
        }
    )


def _filled(matched: pd.DataFrame, rows: npt.NDArray[np.bool_], words: Callable[[pd.Series], str]) -> Texts:
    said = _empty(len(matched))
    for position in np.flatnonzero(rows):
        said[position] = words(matched.iloc[position])
    return said


def _empty(length: int) -> Texts:
    nothing: Texts = np.full(length, None, dtype=object)
    return nothing


def _unlisted(row: pd.Series) -> str:
    if pd.isna(row["first_session"]):
        return "the symbol is not listed in this session or before it"
    return f"the symbol's listing ended with {row['last_session']:%Y-%m-%d}"


def _renamed(row: pd.Series) -> str:
    return f"delivered as {row['ticker']}, listed as {row['listed_ticker']}"
