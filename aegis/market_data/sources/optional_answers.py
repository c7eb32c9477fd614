"""What some sources can tell beyond the port: how an answer came about, who gave none, and what instruments are.

Belongs here: the questions, and the empty answer of a source that knows none. Every wrapper passes them on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.market_data.instrument_facts import instruments_of_listings
from aegis.market_data.sources.source import MarketDataSource


@runtime_checkable
class NotesItsFetches(Protocol):
    """A source that can say how its answers came about."""

    def fetch_notes(self) -> list[str]:
        """Return what was tried, what failed and why, and what came from a cache; one sentence each."""
        ...


@runtime_checkable
class NamesSilentSources(Protocol):
    """A source made of several, some of which may not have answered."""

    def silent_sources(self) -> frozenset[str]:
        """Return the names of those that did not say what they list when they were asked last."""
        ...


@runtime_checkable
class ComparesSources(Protocol):
    """A source that can ask somebody else for the same bars."""

    def second_opinions(self, bars: pd.DataFrame) -> Sequence[pd.DataFrame]:
        """Return the rows that other sources have for the sessions and symbols of `bars`, in the order of belief."""
        ...


@runtime_checkable
class DescribesInstruments(Protocol):
    """A source that knows more of instruments than their listings."""

    def instruments(self) -> pd.DataFrame | None:
        """Return the facts as :data:`aegis.lake.tables.INSTRUMENTS`; None where it knows no more than its listings."""
        ...


def instruments(source: MarketDataSource, calendar: TradingCalendar) -> pd.DataFrame:
    """Return what `source` knows of instruments; what its listings say where it knows no more.

    Parameters
    ----------
    source : MarketDataSource
    calendar : TradingCalendar
        Decision calendar.
    """
    stated = source.instruments() if isinstance(source, DescribesInstruments) else None
    return instruments_of_listings(source.listings(), calendar) if stated is None else stated


def fetch_notes(source: MarketDataSource) -> list[str]:
    """Return how the answers of `source` came about, for people; empty where the source keeps no such notes."""
    return source.fetch_notes() if isinstance(source, NotesItsFetches) else []


def silent_sources(source: MarketDataSource) -> frozenset[str]:
    """Return which of the sources behind `source` did not answer its last question; empty where it is one alone."""
    return source.silent_sources() if isinstance(source, NamesSilentSources) else frozenset()


def second_opinions(source: MarketDataSource, bars: pd.DataFrame) -> list[pd.DataFrame]:
    """Return what other sources say about `bars`; empty where `source` is the only one.

    Parameters
    ----------
    source : MarketDataSource
    bars : DataFrame
        :data:`aegis.lake.tables.RAW_BARS` of the sessions to compare.
    """
    return list(source.second_opinions(bars)) if isinstance(source, ComparesSources) else []
