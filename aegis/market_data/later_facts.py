"""What the lake keeps when a source answers as of an earlier session.

Belongs here: joining an answer with what is stored. A run over earlier sessions, or one that ``run.last_session`` cuts
off, knows less than the lake; what it could not know is no correction of what is there.
"""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd

from aegis.lake.schema import TableSchema
from aegis.lake.tables import CORPORATE_ACTIONS, INSTRUMENTS, LISTINGS


def actions_known_by(answer: pd.DataFrame, stored: pd.DataFrame, *, known_until: datetime) -> pd.DataFrame:
    """Return the corporate actions to store: the answer's known by `known_until`, and the stored ones known later.

    Parameters
    ----------
    answer : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS` of a range of ex-dates, as the source states them now.
    stored : DataFrame
        The lake's rows of the same range.
    known_until : datetime
        Aware UTC: the decision time of the last session that is materialized.

    Notes
    -----
    Known when: the sessions after the last one write what became known in them, so that a run over earlier sessions
    neither brings later news forward nor takes them away. An action that the answer does not repeat was withdrawn, if
    it was known by then.
    """
    known = answer[answer["known_at_utc"] <= known_until]
    later = stored[stored["known_at_utc"] > known_until]
    return _joined(CORPORATE_ACTIONS, known, later)


def listings_known_by(answer: pd.DataFrame, stored: pd.DataFrame, *, last_session: date) -> pd.DataFrame:
    """Return the listings to store: the answer's, and what the lake knows of sessions after the source's last one.

    Parameters
    ----------
    answer : DataFrame
        :data:`aegis.lake.tables.LISTINGS` as the source states them now; open ones have no ``last_session``.
    stored : DataFrame
        The lake's rows.
    last_session : date
        Last session that the source answers for.

    Notes
    -----
    Stored intervals that begin after `last_session` are kept, and so is the end of one that the answer still has open
    there. Everything else is the answer's: an interval that it does not repeat was withdrawn.
    """
    key = list(LISTINGS.primary_key)
    cut = pd.Timestamp(last_session)
    ended = stored.loc[stored["last_session"] >= cut, [*key, "last_session"]]
    known_end = answer[key].merge(ended, on=key, how="left")["last_session"].set_axis(answer.index)
    known = answer.assign(last_session=answer["last_session"].fillna(known_end))
    return _joined(LISTINGS, known, stored[stored["first_session"] > cut])


def instruments_known_by(answer: pd.DataFrame, stored: pd.DataFrame, *, last_session: date) -> pd.DataFrame:
    """Return the facts about instruments to store: the answer's, and those of sessions after the source's last one.

    Parameters
    ----------
    answer, stored : DataFrame
        :data:`aegis.lake.tables.INSTRUMENTS`, as the source states them now and as the lake has them.
    last_session : date
        Last session that the source answers for.
    """
    key = list(INSTRUMENTS.primary_key)
    cut = pd.Timestamp(last_session)
    ended = stored.loc[stored["delisting_session"] >= cut, [*key, "delisting_session"]]
    known_end = answer[key].merge(ended, on=key, how="left")["delisting_session"].set_axis(answer.index)
    known = answer.assign(delisting_session=answer["delisting_session"].fillna(known_end))
    return _joined(INSTRUMENTS, known, stored[stored["first_session"] > cut])


def _joined(table: TableSchema, known: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Return both; where both have a key, the row of `known`."""
    if later.empty:
        return table.conform(known)
    if known.empty:
        return table.conform(later)
    key = list(table.primary_key)
    return table.conform(pd.concat([known, later]).drop_duplicates(key, keep="first"))
