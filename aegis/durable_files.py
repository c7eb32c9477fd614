"""Files that must survive a crash: replaced as a whole, or appended to line by line.

Belongs here: how bytes reach the disk. What they mean is each caller's. Every file that Aegis writes outside the lake
and the databases goes through here; a test reads the source tree for those that do not.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_READABLE_BY_OTHERS = 0o644


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write to, which takes the place of `path` when the block ends; nothing happens if it raises.

    Raises
    ------
    OSError
        The folder cannot be made or the file not be written; the old file is unchanged.

    Notes
    -----
    Written to a temporary file beside the target, flushed to the disk, renamed over it, and the folder's entry flushed
    as well: a reader sees the old file or the new one, never a part, also after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_READABLE_BY_OTHERS)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def replace_file(path: Path, content: bytes) -> Path:
    """Replace `path` by `content`, whole or not at all, and return it; raises as :func:`replacing`."""
    with replacing(path) as file:
        file.write(content)
    return path


def replace_json(path: Path, record: Mapping[str, Any]) -> None:
    """Replace `path` by one line of JSON, whole or not at all; raises as :func:`replacing`."""
    replace_file(path, (json.dumps(record, sort_keys=True) + "\n").encode())


def append_json_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append `record` as one line of JSON and flush it to the disk; raises as :func:`append_json_lines`."""
    append_json_lines(path, [record])


def append_json_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Append each record as one line of JSON and flush them to the disk together.

    Raises
    ------
    OSError
        The folder cannot be made or the lines not be written.

    Notes
    -----
    One write in append mode, so lines of several processes do not mix. If a crash tore the last line, the new one
    begins on a line of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = "".join(json.dumps(record, sort_keys=True) + "\n" for record in records).encode()
    is_new = not path.exists()
    with path.open("ab+", buffering=0) as file:
        if file.seek(0, os.SEEK_END) > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        if file.write(line) != len(line):
            raise OSError(f"{path}: the line was written in part; make room on the disk")
        os.fsync(file.fileno())
    if is_new:
        flush_folder(path.parent)


def flush_file(path: Path) -> None:
    """Flush a file that another library wrote to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a file made or renamed in it is there after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, and `folder` itself."""
    for path in folder.rglob("*"):
        flush_folder(path) if path.is_dir() else flush_file(path)
    flush_folder(folder)
