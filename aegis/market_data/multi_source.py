"""Several sources as one: each bar comes from the first of them that has it.

Belongs here: who is asked in which order, and what is said when nobody answers. How listings are joined is
:mod:`aegis.market_data.merged_listings`; comparing two answers is :mod:`aegis.market_data.source_agreement`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.errors import ConfigurationError, MalformedData, SourceRefused, SourceUnavailable
from aegis.lake.tables import INSTRUMENTS, RAW_BARS
from aegis.market_data.merged_listings import MergedListings, merge_actions, merge_listings, split_differences
from aegis.market_data.sources.optional_answers import fetch_notes, instruments
from aegis.market_data.sources.source import MarketDataSource

SOURCE_NAME = "multi"

_KEY = ["session", "symbol"]


@dataclass(frozen=True)
class _Consulted:
    """What a source that answers covers."""

    source: MarketDataSource
    session_range: tuple[date, date]
    listings: pd.DataFrame


class MultiSource:
    """An ordered list of sources that answers as one.

    Parameters
    ----------
    sources : sequence of MarketDataSource
        In the order in which they are believed; at least two, each under its own name.
    calendar : TradingCalendar
        Decision calendar.
    last_session : date
        Session that must exist by now; a source that ends earlier is stale.

    Raises
    ------
    ConfigurationError
        Fewer than two sources, two of one name, simulated prices beside real ones, or two benchmarks.

    Notes
    -----
    Every source is asked what it lists. What one that does not answer alone lists is not in the answer; it is named in
    :meth:`silent_sources`, so that nobody takes that for the end of a listing. Bars are asked of the
    next source only where a listed symbol has none yet: because the one before raised, was empty, ends too early or
    lacks the symbol. All rows of a session and symbol come from one source, named in their ``source``. A failure is not
    remembered: the next question asks everybody again. When nobody answers, the error lists each one's reason;
    an earlier answer is never given instead.
    """

    def __init__(self, sources: Sequence[MarketDataSource], calendar: TradingCalendar, *, last_session: date) -> None:
        _refuse_unfit(sources)
        self._sources = tuple(sources)
        self._calendar = calendar
        self._last_session = last_session
        self._trials: list[str] = []
        self._silent: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name of the whole; rows carry the name of the source they came from."""
        return SOURCE_NAME

    @property
    def is_simulated(self) -> bool:
        """Whether the prices are generated: of all sources or of none."""
        return self._sources[0].is_simulated

    @property
    def benchmark_symbol(self) -> str:
        """Permanent symbol of the benchmark, the same in every source."""
        return self._sources[0].benchmark_symbol

    def session_range(self) -> tuple[date, date]:
        """Return the first and last session that any source answers for."""
        ranges = [each.session_range for each in self._consult()]
        return min(first for first, _ in ranges), max(last for _, last in ranges)

    def listings(self) -> pd.DataFrame:
        """Return the listings of all sources that answer, each symbol's from one."""
        return self._merged(self._consult()).listings

    def instruments(self) -> pd.DataFrame:
        """Return what is known of each symbol, from the source that is believed about its listing."""
        answering = self._consult()
        believed = self._merged(answering).believed
        stated = [(each.source.name, instruments(each.source, self._calendar)) for each in answering]
        parts = [rows[rows["symbol"].map(believed) == name] for name, rows in stated]
        return INSTRUMENTS.conform(pd.concat([rows for rows in parts if not rows.empty]))

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return the bars of the sessions in ``[first, last]``, each from the first source that has it.

        Raises
        ------
        SourceUnavailable
            No source has any; the reason of each is named.
        MalformedData
            Two sources mean different instruments by one symbol.
        """
        due = _due(self._merged(self._consult()).listings, self._calendar.sessions(first, last))
        parts: list[pd.DataFrame] = []
        for source in self._sources:
            if due.empty and parts:
                break
            start, end = (first, last) if due.empty else (due["session"].min().date(), due["session"].max().date())
            answer = self._ask_for_bars(source, start, end)
            if answer is None:
                continue
            taken = _without(answer, parts)
            due = _without(due, [taken])
            parts.append(taken)
            self._trials.append(_filled(source.name, taken, due))
        if not any(len(part) for part in parts):
            raise SourceUnavailable(
                f"no source has bars from {first} to {last}: {self._reasons()}; ask again later, or add a source to "
                "market_data.sources"
            )
        return RAW_BARS.conform(pd.concat([part for part in parts if len(part)]))

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        """Return actions with an ex-session in ``[first, last]``, each symbol's from the source that lists it.

        Raises
        ------
        SourceUnavailable
            A source that says what it lists does not give its actions: a split that is left out is a wrong price.
        """
        return self._actions(self._consult(), first, last)[0]

    def coverage_notes(self) -> list[str]:
        """Return the remarks of every source under its name, and where the sources contradict each other."""
        answering = self._consult()
        notes = [f"{each.source.name}: {note}" for each in answering for note in each.source.coverage_notes()]
        ranges = [each.session_range for each in answering]
        first, last = min(start for start, _ in ranges), max(end for _, end in ranges)
        return [*self._trials, *self._merged(answering).notes, *self._actions(answering, first, last)[1], *notes]

    def fetch_notes(self) -> list[str]:
        """Return which sources were tried for the last question and what became of each."""
        return [*self._trials, *(note for source in self._sources for note in fetch_notes(source))]

    def silent_sources(self) -> frozenset[str]:
        """Return the sources that did not say what they list at the last question; what they alone list is absent."""
        return self._silent

    def second_opinions(self, bars: pd.DataFrame) -> list[pd.DataFrame]:
        """Return the rows of other sources for the sessions and symbols of `bars`, in the order of belief.

        Notes
        -----
        Each source is asked for the bars that did not come from it and that no earlier one has. One that does not
        answer has no opinion, which is noted: agreement is looked for where it can be had.
        """
        self._trials = []
        left = bars.drop_duplicates(_KEY)
        found: list[pd.DataFrame] = []
        for source in self._sources:
            asked = left[left["source"] != source.name]
            if asked.empty:
                continue
            answer = self._ask_for_bars(source, asked["session"].min().date(), asked["session"].max().date())
            if answer is None:
                continue
            opinion = _within(answer, asked)
            left = _without(left, [opinion])
            found.append(opinion)
            self._trials.append(f"{source.name}: a second opinion about {len(opinion)} of {len(asked)} bar(s)")
        return found

    def _consult(self) -> list[_Consulted]:
        """Ask every source what it covers, and return those that answer."""
        self._trials = []
        found: list[_Consulted] = []
        for source in self._sources:
            with self._noting(source):
                covered = _Consulted(source, source.session_range(), source.listings())
                found.append(covered)
                if covered.session_range[1] < self._last_session:
                    self._trials.append(
                        f"{source.name}: stale, its last session is {covered.session_range[1]} and "
                        f"{self._last_session} was due"
                    )
        self._silent = frozenset(each.name for each in self._sources) - {each.source.name for each in found}
        if not found:
            raise SourceUnavailable(
                f"none of the sources answers: {self._reasons()}; ask again later, or add a source to "
                "market_data.sources"
            )
        return found

    def _merged(self, answering: Sequence[_Consulted]) -> MergedListings:
        return merge_listings([(each.source.name, each.listings) for each in answering])

    def _actions(self, answering: Sequence[_Consulted], first: date, last: date) -> tuple[pd.DataFrame, list[str]]:
        stated = [(each.source.name, each.source.corporate_actions(first, last)) for each in answering]
        merged = merge_actions(stated, self._merged(answering).believed)
        return merged, split_differences(stated, [each.listings for each in answering])

    def _ask_for_bars(self, source: MarketDataSource, first: date, last: date) -> pd.DataFrame | None:
        with self._noting(source):
            answer = source.bars(first, last)
            if len(answer):
                return answer
            self._trials.append(f"{source.name}: an empty answer for {first} to {last}")
        return None

    @contextmanager
    def _noting(self, source: MarketDataSource) -> Iterator[None]:
        """Let a source fail that has no answer, and note why; anything else is not a vendor's failure."""
        try:
            yield
        except (SourceUnavailable, SourceRefused, MalformedData) as error:
            reason = f"{source.name}: {type(error).__name__}: {error}"
            if reason not in self._trials:
                self._trials.append(reason)

    def _reasons(self) -> str:
        return " | ".join(self._trials)


