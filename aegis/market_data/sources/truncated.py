"""A source as it was at the end of an earlier session, for look-ahead tests and for replays.

Belongs here: hiding what was not known yet. A decision made from a :class:`TruncatedSource` and one made from the whole
source must agree on every session up to the cut; where they differ, something looked ahead.
"""

from __future__ import annotations

from datetime import date

import pandas as pd

from aegis.errors import SourceUnavailable
from aegis.lake.tables import CORPORATE_ACTIONS, INSTRUMENTS, LISTINGS
from aegis.market_data.sources.source import MarketDataSource
from aegis.market_data.sources.wrapped import WrappedSource


class TruncatedSource(WrappedSource):
    """Another source, as known when the final bars of `last_known` had arrived.

    Parameters
    ----------
    source : MarketDataSource
        The source to cut off.
    last_known : date
        Last session whose bars are kept.

    Raises
    ------
    SourceUnavailable
        `last_known` lies outside the source's range.

    Notes
    -----
    The cut is the latest ``known_at_utc`` of the bars of `last_known`: its close plus the vendor's delay. Bars after it
    are dropped, and actions announced after it; an action announced before it stays, also with a later ex-date.
    Listings that start later are dropped, and a ``last_session`` that lies later is null.
    """

    def __init__(self, source: MarketDataSource, last_known: date) -> None:
        first, last = source.session_range()
        if not first <= last_known <= last:
            raise SourceUnavailable(
                f"{source.name} {last_known}: the source covers {first} to {last}; cut it off inside that range"
            )
        super().__init__(source)
        self._last_known = last_known
        self._known_until = source.bars(last_known, last_known)["known_at_utc"].max()

    def session_range(self) -> tuple[date, date]:
        """Return the whole source's first session and the last one known."""
        return self._source.session_range()[0], self._last_known

    def listings(self) -> pd.DataFrame:
        """Return the listings as known at the cut."""
        listings = self._source.listings()
        cut = pd.Timestamp(self._last_known)
        started = listings[listings["first_session"] <= cut]
        ends = started["last_session"]
        return LISTINGS.conform(started.assign(last_session=ends.where(ends <= cut)))

    def instruments(self) -> pd.DataFrame | None:
        """Return what the source knows of instruments, as known at the cut."""
        stated = super().instruments()
        if stated is None:
            return None
        known = stated[stated["known_at_utc"] <= self._known_until]
        ends = known["delisting_session"]
        return INSTRUMENTS.conform(known.assign(delisting_session=ends.where(ends <= pd.Timestamp(self._last_known))))

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return bars of the sessions in ``[first, last]`` up to the cut.

        Raises
        ------
        SourceUnavailable
            `first` lies after the cut.
        """
        if first > self._last_known:
            raise SourceUnavailable(
                f"{self.name} {first}..{last}: nothing is known after {self._last_known}; choose earlier sessions"
            )
        return self._source.bars(first, min(last, self._last_known))

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        """Return actions with an ex-date in ``[first, last]`` that were announced by the cut."""
        actions = self._source.corporate_actions(first, last)
        return CORPORATE_ACTIONS.conform(actions[actions["known_at_utc"] <= self._known_until])
