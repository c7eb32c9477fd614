"""Which stated mergers and delistings end a listing, beside those that follow from bars that stop.

Belongs here: the vendor's word about an end against its own bars. Listing intervals are
:mod:`aegis.market_data.sources.coverage`.
"""

from __future__ import annotations

from datetime import date

import pandas as pd

from aegis.lake.tables import CORPORATE_ACTIONS

_KEY = ["session", "symbol"]
_MERGER_TERMS = ["pay_session", "record_session", "merger_cash_usd", "merger_ratio", "acquirer"]


def split_ends(
    stated: pd.DataFrame, traced: pd.DataFrame, listings: pd.DataFrame, *, last_session: date
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the mergers and announced delistings to keep, and the mergers that no end of trading follows.

    Parameters
    ----------
    stated, traced : DataFrame
        :data:`aegis.lake.tables.CORPORATE_ACTIONS`: as the vendor states them, and as its bars show them.
    listings : DataFrame
        ``symbol``, ``last_session`` (NaT while it trades).
    last_session : date
        Last session of the delivery.

    Notes
    -----
    A merger in the past is kept where the listing ends with the session before it, else booking it would end a position
    whose symbol goes on. One after `last_session`, of a symbol that still trades, is kept with the delisting that it
    brings: bars cannot show it yet, and whoever decides now knows of it.
    """
    is_ahead = stated["session"] > pd.Timestamp(last_session)
    trading = listings.loc[listings["last_session"].isna(), "symbol"]
    ahead = stated[is_ahead & stated["action"].isin(["merger", "delisting"]) & stated["symbol"].isin(trading)]
    known_first = ahead.sort_values([*_KEY, "known_at_utc"]).drop_duplicates(_KEY)
    implied = CORPORATE_ACTIONS.conform(
        known_first.assign(action="delisting").drop(columns=_MERGER_TERMS).reindex(columns=stated.columns)
    )
    mergers = stated[stated["action"] == "merger"]
    ended = traced.loc[traced["action"] == "delisting", _KEY]
    founded = mergers.merge(ended, on=_KEY, how="inner")
    known = set(founded[_KEY].itertuples(index=False, name=None)) | set(ahead[_KEY].itertuples(index=False, name=None))
    is_unfounded = [key not in known for key in mergers[_KEY].itertuples(index=False, name=None)]
    kept = [founded, ahead[ahead["action"] == "merger"], implied]
    parts = [frame for frame in kept if not frame.empty]
    return pd.concat(parts, ignore_index=True) if parts else stated.iloc[:0], mergers[is_unfounded]


def unfounded_notes(mergers: pd.DataFrame) -> list[str]:
    """Return a sentence for each merger that was left out."""
    return [
        f"{row['symbol']} {row['session']:%Y-%m-%d}: a merger is stated and the listing does not end with the session "
        "before; it is left out, correct its date"
        for row in mergers.to_dict("records")
    ]
