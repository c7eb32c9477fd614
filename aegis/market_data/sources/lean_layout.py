"""The Lean-style layout: three Parquet files with bars by ticker, symbol maps and cumulative factors.

Belongs here: reading that layout into permanent symbols and dated actions. Files: ``daily_raw.parquet`` (symbol, date,
open, high, low, close, volume; `symbol` is the ticker as traded on that date), ``map_files.parquet`` (permtick,
valid_until, ticker; the first row of each permtick holds its first date) and ``factors.parquet`` (symbol = permtick,
date, price_factor, split_factor, reference_price).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.errors import ConfigurationError, MalformedData
from aegis.market_data.corporate_actions import unpick_factors
from aegis.market_data.sources.delivery import ParsedFiles
from aegis.market_data.sources.tabular import as_days, as_names, as_numbers, read_table, select_columns

BARS_FILE = "daily_raw.parquet"
FACTORS_FILE = "factors.parquet"
MAP_FILE = "map_files.parquet"

PROVING_SESSIONS = 5
"""Sessions with a bar after which an instrument that starts later than the delivery is covered: samples hold fragments
of a few bars, and what is to come of an instrument cannot be known when it starts."""

_REFERENCE_TOLERANCE = 0.01
_ONE_DAY = pd.Timedelta(days=1)
_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class _MapInterval:
    """Days, both included, in which the permanent symbol traded as `ticker`."""

    symbol: str
    ticker: str
    first: pd.Timestamp
    last: pd.Timestamp


def is_lean_layout(folder: Path) -> bool:
    """Whether `folder` holds the three files of the layout."""
    return all((folder / name).is_file() for name in (BARS_FILE, FACTORS_FILE, MAP_FILE))


def read_lean_layout(folder: Path, calendar: TradingCalendar, *, last_session: date | None) -> ParsedFiles:
    """Read the layout.

    Parameters
    ----------
    folder : Path
        Holds the three files.
    calendar : TradingCalendar
        Decision calendar.
    last_session : date or None
        Bars after it are left out.

    Returns
    -------
    ParsedFiles
        Bars under permanent symbols, splits and dividends unpicked from the factors, and the last day of each map
        interval that the delivered bars do not continue.

    Raises
    ------
    ConfigurationError
        A file of the layout is missing.
    MalformedData
        A file breaks the layout, or two instruments claim a ticker for the same days.

    Notes
    -----
    Left out: bars of a ticker outside every map interval (they belong to another company that used the ticker),
    instruments without a factor file (their splits and dividends are unknown, which is not the same as none), and the
    first `PROVING_SESSIONS` sessions of an instrument that starts later than the delivery. A note names each of the
    first two, and an instrument that has no more than these sessions. Whether a bar is covered is decided by the bars
    up to it: an instrument that fails is listed until it does. An interval whose ticker has no bars at all is simply
    not covered.
    """
    for name in (BARS_FILE, FACTORS_FILE, MAP_FILE):
        if not (folder / name).is_file():
            raise ConfigurationError(
                f"market_data.files.layout: {folder} has no {name}; the Lean layout needs {BARS_FILE}, {FACTORS_FILE} "
                f"and {MAP_FILE}; add it or set the layout to 'columns'"
            )
    bars = _read_bars(folder / BARS_FILE)
    intervals = _read_map(folder / MAP_FILE)
    factors = _read_factors(folder / FACTORS_FILE)
    by_ticker = {str(ticker): rows for ticker, rows in bars.groupby("ticker", sort=True)}
    mapped, notes = _map_bars(by_ticker, intervals)
    kept, left_out = _choose_instruments(mapped, by_ticker, intervals, factors)
    if not kept:
        raise MalformedData(f"{folder}: no instrument has bars, a symbol map and factors; check the three files")
    chosen = pd.concat(kept.values(), ignore_index=True)
    if last_session is not None:
        chosen = chosen[chosen["session"] <= pd.Timestamp(last_session)].reset_index(drop=True)
    if chosen.empty:
        raise MalformedData(f"{folder}: no bar on or before {last_session}; choose a later run.last_session")
    actions = unpick_factors(
        factors[factors["symbol"].isin(kept)], chosen[["session", "symbol", "close_raw_usd"]], calendar
    )
    return ParsedFiles(
        bars=chosen,
        actions=actions.drop(columns="reference_price_gap"),
        announced_ends=_announced_ends(intervals, by_ticker),
        notes=(*notes, *left_out, *_reference_notes(actions)),
    )


def _read_bars(file: Path) -> pd.DataFrame:
    columns = ("symbol", "date", *_PRICES, "volume")
    table = select_columns(read_table(file), file, required=columns, optional=(), mapping={}, setting="the Lean layout")
    bars = pd.DataFrame({"session": as_days(table["date"], file), "ticker": as_names(table["symbol"], file)})
    for name in _PRICES:
        bars[f"{name}_raw_usd"] = as_numbers(table[name], file)
    bars["volume_shares"] = as_numbers(table["volume"], file)
    _refuse_undated(bars["session"], file)
    return bars


def _read_map(file: Path) -> list[_MapInterval]:
    columns = ("permtick", "valid_until", "ticker")
    table = select_columns(read_table(file), file, required=columns, optional=(), mapping={}, setting="the Lean layout")
    names = {name: as_names(table[name], file) for name in ("permtick", "ticker")}
    table = table.assign(valid_until=as_days(table["valid_until"], file), **names)
    _refuse_undated(table["valid_until"], file)
    intervals: list[_MapInterval] = []
    for symbol, rows in table.sort_values(["permtick", "valid_until"], kind="stable").groupby("permtick"):
        first = rows["valid_until"].iloc[0]
        for row in rows.iloc[1:].to_dict("records"):
            intervals.append(_MapInterval(str(symbol), str(row["ticker"]), first, row["valid_until"]))
            first = row["valid_until"] + _ONE_DAY
    _refuse_shared_tickers(intervals, file)
    return intervals


def _refuse_shared_tickers(intervals: list[_MapInterval], file: Path) -> None:
    ordered = sorted(intervals, key=lambda interval: (interval.ticker, interval.first))
    for one, other in itertools.pairwise(ordered):
        if one.ticker == other.ticker and other.first <= one.last:
            raise MalformedData(
                f"{file.name}: {one.symbol} and {other.symbol} both trade as {one.ticker} on {other.first:%Y-%m-%d}; "
                "correct valid_until of one of them"
            )


def _read_factors(file: Path) -> pd.DataFrame:
    numbers = ("price_factor", "split_factor", "reference_price")
    table = select_columns(
        read_table(file),
        file,
        required=("symbol", "date", *numbers),
        optional=(),
        mapping={},
        setting="the Lean layout",
    )
    factors = pd.DataFrame({"symbol": as_names(table["symbol"], file), "date": as_days(table["date"], file)})
    for name in numbers:
        factors[name] = as_numbers(table[name], file)
    _refuse_undated(factors["date"], file)
    return factors


def _refuse_undated(days: pd.Series, file: Path) -> None:
    if days.isna().any():
        raise MalformedData(f"{file.name} row {int(days.isna().argmax())}: no date; fill or remove the row")


def _map_bars(
    by_ticker: Mapping[str, pd.DataFrame], intervals: list[_MapInterval]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the bars of each permanent symbol, and notes about tickers' bars that are nobody's."""
    parts: dict[str, list[pd.DataFrame]] = {}
    notes: list[str] = []
    for ticker, rows in by_ticker.items():
        unclaimed = pd.Series(data=True, index=rows.index)
        for interval in (known for known in intervals if known.ticker == ticker):
            own = rows["session"].between(interval.first, interval.last)
            unclaimed &= ~own
            if own.any():
                parts.setdefault(interval.symbol, []).append(rows[own].assign(symbol=interval.symbol))
        if unclaimed.any():
            days = rows.loc[unclaimed, "session"]
            notes.append(
                f"{ticker}: {len(days)} bar(s) of {days.min():%Y-%m-%d} to {days.max():%Y-%m-%d} lie outside every map "
                "interval of the ticker and belong to another instrument; left out"
            )
    return {symbol: pd.concat(part, ignore_index=True) for symbol, part in parts.items()}, notes


