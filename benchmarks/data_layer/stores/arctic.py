"""ArcticDB: one versioned data frame in LMDB, indexed by session."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import arcticdb
import pandas as pd

NAME = f"ArcticDB {arcticdb.__version__} (LMDB)"
ENVIRONMENT = "arcticdb"
_TABLE = "daily_bars"


class Store:
    """One library in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._arctic = arcticdb.Arctic(f"lmdb://{folder}?map_size=8GB")
        self._library = self._arctic.create_library("prices")
        self._first_version = 0

    def ingest(self, bars: pd.DataFrame) -> None:
        """Write the whole history as one version."""
        self._first_version = self._library.write(_TABLE, _indexed(bars)).version

    def upsert(self, rows: pd.DataFrame) -> None:
        """Replace one session, as a new version."""
        self._library.update(_TABLE, _indexed(rows))

    def current_read(self) -> pd.DataFrame:
        """Read all."""
        return self._library.read(_TABLE).data

    def as_of_read(self) -> pd.DataFrame:
        """Read all as it was before the correction."""
        return self._library.read(_TABLE, as_of=self._first_version).data

    def one_symbol_read(self, symbol: str) -> pd.DataFrame:
        """Read one symbol's history."""
        asked = arcticdb.QueryBuilder()
        return self._library.read(_TABLE, query_builder=asked[asked["symbol"] == symbol]).data

    def cross_section_read(self, session: dt.date) -> pd.DataFrame:
        """Read one session."""
        day = pd.Timestamp(session)
        return self._library.read(_TABLE, date_range=(day, day)).data

    def close(self) -> None:
        """Let go of the library, which holds a lock on its folder."""
        del self._library, self._arctic


def _indexed(bars: pd.DataFrame) -> pd.DataFrame:
    """Return rows as ArcticDB stores them: indexed by time, instants without a zone."""
    return bars.assign(known_at_utc=bars["known_at_utc"].dt.tz_localize(None)).set_index("session")
