"""What one backup consists of, and what must be equal after it is restored.

Belongs here: the values and their JSON. A manifest names its own SHA-256, so that a damaged one is not followed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from aegis.errors import BackupError

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the workspace.

    Parameters
    ----------
    path : str
        Relative to the workspace's folder, with ``/``.
    sha256 : str
    size_bytes : int
    """

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class TableContent:
    """How many rows a table has, and a digest of their values that does not depend on their order."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class JournalContent:
    """Where an account's verified chain ends: its number of events and the hash of the last."""

    sequence: int
    hash: str


@dataclass(frozen=True)
class BackupManifest:
    """A finished backup.

    Parameters
    ----------
    name : str
        When it was begun, UTC, and the lake's snapshot: names sort by time.
    workspace, aegis_version : str
        Whose it is, and the version that made it.
    lake_snapshot_id : int or None
        Newest snapshot of the lake; None without a lake.
    files : tuple of StoredFile
    tables : mapping of str to TableContent
        Every table of the lake at that snapshot.
    journals : mapping of str to JournalContent
        By account.
    configuration : mapping
        The settings in force, without secrets.
    """

    name: str
    workspace: str
    aegis_version: str
    lake_snapshot_id: int | None
    files: tuple[StoredFile, ...]
    tables: Mapping[str, TableContent]
    journals: Mapping[str, JournalContent]
    configuration: Mapping[str, Any]

    @property
    def size_bytes(self) -> int:
        """Length of all files together."""
        return sum(file.size_bytes for file in self.files)

    def to_json(self) -> str:
        """Return the manifest with its SHA-256 as JSON."""
        body = {"format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps({"sha256": _digest(body), "manifest": body}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: bytes, *, origin: str) -> BackupManifest:
        """Return the manifest that `text` holds.

        Raises
        ------
        BackupError
            It is damaged, of another format, or names a file outside the workspace.
        """
        try:
            read = json.loads(text)
            body, promised = read["manifest"], read["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError(f"{origin}: the manifest is damaged ({error!r}); restore another backup") from error
        if _digest(body) != promised:
            raise BackupError(f"{origin}: the manifest does not have the SHA-256 it names; restore another backup")
        if body.pop("format_version") != FORMAT_VERSION:
            raise BackupError(
                f"{origin} was made by Aegis {body.get('aegis_version')} in another format than {FORMAT_VERSION}, "
                "which this version reads; restore it with the version that made it"
            )
        body["files"] = tuple(StoredFile(**file) for file in body["files"])
        body["tables"] = {key: TableContent(**table) for key, table in body["tables"].items()}
        body["journals"] = {account: JournalContent(**journal) for account, journal in body["journals"].items()}
        for file in body["files"]:
            _refuse_outside(file.path, origin)
        return cls(**body)


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _refuse_outside(path: str, origin: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise BackupError(f"{origin} names a file outside the workspace: {path[:80]!r}; it is not restored")