def _refuse_unfit(sources: Sequence[MarketDataSource]) -> None:
    names = [source.name for source in sources]
    if len(names) < 2 or len(set(names)) < len(names):  # noqa: PLR2004 - one source needs no order
        raise ConfigurationError(
            f"market_data.sources: expected two sources or more, each once, found {names}; list them in the order in "
            "which they are believed, or name the only one as run.source"
        )
    if len({source.is_simulated for source in sources}) > 1:
        raise ConfigurationError(
            f"market_data.sources: {names} holds simulated prices beside real ones; leave the simulated market out"
        )
    benchmarks = {source.name: source.benchmark_symbol for source in sources}
    if len(set(benchmarks.values())) > 1:
        raise ConfigurationError(f"market_data.sources: the benchmarks differ, {benchmarks}; use one symbol in all")


def _due(listings: pd.DataFrame, sessions: Sequence[date]) -> pd.DataFrame:
    """Return session and symbol of every bar that the listings promise in `sessions`."""
    days = np.array(sessions, dtype="datetime64[ns]")
    ends = listings["last_session"].fillna(pd.Timestamp.max).to_numpy(dtype="datetime64[ns]")
    starts = np.searchsorted(days, listings["first_session"].to_numpy(dtype="datetime64[ns]"), side="left")
    lengths = np.maximum(np.searchsorted(days, ends, side="right") - starts, 0)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    promised = {
        "session": days[np.repeat(starts, lengths) + offsets],
        "symbol": np.repeat(listings["symbol"].to_numpy(dtype=object), lengths),
    }
    return pd.DataFrame(promised).drop_duplicates(ignore_index=True)


def _without(rows: pd.DataFrame, others: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows whose session and symbol are in none of `others`."""
    left = rows
    for other in others:
        left = left[~_matches(left, other)]
    return left


def _within(rows: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose session and symbol are in `other`."""
    return rows[_matches(rows, other)]


def _matches(rows: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    found: np.ndarray = pd.MultiIndex.from_frame(rows[_KEY]).isin(pd.MultiIndex.from_frame(other[_KEY]))
    return found


def _filled(name: str, taken: pd.DataFrame, due: pd.DataFrame) -> str:
    if due.empty:
        return f"{name}: {len(taken)} bar(s)"
    shown = ", ".join(f"{row.symbol} {row.session:%Y-%m-%d}" for row in due.head(3).itertuples())
    return f"{name}: {len(taken)} bar(s), {len(due)} still missing ({shown}{', ...' if len(due) > 3 else ''})"  # noqa: PLR2004 - what is shown
