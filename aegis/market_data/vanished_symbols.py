"""Symbols that the lake has and the source suddenly knows nothing of: their bars have stopped, their past has not gone.

Belongs here: what is stored of a source's listings, instruments and actions, with what stays of such symbols. A file
that was lost, a vendor that drops what trades no more and a symbol that was struck off a list all look the same. Taking
the answer's word would remove the symbol from the past as well, which is survivorship, and leave a holding at its last
price with nothing due that could be missed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.lake.lake import Lake
from aegis.lake.schema import TableSchema
from aegis.lake.tables import CORPORATE_ACTIONS, INSTRUMENTS, LISTINGS, RAW_BARS
from aegis.market_data.corporate_actions import normalise_actions
from aegis.market_data.later_facts import actions_known_by, instruments_known_by, listings_known_by, symbols_of
from aegis.market_data.sources.coverage import MAX_GAP_SESSIONS


@dataclass(frozen=True)
class VanishedSymbols:
    """What stays of the symbols that a source no longer lists.

    Parameters
    ----------
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS`: as stored, an open interval ended as by bars that stop without notice.
    delistings : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`: the delistings that follow.
    notes : tuple of str
        A sentence for each symbol whose interval was open.
    """

    listings: pd.DataFrame
    delistings: pd.DataFrame
    notes: tuple[str, ...]

    def keep(self, table: TableSchema, answer: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
        """Return an answer with the stored rows of these symbols."""
        return _joined(table, stored[stored["symbol"].isin(self.listings["symbol"])], answer)

    def delistings_known(self, first: date, last: date, known_until: datetime) -> pd.DataFrame:
        """Return the delistings of sessions in ``[first, last]`` that are known by an instant."""
        inside = self.delistings["session"].between(pd.Timestamp(first), pd.Timestamp(last))
        return self.delistings[inside & (self.delistings["known_at_utc"] <= known_until)]


def listings_to_store(
    listings: pd.DataFrame,
    facts: pd.DataFrame,
    lake: Lake,
    calendar: TradingCalendar,
    *,
    last_session: date,
    silent: Collection[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Return listings and instruments to store, and notes about symbols that vanished.

    Parameters
    ----------
    listings, facts : DataFrame
        :data:`aegis.lake.tables.LISTINGS` and :data:`aegis.lake.tables.INSTRUMENTS` as the source states them now.
    lake : Lake
    calendar : TradingCalendar
        Decision calendar.
    last_session : date
        Last session that the source answers for.
    silent : collection of str
        Names of sources that did not answer, of several: what they list has not vanished.

    Raises
    ------
    SourceUnavailable
        As :func:`~aegis.market_data.later_facts.listings_known_by`.
    """
    gone = vanished_symbols(listings, lake, calendar, last_session=last_session, silent=silent)
    stored = lake.read(INSTRUMENTS)
    known = listings_known_by(listings, lake.read(LISTINGS), last_session=last_session, silent=silent)
    known_facts = instruments_known_by(facts, stored, last_session=last_session, silent=silent)
    return gone.keep(LISTINGS, known, gone.listings), gone.keep(INSTRUMENTS, known_facts, stored), gone.notes


def actions_to_store(
    answer: pd.DataFrame,
    listings: pd.DataFrame,
    lake: Lake,
    calendar: TradingCalendar,
    *,
    ex_dates: tuple[date, date],
    first: date,
    last_session: date,
    known_until: datetime,
    silent: Collection[str] = (),
) -> pd.DataFrame:
    """Return the corporate actions to store.

    Parameters
    ----------
    answer : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS` with an ex-date in `ex_dates`, as the source states them now.
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS` as the source states them now.
    lake : Lake
    calendar : TradingCalendar
        Decision calendar.
    ex_dates : pair of date
        First and last ex-date that are replaced.
    first : date
        First session that is materialized.
    last_session : date
        Last session that the source answers for.
    known_until : datetime
        Aware UTC: the decision time of the last session that is materialized.
    silent : collection of str
        Names of sources that did not answer, of several.
    """
    gone = vanished_symbols(listings, lake, calendar, last_session=last_session, silent=silent)
    stored = lake.read(CORPORATE_ACTIONS, first=ex_dates[0], last=ex_dates[1])
    standing = symbols_of(silent, lake.read(LISTINGS))
    known = actions_known_by(answer, stored, known_until=known_until, first=first, standing=standing)
    kept = gone.keep(CORPORATE_ACTIONS, known, stored)
    return _joined(CORPORATE_ACTIONS, kept, gone.delistings_known(*ex_dates, known_until))


