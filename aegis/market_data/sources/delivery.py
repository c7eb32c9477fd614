"""What a vendor delivered, as one value in the tables of the lake.

Belongs here: putting parsed bars and actions of any real vendor into listings, raw bars and corporate actions, and
cutting sessions out of them. Parsing is each vendor's own module.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.errors import ConfigurationError, MalformedData, SourceUnavailable
from aegis.instruments import require_symbol
from aegis.lake.tables import CORPORATE_ACTIONS, LISTINGS, RAW_BARS
from aegis.market_data.corporate_actions import normalise_actions
from aegis.market_data.instrument_facts import UNCLASSIFIED
from aegis.market_data.sources.coverage import Coverage, trace_coverage
from aegis.market_data.sources.listing_ends import split_ends, unfounded_notes
from aegis.market_data.sources.stated_instruments import stated_instruments

PRICE_COLUMNS = ("open_raw_usd", "high_raw_usd", "low_raw_usd", "close_raw_usd")
_LARGE_DISTRIBUTION = 0.08
_MANY_NAMES = 8


@dataclass(frozen=True)
class ParsedFiles:
    """Bars and actions as a vendor states them, before coverage is known.

    Parameters
    ----------
    bars : DataFrame
        ``session``, ``symbol``, ``ticker``, the four raw prices in USD and ``volume_shares``.
    actions : DataFrame
        As :func:`~aegis.market_data.corporate_actions.normalise_actions` takes them; may be empty.
    announced_ends : mapping of str to sequence of date
        Last days for which the vendor promises bars of a symbol.
    instruments : mapping of str to mapping
        Optional ``name`` and ``sector`` of a symbol.
    instrument_facts : DataFrame, optional
        Dated facts as :func:`~aegis.market_data.instrument_facts.normalise_instruments` takes them, a row without
        ``first_session`` from the symbol's listing on; None where the vendor knows none.
    notes : tuple of str
        Remarks about what was left out and why.
    """

    bars: pd.DataFrame
    actions: pd.DataFrame
    announced_ends: Mapping[str, Sequence[date]] = field(default_factory=dict)
    instruments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    instrument_facts: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """Bars, listings and actions of one vendor, each in its table's form and ordered by session."""

    bars: pd.DataFrame
    listings: pd.DataFrame
    actions: pd.DataFrame
    notes: tuple[str, ...]
    instruments: pd.DataFrame | None = None

    @property
    def session_range(self) -> tuple[date, date]:
        """First and last session with a bar."""
        sessions = self.bars["session"]
        return sessions.iloc[0].date(), sessions.iloc[-1].date()

    def bars_between(self, first: date, last: date) -> pd.DataFrame:
        """Return the bars of sessions in ``[first, last]``.

        Raises
        ------
        SourceUnavailable
            There is none.
        """
        found = _between(self.bars, first, last)
        if found.empty:
            lo, hi = self.session_range
            raise SourceUnavailable(
                f"no bars from {first} to {last}: this delivery covers {lo} to {hi}; ask for sessions within it or "
                "supply the missing data"
            )
        return found

    def actions_between(self, first: date, last: date) -> pd.DataFrame:
        """Return the corporate actions with an ex-session in ``[first, last]``; there may be none."""
        return _between(self.actions, first, last)


