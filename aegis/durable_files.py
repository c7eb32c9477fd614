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
def replacing(path: Path, *, mode: int = _READABLE_BY_OTHERS) -> Iterator[IO[bytes]]:
    """Yield a file to write to, which takes the place of `path` when the block ends; nothing happens if it raises.

    Parameters
    ----------
    path : Path
        What is replaced.
    mode : int
        Who may read it. It is written for its owner alone, and opened to others when it is whole.

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
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def replace_file(path: Path, content: bytes, *, mode: int = _READABLE_BY_OTHERS) -> Path:
    """Replace `path` by `content`, whole or not at all, and return it; see :func:`replacing`."""
    with replacing(path, mode=mode) as file:
        file.write(content)
    return path


def replace_json(path: Path, record: Mapping[str, Any], *, mode: int = _READABLE_BY_OTHERS) -> None:
    """Replace `path` by one line of JSON, whole or not at all; see :func:`replacing`."""
    replace_file(path, (json.dumps(record, sort_keys=True) + "\n").encode(), mode=mode)


def append_json_line(path: Path, record: Mapping[str, Any], *, mode: int = _READABLE_BY_OTHERS) -> None:
    """Append `record` as one line of JSON and flush it to the disk; see :func:`append_json_lines`."""
    append_json_lines(path, [record], mode=mode)


def append_json_lines(path: Path, records: Iterable[Mapping[str, Any]], *, mode: int = _READABLE_BY_OTHERS) -> None:
    """Append each record as one line of JSON and flush them to the disk together.

    Parameters
    ----------
    path, records
        Where, and what.
    mode : int
        Who may read a file that is made by it; one that is there keeps its mode.

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
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "ab+", buffering=0) as file:
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
