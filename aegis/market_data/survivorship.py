"""Signs that a history holds only those who are still there.

Belongs here: judging listings as a whole. Which instruments may be held in a session is
:mod:`aegis.market_data.universe`, which looks at one session at a time and cannot see who was left out.
"""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd

MIN_HISTORY = timedelta(days=3 * 365)
"""Shorter histories may well end with everybody who began them."""

MIN_INSTRUMENTS = 10
"""A hand-picked few says nothing about a market."""

USUAL_YEARLY_LOSS = 0.04
"""Share of companies taken to leave an exchange in a year, by merger or delisting; it only says what would be usual."""


def survivorship_notes(listings: pd.DataFrame, first: date, last: date) -> list[str]:
    """Return a warning where nobody who was listed in a long history ever left, else nothing.

    Parameters
    ----------
    listings : DataFrame
        :data:`aegis.lake.tables.LISTINGS`.
    first, last : date
        Sessions that are decided.

    Notes
    -----
    Counted are tradable symbols that were listed before `last`. One end of a listing is enough to be silent: a source
    that knows of one knows of ends. It is a warning and not a refusal, because a hand-picked list may be meant.
    """
    years = (last - first).days / 365.25
    tradable = listings[listings["tradable"] & (listings["first_session"] < pd.Timestamp(last))]
    begun = tradable.groupby("symbol")["first_session"].min()
    # The newest interval's own end: pandas' last() would skip an open one for the end of an earlier name.
    newest = tradable.sort_values("first_session").groupby("symbol").tail(1)
    ends = newest.set_index("symbol")["last_session"]
    is_early = begun <= pd.Timestamp(first) + pd.Timedelta(days=31)
    left = ends.notna() & (ends < pd.Timestamp(last))
    if last - first < MIN_HISTORY or len(begun) < MIN_INSTRUMENTS or left.any():
        return []
    expected = len(begun) * (1.0 - (1.0 - USUAL_YEARLY_LOSS) ** years)
    return [
        (
            f"survivorship: none of {len(begun)} instruments left between {first} and {last} ({int(is_early.sum())} of "
            f"them were there from the start), where about {expected:.0f} would be usual; a history of today's "
            "survivors looks better than it was: add bars of those that were delisted, or set universe.membership_file"
        )
    ]