def assemble(
    parsed: ParsedFiles,
    calendar: TradingCalendar,
    *,
    source: str,
    benchmark_symbol: str,
    vendor_delay: timedelta,
) -> Delivery:
    """Put parsed bars and actions into the form of the lake.

    Parameters
    ----------
    parsed : ParsedFiles
        What the vendor stated.
    calendar : TradingCalendar
        Decision calendar.
    source : str
        Name stored with each row.
    benchmark_symbol : str
        Symbol that must be among the bars; it is listed in the sector 'Benchmark' and not tradable.
    vendor_delay : timedelta
        Time from a session's close until its bars are known.

    Returns
    -------
    Delivery

    Raises
    ------
    MalformedData
        A symbol is not one, a bar is dated on a day without a session, or an action is invalid.
    ConfigurationError
        The benchmark is not among the bars.

    Notes
    -----
    Known when: a bar at its close plus `vendor_delay`; an action at the opening of its ex-session unless the vendor
    says otherwise. Splits and dividends outside the sessions in which an instrument is listed (its first session
    included: nobody held it before) are left out, with a note, and so are mergers of a symbol that goes on trading. A
    merger or delisting after the last bar is kept, as it was announced. Bad prices and repeated rows are kept: naming
    them is the quality gate's task.
    """
    bars = parsed.bars
    for text in pd.unique(pd.concat([bars["symbol"], bars["ticker"]])):
        require_symbol(text)
    _require_benchmark(benchmark_symbol, bars)
    _refuse_days_without_session(bars, calendar)
    last = bars["session"].max().date()
    coverage = trace_coverage(bars, parsed.announced_ends, calendar=calendar, last_session=last)
    stated = normalise_actions(parsed.actions, calendar, source=source)
    traced = normalise_actions(_announced(coverage.actions, stated), calendar, source=source)
    listed, outside = _split_by_listing(stated, coverage)
    ends, unfounded = split_ends(stated, traced, coverage.listings, last_session=last)
    parts = [frame for frame in (listed, traced, ends) if not frame.empty]
    actions = CORPORATE_ACTIONS.conform(pd.concat(parts or [traced]))
    listings = _listings(coverage.listings, parsed, benchmark_symbol, source=source)
    return Delivery(
        bars=_raw_bars(bars, calendar, source=source, vendor_delay=vendor_delay),
        listings=listings,
        instruments=stated_instruments(parsed.instrument_facts, listings, calendar, source=source),
        actions=actions,
        notes=(
            *parsed.notes,
            *coverage.notes,
            *_outside_notes(outside),
            *unfounded_notes(unfounded),
            *_large_notes(listed, bars),
        ),
    )


def nearest(text: str, known: Sequence[str]) -> str:
    """Return the known names most like `text`, or the first few, as words for an error message."""
    folded = {name.upper(): name for name in known}
    near = [folded[name] for name in difflib.get_close_matches(text.upper(), folded, n=3, cutoff=0.5)]
    if near:
        return f"nearest {', '.join(near)}"
    shown = ", ".join(sorted(known)[:_MANY_NAMES])
    return f"available {shown}{', ...' if len(known) > _MANY_NAMES else ''}"


