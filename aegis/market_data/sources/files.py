"""The market-data source that reads the user's own files.

Belongs here: choosing the layout. The layouts are modules of their own.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from aegis.calendars import TradingCalendar
from aegis.config import FilesSettings
from aegis.errors import ConfigurationError
from aegis.market_data.sources.columns_layout import read_columns_layout
from aegis.market_data.sources.delivered import DeliveredSource
from aegis.market_data.sources.delivery import ParsedFiles
from aegis.market_data.sources.lean_layout import is_lean_layout, read_lean_layout

SOURCE_NAME = "files"


class FilesSource(DeliveredSource):
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
    Reading raises what :func:`read_lean_layout` and :func:`read_columns_layout` raise, and `ConfigurationError` when
    the folder is not set or missing.
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
        super().__init__(SOURCE_NAME, calendar, benchmark_symbol=benchmark_symbol, vendor_delay=vendor_delay)
        self._settings = settings
        self._last_session = last_session

    def _ask(self) -> ParsedFiles:
        folder = self._require_folder()
        layout = self._settings.layout
        if layout == "lean" or (layout == "auto" and is_lean_layout(folder)):
            return read_lean_layout(folder, self._calendar, last_session=self._last_session)
        return read_columns_layout(folder, self._settings, self._calendar, last_session=self._last_session)

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
