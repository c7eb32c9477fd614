"""Aegis: the lake as every asset uses it, schema and key checks included."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pandas as pd

from aegis.lake.attachment import LakeLocation, attach
from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.tables import DAILY_BARS

NAME = f"Aegis lake (DuckDB {duckdb.__version__})"


class Store:
    """One lake in a folder."""

    def __init__(self, folder: Path) -> None:
        self._connection = duckdb.connect()
        attach(self._connection, LakeLocation(folder))
        self._lake = Lake(self._connection)
        self._lake.create_tables([DAILY_BARS])
        self._first_version = 0

    def ingest(self, bars: pd.DataFrame) -> None:
        """Write the whole history in one transaction."""
        self._first_version = self._write(bars, "materialize")

    def upsert(self, rows: pd.DataFrame) -> None:
        """Replace one session, as a new snapshot."""
        self._write(rows, "correction")

    def current_read(self) -> pd.DataFrame:
        """Read all."""
        return self._lake.read(DAILY_BARS)

    def as_of_read(self) -> pd.DataFrame:
        """Read all as it was before the correction."""
        return self._lake.read(DAILY_BARS, snapshot_id=self._first_version)

    def one_symbol_read(self, symbol: str) -> pd.DataFrame:
        """Read one symbol's history."""
        return self._lake.read(DAILY_BARS, symbols=[symbol])

    def cross_section_read(self, session: dt.date) -> pd.DataFrame:
        """Read one session."""
        return self._lake.read(DAILY_BARS, first=session, last=session)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _write(self, rows: pd.DataFrame, reason: str) -> int:
        first, last = rows["session"].iloc[0].date(), rows["session"].iloc[-1].date()
        message = CommitMessage("benchmark", f"{first}..{last}", "benchmark", "1", reason)
        return self._lake.write([Replacement(DAILY_BARS, rows, first, last)], message)
