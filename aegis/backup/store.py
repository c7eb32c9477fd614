"""Where backups are kept: a folder, or a prefix of a bucket.

Belongs here: bytes under a name. Objects are named by the SHA-256 of what they hold, so that a file which several
backups have is stored once. What a backup consists of is :mod:`aegis.backup.manifest`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow.fs

from aegis.durable_files import replacing
from aegis.errors import BackupError

_CHUNK_BYTES = 1 << 20
_MANIFESTS = "backups"


class BackupStore:
    """Objects and manifests below one place.

    Parameters
    ----------
    location : str
        A folder, or ``s3://bucket/prefix``. The bucket exists; its credentials come from where AWS's own tools look
        (environment, profile, role), never from the address. A server of another vendor is named by
        ``AWS_ENDPOINT_URL``.

    Raises
    ------
    BackupError
        The location is neither.
    """

    def __init__(self, location: str) -> None:
        if "@" in location.partition("://")[2]:
            raise BackupError("a backup location names no credentials; give them to the environment, as AWS's tools do")
        self.location = location
        self._is_folder = "://" not in location
        try:
            self._files, root = (
                (pyarrow.fs.LocalFileSystem(), str(Path(location).expanduser().resolve()))
                if self._is_folder
                else pyarrow.fs.FileSystem.from_uri(location)
            )
        except (OSError, ValueError) as error:
            raise BackupError(
                f"backup location {location[:200]!r} is neither a folder nor s3://bucket/prefix: {error}"
            ) from error
        self._root = root.rstrip("/")

    def lies_in(self, folder: Path) -> bool:
        """Return whether backups would be kept in `folder` or below it."""
        return self._is_folder and Path(self._root).is_relative_to(folder.resolve())

    def has(self, digest: str, size_bytes: int) -> bool:
        """Return whether an object of this SHA-256 and length is stored."""
        with self._explained("looked at"):
            found = self._files.get_file_info(self._object(digest))
        return bool(found.type == pyarrow.fs.FileType.File and found.size == size_bytes)

    def put(self, source: Path, digest: str) -> None:
        """Store a file under its SHA-256, whole or not at all."""
        with self._explained("written to"), source.open("rb") as content:
            self._write(self._object(digest), content)

    def fetch(self, digest: str, target: Path) -> None:
        """Write an object to `target` and flush it.

        Raises
        ------
        BackupError
            It is not stored, or is not what its name says: the backup is damaged. The target may be there in part.
        """
        found = hashlib.sha256()
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._explained("read from"),
            self._files.open_input_stream(self._object(digest)) as content,
            replacing(target) as file,
        ):
            while chunk := content.read(_CHUNK_BYTES):
                found.update(chunk)
                file.write(chunk)
        if found.hexdigest() != digest:
            raise BackupError(
                f"backup {self.location}: object {digest} of {target.name} has SHA-256 {found.hexdigest()}: the backup "
                "is damaged; restore another one (`--backup`), or another copy of it. So that the next backup does not "
                f"rely on it, remove {self._object(digest)}: what the workspace still has is then stored anew"
            )

    def put_manifest(self, name: str, source: Path) -> None:
        """Store the description of a finished backup; only now it exists."""
        with self._explained("written to"), source.open("rb") as content:
            self._write(self._manifest(name), content)

    def manifest(self, name: str) -> bytes:
        """Return the description of a backup."""
        with self._explained("read from"), self._files.open_input_stream(self._manifest(name)) as content:
            return bytes(content.read())

    def manifests(self) -> list[str]:
        """Return the names of the backups that were finished, oldest first."""
        where = pyarrow.fs.FileSelector(f"{self._root}/{_MANIFESTS}", allow_not_found=True)
        with self._explained("looked at"):
            files = self._files.get_file_info(where)
        return sorted(file.base_name.removesuffix(".json") for file in files if file.base_name.endswith(".json"))

    def _object(self, digest: str) -> str:
        return f"{self._root}/objects/{digest[:2]}/{digest}"

    def _manifest(self, name: str) -> str:
        return f"{self._root}/{_MANIFESTS}/{name}.json"

    def _write(self, path: str, content: IO[bytes]) -> None:
        if self._is_folder:
            with replacing(Path(path)) as file:
                shutil.copyfileobj(content, file, _CHUNK_BYTES)
            return
        with self._files.open_output_stream(path) as stream:  # an upload exists once it is closed, and whole
            shutil.copyfileobj(content, stream, _CHUNK_BYTES)

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise BackupError(
                f"backup {self.location} is incomplete: {error}; restore another one (`--backup`), or another copy of "
                "it"
            ) from error
        except OSError as error:
            raise BackupError(
                f"backup {self.location} cannot be {verb}: {error}; see whether the place exists, has room and may be "
                "used with these credentials. No finished backup was changed"
            ) from error


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