def _between(frame: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    sessions = frame["session"].to_numpy(dtype="datetime64[ns]")
    lo = np.searchsorted(sessions, np.datetime64(first, "ns"), side="left")
    hi = np.searchsorted(sessions, np.datetime64(last, "ns"), side="right")
    return frame.iloc[lo:hi].reset_index(drop=True)


def _require_benchmark(symbol: str, bars: pd.DataFrame) -> None:
    known = [str(name) for name in bars["symbol"].unique()]
    if symbol not in known:
        raise ConfigurationError(
            f"eval.metrics.benchmark_symbol: {symbol!r} is not among the {len(known)} instruments of this source; "
            f"{nearest(symbol, known)}; set it to one of them or add its bars. The account is measured against the "
            "benchmark and never holds it"
        )


def _refuse_days_without_session(bars: pd.DataFrame, calendar: TradingCalendar) -> None:
    sessions = pd.DatetimeIndex(calendar.sessions(bars["session"].min().date(), bars["session"].max().date()))
    stray = ~bars["session"].isin(sessions)
    if stray.any():
        row = bars.loc[stray].iloc[0]
        raise MalformedData(
            f"{row['symbol']} {row['session']:%Y-%m-%d} ({row['session']:%A}): a bar on a day that is no session of "
            f"{calendar.name} ({int(stray.sum())} such rows); remove them or set market_data.calendar"
        )


def _raw_bars(bars: pd.DataFrame, calendar: TradingCalendar, *, source: str, vendor_delay: timedelta) -> pd.DataFrame:
    days = pd.DatetimeIndex(np.unique(bars["session"].to_numpy()))
    known = calendar.closes_utc([day.date() for day in days]) + vendor_delay
    frame = bars.assign(source=source, known_at_utc=known[days.get_indexer(pd.DatetimeIndex(bars["session"]))])
    return RAW_BARS.conform(frame[RAW_BARS.column_names])


def _announced(traced: pd.DataFrame, stated: pd.DataFrame) -> pd.DataFrame:
    """Return traced renames and delistings, known when the vendor says where it says so.

    A merger tells of the delisting that it brings.
    """
    key = ["session", "symbol", "action"]
    told = stated.assign(action=stated["action"].replace("merger", "delisting"))
    first_told = told.groupby(key, as_index=False)["known_at_utc"].min()
    return traced.merge(first_told, on=key, how="left")


def _split_by_listing(stated: pd.DataFrame, coverage: Coverage) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the splits and dividends that somebody could have held through, and the others."""
    events = stated[stated["action"].isin(["split", "dividend"])]
    renames = coverage.actions.loc[coverage.actions["action"] == "rename", ["symbol", "session"]]
    renamed = set(renames.itertuples(index=False, name=None))
    inside = pd.Series(data=False, index=events.index)
    for row in coverage.listings.to_dict("records"):
        start, end = row["first_session"], row["last_session"]
        after_start = (events["session"] > start) | ((events["session"] == start) & ((row["symbol"], start) in renamed))
        until_end = events["session"] <= (pd.Timestamp.max if pd.isna(end) else end)
        inside |= (events["symbol"] == row["symbol"]) & after_start & until_end
    return events[inside], events[~inside]


def _listings(traced: pd.DataFrame, parsed: ParsedFiles, benchmark_symbol: str, *, source: str) -> pd.DataFrame:
    facts = [parsed.instruments.get(symbol, {}) for symbol in traced["symbol"]]
    is_benchmark = traced["symbol"] == benchmark_symbol
    sector = pd.Series([fact.get("sector") or UNCLASSIFIED for fact in facts], index=traced.index, dtype=object)
    names = [fact.get("name") or symbol for fact, symbol in zip(facts, traced["symbol"], strict=True)]
    return LISTINGS.conform(
        traced.assign(
            name=names, sector=sector.where(~is_benchmark, "Benchmark"), tradable=~is_benchmark, source=source
        )
    )


def _outside_notes(outside: pd.DataFrame) -> list[str]:
    return [
        f"{symbol}: {len(rows)} split(s) or dividend(s) outside its listing left out, {rows['session'].min():%Y-%m-%d} "
        f"to {rows['session'].max():%Y-%m-%d}"
        for symbol, rows in outside.groupby("symbol", sort=True)
    ]


def _large_notes(actions: pd.DataFrame, bars: pd.DataFrame) -> list[str]:
    """Name distributions so large that they may be a spin-off paid in kind, which the tables hold as cash."""
    paid = actions[actions["action"] == "dividend"]
    closes = bars.dropna(subset=["close_raw_usd"]).sort_values("session")[["session", "symbol", "close_raw_usd"]]
    if paid.empty or closes.empty:
        return []
    priced = pd.merge_asof(paid.sort_values("session"), closes, on="session", by="symbol", allow_exact_matches=False)
    priced["share"] = priced["dividend_usd"] / priced["close_raw_usd"]
    return [
        f"{row['symbol']} {row['session']:%Y-%m-%d}: distribution of {row['dividend_usd']:.4f} USD is "
        f"{row['share']:.1%} of the close, perhaps a special dividend or a spin-off in kind; it is booked as cash"
        for row in priced[priced["share"] > _LARGE_DISTRIBUTION].to_dict("records")
    ]
