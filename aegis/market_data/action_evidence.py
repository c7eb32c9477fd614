"""What the expectations look at when they judge corporate actions: each beside the close before its ex-session.

Belongs here: joining actions with closes, and the words about them, without any verdict. Whether the prices of the
ex-session show an action is :mod:`aegis.market_data.price_jumps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.lake.tables import CORPORATE_ACTIONS
from aegis.market_data.bar_evidence import JudgedSessions
from aegis.market_data.corporate_actions import LARGEST_SPLIT_RATIO
from aegis.market_data.price_jumps import recorded_actions

LARGE_DIVIDEND_SHARE = 0.25
"""Share of the close from which a dividend is looked at. FINRA rule 11140(b)(2) sets an ex-date of its own for
distributions of 25 % or more of a security's value: they exist, and they are not ordinary."""

_KEY = ["session", "symbol", "session_number"]
_SAID = ["dividend_usd", "previous_close_usd", "dividend_share", "impossible", "contradiction", "belated"]


def action_evidence(
    raw_bars: pd.DataFrame, actions: pd.DataFrame, judged_bars: pd.DataFrame, *, sessions: JudgedSessions
) -> pd.DataFrame:
    """Return the actions that go ex in a judged session, the bars that do not show them, and late actions.

    Parameters
    ----------
    raw_bars : DataFrame
        :data:`aegis.lake.tables.RAW_BARS`, rows of the look-back included.
    actions : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`.
    judged_bars : DataFrame
        What :func:`~aegis.market_data.bar_evidence.bar_evidence` returned for them.
    sessions : JudgedSessions
        What is judged.

    Returns
    -------
    DataFrame
        ``session``, ``symbol``, ``session_number`` and, for each action, ``dividend_usd``, ``previous_close_usd`` (last
        positive raw close before the ex-session, at most 30 sessions old), ``dividend_share`` (dividend / that close;
        null where there is none, and for other actions) and ``impossible`` (what cannot be, null when it can). Below
        them one row for each bar that contradicts its actions, with ``contradiction`` (the words); else null. Last one
        row for each action that became known in a judged session though its ex-session had been decided, with
        ``belated`` (the words); else null.

    Notes
    -----
    A dividend is per share held before the ex-session, so a split of the same day does not scale it. Without an earlier
    close nothing is said: nobody can have held the share. A contradiction counts against the session of the first bar
    from the ex-session on, as there is no price before it. A session is decided when the last of its bars is known; an
    action that becomes known more than 30 sessions after its ex-session is not looked for.
    """
    frame = CORPORATE_ACTIONS.conform(actions)
    frame = frame[np.isin(frame["session"].to_numpy(dtype="datetime64[D]"), sessions.days)].reset_index(drop=True)
    frame["session_number"] = sessions.numbers_of(frame["session"].to_numpy(dtype="datetime64[D]"))
    frame["previous_close_usd"] = _previous_closes(frame, raw_bars, sessions)
    is_dividend = frame["action"] == "dividend"
    frame["dividend_share"] = (frame["dividend_usd"] / frame["previous_close_usd"]).where(is_dividend)
    frame["impossible"] = _impossible(frame, is_dividend)
    contradicting = judged_bars[judged_bars["contradicts_actions"].eq(other=True)]
    said = _contradictions(contradicting.drop_duplicates(["session", "symbol"]))
    return _stacked([*_KEY, *_SAID], frame, said, _belated(actions, raw_bars, sessions))


def _belated(actions: pd.DataFrame, raw_bars: pd.DataFrame, sessions: JudgedSessions) -> pd.DataFrame:
    """Return what became known after its ex-session was decided, by the session in which it did."""
    days = sessions.with_lookback
    known_with = pd.Series(_instants(raw_bars)).groupby(raw_bars["session"].to_numpy(dtype="datetime64[D]")).max()
    # No session is decided after the next one: not that which has no bar, nor that of which a bar was corrected.
    last_known = known_with.reindex(days).fillna(pd.Timestamp.max).to_numpy()
    decided = np.minimum.accumulate(last_known[::-1])[::-1]
    late = actions[(actions["action"] != "rename") & (actions["session"].to_numpy(dtype="datetime64[D]") >= days[0])]
    ex = np.searchsorted(days, late["session"].to_numpy(dtype="datetime64[D]"))
    known = np.searchsorted(decided, _instants(late))
    first_judged = len(sessions.lookback)
    is_late = (known > ex) & (known >= first_judged) & (known < len(days))
    late, known = late[is_late], known[is_late]
    return pd.DataFrame(
        {
            "session": pd.DatetimeIndex(days[known]),
            "symbol": late["symbol"].to_numpy(),
            "session_number": known - first_judged,
            "belated": pd.Series([_belated_words(row) for row in late.to_dict("records")], dtype=object),
        }
    )


