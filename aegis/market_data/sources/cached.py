"""A source whose final sessions are asked for once.

Belongs here: what counts as final, and which questions still go to the vendor. How answers are kept is
:mod:`aegis.market_data.sources.cached_answers`.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.clock import Clock
from aegis.errors import SourceUnavailable
from aegis.lake.tables import RAW_BARS
from aegis.market_data.sources.cached_answers import FETCHED_AT, KEPT_BARS, CachedAnswers, News
from aegis.market_data.sources.source import MarketDataSource
from aegis.market_data.sources.wrapped import WrappedSource

SETTLING_SESSIONS = 5
"""For how many sessions a bar that is missing or cannot be right may still be delivered or corrected."""

_ANNOUNCED_AHEAD = timedelta(days=366)
_PRICES = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd")
_SHOWN_REVISIONS = 5


class CachedSource(WrappedSource):
    """Another source, whose bars of final sessions are kept as they were told first.

    Parameters
    ----------
    source : MarketDataSource
        Asked for what is not kept.
    answers : CachedAnswers
        What is kept of it.
    calendar : TradingCalendar
        Decision calendar.
    last_session : date
        Last session whose bars are final by the clock; nothing later is kept.
    clock : Clock
        Dates the answers.

    Notes
    -----
    Kept are rows of the port, so prices as traded: a vendor's history that is adjusted until the day of its download is
    un-adjusted before it is kept, and a later split changes nothing of it. A session is kept once it is final, every
    symbol listed in it has one bar, and no bar is impossible; where that does not come true within
    `SETTLING_SESSIONS`, as it is. An empty session is never kept.

    Listings, actions, coverage and remarks are news: they are kept for one last session, and asked again when a later
    one is final. Bars that are kept need no news, so they are answered without any call. Where the vendor fails,
    nothing is answered in place of what it was asked for.
    """

    def __init__(
        self,
        source: MarketDataSource,
        answers: CachedAnswers,
        *,
        calendar: TradingCalendar,
        last_session: date,
        clock: Clock,
    ) -> None:
        super().__init__(source)
        self._answers = answers
        self._calendar = calendar
        self._last_session = last_session
        self._clock = clock
        self._news: News | None = None
        self._news_note: str | None = None
        self._fetches: list[str] = []

    def session_range(self) -> tuple[date, date]:
        """Return the range that the source answers for."""
        return self._current_news().session_range

    def listings(self) -> pd.DataFrame:
        """Return the listings, as of the last final session."""
        return self._current_news().listings.copy()

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        """Return actions with an ex-session in ``[first, last]``, as of the last final session."""
        actions = self._current_news().actions
        return actions[actions["session"].between(pd.Timestamp(first), pd.Timestamp(last))].reset_index(drop=True)

    def instruments(self) -> None:
        """Return nothing: what vendors over a network state of instruments are the listings, which are kept."""
        return

    def coverage_notes(self) -> list[str]:
        """Return what the source says about its coverage."""
        return list(self._current_news().notes)

    def fetch_notes(self) -> list[str]:
        """Return how the last bars came about, since when the news is known, and what was damaged or revised."""
        of_news = [self._news_note] if self._news_note else []
        remarks = [f"{self.name}: {text}" for text in self._answers.remarks]
        return [*super().fetch_notes(), *of_news, *self._fetches, *remarks]

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return raw bars of the sessions in ``[first, last]``, those that are kept without asking the vendor.

        Raises
        ------
        SourceUnavailable
            There is none, or the vendor does not answer for those that are not kept.
        MalformedData
            The vendor's answer cannot be used.
        """
        self._fetches = []
        sessions = self._calendar.sessions(first, last)
        kept = self._kept(sessions)
        held = set(kept["session"])
        missing = [session for session in sessions if pd.Timestamp(session) not in held]
        self._note_kept(kept)
        if not missing:
            if kept.empty:
                raise SourceUnavailable(f"{self.name} {first}..{last}: there is no session; choose another range")
            return RAW_BARS.conform(kept[RAW_BARS.column_names])
        answer = self._source.bars(missing[0], missing[-1])
        self._fetches.append(f"{self.name}: bars of {missing[0]} to {missing[-1]} asked of the vendor now")
        new = answer[~answer["session"].isin(held)]
        self._keep(new)
        self._note_revisions(kept, answer)
        return RAW_BARS.conform(pd.concat([kept[RAW_BARS.column_names], new]) if len(kept) else new)

    def _kept(self, sessions: list[date]) -> pd.DataFrame:
        return self._answers.bars(session for session in sessions if session <= self._last_session)

    def _keep(self, rows: pd.DataFrame) -> None:
        final = self._final_rows(rows)
        if not final.empty:
            self._answers.keep_new(final)

    def _final_rows(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of sessions that may be kept, with the time of the fetch."""
        now = self._clock.now_utc()
        fetched = rows.assign(**{FETCHED_AT: pd.Timestamp(now)})
        final = rows["session"] <= pd.Timestamp(self._last_session)
        early = rows.loc[rows["known_at_utc"] > now, "session"].unique()
        settled = pd.Timestamp(self._calendar.offset(self._last_session, -SETTLING_SESSIONS))
        whole = (rows["session"] <= settled) | ~rows["session"].isin(self._unsettled(rows[rows["session"] > settled]))
        return KEPT_BARS.conform(fetched[final & whole & ~rows["session"].isin(early)])

    def _unsettled(self, recent: pd.DataFrame) -> list[pd.Timestamp]:
        """Return the recent sessions that lack a listed symbol's bar, repeat one, or hold an impossible one."""
        listings = self._current_news().listings
        found = []
        for session in recent["session"].unique():
            rows = recent[recent["session"] == session]
            ends = listings["last_session"].fillna(pd.Timestamp.max)
            due = set(listings.loc[(listings["first_session"] <= session) & (ends >= session), "symbol"])
            if rows["symbol"].duplicated().any() or not due <= set(rows["symbol"]) or _impossible(rows):
                found.append(pd.Timestamp(session))
        return found

    def _current_news(self) -> News:
        if self._news is None:
            self._news = self._kept_news() or self._ask_for_news()
        return self._news

    def _kept_news(self) -> News | None:
        news = self._answers.news(self._last_session)
        if news is not None:
            self._news_note = (
                f"{self.name}: listings and actions as fetched at {news.fetched_at_utc:%Y-%m-%d %H:%M:%S} UTC (cache)"
            )
        return news

    def _ask_for_news(self) -> News:
        """Ask for all news at once; those of a vendor that is late with its last session are not kept."""
        first, last = self._source.session_range()
        news = News(
            session_range=(first, last),
            listings=self._source.listings(),
            actions=self._source.corporate_actions(first, self._last_session + _ANNOUNCED_AHEAD),
            notes=tuple(self._source.coverage_notes()),
            fetched_at_utc=self._clock.now_utc(),
        )
        if last >= self._last_session:
            self._answers.keep_news(news, self._last_session)
        return news

    def _note_kept(self, kept: pd.DataFrame) -> None:
        if kept.empty:
            return
        since, until = kept[FETCHED_AT].min(), kept[FETCHED_AT].max()
        when = f"at {since:%Y-%m-%d %H:%M:%S} UTC"
        if until > since:
            when = f"between {since:%Y-%m-%d %H:%M:%S} and {until:%Y-%m-%d %H:%M:%S} UTC"
        self._fetches.append(
            f"{self.name}: bars of {kept['session'].nunique()} session(s), {kept['session'].min():%Y-%m-%d} to "
            f"{kept['session'].max():%Y-%m-%d}, as fetched {when} (cache)"
        )

    def _note_revisions(self, kept: pd.DataFrame, answer: pd.DataFrame) -> None:
        """Say where the vendor now states another close than it did for a session that is kept."""
        both = kept.merge(answer, on=["session", "symbol"], suffixes=("", "_now"))
        off = ~np.isclose(both["close_raw_usd"], both["close_raw_usd_now"], rtol=1e-6, atol=0.0, equal_nan=True)
        revised = both[off]
        self._fetches += [
            f"{row['symbol']} {row['session']:%Y-%m-%d}: {self.name} stated the close {row['close_raw_usd']:.6g} on "
            f"{row[FETCHED_AT]:%Y-%m-%d} and states {row['close_raw_usd_now']:.6g} now; the first is in use: `aegis "
            "cache forget` takes the other"
            for row in revised.head(_SHOWN_REVISIONS).to_dict("records")
        ]
        if len(revised) > _SHOWN_REVISIONS:
            self._fetches.append(f"{self.name}: {len(revised) - _SHOWN_REVISIONS} more closes were restated")


class RefreshedSource(CachedSource):
    """The same, asking the vendor for everything again and keeping what it says now."""

    def _kept(self, sessions: list[date]) -> pd.DataFrame:  # noqa: ARG002 - nothing that is kept counts
        return KEPT_BARS.empty()

    def _keep(self, rows: pd.DataFrame) -> None:
        final = self._final_rows(rows)
        if not final.empty:
            self._answers.keep_instead(final)

    def _kept_news(self) -> News | None:
        return None


def _impossible(rows: pd.DataFrame) -> bool:
    """Whether a bar lacks a number, or its prices cannot be those of one session."""
    prices = rows[list(_PRICES)].to_numpy(dtype=np.float64)
    opened, high, low, close = prices.T
    right = (low > 0) & (high >= np.maximum(opened, close)) & (low <= np.minimum(opened, close))
    return not (right & (rows["volume_shares"].to_numpy(dtype=np.float64) >= 0)).all()
