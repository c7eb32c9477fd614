"""A DuckDB database file: one table without a key; transactions, and no versions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pandas as pd

NAME = f"DuckDB file ({duckdb.__version__})"
CANNOT = {"as_of_read": "keeps no earlier version"}


class Store:
    """One database file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._connection = duckdb.connect(folder / "bars.duckdb")
        self._connection.execute("SET TimeZone = 'UTC'")

    def ingest(self, bars: pd.DataFrame) -> None:
        """Make the table of the rows, and write it to the file: a commit alone may leave it in the log."""
        self._connection.register("incoming", bars)
        self._connection.execute("CREATE TABLE bars AS SELECT * FROM incoming")
        self._connection.unregister("incoming")
        self._connection.execute("CHECKPOINT")

    def upsert(self, rows: pd.DataFrame) -> None:
        """Replace one session in a transaction."""
        self._connection.register("incoming", rows)
        self._connection.execute("BEGIN TRANSACTION")
        self._connection.execute("DELETE FROM bars WHERE session = ?", [rows["session"].iloc[0]])
        self._connection.execute("INSERT INTO bars SELECT * FROM incoming")
        self._connection.execute("COMMIT")
        self._connection.unregister("incoming")

    def current_read(self) -> pd.DataFrame:
        """Read all."""
        return self._connection.execute("SELECT * FROM bars ORDER BY session, symbol").df()

    def one_symbol_read(self, symbol: str) -> pd.DataFrame:
        """Read one symbol's history."""
        return self._connection.execute("SELECT * FROM bars WHERE symbol = ? ORDER BY session", [symbol]).df()

    def cross_section_read(self, session: dt.date) -> pd.DataFrame:
        """Read one session."""
        return self._connection.execute("SELECT * FROM bars WHERE session = ? ORDER BY symbol", [session]).df()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
