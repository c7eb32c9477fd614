"""Who may be held, decided each session with what was known at its close.

Belongs here: membership and its reasons. Whether a bar is fit to be used at all is the quality gate's question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config import UniverseSettings
from aegis.errors import MalformedData
from aegis.lake.tables import UNIVERSE
from aegis.market_data.index_membership import IndexMembers
from aegis.market_data.instrument_facts import NO_FACTS, UNCLASSIFIED, rows_as_known
from aegis.market_data.panel_cells import session_symbol_array
from aegis.market_data.windows import window_count, window_median

HISTORY_SHARE = 0.95
"""Share of the history window's sessions that must have a bar. Sessions without any bar, which the gate has blocked,
are not counted: what one instrument lacked is held against no other."""

HISTORY_FLOOR = 0.75
"""Share of the whole window that must have a bar, however many sessions were blocked."""

SENIORITY_SLACK_SESSIONS = 10
"""The instrument must have a bar in one of this many sessions up to the first of the history window, both included."""

BoolPanel = npt.NDArray[np.bool_]
FloatPanel = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Window:
    """Sessions of the panel, oldest first; the last `wanted` of them are decided."""

    days: list[date]
    wanted: int


@dataclass(frozen=True)
class _Facts:
    """What membership is decided from; each array has shape (wanted sessions, symbols)."""

    has_bar: BoolPanel
    is_halted: BoolPanel
    bars_in_window: npt.NDArray[np.int64]
    bars_needed: npt.NDArray[np.int64]
    is_senior: BoolPanel
    median_dollar_volume_usd: FloatPanel


def lookback_sessions(settings: UniverseSettings) -> int:
    """Return how many sessions before a session its membership depends on."""
    history = settings.min_history_sessions + SENIORITY_SLACK_SESSIONS - 1
    return max(history, settings.dollar_volume_window_sessions) - 1


def universe(
    bars: pd.DataFrame,
    listings: pd.DataFrame,
    actions: pd.DataFrame,
    *,
    first: date,
    last: date,
    calendar: TradingCalendar,
    settings: UniverseSettings,
    decision_times: Mapping[date, datetime],
    instruments: pd.DataFrame | None = None,
    index_members: IndexMembers | None = None,
) -> pd.DataFrame:
    """Return the members of each session in ``[first, last]``, and why the other listed instruments are not.

    Parameters
    ----------
    bars : DataFrame
        :data:`aegis.lake.tables.DAILY_BARS` from at least :func:`lookback_sessions` before `first`. Bars of sessions
        after the one decided are not used for it.
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS`.
    actions : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`; only delistings are read.
    first, last : date
        Sessions wanted.
    calendar : TradingCalendar
        Decision calendar.
    settings : UniverseSettings
        History and liquidity required.
    decision_times : mapping of date to datetime
        When each session's decision is taken; an action known later is ignored.
    instruments : DataFrame, optional
        :data:`aegis.lake.tables.INSTRUMENTS`, of which each session sees what was known at its decision. Without them
        sectors are those of the listings, industries are not known and lots are single shares.
    index_members : IndexMembers, optional
        Who belongs to an index when; nobody else is a member. Without it everybody listed may be one.

    Returns
    -------
    DataFrame
        :data:`aegis.lake.tables.UNIVERSE`: a row for each instrument listed in the session. A session without any bar,
        which the gate has blocked, has no rows.

    Raises
    ------
    MalformedData
        A decided session has no decision time, or the listing intervals of one symbol overlap.

    Notes
    -----
    A member is tradable, belongs to the index where there is one, has no announced delisting ahead, has a bar in this
    session, has bars in at least 95 % of those of the last `min_history_sessions` sessions in which anything has one,
    in at least 75 % of all of them, and in one at or up to nine sessions before the first of them, and a median of
    close x volume over the bars of the last `dollar_volume_window_sessions` at or above the minimum. A halted
    instrument (volume 0) stays a member, as its position is kept, and the reason says so.

    Known when: the close of the session. A listing's `last_session` is compared with the session itself only, so an end
    that lies ahead is not seen. Every number is computed from its own fixed window of calendar sessions, so the
    result is the same to the bit for any division of the range.
    """
    window = _window(first, last, calendar, settings)
    symbols = sorted(set(listings["symbol"]))
    facts = _facts(bars, symbols, window, settings)
    decided = window.days[-window.wanted :] if window.wanted else []
    listed, row_of = _listed(listings, symbols, decided)
    listed &= np.any(facts.has_bar, axis=1, keepdims=True)
    at, who = np.nonzero(listed)
    if not at.size:
        return UNIVERSE.empty()
    times = _decision_index(decided, decision_times, needed=np.asarray(np.any(listed, axis=1)))
    rows = listings.iloc[row_of[at, who]].reset_index(drop=True)
    leaving = _announced_delistings(actions, symbols, decided, times)
    tradable = rows["tradable"].to_numpy(dtype=bool)
    is_outside = np.zeros(len(at), dtype=bool)
    if index_members is not None:
        is_outside = ~index_members.as_known(symbols, decided, times)[at, who]
    reasons, is_member = _judge(facts, at, who, tradable, leaving[at, who], is_outside, settings)
    described = _described(rows, instruments, symbols, decided, times, at, who)
    return UNIVERSE.conform(
        pd.DataFrame(
            {
                "session": pd.DatetimeIndex(decided)[at],
                "symbol": rows["symbol"],
                "ticker": rows["ticker"],
                "sector": described["sector"],
                "is_member": is_member,
                "reason": reasons,
                "median_dollar_volume_usd": facts.median_dollar_volume_usd[at, who],
                "known_at_utc": times[at],
                "industry": described["industry"],
                "lot_shares": described["lot_shares"],
            }
        )
    )


def _described(
    rows: pd.DataFrame,
    instruments: pd.DataFrame | None,
    symbols: list[str],
    decided: Sequence[date],
    times: pd.DatetimeIndex,
    at: npt.NDArray[Any],
    who: npt.NDArray[Any],
) -> pd.DataFrame:
    """Return sector, industry and lot of each listed instrument as known in its session."""
    if instruments is None or instruments.empty:
        return rows[["sector"]].assign(industry=None, lot_shares=1.0)
    found = rows_as_known(instruments, symbols, decided, times)[at, who]
    facts: pd.DataFrame = (
        instruments[["sector", "industry", "lot_shares"]].iloc[np.maximum(found, 0)].reset_index(drop=True)
    )
    unknown = found == NO_FACTS
    facts.loc[unknown, ["sector", "industry"]] = UNCLASSIFIED
    facts.loc[unknown, "lot_shares"] = 1.0
    return facts


def _window(first: date, last: date, calendar: TradingCalendar, settings: UniverseSettings) -> _Window:
    wanted = len(calendar.sessions(first, last))
    needed = lookback_sessions(settings)
    earlier = calendar.sessions(first - timedelta(days=2 * needed + 30), first - timedelta(days=1))
    return _Window([*earlier[len(earlier) - min(needed, len(earlier)) :], *calendar.sessions(first, last)], wanted)


def _facts(bars: pd.DataFrame, symbols: list[str], window: _Window, settings: UniverseSettings) -> _Facts:
    close = session_symbol_array(bars, "close_raw_usd", sessions=window.days, symbols=symbols)
    volume = session_symbol_array(bars, "volume_shares", sessions=window.days, symbols=symbols)
    wanted = window.wanted
    decided = slice(len(close) - wanted, len(close))
    # Sessions before the calendar begins have no bars.
    before = ((lookback_sessions(settings) + wanted - len(close), 0), (0, 0))
    has_bar = np.pad(~np.isnan(close), before)
    dollars = np.pad(close * volume, before, constant_values=np.nan)
    history = settings.min_history_sessions
    traded = window_count(np.asarray(has_bar.any(axis=1, keepdims=True)), history, rows=wanted)
    needed = np.maximum(np.ceil(HISTORY_SHARE * traded), math.ceil(HISTORY_FLOOR * history)).astype(np.int64)
    return _Facts(
        has_bar=has_bar[len(has_bar) - wanted :],
        is_halted=volume[decided] <= 0,
        bars_in_window=window_count(has_bar, history, rows=wanted),
        bars_needed=np.broadcast_to(needed, volume[decided].shape),
        is_senior=window_count(has_bar, SENIORITY_SLACK_SESSIONS, rows=wanted, lag=history - 1) > 0,
        median_dollar_volume_usd=window_median(dollars, settings.dollar_volume_window_sessions, rows=wanted),
    )


def _listed(listings: pd.DataFrame, symbols: list[str], decided: Sequence[date]) -> tuple[BoolPanel, npt.NDArray[Any]]:
    """Return who is listed when, and the position in `listings` of the interval that says so."""
    days = np.array(decided, dtype="datetime64[ns]")
    listed = np.zeros((len(decided), len(symbols)), dtype=bool)
    row_of = np.zeros(listed.shape, dtype=np.int64)
    columns = pd.Index(symbols).get_indexer(pd.Index(listings["symbol"]))
    starts = pd.to_datetime(listings["first_session"]).to_numpy(dtype="datetime64[ns]")
    ends = pd.to_datetime(listings["last_session"]).to_numpy(dtype="datetime64[ns]")
    for row, (column, start, end) in enumerate(zip(columns.tolist(), starts, ends, strict=True)):
        covers = (days >= start) & (np.isnat(end) | (days <= end))
        if (listed[:, column] & covers).any():
            raise MalformedData(
                f"{symbols[column]}: two listing intervals cover {pd.Timestamp(start):%Y-%m-%d}; correct the "
                "source's listings"
            )
        listed[covers, column] = True
        row_of[covers, column] = row
    return listed, row_of


def _decision_index(
    decided: Sequence[date], decision_times: Mapping[date, datetime], *, needed: BoolPanel
) -> pd.DatetimeIndex:
    for day, is_needed in zip(decided, needed, strict=True):
        if is_needed and day not in decision_times:
            raise MalformedData(
                f"{day}: no decision time was given for this session; pass one for each session with bars"
            )
    instants = [pd.Timestamp(decision_times[day]) if day in decision_times else pd.NaT for day in decided]
    return pd.DatetimeIndex(pd.to_datetime(pd.Series(instants), utc=True)).as_unit("ns")


def _announced_delistings(
    actions: pd.DataFrame, symbols: list[str], decided: Sequence[date], times: pd.DatetimeIndex
) -> npt.NDArray[Any]:
    """Return for each session and symbol the delisting session that lies ahead and is known, or NaT."""
    ahead = np.full((len(decided), len(symbols)), np.datetime64("NaT"), dtype="datetime64[D]")
    days = np.array(decided, dtype="datetime64[D]")
    delistings = actions[actions["action"] == "delisting"].sort_values("session", ascending=False)
    columns = pd.Index(symbols).get_indexer(pd.Index(delistings["symbol"]))
    for column, row in zip(columns, delistings.to_dict("records"), strict=True):
        if column >= 0:
            session = np.datetime64(row["session"], "D")
            ahead[(days < session) & np.asarray(times >= row["known_at_utc"]), column] = session
    return ahead


def _judge(
    facts: _Facts,
    at: npt.NDArray[Any],
    who: npt.NDArray[Any],
    tradable: BoolPanel,
    leaving: npt.NDArray[Any],
    is_outside: BoolPanel,
    settings: UniverseSettings,
) -> tuple[npt.NDArray[Any], BoolPanel]:
    """Return the reason and membership of each listed instrument; the first failing rule gives the reason."""
    count = facts.bars_in_window[at, who]
    dollars = facts.median_dollar_volume_usd[at, who]
    minimum = settings.min_median_dollar_volume_usd
    rules = [
        ~tradable,
        is_outside,
        ~np.isnat(leaving),
        ~facts.has_bar[at, who],
        (count < facts.bars_needed[at, who]) | ~facts.is_senior[at, who],
        ~(dollars >= minimum),
    ]
    failed = np.select(rules, range(len(rules)), default=len(rules))
    is_member = failed == len(rules)
    reasons = np.where(facts.is_halted[at, who], "member; halted in this session, no volume", "member").astype(object)
    fixed = {0: "not tradable", 1: "not in the index", 3: "no bar in this session"}
    for rule, text in fixed.items():
        reasons[failed == rule] = text
    for position in np.flatnonzero(np.isin(failed, (2, 4, 5))):
        reasons[position] = {
            2: f"delisting announced for {leaving[position]}",
            4: f"history: {count[position]} bars in the last {settings.min_history_sessions} sessions",
            5: f"median dollar volume {dollars[position]:.0f} USD is below {minimum:.0f} USD",
        }[int(failed[position])]
    return reasons, is_member