def _instants(rows: pd.DataFrame) -> npt.NDArray[np.datetime64]:
    return rows["known_at_utc"].to_numpy(dtype="datetime64[ns]")


def _belated_words(row: Mapping[Any, Any]) -> str:
    return (
        f"a {row['action']} of {row['session']:%Y-%m-%d} became known at {row['known_at_utc']:%Y-%m-%d %H:%M} UTC, "
        "after that session was decided: no book of it has the shares or the cash; decide again from there on "
        f"(make run FROM={row['session']:%Y-%m-%d}), and book what a traded account missed"
    )


def _contradictions(bars: pd.DataFrame) -> pd.DataFrame:
    said = [
        f"open {row['open_raw_usd']:.6g} and close {row['close_raw_usd']:.6g} after a close of "
        f"{row['reference_close_usd']:.6g}: the prices do not show that {recorded_actions(row)} is recorded; correct "
        "the recorded action, or the prices if they are adjusted for it already"
        for row in bars.to_dict("records")
    ]
    return bars[_KEY].assign(contradiction=pd.Series(said, index=bars.index, dtype=object))


def _stacked(columns: list[str], *frames: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all frames with null where one lacks a column; each column keeps the type that it has."""
    stacked = {}
    for name in columns:
        kind = next(frame[name].dtype for frame in frames if name in frame)
        filler = np.nan if kind == np.float64 else None
        parts = [frame[name].to_list() if name in frame else [filler] * len(frame) for frame in frames]
        stacked[name] = pd.Series([value for part in parts for value in part], dtype=kind)
    return pd.DataFrame(stacked)


def _previous_closes(actions: pd.DataFrame, raw_bars: pd.DataFrame, sessions: JudgedSessions) -> pd.Series:
    close = raw_bars["close_raw_usd"]
    dated = np.isin(raw_bars["session"].to_numpy(dtype="datetime64[D]"), sessions.with_lookback)
    usable = raw_bars.loc[np.isfinite(close) & (close > 0) & dated, ["session", "symbol", "close_raw_usd"]]
    # of repeated rows the lowest close, whichever order they came in: the stricter one for a dividend
    closes = usable.sort_values(["session", "symbol", "close_raw_usd"]).drop_duplicates(["session", "symbol"])
    closes["position"] = np.searchsorted(
        sessions.with_lookback, closes["session"].to_numpy(dtype="datetime64[D]")
    ).astype(np.int64)
    wanted = actions[["session", "symbol"]].assign(
        row=np.arange(len(actions)),
        position=np.searchsorted(sessions.with_lookback, actions["session"].to_numpy(dtype="datetime64[D]")).astype(
            np.int64
        ),
    )
    matched = pd.merge_asof(
        wanted.sort_values("position", kind="stable"),
        closes[["position", "symbol", "close_raw_usd"]],
        on="position",
        by="symbol",
        allow_exact_matches=False,
        tolerance=len(sessions.lookback),
    )
    found: pd.Series = matched.set_index("row")["close_raw_usd"].sort_index().rename(None)
    return found.astype("float64")


def _impossible(actions: pd.DataFrame, is_dividend: pd.Series) -> pd.Series:
    cash, ratio = actions["dividend_usd"], actions["split_ratio"]
    bounded = (ratio >= 1 / LARGEST_SPLIT_RATIO) & (ratio <= LARGEST_SPLIT_RATIO)
    suspects = is_dividend & ((actions["dividend_share"] >= 1.0) | ~(np.isfinite(cash) & (cash > 0)))
    suspects |= (actions["action"] == "split") & ~bounded
    said = [_words(row) if suspect else None for row, suspect in zip(actions.to_dict("records"), suspects, strict=True)]
    return pd.Series(said, index=actions.index, dtype=object)


def _words(row: Mapping[Any, Any]) -> str:
    if row["action"] == "split":
        return (
            f"a split of {row['split_ratio']:.6g} new shares for one lies outside 1/{LARGEST_SPLIT_RATIO:g} to "
            f"{LARGEST_SPLIT_RATIO:g}; correct the ratio"
        )
    if row["dividend_share"] >= 1.0:
        return (
            f"a dividend of {row['dividend_usd']:.6g} USD is not below the previous close "
            f"{row['previous_close_usd']:.6g}; correct the dividend, or record a delisting if the company was paid out"
        )
    return f"a dividend of {row['dividend_usd']:.6g} USD, expected more than 0; correct it or remove the row"
