"""A source that answers as another one does, except where a subclass says otherwise.

Belongs here: passing questions on. What is changed on the way is each subclass's own module.
"""

from __future__ import annotations

from datetime import date

import pandas as pd

from aegis.market_data.sources import optional_answers
from aegis.market_data.sources.source import MarketDataSource


class WrappedSource:
    """Another source under its own name.

    Parameters
    ----------
    source : MarketDataSource
        The source that answers.
    """

    def __init__(self, source: MarketDataSource) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """Name of the wrapped source."""
        return self._source.name

    @property
    def is_simulated(self) -> bool:
        """Whether the wrapped source's prices are generated."""
        return self._source.is_simulated

    @property
    def benchmark_symbol(self) -> str:
        """Benchmark of the wrapped source."""
        return self._source.benchmark_symbol

    def session_range(self) -> tuple[date, date]:
        """Return the range of the wrapped source."""
        return self._source.session_range()

    def listings(self) -> pd.DataFrame:
        """Return the listings of the wrapped source."""
        return self._source.listings()

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return the bars of the wrapped source."""
        return self._source.bars(first, last)

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        """Return the actions of the wrapped source."""
        return self._source.corporate_actions(first, last)

    def coverage_notes(self) -> list[str]:
        """Return what the wrapped source says about its coverage."""
        return self._source.coverage_notes()

    def instruments(self) -> pd.DataFrame | None:
        """Return what the wrapped source knows of instruments beyond its listings."""
        stated = self._source
        return stated.instruments() if isinstance(stated, optional_answers.DescribesInstruments) else None

    def fetch_notes(self) -> list[str]:
        """Return how the wrapped source's answers came about."""
        return optional_answers.fetch_notes(self._source)

    def silent_sources(self) -> frozenset[str]:
        """Return which of the sources behind the wrapped one did not answer its last question."""
        return optional_answers.silent_sources(self._source)

    def second_opinions(self, bars: pd.DataFrame) -> list[pd.DataFrame]:
        """Return what others than the wrapped source say about `bars`."""
        return optional_answers.second_opinions(self._source, bars)
