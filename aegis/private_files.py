"""Files that are for one user of this machine alone: secrets, and a person's word.

Belongs here: reading such a file only where nobody else could have read or written it. Writing is
:mod:`aegis.durable_files` with :data:`PRIVATE`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from aegis.errors import ConfigurationError

PRIVATE = 0o600
_OTHERS = 0o077
_OTHERS_WRITE = 0o022
_LARGEST_BYTES = 1 << 20


def read_private_file(path: Path) -> bytes:
    """Return the content of a file that belongs to us and that nobody else can read or change.

    Raises
    ------
    FileNotFoundError
        There is none.
    ConfigurationError
        It is a link or no plain file, belongs to another user, is open to others, has a second name, is too large, or
        stands in a folder in which others may replace it. Nothing of its content is in the message.

    Notes
    -----
    What is judged is the open file, so that nothing can be put in its place between the judgement and the reading. Root
    may read everything, so its own files are judged like anybody's.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror}); it must be a plain file of yours, no link: chmod 600 {path}"
        ) from error
    try:
        _require_ours(path, os.fstat(descriptor))
        content = _read(descriptor)
    finally:
        os.close(descriptor)
    if len(content) > _LARGEST_BYTES:
        raise ConfigurationError(f"{path} is larger than {_LARGEST_BYTES} bytes; it is not the file that is meant")
    return content


def _read(descriptor: int) -> bytes:
    content = b""
    while len(content) <= _LARGEST_BYTES and (part := os.read(descriptor, _LARGEST_BYTES)):
        content += part
    return content


def _require_ours(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path} is no plain file; give one that only you can read")
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"{path} belongs to user {found.st_uid}, expected {os.geteuid()}; only its own user is believed"
        )
    if found.st_mode & _OTHERS:
        raise ConfigurationError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, so that others can read or change it, expected 0600; "
            f"run chmod 600 {path}, and change what is secret in it"
        )
    if found.st_nlink != 1:
        raise ConfigurationError(f"{path} has {found.st_nlink} names on the disk, expected 1; make a file of its own")
    folder = path.resolve().parent.stat()
    if folder.st_uid not in (os.geteuid(), 0) or (folder.st_mode & _OTHERS_WRITE and not folder.st_mode & stat.S_ISVTX):
        raise ConfigurationError(
            f"{path.parent} belongs to or can be changed by others, who could put another {path.name} there; run "
            f"chmod go-w {path.parent}"
        )
