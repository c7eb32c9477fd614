"""Plain Parquet: a folder with one file a year, written by pyarrow; no versions, no transaction, no check."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa

NAME = f"plain Parquet (pyarrow {pa.__version__})"
CANNOT = {"as_of_read": "keeps no earlier version"}


class Store:
    """One folder of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)

    def ingest(self, bars: pd.DataFrame) -> None:
        """Write a file for each year."""
        for year, rows in bars.groupby(bars["session"].dt.year):
            rows.to_parquet(self._file(int(year)), index=False)

    def upsert(self, rows: pd.DataFrame) -> None:
        """Write the year's file again."""
        session = rows["session"].iloc[0]
        file = self._file(session.year)
        held = pd.read_parquet(file)
        merged = pd.concat([held[held["session"] < session], rows, held[held["session"] > session]])
        merged.to_parquet(file, index=False)

    def current_read(self) -> pd.DataFrame:
        """Read all."""
        return pd.read_parquet(self._folder)

    def one_symbol_read(self, symbol: str) -> pd.DataFrame:
        """Read one symbol's history; row groups whose statistics exclude it are skipped."""
        return pd.read_parquet(self._folder, filters=[("symbol", "==", symbol)])

    def cross_section_read(self, session: dt.date) -> pd.DataFrame:
        """Read one session, from its year's file."""
        return pd.read_parquet(self._file(session.year), filters=[("session", "==", pd.Timestamp(session))])

    def close(self) -> None:
        """Nothing is held open."""

    def _file(self, year: int) -> Path:
        return self._folder / f"{year}.parquet"
