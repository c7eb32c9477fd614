"""A folder of a user's own CSV or Parquet files with a column map.

Belongs here: reading that layout. ``actions.*``, ``factors.*`` and ``instruments.*`` have their own meaning; every
other table in the folder holds daily bars as traded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config import FilesSettings
from aegis.errors import ConfigurationError, MalformedData
from aegis.market_data.corporate_actions import unpick_factors
from aegis.market_data.sources.delivery import ParsedFiles
from aegis.market_data.sources.tabular import (
    as_days,
    as_instants,
    as_names,
    as_numbers,
    as_texts,
    read_table,
    select_columns,
    table_files,
)

ACTIONS_STEM = "actions"
FACTORS_STEM = "factors"
INSTRUMENTS_STEM = "instruments"

_BARS_SETTING = "market_data.files.columns"
_ACTIONS_SETTING = "market_data.files.actions_columns"
_PRICES = ("open", "high", "low", "close")
_ACTION_NUMBERS = ("split_ratio", "dividend_usd", "merger_cash_usd", "merger_ratio")
_ACTION_DAYS = {"pay_date": "pay_session", "record_date": "record_session"}
_ACTION_NAMES = ("new_ticker", "acquirer")
_ACTION_TERMS = (*_ACTION_NUMBERS, *_ACTION_DAYS, *_ACTION_NAMES, "known_at")
_INSTRUMENT_TEXTS = ("name", "sector", "industry", "currency", "shortability")
_INSTRUMENT_NUMBERS = ("lot_shares", "tick_usd")
_INSTRUMENT_DAYS = {"from": "first_session", "listed": "listing_session", "delisted": "delisting_session"}
_OTHERS_SHOWN = 5
_SYMBOL_STEM = re.compile(r"[A-Z0-9^][A-Z0-9.^=\-]{0,15}")


def read_columns_layout(
    folder: Path, settings: FilesSettings, calendar: TradingCalendar, *, last_session: date | None
) -> ParsedFiles:
    """Read the layout.

    Parameters
    ----------
    folder : Path
        Holds the files.
    settings : FilesSettings
        ``columns`` maps our names (symbol, ticker, date, open, high, low, close, volume) to those of the bar files,
        ``actions_columns`` ours (symbol, ex_date, action, split_ratio, dividend_usd, pay_date, record_date, new_ticker,
        merger_cash_usd, merger_ratio, acquirer, known_at) to those of the actions file. Names that differ only by case
        need no entry.
    calendar : TradingCalendar
        Decision calendar.
    last_session : date or None
        Bars after it are not read.

    Returns
    -------
    ParsedFiles

    Raises
    ------
    ConfigurationError
        There are no bars in the folder, both actions and factors are given, or a column map names an unknown column.
    MalformedData
        A column is missing, or a date or number cannot be read.
    """
    tables = table_files(folder, setting="market_data.files.folder")
    special = {ACTIONS_STEM, FACTORS_STEM, INSTRUMENTS_STEM}
    bar_files = [path for path in tables if path.stem.lower() not in special]
    if not bar_files:
        raise ConfigurationError(
            f"market_data.files.folder: no .csv or .parquet file of bars in {folder}; put one there or name "
            "another folder"
        )
    bars = pd.concat([_read_bars(path, settings) for path in bar_files], ignore_index=True)
    if last_session is not None:
        bars = bars[bars["session"] <= pd.Timestamp(last_session)].reset_index(drop=True)
    if bars.empty:
        raise MalformedData(
            f"{folder}: no bar on or before {last_session}; supply earlier bars or a later last session"
        )
    stated_by = [path for path in tables if path.stem.lower() in (ACTIONS_STEM, FACTORS_STEM)]
    actions, notes = _read_stated_actions(stated_by, settings, bars, calendar)
    facts = _read_instruments(path for path in tables if path.stem.lower() == INSTRUMENTS_STEM)
    return ParsedFiles(
        bars=bars,
        actions=actions,
        announced_ends=_ends_before_delistings(actions, calendar),
        instruments=_last_stated(facts),
        instrument_facts=facts,
        notes=(*notes, *_passed_over(folder, tables)),
    )


def _passed_over(folder: Path, tables: list[Path]) -> list[str]:
    """Return a note about what else lies in the folder: a packed file or a folder of more holds prices, perhaps."""
    others = sorted(path.name for path in folder.iterdir() if path not in tables and not path.name.startswith("."))
    if not others:
        return []
    shown = ", ".join(ascii(name)[1:-1] for name in others[:_OTHERS_SHOWN])
    shown += ", ..." if len(others) > _OTHERS_SHOWN else ""
    note = f"{len(others)} file(s) or folder(s) beside the .csv and .parquet files are not read: {shown}"
    return [note]


def _read_bars(file: Path, settings: FilesSettings) -> pd.DataFrame:
    table = read_table(file)
    needs_symbol = _SYMBOL_STEM.fullmatch(file.stem) is None or "symbol" in settings.columns
    selected = select_columns(
        table,
        file,
        required=("date", *_PRICES, "volume", *(("symbol",) if needs_symbol else ())),
        optional=("ticker", *(() if needs_symbol else ("symbol",))),
        mapping=settings.columns,
        setting=_BARS_SETTING,
    )
    symbol = (
        as_names(selected["symbol"], file)
        if "symbol" in selected
        else pd.Series(file.stem, index=table.index, dtype=object)
    )
    bars = pd.DataFrame({"session": _required_days(selected["date"], file), "symbol": symbol})
    bars["ticker"] = as_names(selected["ticker"], file) if "ticker" in selected else symbol
    for name in _PRICES:
        bars[f"{name}_raw_usd"] = as_numbers(selected[name], file)
    bars["volume_shares"] = as_numbers(selected["volume"], file)
    return bars


def _required_days(values: pd.Series, file: Path) -> pd.Series:
    days = as_days(values, file)
    if days.isna().any():
        raise MalformedData(
            f"{file.name} row {int(days.isna().argmax())}, column {values.name!r}: no date; fill or remove the row"
        )
    return days


def _read_stated_actions(
    files: list[Path], settings: FilesSettings, bars: pd.DataFrame, calendar: TradingCalendar
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    if len(files) > 1:
        raise ConfigurationError(
            f"market_data.files.folder: {', '.join(file.name for file in files)} state splits and dividends more than "
            "once; keep one of them"
        )
    if not files:
        note = "no actions and no factors file: splits and dividends are taken to be none; a split shows as a jump"
        return pd.DataFrame(columns=["session", "symbol", "action"]), (note,)
    file = files[0]
    if file.stem.lower() == ACTIONS_STEM:
        return read_actions_file(file, settings.actions_columns, setting=_ACTIONS_SETTING), ()
    table = select_columns(
        read_table(file),
        file,
        required=("symbol", "date", "price_factor", "split_factor"),
        optional=("reference_price",),
        mapping=settings.actions_columns,
        setting=_ACTIONS_SETTING,
    )
    factors = pd.DataFrame({"symbol": as_names(table["symbol"], file), "date": _required_days(table["date"], file)})
    for name in table.columns.drop(["symbol", "date"]):
        factors[name] = as_numbers(table[name], file)
    closes = bars[["session", "symbol", "close_raw_usd"]]
    return unpick_factors(factors, closes, calendar).drop(columns="reference_price_gap"), ()


def read_actions_file(file: Path, columns: Mapping[str, str], *, setting: str) -> pd.DataFrame:
    """Return the corporate actions of a user's file.

    Parameters
    ----------
    file : Path
        ``symbol``, ``ex_date``, ``action`` and, as far as they apply, the other columns of :func:`read_columns_layout`.
    columns : mapping of str to str
        Our names of columns to the file's.
    setting : str
        Where `columns` is configured, for messages.

    Raises
    ------
    ConfigurationError, MalformedData
        As :func:`read_columns_layout` says.
    """
    table = select_columns(
        read_table(file),
        file,
        required=("symbol", "ex_date", "action"),
        optional=_ACTION_TERMS,
        mapping=columns,
        setting=setting,
    )
    actions = pd.DataFrame(
        {
            "session": _required_days(table["ex_date"], file),
            "symbol": as_names(table["symbol"], file),
            "action": as_texts(table["action"]).str.lower(),
        }
    )
    for name in (name for name in _ACTION_NUMBERS if name in table):
        actions[name] = as_numbers(table[name], file)
    for given, name in _ACTION_DAYS.items():
        if given in table:
            actions[name] = as_days(table[given], file)
    if "known_at" in table:
        actions["known_at_utc"] = as_instants(table["known_at"], file)
    for name in (name for name in _ACTION_NAMES if name in table):
        is_given = table[name].notna() & (table[name].astype(str).str.strip() != "")
        actions[name] = as_texts(table[name]).where(is_given, None)
    return actions


def _ends_before_delistings(actions: pd.DataFrame, calendar: TradingCalendar) -> dict[str, list[date]]:
    ends: dict[str, list[date]] = {}
    for row in actions[actions["action"].isin(["delisting", "merger"])].to_dict("records"):
        ends.setdefault(str(row["symbol"]), []).append(calendar.previous(row["session"].date()))
    return ends


def _read_instruments(files: Iterable[Path]) -> pd.DataFrame | None:
    tables = [_read_instrument_file(file) for file in files]
    return pd.concat(tables, ignore_index=True) if tables else None


def _read_instrument_file(file: Path) -> pd.DataFrame:
    table = select_columns(
        read_table(file),
        file,
        required=("symbol",),
        optional=(*_INSTRUMENT_TEXTS, *_INSTRUMENT_NUMBERS, *_INSTRUMENT_DAYS, "known_at"),
        mapping={},
        setting=_BARS_SETTING,
    )
    facts = pd.DataFrame({"symbol": as_names(table["symbol"], file)})
    for name in (name for name in _INSTRUMENT_TEXTS if name in table):
        is_given = table[name].notna() & (table[name].astype(str).str.strip() != "")
        facts[name] = as_texts(table[name]).where(is_given, None)
    for name in (name for name in _INSTRUMENT_NUMBERS if name in table):
        facts[name] = as_numbers(table[name], file)
    for given, name in _INSTRUMENT_DAYS.items():
        if given in table:
            facts[name] = as_days(table[given], file)
    if "known_at" in table:
        facts["known_at_utc"] = as_instants(table["known_at"], file)
    return facts


def _last_stated(facts: pd.DataFrame | None) -> dict[str, dict[str, str]]:
    """Return name and sector of each symbol as they are said to be last, for its listing."""
    if facts is None:
        return {}
    by = [name for name in ("first_session",) if name in facts]
    ordered = facts.sort_values(by, kind="stable", na_position="first") if by else facts
    names = [name for name in ("name", "sector") if name in facts]
    return {
        str(row["symbol"]): {name: row[name] for name in names if row[name] is not None}
        for row in ordered[["symbol", *names]].to_dict("records")
    }
