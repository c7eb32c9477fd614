"""A lake that reads no data file but the one that was written.

Belongs here: the refusal. Everything on the way from prices to orders reads through it; research and reports need not.
How checksums are recorded is :mod:`aegis.lake.checksums`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb

from aegis.errors import LakeUnreadable
from aegis.lake.checksums import DataFile, DataFileChecksums
from aegis.lake.lake import Lake
from aegis.lake.schema import TableSchema

_SEEN: dict[tuple[str, int, int, int], str] = {}
"""SHA-256 of local files by path, inode, length and time of the last change: each is hashed once by a process."""


class VerifiedLake(Lake):
    """The tables of one workspace, as :class:`~aegis.lake.lake.Lake`; every read compares checksums first."""

    def _before_read(self, table: TableSchema, first: date | None, last: date | None, snapshot_id: int | None) -> None:
        """Refuse rows from a data file that was damaged, exchanged or lost, or never had a checksum.

        Raises
        ------
        LakeUnreadable
            Names table, sessions, file and remedy.
        """
        for file in self.checksums.files_read(table, first=first, last=last, snapshot_id=snapshot_id):
            problem = damage(self.checksums, file, seen=_SEEN)
            if problem:
                raise LakeUnreadable(f"{table.key} {_range(first, last)}: {problem}; {remedy(file)}")


def damage(checksums: DataFileChecksums, file: DataFile, *, seen: dict[tuple[str, int, int, int], str]) -> str:
    """Return what is wrong with a data file, empty if it is the one that was written.

    Parameters
    ----------
    checksums : DataFileChecksums
    file : DataFile
    seen : dict
        SHA-256 of local files that need not be read again; filled here. An empty one reads every file.
    """
    where = f"data file {file.path} of snapshot {file.begin_snapshot}"
    if file.sha256 is None:
        return f"{where} has no checksum: its write was cut off, or the checksum was removed"
    try:
        found = _digest(checksums, file, seen)
    except (OSError, duckdb.Error) as error:
        return f"{where} cannot be read: {error}"
    if found != file.sha256:
        return f"{where} has SHA-256 {found[:12]}…, and {file.sha256[:12]}… was written: it was damaged or exchanged"
    return ""


def remedy(file: DataFile) -> str:
    """Return what to do about a damaged file."""
    return (
        f"nothing was read or ordered. Restore the file from a backup (`aegis data restore`, docs/backup.md), or "
        f"materialize these sessions of {file.table_key} and what follows from them again (`make run FROM=<session>`)"
    )


def _digest(checksums: DataFileChecksums, file: DataFile, seen: dict[tuple[str, int, int, int], str]) -> str:
    if "://" in file.path:
        return checksums.digest(file)
    state = Path(file.path).stat()
    identity = (file.path, state.st_ino, state.st_size, state.st_mtime_ns)
    if identity not in seen:
        seen[identity] = checksums.digest(file)
    return seen[identity]


def _range(first: date | None, last: date | None) -> str:
    if first is None and last is None:
        return "(all sessions)"
    return f"{first or 'the beginning'}..{last or 'now'}"
