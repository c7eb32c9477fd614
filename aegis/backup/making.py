"""Backing up a workspace while it is in use.

Belongs here: what is copied, in which order, and that damage is not copied silently. Where to is
:mod:`aegis.backup.store`.

Notes
-----
The order makes the parts fit: Dagster's home first, then the lake, then the journals. A lake may be ahead of what
Dagster knows, and a journal ahead of its lake, as after a crash; a run goes on from there. The other way round sessions
would seem to be materialized that are not, or orders to be lost. Data files never change, so that the copied catalog
names exactly what it needs, and only files that the store does not have yet are copied.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aegis import __version__
from aegis.backup.contents import copy_database, is_database, journal_contents, lake_contents, listed_files
from aegis.backup.manifest import BackupManifest, StoredFile, TableContent
from aegis.backup.store import BackupStore, digest_of
from aegis.errors import BackupError
from aegis.workspace import Workspace

_LAKE = "lake"
_JOURNALS = "journals"
_LAST = ("drift_responses", "kill_switches")
"""Copied at the end, so that a stop which a person orders meanwhile is in the backup."""
_BESIDE_DATABASES = ("-wal", "-shm", "-journal")
_LEFT_OUT_SUFFIXES = (".lock", ".tmp", ".pid", ".sock")
_SECRET_WORDS = ("password", "secret", "token", "api_key", "credential", "webhook", "_url")


def back_up(
    workspace: Workspace,
    store: BackupStore,
    *,
    configuration: Mapping[str, Any],
    at_utc: datetime,
    leave_out: tuple[str, ...] = (),
) -> BackupManifest:
    """Copy `workspace` into `store` and return what was stored; nothing in the workspace changes.

    Parameters
    ----------
    workspace : Workspace
    store : BackupStore
    configuration : mapping
        The settings in force; values that look like secrets are left out.
    at_utc : datetime
        Now; names the backup.
    leave_out : tuple of str
        Folders of the workspace that are not wanted, ``dagster`` for one.

    Raises
    ------
    BackupError
        A file of the lake is not the one that was written, a database is damaged, or the store cannot be written. No
        backup was made by this name; the earlier ones are as they were.
    JournalError
        A journal does not verify.
    """
    if {_LAKE, _JOURNALS} & set(leave_out):
        raise BackupError("the lake and the journals cannot be left out: they are what a backup is for")
    if workspace.lake.server is not None or workspace.lake.store is not None:
        raise BackupError(
            f"workspace {workspace.name} keeps its lake on a PostgreSQL server or in a bucket; back up with pg_dump "
            "and the bucket's versions, at one moment"
        )
    if store.lies_in(workspace.folder):
        raise BackupError(
            f"{store.location} lies in the workspace {workspace.folder}, which every backup would copy with it, and "
            "which is lost with it; choose a folder on another disk, or a bucket"
        )
    with TemporaryDirectory(prefix="aegis-backup-") as made:
        scratch = Path(made)
        top = sorted(path.name for path in workspace.folder.iterdir())
        first = [name for name in top if name not in (_LAKE, _JOURNALS, *_LAST, *leave_out)]
        files = [file for name in first for file in _plain(workspace.folder, name, store, scratch)]
        snapshot_id: int | None = None
        tables: Mapping[str, TableContent] = {}
        if workspace.lake.catalog.exists():
            catalog = scratch / "catalog.sqlite"
            copy_database(workspace.lake.catalog, catalog)
            files.append(_store(store, catalog, f"{_LAKE}/catalog.sqlite"))
            files += _data_files(workspace, catalog, store)
            snapshot_id, tables = lake_contents(catalog, workspace.lake.data_path)
        journals = {}
        for source in sorted((workspace.folder / _JOURNALS).glob("*.sqlite")):
            copy = scratch / source.name
            copy_database(source, copy)
            journals[source.stem] = journal_contents(copy)
            files.append(_store(store, copy, f"{_JOURNALS}/{source.name}"))
        for name in _LAST:
            files += _plain(workspace.folder, name, store, scratch)
        manifest = BackupManifest(
            name=f"{at_utc:%Y%m%dT%H%M%S%fZ}-{'no-lake' if snapshot_id is None else snapshot_id}",
            workspace=workspace.name,
            aegis_version=__version__,
            lake_snapshot_id=snapshot_id,
            files=tuple(files),
            tables=tables,
            journals=journals,
            configuration=without_secrets(json.loads(json.dumps(configuration, default=str))),
        )
        described = scratch / "manifest.json"
        described.write_bytes(manifest.to_json().encode())
        store.put_manifest(manifest.name, described)
    return manifest


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` with the values left out whose name says that they are secret, or may carry one."""
    kept: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            kept[name] = without_secrets(value)
        elif isinstance(value, list):
            kept[name] = [without_secrets(item) if isinstance(item, Mapping) else item for item in value]
        elif value is not None and any(word in name.lower() for word in _SECRET_WORDS):
            kept[name] = "(left out)"
        else:
            kept[name] = value
    return kept


def _data_files(workspace: Workspace, catalog: Path, store: BackupStore) -> Iterator[StoredFile]:
    for listed in listed_files(catalog):
        source = workspace.lake.data_path / listed.path
        try:
            size = source.stat().st_size
            if listed.sha256 is None or not store.has(listed.sha256, size):
                found = digest_of(source)
                if listed.sha256 is not None and listed.sha256 != found:
                    raise BackupError(
                        f"data file {source} has SHA-256 {found[:12]}…, and {listed.sha256[:12]}… was written: a "
                        "damaged file is not backed up over a good one; `aegis data verify` lists all, and "
                        "docs/backup.md says how to mend them"
                    )
                yield _store(store, source, f"{_LAKE}/data/{listed.path}", known=found)
            else:
                yield StoredFile(f"{_LAKE}/data/{listed.path}", listed.sha256, size)
        except OSError as error:
            raise BackupError(
                f"data file {source} cannot be read: {error}; `aegis data verify` lists all that are lost"
            ) from error


def _plain(folder: Path, name: str, store: BackupStore, scratch: Path) -> Iterator[StoredFile]:
    """Store a file, or the files of a folder; databases as one transaction would read them."""
    top = folder / name
    for source in sorted(path for path in (top.rglob("*") if top.is_dir() else [top]) if path.is_file()):
        if source.name.endswith((*_BESIDE_DATABASES, *_LEFT_OUT_SUFFIXES)):
            continue
        try:
            copy = scratch / "copied"
            copy.unlink(missing_ok=True)
            if is_database(source):
                copy_database(source, copy)
            else:
                copy.write_bytes(source.read_bytes())
        except FileNotFoundError:
            continue  # a log that its owner removed meanwhile
        yield _store(store, copy, source.relative_to(folder).as_posix())


def _store(store: BackupStore, source: Path, path: str, *, known: str | None = None) -> StoredFile:
    digest, size = known or digest_of(source), source.stat().st_size
    if not store.has(digest, size):
        store.put(source, digest)
    return StoredFile(path, digest, size)
