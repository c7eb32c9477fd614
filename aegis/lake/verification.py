"""Whether a lake is as it was written: the catalog whole, and every data file the one that was recorded.

Belongs here: the answer for a person. Checksums are :mod:`aegis.lake.checksums`; reads that refuse by themselves are
:mod:`aegis.lake.verified_lake`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from aegis.errors import LakeError
from aegis.lake.checksums import DataFile
from aegis.lake.lake import Lake
from aegis.lake.verified_lake import damage


@dataclass(frozen=True)
class DamagedFile:
    """A data file that is not the one that was written, and in which way."""

    file: DataFile
    problem: str


@dataclass(frozen=True)
class Verification:
    """What was found.

    Parameters
    ----------
    files, size_bytes : int
        How many data files were read, and how long the catalog says that they are together.
    damaged : tuple of DamagedFile
        Those that are not as they were written.
    """

    files: int
    size_bytes: int
    damaged: tuple[DamagedFile, ...]


def verify_lake(lake: Lake, *, table: str | None = None, since: date | None = None) -> Verification:
    """Read data files whole and compare each with the checksum recorded when it was written.

    Parameters
    ----------
    lake : Lake
    table : str, optional
        Only this table's, ``market_data/daily_bars``.
    since : date, optional
        Only files that may hold rows of this session or later ones; those of tables without sessions in any case.

    Raises
    ------
    LakeUnreadable
        Checksums were cut off at the end.
    LakeError
        No data file belongs to such a table.
    """
    files = lake.checksums.all_files(since=since)
    if table is not None:
        known = sorted({file.table_key for file in files})
        if table not in known:
            raise LakeError(f"{table[:80]!r} has no data file in this lake; tables that have: {', '.join(known)}")
        files = [file for file in files if file.table_key == table]
    found = ((file, damage(lake.checksums, file, seen={})) for file in files)
    damaged = tuple(DamagedFile(file, problem) for file, problem in found if problem)
    return Verification(len(files), sum(file.size_bytes for file in files), damaged)


def database_problem(file: Path) -> str:
    """Return what SQLite finds wrong with one of its files, empty if nothing.

    Notes
    -----
    It must not be attached in this process: closing a second handle would release the first one's locks.
    """
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
    except sqlite3.Error as error:
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)
