"""From delivered bars to listing intervals, renames and delistings.

Belongs here: which sessions of an instrument a vendor covers, decided so that what was said at t stays true when later
bars arrive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from aegis.calendars import TradingCalendar

MAX_GAP_SESSIONS = 5
"""Missing sessions in a row that an instrument stays listed through; the quality gate names each of them."""

_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


@dataclass(frozen=True)
class Coverage:
    """Listing intervals with the actions and remarks that follow from them.

    Parameters
    ----------
    listings : DataFrame
        ``symbol``, ``ticker``, ``first_session``, ``last_session`` (NaT while it trades).
    actions : DataFrame
        ``session``, ``symbol``, ``action`` ('rename' or 'delisting'), ``new_ticker``.
    notes : tuple of str
        What a person should know about the vendor's coverage, one sentence each.
    """

    listings: pd.DataFrame
    actions: pd.DataFrame
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Span:
    """Positions of one covered stretch: first and last bar, last listed session, and whether it is still open."""

    first_bar: int
    last_bar: int
    last_listed: int
    is_open: bool
    announced: bool


def trace_coverage(
    bars: pd.DataFrame,
    announced_ends: Mapping[str, Sequence[date]],
    *,
    calendar: TradingCalendar,
    last_session: date,
) -> Coverage:
    """Find the intervals in which each instrument is listed.

    Parameters
    ----------
    bars : DataFrame
        ``session``, ``symbol``, ``ticker``; every session is one of `calendar`. Repeated rows count once.
    announced_ends : mapping of str to sequence of date
        For each symbol the last days for which the vendor's own map or a delisting action promises bars.
    calendar : TradingCalendar
        Decision calendar.
    last_session : date
        Last session of the delivery.

    Returns
    -------
    Coverage

    Notes
    -----
    Known when: an interval that ends on an announced date ends exactly there, and the delisting is the next session.
    Bars that stop without notice leave the instrument listed for `MAX_GAP_SESSIONS` more sessions, each of which the
    quality gate reports as missing; only then is it delisted. At every t this needs bars up to t alone, so it is the
    same whether or not bars after t exist; ending the listing at the last bar would not be, as a gap of one session
    looks like a delisting until the next bar arrives. Bars that come back after a longer gap open a new interval.
    """
    days = np.array(calendar.sessions(bars["session"].min().date(), last_session), dtype="datetime64[D]")
    listings: list[tuple[str, str, date, date | None]] = []
    actions: list[tuple[date, str, str, str | None]] = []
    notes: list[str] = []
    for symbol, rows in bars.groupby("symbol", sort=True):
        name = str(symbol)
        unique = rows.drop_duplicates("session").sort_values("session")
        positions = np.searchsorted(days, unique["session"].to_numpy(dtype="datetime64[D]"))
        tickers = unique["ticker"].to_numpy()
        ends = np.unique(
            np.searchsorted(days, np.array(announced_ends.get(name, ()), dtype="datetime64[D]"), side="right") - 1
        )
        spans = _spans(positions, ends[ends >= 0], len(days) - 1)
        for span in spans:
            listings += _listing_rows(name, span, positions, tickers, days)
            actions += _ticker_changes(name, span, positions, tickers, days)
            if not span.is_open and span.last_listed + 1 < len(days):
                actions.append((days[span.last_listed + 1].item(), name, "delisting", None))
        notes += _remarks(name, spans, positions, days)
    return Coverage(
        _dated(pd.DataFrame(listings, columns=["symbol", "ticker", "first_session", "last_session"])),
        _dated(pd.DataFrame(actions, columns=["session", "symbol", "action", "new_ticker"])),
        tuple(notes),
    )


def notes_by_relevance(notes: Iterable[str], first: date, last: date) -> list[str]:
    """Return remarks with those that touch ``[first, last]`` before those about other years, each in its order.

    Parameters
    ----------
    notes : iterable of str
        Sentences of a source. One touches the range when its dates, from the earliest to the latest that it names, do;
        one without a date is about all of it.
    first, last : date
        Sessions that are decided.
    """
    return sorted(notes, key=lambda note: not _touches(note, first, last))


def _touches(note: str, first: date, last: date) -> bool:
    named = sorted(_DATE.findall(note))
    return not named or (named[0] <= last.isoformat() and named[-1] >= first.isoformat())


def _spans(positions: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], final: int) -> list[_Span]:
    following = np.append(positions[1:], np.iinfo(np.int64).max)
    breaks_silently = following - positions - 1 > MAX_GAP_SESSIONS
    ends_before_next = np.searchsorted(ends, following) > np.searchsorted(ends, positions)
    closing = np.flatnonzero(breaks_silently | ends_before_next)
    spans: list[_Span] = []
    opening = 0
    for last in closing:
        bar = int(positions[last])
        after = ends[(ends >= bar) & (ends <= bar + MAX_GAP_SESSIONS)]
        listed = int(after[0]) if after.size else bar + MAX_GAP_SESSIONS
        spans.append(_Span(int(positions[opening]), bar, listed, listed >= final, bool(after.size)))
        opening = int(last) + 1
    return spans


def _inside(span: _Span, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return (positions >= span.first_bar) & (positions <= span.last_bar)


def _listing_rows(
    symbol: str,
    span: _Span,
    positions: npt.NDArray[np.int64],
    tickers: npt.NDArray[np.object_],
    days: npt.NDArray[np.datetime64],
) -> list[tuple[str, str, date, date | None]]:
    inside = _inside(span, positions)
    own, names = positions[inside], tickers[inside]
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    lasts: list[date | None] = [days[own[start] - 1].item() for start in starts[1:]]
    lasts.append(None if span.is_open else days[span.last_listed].item())
    return [
        (symbol, str(names[start]), days[own[start]].item(), last) for start, last in zip(starts, lasts, strict=True)
    ]


def _ticker_changes(
    symbol: str,
    span: _Span,
    positions: npt.NDArray[np.int64],
    tickers: npt.NDArray[np.object_],
    days: npt.NDArray[np.datetime64],
) -> list[tuple[date, str, str, str | None]]:
    inside = _inside(span, positions)
    own, names = positions[inside], tickers[inside]
    return [
        (days[own[start]].item(), symbol, "rename", str(names[start]))
        for start in np.flatnonzero(np.r_[False, names[1:] != names[:-1]])
    ]


def _remarks(
    symbol: str, spans: list[_Span], positions: npt.NDArray[np.int64], days: npt.NDArray[np.datetime64]
) -> list[str]:
    notes: list[str] = []
    for number, span in enumerate(spans):
        own = positions[_inside(span, positions)]
        missing = np.setdiff1d(np.arange(span.first_bar, span.last_bar + 1), own)
        if missing.size:
            notes.append(
                f"{symbol}: {missing.size} session(s) without a bar inside its listing, first {days[missing[0]]}"
            )
        if span.is_open:
            continue
        how = "as announced" if span.announced else f"{MAX_GAP_SESSIONS} sessions after bars stopped without notice"
        notes.append(f"{symbol}: last bar {days[span.last_bar]}; listing ends {days[span.last_listed]}, {how}")
        if number + 1 < len(spans):
            gap = spans[number + 1].first_bar - span.last_bar - 1
            notes.append(
                f"{symbol}: no bars for {gap} sessions until {days[spans[number + 1].first_bar]}: a coverage gap"
            )
    return notes


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    for name in frame.columns.intersection(["session", "first_session", "last_session"]):
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[ns]")
    return frame
