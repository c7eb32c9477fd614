"""Minute bars from a folder of the user's own CSV or Parquet files.

Belongs here: reading that layout and dating its rows to sessions. Whether the rows can be is said by
:mod:`aegis.market_data.minute_checks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config import MinuteBarsSettings
from aegis.errors import ConfigurationError, MalformedData, SourceUnavailable
from aegis.market_data.sources.minute_source import DELIVERED_MINUTES
from aegis.market_data.sources.tabular import (
    as_instants,
    as_names,
    as_numbers,
    read_table,
    select_columns,
    table_files,
)

SOURCE_NAME = "files"
_SETTING = "market_data.minute_bars.columns"
_PRICES = ("open", "high", "low", "close")
_MINUTE = pd.Timedelta(minutes=1)


class FileMinutes:
    """Minute bars of a folder; a file without a column of symbols holds those of the symbol it is called by.

    Parameters
    ----------
    settings : MinuteBarsSettings
        Folder, column map (our names: symbol, time, open, high, low, close, volume), which end of its minute a time is,
        and what is done with rows outside trading hours.
    calendar : TradingCalendar
        Dates each row to a session.
    vendor_delay : timedelta
        Time from the end of a minute until it is known.

    Notes
    -----
    Times carry a time zone, as ``2024-03-11T09:30:00-04:00``: without one, the hour that daylight saving repeats has
    two readings. The folder is read whole at each call, so that a corrected file counts.
    """

    def __init__(self, settings: MinuteBarsSettings, calendar: TradingCalendar, *, vendor_delay: timedelta) -> None:
        self._settings = settings
        self._calendar = calendar
        self._vendor_delay = vendor_delay

    def minute_bars(self, sessions: Sequence[date], symbols: Sequence[str]) -> pd.DataFrame:
        """Return the minute bars of `sessions`.

        Raises
        ------
        ConfigurationError
            The folder is not set or missing.
        SourceUnavailable
            The folder holds no minute bars of these sessions and symbols.
        MalformedData
            A column is missing, a value cannot be read, or the times of a symbol do not ascend.
        """
        tables = [self._read(file, symbols) for file in self._files()]
        rows = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
        rows["session"], is_inside = self._sessions_of(rows["closes_at_utc"], sessions)
        kept = rows["session"].notna()
        if self._settings.outside_hours == "leave_out":
            kept &= is_inside
        if not kept.any():
            raise SourceUnavailable(
                f"{SOURCE_NAME} {sessions[0]}..{sessions[-1]}: {self._settings.folder} holds no minute bar of "
                f"{', '.join(symbols)} in these sessions; put the files there, or choose other sessions"
            )
        known_at = rows["closes_at_utc"] + self._vendor_delay
        return DELIVERED_MINUTES.adopt(rows.assign(source=SOURCE_NAME, known_at_utc=known_at)[kept])

    def _files(self) -> list[Path]:
        folder = self._settings.folder
        if folder is None or not folder.is_dir():
            raise ConfigurationError(
                f"market_data.minute_bars.folder: {folder} is not a folder; name the folder of your minute bars"
            )
        files = table_files(folder, setting="market_data.minute_bars.folder")
        if not files:
            raise ConfigurationError(
                f"market_data.minute_bars.folder: no .csv or .parquet file in {folder}; put your minute bars there"
            )
        return files

    def _read(self, file: Path, symbols: Sequence[str]) -> pd.DataFrame:
        table = read_table(file)
        selected = select_columns(
            table,
            file,
            required=("time", *_PRICES, "volume"),
            optional=("symbol",),
            mapping=self._settings.columns,
            setting=_SETTING,
        )
        symbol = as_names(selected["symbol"], file) if "symbol" in selected else pd.Series(file.stem, index=table.index)
        times = as_instants(selected["time"], file)
        if times.isna().any():
            raise MalformedData(f"{file.name} row {int(times.isna().argmax())}: no time; fill or remove the row")
        _refuse_disorder(symbol, times, file)
        closes_at = times + _MINUTE if self._settings.time_is == "opening" else times
        rows = pd.DataFrame({"symbol": symbol.astype(object), "closes_at_utc": closes_at})
        for name in _PRICES:
            rows[f"{name}_raw_usd"] = as_numbers(selected[name], file)
        rows["volume_shares"] = as_numbers(selected["volume"], file)
        return rows[rows["symbol"].isin(list(symbols))]

    def _sessions_of(self, closes_at: pd.Series, sessions: Sequence[date]) -> tuple[pd.Series, pd.Series]:
        """Return each row's session, null where it is none of those asked for, and whether the row is in its hours."""
        opens, closes = self._calendar.opens_utc(sessions), self._calendar.closes_utc(sessions)
        own_days = (closes_at - pd.Timedelta(1)).dt.tz_convert(self._calendar.time_zone).dt.tz_localize(None)
        days = pd.DatetimeIndex(list(sessions))
        place = days.get_indexer(pd.DatetimeIndex(own_days.dt.normalize()).as_unit("ns"))
        session = pd.Series(days[place], index=closes_at.index).where(place >= 0)
        ends = pd.DatetimeIndex(closes_at)
        inside = (place >= 0) & (ends > opens[place]) & (ends <= closes[place])
        return session, pd.Series(np.asarray(inside), index=closes_at.index)


def _refuse_disorder(symbol: pd.Series, times: pd.Series, file: Path) -> None:
    backwards = times.groupby(symbol.to_numpy()).diff() < pd.Timedelta(0)
    if backwards.any():
        row = int(backwards.argmax())
        raise MalformedData(
            f"{file.name} row {row}: {symbol.iloc[row]} {times.iloc[row]} comes after a later minute; sort the file by "
            "time"
        )