def vanished_symbols(
    answer: pd.DataFrame,
    lake: Lake,
    calendar: TradingCalendar,
    *,
    last_session: date,
    silent: Collection[str] = (),
) -> VanishedSymbols:
    """Find the symbols that the lake lists and a source does not list any more.

    Parameters
    ----------
    answer : DataFrame
        :data:`aegis.lake.tables.LISTINGS` as the source states them now.
    lake : Lake
    calendar : TradingCalendar
        Decision calendar.
    last_session : date
        Last session that the source answers for; what the lake lists later is not looked at.
    silent : collection of str
        Names of sources that did not answer, of several: what they list has not vanished.

    Notes
    -----
    Known when: as for bars that stop without notice (:mod:`aegis.market_data.sources.coverage`). The symbol stays
    listed for `MAX_GAP_SESSIONS` sessions after its last stored bar, in each of which the quality gate names the
    missing bar, and is delisted after them. If the source lists it again by then, nothing has happened.
    """
    stored = lake.read(LISTINGS)
    is_gone = ~stored["symbol"].isin(answer["symbol"]) & ~stored["source"].isin(silent)
    is_gone &= stored["first_session"] <= pd.Timestamp(last_session)
    gone = stored[is_gone].reset_index(drop=True)
    if gone.empty:
        return VanishedSymbols(gone, CORPORATE_ACTIONS.empty(), ())
    bars = lake.read(RAW_BARS, symbols=sorted(set(gone["symbol"])))
    opened = gone[gone["last_session"].isna()].groupby("symbol")["first_session"].max()
    last_bars = bars.groupby("symbol")["session"].max().reindex(opened.index).fillna(opened)
    ends = {symbol: calendar.offset(day.date(), MAX_GAP_SESSIONS) for symbol, day in last_bars.items()}
    ended = gone["last_session"].fillna(pd.to_datetime(gone["symbol"].map(ends)))
    gone["last_session"] = ended.where(gone["last_session"].notna() | (ended < pd.Timestamp(last_session)))
    notes = tuple(
        f"{symbol}: the source lists it no longer and the lake has bars of it; it stays listed to {end}, "
        f"{MAX_GAP_SESSIONS} sessions after its last bar, and is delisted then unless its bars come back"
        for symbol, end in ends.items()
    )
    return VanishedSymbols(LISTINGS.conform(gone), _delistings(gone, calendar), notes)


def _delistings(gone: pd.DataFrame, calendar: TradingCalendar) -> pd.DataFrame:
    """Return the delisting after the last interval of each symbol that has ended."""
    newest = gone.sort_values("first_session").drop_duplicates("symbol", keep="last")
    newest = newest[newest["last_session"].notna()]
    if newest.empty:
        return CORPORATE_ACTIONS.empty()
    days = [calendar.next(day.date()) for day in newest["last_session"]]
    stated = pd.DataFrame(
        {"session": pd.to_datetime(days), "symbol": newest["symbol"].to_numpy(), "action": "delisting"}
    )
    return normalise_actions(stated, calendar, source=str(newest["source"].iloc[0]))


def _joined(table: TableSchema, first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of both; where both have a key, that of `first`."""
    parts = [frame for frame in (first, second) if len(frame)]
    if not parts:
        return table.conform(second)
    return table.conform(pd.concat(parts, ignore_index=True).drop_duplicates(list(table.primary_key), keep="first"))