def _choose_instruments(
    mapped: Mapping[str, pd.DataFrame],
    by_ticker: Mapping[str, pd.DataFrame],
    intervals: list[_MapInterval],
    factors: pd.DataFrame,
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the covered bars of the instruments that can be trusted, and a note for each of the others."""
    start = min(rows["session"].min() for rows in by_ticker.values())
    final = max(rows["session"].max() for rows in by_ticker.values())
    with_factors = set(factors["symbol"])
    kept: dict[str, pd.DataFrame] = {}
    notes: list[str] = []
    for symbol in sorted({interval.symbol for interval in intervals}):
        own = [interval for interval in intervals if interval.symbol == symbol and interval.first <= final]
        notes += [
            f"{symbol}: no bars delivered for ticker {interval.ticker}, {interval.first:%Y-%m-%d} to "
            f"{min(interval.last, final):%Y-%m-%d}; not covered then"
            for interval in own
            if interval.ticker not in by_ticker
        ]
        rows = mapped.get(symbol)
        if rows is None:
            continue
        if symbol not in with_factors:
            notes.append(
                f"{symbol}: {len(rows)} bar(s) but no factor file, so its splits and dividends are unknown; left out"
            )
            continue
        covered = _covered(rows, start)
        if covered.empty:
            notes.append(
                f"{symbol}: {len(rows)} bar(s) from {rows['session'].min():%Y-%m-%d} on, and an instrument is covered "
                f"after {PROVING_SESSIONS} sessions with one; left out"
            )
            continue
        kept[symbol] = covered
    return kept, notes


def _covered(rows: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
    sessions = rows["session"].drop_duplicates().sort_values()
    return rows if sessions.iloc[0] == start else rows[rows["session"].isin(sessions.iloc[PROVING_SESSIONS:])]


def _announced_ends(intervals: list[_MapInterval], by_ticker: Mapping[str, pd.DataFrame]) -> dict[str, list[date]]:
    """Return the last day of each interval that no delivered interval of the same symbol continues."""
    ends: dict[str, list[date]] = {}
    for one, other in zip(intervals, [*intervals[1:], None], strict=True):
        continued = other is not None and other.symbol == one.symbol and other.ticker in by_ticker
        if one.ticker in by_ticker and not continued:
            ends.setdefault(one.symbol, []).append(one.last.date())
    return ends


def _reference_notes(actions: pd.DataFrame) -> list[str]:
    off = actions[actions["reference_price_gap"].abs() > _REFERENCE_TOLERANCE]
    return [
        f"{row['symbol']} {row['session']:%Y-%m-%d}: the factor file's reference price is "
        f"{row['reference_price_gap']:+.2%} off the raw close before the {row['action']}; the close is used"
        for row in off.to_dict("records")
    ]
