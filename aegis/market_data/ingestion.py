"""Asking a source for sessions, and refusing what cannot be final yet.

Belongs here: the rules between a source and ``market_data/raw_bars``. What the rows must look like is the quality
gate's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from aegis.errors import MarketDataError, SourceUnavailable
from aegis.lake.tables import RAW_BARS
from aegis.market_data.kept_corrections import CORRECTION_SOURCE
from aegis.market_data.source_agreement import compare_bars, is_compared
from aegis.market_data.sources.optional_answers import second_opinions
from aegis.market_data.sources.source import MarketDataSource


def fetch_raw_bars(
    source: MarketDataSource, sessions: Sequence[date], *, last_complete: date, has_ended: bool
) -> pd.DataFrame:
    """Return the source's bars of `sessions`, exactly as delivered.

    Parameters
    ----------
    source : MarketDataSource
    sessions : sequence of date
        Ascending sessions of the decision calendar.
    last_complete : date
        Last session whose close plus vendor delay has passed.
    has_ended : bool
        Whether no new sessions come, as in a folder of files.

    Returns
    -------
    DataFrame
        :data:`aegis.lake.tables.RAW_BARS`.

    Raises
    ------
    MarketDataError
        A session has not closed, or lies outside what the source will ever cover: asking again would be refused again.
    SourceUnavailable
        The source is late with sessions that have closed, or its answer holds no row at all.
    """
    first, last = sessions[0], sessions[-1]
    if last > last_complete:
        raise MarketDataError(
            f"{source.name} {last}: the session's final bars do not exist yet, the last complete session is "
            f"{last_complete}; run it again after its close plus the vendor's delay"
        )
    try:
        bars = source.bars(first, last)
    except SourceUnavailable:
        _refuse_outside_coverage(source, first, last, has_ended=has_ended)
        raise
    if bars.empty or bars["session"].min() > pd.Timestamp(first) or bars["session"].max() < pd.Timestamp(last):
        _refuse_outside_coverage(source, first, last, has_ended=has_ended)
    if bars.empty:
        raise SourceUnavailable(
            f"{source.name} {first}..{last}: the source returned no bars; check the source and run again"
        )
    return RAW_BARS.conform(bars)


def compare_with_other_sources(source: MarketDataSource, bars: pd.DataFrame, *, compared_share: float) -> pd.DataFrame:
    """Return the stored bars beside what another source says about them.

    Parameters
    ----------
    source : MarketDataSource
    bars : DataFrame
        :data:`aegis.lake.tables.RAW_BARS` as stored.
    compared_share : float
        Share of sessions that are compared.

    Returns
    -------
    DataFrame
        :data:`aegis.lake.tables.SOURCE_AGREEMENT`; empty where there is no other source.

    Notes
    -----
    A bar that a person corrected is not compared: the source that was overruled would be the first to disagree.
    """
    days = [day for day in pd.unique(bars["session"]) if is_compared(pd.Timestamp(day).date(), compared_share)]
    sampled = bars[bars["session"].isin(days) & (bars["source"] != CORRECTION_SOURCE)]
    return compare_bars(sampled, second_opinions(source, sampled) if len(sampled) else [])


def _refuse_outside_coverage(source: MarketDataSource, first: date, last: date, *, has_ended: bool) -> None:
    """Refuse sessions that the source does not cover.

    Asked after the bars and only when some are missing at an end: how far a source goes is a question to the vendor,
    and bars that are at hand do not need it.
    """
    known_first, known_last = source.session_range()
    if first >= known_first and last > known_last and not has_ended:
        raise SourceUnavailable(
            f"{source.name} {last}: the session has closed, but the source's last is {known_last}; the vendor is late: "
            "ask again later, or raise market_data.vendor_delay_minutes if it always is"
        )
    if first < known_first or last > known_last:
        raise MarketDataError(
            f"{source.name}: sessions {first}..{last} were asked for, the source covers {known_first}..{known_last}; "
            "choose sessions inside that range (run.first_session, run.last_session)"
        )
