"""The market-data source that reads the user's own files.

Belongs here: choosing the layout and answering the source protocol. The layouts are modules of their own.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

import pandas as pd

from aegis.calendars import TradingCalendar
from aegis.config import FilesSettings
from aegis.errors import ConfigurationError
from aegis.market_data.sources.columns_layout import read_columns_layout
from aegis.market_data.sources.delivery import Delivery, ParsedFiles, assemble
from aegis.market_data.sources.lean_layout import is_lean_layout, read_lean_layout

SOURCE_NAME = "files"


class FilesSource:
    """Daily bars and corporate actions from a folder of CSV or Parquet files.

    Parameters
    ----------
    settings : FilesSettings
        Folder, layout and column maps.
    calendar : TradingCalendar
        Decision calendar.
    benchmark_symbol : str
        Permanent symbol of the benchmark; it must be among the bars.
    vendor_delay : timedelta
        Time from a session's close until its bars count as known.
    last_session : date, optional
        Bars after it are not read: the last session whose bars can be final.

    Notes
    -----
    Files are read once, at the first question; reading raises what :func:`read_lean_layout`,
    :func:`read_columns_layout` and :func:`assemble` raise, and `ConfigurationError` when the folder is not set or
    missing.
    """

    def __init__(
        self,
        settings: FilesSettings,
        calendar: TradingCalendar,
        *,
        benchmark_symbol: str,
        vendor_delay: timedelta,
        last_session: date | None = None,
    ) -> None:
        self._settings = settings
        self._calendar = calendar
        self._benchmark_symbol = benchmark_symbol
        self._vendor_delay = vendor_delay
        self._last_session = last_session

    @property
    def name(self) -> str:
        """``files``."""
        return SOURCE_NAME

    @property
    def is_simulated(self) -> bool:
        """Return False: these are the user's prices."""
        return False

    @property
    def benchmark_symbol(self) -> str:
        """Permanent symbol of the benchmark."""
        return self._benchmark_symbol

    def session_range(self) -> tuple[date, date]:
        """Return the first and last session with a bar."""
        return self._delivery.session_range

    def listings(self) -> pd.DataFrame:
        """Return all coverage intervals."""
        return self._delivery.listings.copy()

    def bars(self, first: date, last: date) -> pd.DataFrame:
        """Return raw bars of the sessions in ``[first, last]``; `SourceUnavailable` when there is none."""
        return self._delivery.bars_between(first, last)

    def corporate_actions(self, first: date, last: date) -> pd.DataFrame:
        """Return actions with an ex-session in ``[first, last]``."""
        return self._delivery.actions_between(first, last)

    def coverage_notes(self) -> list[str]:
        """Return what was left out, ends or has gaps, one sentence each."""
        return list(self._delivery.notes)

    @cached_property
    def _delivery(self) -> Delivery:
        return assemble(
            self._parse(self._require_folder()),
            self._calendar,
            source=SOURCE_NAME,
            benchmark_symbol=self._benchmark_symbol,
            vendor_delay=self._vendor_delay,
        )

    def _require_folder(self) -> Path:
        folder = self._settings.folder
        if folder is None:
            raise ConfigurationError(
                "market_data.files.folder is not set; set it, or AEGIS_MARKET_DATA__FILES__FOLDER, to the folder "
                "of your files"
            )
        if not folder.is_dir():
            raise ConfigurationError(f"market_data.files.folder: {folder} is not a folder; correct the path")
        return folder

    def _parse(self, folder: Path) -> ParsedFiles:
        layout = self._settings.layout
        if layout == "lean" or (layout == "auto" and is_lean_layout(folder)):
            return read_lean_layout(folder, self._calendar, last_session=self._last_session)
        return read_columns_layout(folder, self._settings, self._calendar, last_session=self._last_session)
