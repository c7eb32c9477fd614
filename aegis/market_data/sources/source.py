"""The port that every market-data source implements, and how to tell which sessions it can answer for.

Belongs here: the protocol. Each implementation is a module of its own beside this one.
"""

from __future__ import annotations

from datetime import date
from typing import Protocol

import pandas as pd


class MarketDataSource(Protocol):
    """Daily bars, corporate actions and listings of one vendor or one generated market.

    Notes
    -----
    Prices are raw, as traded. A row's ``known_at_utc`` is the close of its session plus the vendor's delay; an action's
    is its announcement, or the opening of the ex-date where the announcement is not known. A source that has no answer
    raises :class:`~aegis.errors.SourceUnavailable`; it never returns an empty frame in its place.
    """

    @property
    def name(self) -> str:
        """Name stored with each row: ``simulated``, ``files``, ``yahoo``, ``alpaca``, ..."""
        ...

    @property
    def is_simulated(self) -> bool:
        """Whether the prices are generated; shown wherever they are shown."""
        ...

    @property
    def benchmark_symbol(self) -> str:
        """Permanent symbol of the benchmark within this source."""
        ...

    def session_range(self) -> tuple[date, date]:
        """Return the first and last session this source can answer for."""
        ...

    def listings(self) -> pd.DataFrame:
        """Return all coverage intervals as :data:`aegis.lake.tables.LISTINGS`."""
        ...

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return bars of the sessions in ``[first, last]`` as :data:`aegis.lake.tables.RAW_BARS`.

        Raises
        ------
        SourceUnavailable
            No answer, or an empty one where sessions exist.
        SourceRefused
            The vendor will not serve this: a key, a symbol or a parameter.
        MalformedData
            The answer lacks columns or cannot be parsed.
        """
        ...

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        """Return actions with an ex-date in ``[first, last]`` as :data:`aegis.lake.tables.CORPORATE_ACTIONS`."""
        ...

    def coverage_notes(self) -> list[str]:
        """Return what a person should know about the coverage: left out, ending, with gaps; one sentence each.

        Notes
        -----
        For people only. The sentences look at the whole delivery, so no decision may read them.
        """
        ...
