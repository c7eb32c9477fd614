"""A vendor's answers as they are kept: bars by year, each session with the time it was fetched, and news by session.

Belongs here: how frames become bytes and which bytes answer what. When an answer is final is
:mod:`aegis.market_data.sources.cached`; the bytes are :mod:`aegis.market_data.sources.content_store`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

import pandas as pd

from aegis.lake.schema import Column, TableSchema
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS
from aegis.market_data.sources.content_store import ContentStore, Entry, Request

FETCHED_AT = "fetched_at_utc"

Present = tuple[Entry, bytes] | None
"""The answer that is kept now."""

_LAYOUT = "1"
"""Raised when the bytes would be read differently; older ones are then not asked for any more."""

KEPT_BARS = TableSchema(
    "cache",
    "bars",
    "Bars of final sessions as a source stated them, and when.",
    RAW_BARS.primary_key,
    (*RAW_BARS.columns, Column(FETCHED_AT, "instant", "When the source stated the session.", "UTC")),
    enforce_key=False,
)


@dataclass(frozen=True)
class News:
    """What a source says beside its bars, as of one session.

    Parameters
    ----------
    session_range : tuple of date
        First and last session that it answers for.
    listings, actions : DataFrame
        :data:`aegis.lake.tables.LISTINGS` and :data:`aegis.lake.tables.CORPORATE_ACTIONS`, whole.
    notes : tuple of str
        Remarks about its coverage.
    fetched_at_utc : datetime
    """

    session_range: tuple[date, date]
    listings: pd.DataFrame
    actions: pd.DataFrame
    notes: tuple[str, ...]
    fetched_at_utc: datetime


def identity_of(**parts: Any) -> Mapping[str, str]:
    """Return the part of a request that stays: who is asked for what, with which client.

    Parameters
    ----------
    **parts
        ``source`` and all that its answers depend on: symbols and other parameters, calendar, delay, client version.
        Secrets must be masked already.
    """
    text = json.dumps({**parts, "layout": _LAYOUT}, sort_keys=True, default=str)
    return {"source": str(parts["source"]), "identity": hashlib.sha256(text.encode()).hexdigest()}


class CachedAnswers:
    """The kept answers of one source.

    Parameters
    ----------
    store : ContentStore
    identity : mapping of str to str
        From :func:`identity_of`.
    """

    def __init__(self, store: ContentStore, identity: Mapping[str, str]) -> None:
        self._store = store
        self._identity = identity

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was damaged or could not be kept."""
        return self._store.remarks

    def bars(self, sessions: Iterable[date]) -> pd.DataFrame:
        """Return the kept rows of `sessions` as :data:`KEPT_BARS`; a session that is not kept has none."""
        wanted = sorted(sessions)
        parts = []
        for year in sorted({session.year for session in wanted}):
            found = self._store.read(self._bars_request(year))
            if found is not None:
                rows = _from_parquet(found[1], KEPT_BARS)
                parts.append(rows[rows["session"].isin(pd.DatetimeIndex(wanted))])
        return pd.concat(parts, ignore_index=True) if parts else KEPT_BARS.empty()

    def keep_new(self, rows: pd.DataFrame) -> None:
        """Keep the rows of sessions that are not kept yet; what is kept already stays as it was told first."""
        self._keep(rows, _sessions_once)

    def keep_instead(self, rows: pd.DataFrame) -> None:
        """Keep the rows in place of what is kept of their sessions."""
        self._keep(rows, lambda kept, new: _sessions_once(new, kept))

    def news(self, as_of: date) -> News | None:
        """Return what the source said beside its bars when `as_of` was its last session, or None."""
        found = {
            kind: self._store.read(self._news_request(kind, as_of)) for kind in ("coverage", "listings", "actions")
        }
        coverage, listings, actions = (found[kind] for kind in ("coverage", "listings", "actions"))
        if coverage is None or listings is None or actions is None:
            return None
        said = json.loads(coverage[1])
        first, last = (date.fromisoformat(text) for text in said["session_range"])
        return News(
            session_range=(first, last),
            listings=_from_parquet(listings[1], LISTINGS),
            actions=_from_parquet(actions[1], CORPORATE_ACTIONS),
            notes=tuple(said["notes"]),
            fetched_at_utc=coverage[0].fetched_at_utc,
        )

    def keep_news(self, news: News, as_of: date) -> None:
        """Keep `news` as what the source says when `as_of` is its last session."""
        said = {"session_range": [day.isoformat() for day in news.session_range], "notes": list(news.notes)}
        for kind, payload in (
            ("listings", _to_parquet(news.listings)),
            ("actions", _to_parquet(news.actions)),
            ("coverage", json.dumps(said).encode()),
        ):
            self._store.replace(self._news_request(kind, as_of), partial(_instead, payload=payload))

    def _keep(self, rows: pd.DataFrame, merge: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]) -> None:
        def merged(present: Present, new: pd.DataFrame) -> bytes:
            return _to_parquet(merge(_kept_rows(present), new))

        for year in rows["session"].dt.year.unique():
            of_year = rows[rows["session"].dt.year == year]
            self._store.replace(self._bars_request(int(year)), partial(merged, new=of_year))

    def _bars_request(self, year: int) -> Request:
        return {**self._identity, "kind": "bars", "sessions": str(year)}

    def _news_request(self, kind: str, as_of: date) -> Request:
        return {**self._identity, "kind": kind, "sessions": f"until {as_of}"}


def forget_sessions(store: ContentStore, *, source: str | None, first: date, last: date) -> int:
    """Drop what is kept of the sessions in ``[first, last]``, so that they are asked for again; return how many.

    Parameters
    ----------
    store : ContentStore
    source : str, optional
        Only this source's; default all.
    first, last : date

    Notes
    -----
    What was said beside the bars is dropped as well, whatever its session: a correction of a split changes it.
    """
    forgotten: set[date] = set()
    for entry in store.entries():
        request = entry.request
        if request["kind"] != "bars" or (source is not None and request["source"] != source):
            continue
        if first.year <= int(request["sessions"]) <= last.year:
            forgotten |= _forget_in(store, request, first, last)
    store.forget(lambda request: request["kind"] != "bars" and source in (None, request["source"]))
    return len(forgotten)


def _forget_in(store: ContentStore, request: Request, first: date, last: date) -> set[date]:
    dropped: set[date] = set()

    def without(present: Present) -> bytes:
        rows = _kept_rows(present)
        out = rows["session"].between(pd.Timestamp(first), pd.Timestamp(last))
        dropped.update(pd.Timestamp(day).date() for day in rows.loc[out, "session"].unique())
        return _to_parquet(rows[~out])

    store.replace(request, without)
    return dropped


def _sessions_once(believed: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of both; of a session in both, those of `believed` alone."""
    parts = [frame for frame in (believed, other[~other["session"].isin(believed["session"])]) if not frame.empty]
    return KEPT_BARS.conform(pd.concat(parts)) if parts else KEPT_BARS.empty()


def _kept_rows(present: Present) -> pd.DataFrame:
    return KEPT_BARS.empty() if present is None else _from_parquet(present[1], KEPT_BARS)


def _instead(_present: Present, payload: bytes) -> bytes:
    return payload


def _to_parquet(frame: pd.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.to_parquet(target, index=False, compression="zstd")
    return target.getvalue()


def _from_parquet(payload: bytes, table: TableSchema) -> pd.DataFrame:
    return table.conform(pd.read_parquet(io.BytesIO(payload)))
