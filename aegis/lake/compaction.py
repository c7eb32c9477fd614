"""Merging the many small files of daily writes into few; every snapshot stays readable.

Belongs here: which files are merged, and when merged ones are removed from the disk. Giving up snapshots is
:mod:`aegis.lake.retention`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aegis.lake.attachment import ALIAS
from aegis.lake.lake import CommitMessage, Lake

_LARGEST_SMALL_FILE_BYTES = 32 * 1024**2
"""Files above this are left alone: merging them again every week would copy the whole history."""

_STORED = f"""
SELECT count(*), coalesce(sum(file_size_bytes), 0) FROM (
    SELECT file_size_bytes FROM __ducklake_metadata_{ALIAS}.ducklake_data_file
    UNION ALL SELECT file_size_bytes FROM __ducklake_metadata_{ALIAS}.ducklake_delete_file
)
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """Files that some snapshot of the lake reads.

    Parameters
    ----------
    count : int
        Data files and delete files.
    size_bytes : int
        Their sizes together.
    """

    count: int
    size_bytes: int


def stored_files(lake: Lake) -> StoredFiles:
    """Return how many files the lake's snapshots read, and how large they are."""
    count, size = lake.connection.execute(_STORED).fetchall()[0]
    return StoredFiles(int(count), int(size))


def merge_small_files(lake: Lake, message: CommitMessage) -> dict[str, int]:
    """Merge small files that hold one table's rows, and return how many of them each table had, by table key.

    Notes
    -----
    Every snapshot stays readable: a merged file knows the snapshot that each of its rows came with. The files that it
    stands for are not removed here, so that whoever is reading them can go on.

    Raises
    ------
    LakeError
        Other writers held the catalog for all attempts. Nothing has been changed.
    """
    merged: list[tuple[Any, ...]] = []

    def merge() -> None:
        merged[:] = lake.connection.execute(
            f"CALL ducklake_merge_adjacent_files('{ALIAS}', max_file_size => ?)", [_LARGEST_SMALL_FILE_BYTES]
        ).fetchall()

    lake.transact(merge, message)
    return {f"{layer}/{name}": int(files) for layer, name, files, _ in merged}


def remove_unused_files(lake: Lake, *, unused_for: timedelta) -> int:
    """Remove files that no snapshot has read since `unused_for` ago, and return how many."""
    removed = lake.connection.execute(
        f"CALL ducklake_cleanup_old_files('{ALIAS}', older_than => now() - ?)", [unused_for]
    ).fetchall()
    return len(removed)
