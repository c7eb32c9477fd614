"""Small files that must survive a crash: replaced as a whole, or appended to line by line.

Belongs here: how bytes reach the disk. What they mean is each caller's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def replace_json(path: Path, record: Mapping[str, Any]) -> None:
    """Replace `path` by `record` so that a reader sees the old file or the new one, never a part.

    Raises
    ------
    OSError
        The folder cannot be made or the file not be written; the old file is unchanged.

    Notes
    -----
    Written to a temporary file of this process beside the target, flushed to the disk, renamed over it, and the
    folder's entry flushed as well.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record, file, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def append_json_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append `record` as one line of JSON and flush it to the disk.

    Raises
    ------
    OSError
        The folder cannot be made or the line not be written.

    Notes
    -----
    One write in append mode, so lines of several processes do not mix. If a crash tore the last line, the new one
    begins on a line of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(record, sort_keys=True) + "\n").encode()
    is_new = not path.exists()
    with path.open("ab+", buffering=0) as file:
        if file.seek(0, os.SEEK_END) > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        if file.write(line) != len(line):
            raise OSError(f"{path}: the line was written in part; make room on the disk")
        os.fsync(file.fileno())
    if is_new:
        _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
