"""What the lake keeps when an answer knows less than the lake: as of an earlier session, or without one of its sources.

Belongs here: joining an answer with what is stored. A run over earlier sessions, or one that ``run.last_session`` cuts
off, knows less than the lake; what it could not know is no correction of what is there. Nor is the silence of one of
several sources: a symbol that it alone lists has not left the market, and would be sold if it had.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

import pandas as pd

from aegis.errors import SourceUnavailable
from aegis.lake.schema import TableSchema
from aegis.lake.tables import CORPORATE_ACTIONS, INSTRUMENTS, LISTINGS

SAME_EVENT = timedelta(days=7)
"""How far apart two sources may date one split or dividend."""


def actions_known_by(
    answer: pd.DataFrame, stored: pd.DataFrame, *, known_until: datetime, first: date, standing: Collection[str] = ()
) -> pd.DataFrame:
    """Return the corporate actions to store: the answer's known by `known_until`, and the stored ones known later.

    Parameters
    ----------
    answer : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS` of a range of ex-dates, as the source states them now.
    stored : DataFrame
        The lake's rows of the same range.
    known_until : datetime
        Aware UTC: the decision time of the last session that is materialized.
    first : date
        First session that is materialized.
    standing : collection of str
        Symbols whose source does not answer now, see :func:`symbols_of`.

    Notes
    -----
    Known when: the sessions after the last one write what became known in them, so that a run over earlier sessions
    neither brings later news forward nor takes them away. An action that the answer does not repeat was withdrawn, if
    it was known by then.

    Of the symbols in `standing` the stored actions stay, and another source's count from `first` on, unless one of
    the kind is stored within a week: a split that is left out is a wrong price, and a dividend that two sources date a
    day apart would be booked twice.
    """
    known = answer[answer["known_at_utc"] <= known_until]
    is_standing = stored["symbol"].isin(standing)
    kept = stored[is_standing | (stored["known_at_utc"] > known_until)]
    other = known["symbol"].isin(standing)
    news = other & (known["session"] >= pd.Timestamp(first)) & ~_is_stated(known, stored[is_standing])
    return _joined(CORPORATE_ACTIONS, known[~other | news], kept)


def symbols_of(sources: Collection[str], listings: pd.DataFrame) -> frozenset[str]:
    """Return the symbols that are believed to one of `sources`, as the stored listings say."""
    return frozenset(listings.loc[listings["source"].isin(sources), "symbol"])


def listings_known_by(
    answer: pd.DataFrame, stored: pd.DataFrame, *, last_session: date, silent: Collection[str] = ()
) -> pd.DataFrame:
    """Return the listings to store: the answer's, and what the lake knows of sessions after the source's last one.

    Parameters
    ----------
    answer : DataFrame
        :data:`aegis.lake.tables.LISTINGS` as the source states them now; open ones have no ``last_session``.
    stored : DataFrame
        The lake's rows.
    last_session : date
        Last session that the source answers for.
    silent : collection of str
        Names of sources that did not answer, of several.

    Raises
    ------
    SourceUnavailable
        Nothing is stored yet and a source is silent: what it alone lists would be missing from the whole history.

    Notes
    -----
    Stored intervals that begin after `last_session` are kept, and so is the end of one that the answer still has open
    there. Everything else is the answer's: an interval that it does not repeat was withdrawn. Symbols whose stored
    intervals are a silent source's keep them.
    """
    if silent and stored.empty:
        raise SourceUnavailable(
            f"{', '.join(sorted(silent))} did not answer, and nothing is stored of what is listed there: a history "
            "that begins now would lack it; ask again later, or leave the source out of market_data.sources"
        )
    answer, standing = _apart(answer, stored, silent)
    key = list(LISTINGS.primary_key)
    cut = pd.Timestamp(last_session)
    ended = stored.loc[stored["last_session"] >= cut, [*key, "last_session"]]
    known_end = answer[key].merge(ended, on=key, how="left")["last_session"].set_axis(answer.index)
    known = answer.assign(last_session=answer["last_session"].fillna(known_end))
    return _joined(LISTINGS, known, stored[standing | (stored["first_session"] > cut)])


def instruments_known_by(
    answer: pd.DataFrame, stored: pd.DataFrame, *, last_session: date, silent: Collection[str] = ()
) -> pd.DataFrame:
    """Return the facts about instruments to store: the answer's, and those of sessions after the source's last one.

    Parameters
    ----------
    answer, stored : DataFrame
        :data:`aegis.lake.tables.INSTRUMENTS`, as the source states them now and as the lake has them.
    last_session : date
        Last session that the source answers for.
    silent : collection of str
        Names of sources that did not answer, of several; their facts stay.
    """
    answer, standing = _apart(answer, stored, silent)
    key = list(INSTRUMENTS.primary_key)
    cut = pd.Timestamp(last_session)
    ended = stored.loc[stored["delisting_session"] >= cut, [*key, "delisting_session"]]
    known_end = answer[key].merge(ended, on=key, how="left")["delisting_session"].set_axis(answer.index)
    known = answer.assign(delisting_session=answer["delisting_session"].fillna(known_end))
    return _joined(INSTRUMENTS, known, stored[standing | (stored["first_session"] > cut)])


def _apart(answer: pd.DataFrame, stored: pd.DataFrame, silent: Collection[str]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the answer without the symbols of silent sources, and which stored rows are theirs."""
    standing = stored["source"].isin(silent)
    return answer[~answer["symbol"].isin(stored.loc[standing, "symbol"])], standing


def _is_stated(actions: pd.DataFrame, stated: pd.DataFrame) -> pd.Series:
    """Return which of `actions` are dated near one of the same symbol and kind in `stated`."""
    key = ["symbol", "action"]
    pairs = actions[["session", *key]].reset_index().merge(stated[["session", *key]], on=key, suffixes=("", "_stated"))
    near = (pairs["session"] - pairs["session_stated"]).abs() <= SAME_EVENT
    return pd.Series(actions.index.isin(pairs.loc[near, "index"]), index=actions.index)


def _joined(table: TableSchema, known: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Return both; where both have a key, the row of `known`."""
    if later.empty:
        return table.conform(known)
    if known.empty:
        return table.conform(later)
    key = list(table.primary_key)
    return table.conform(pd.concat([known, later]).drop_duplicates(key, keep="first"))
