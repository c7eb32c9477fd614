"""Restoring a backup into an empty place, and the drill that proves that it can be done.

Belongs here: refusing what is not whole, and comparing the restored workspace with what was backed up.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from aegis.backup.contents import journal_contents, lake_contents
from aegis.backup.manifest import BackupManifest
from aegis.backup.store import BackupStore
from aegis.durable_files import flush_folder
from aegis.errors import BackupError


def chosen_backup(store: BackupStore, name: str | None = None) -> BackupManifest:
    """Return the backup of this name, or the newest.

    Raises
    ------
    BackupError
        There is none, or its manifest is damaged or of another format.
    """
    names = store.manifests()
    if not names:
        raise BackupError(f"{store.location} holds no finished backup; `aegis data backup` makes one")
    if name is not None and name not in names:
        raise BackupError(f"{store.location} holds no backup {name[:80]!r}; it has {', '.join(names[-10:])}")
    chosen = name or names[-1]
    return BackupManifest.from_json(store.manifest(chosen), origin=f"backup {chosen} of {store.location}")


def restore(store: BackupStore, manifest: BackupManifest, folder: Path) -> None:
    """Restore a backup as the workspace folder `folder`, which must not exist or be empty.

    Raises
    ------
    BackupError
        The folder holds something, the backup is damaged or incomplete, or what was restored is not what was backed up.
        Nothing is left behind.

    Notes
    -----
    Written beside the target, verified there, and renamed: a restore that is cut off leaves no workspace that looks
    whole.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(
            f"{folder} holds something already, and a restore overwrites nothing; move it away, or restore into "
            "another folder (`--into`)"
        )
    missing = [file for file in manifest.files if not store.has(file.sha256, file.size_bytes)]
    if missing:
        raise BackupError(
            f"backup {manifest.name} of {store.location} is incomplete: {len(missing)} of {len(manifest.files)} files "
            f"are missing or cut, first {missing[0].path}; restore another one (`--backup`), or another copy of it"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.restoring."))
    except OSError as error:
        raise BackupError(f"{folder.parent} cannot be written: {error}; restore into another folder") from error
    try:
        for file in manifest.files:
            store.fetch(file.sha256, unfinished / file.path)
        require_equal(manifest, unfinished)
        unfinished.chmod(0o755)
        unfinished.replace(folder)
        flush_folder(folder.parent)
    except OSError as error:
        raise BackupError(f"{folder} cannot be restored: {error}; nothing is left behind, make room first") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def require_equal(manifest: BackupManifest, folder: Path) -> None:
    """Refuse a restored workspace whose tables or journals are not those that were backed up.

    Raises
    ------
    BackupError
        Names the tables and accounts that differ.
    JournalError
        A journal does not verify.
    """
    different: list[str] = []
    if manifest.lake_snapshot_id is not None:
        snapshot_id, tables = lake_contents(folder / "lake" / "catalog.sqlite", folder / "lake" / "data")
        if snapshot_id != manifest.lake_snapshot_id:
            different.append(f"lake snapshot {snapshot_id}, expected {manifest.lake_snapshot_id}")
        keys = {*tables, *manifest.tables}
        different += sorted(key for key in keys if tables.get(key) != manifest.tables.get(key))
    for account, expected in manifest.journals.items():
        found = journal_contents(folder / "journals" / f"{account}.sqlite")
        if found != expected:
            different.append(f"journal of {account}: ends with {found}, expected {expected}")
    if different:
        raise BackupError(f"restored backup {manifest.name} differs from what was backed up: {'; '.join(different)}")


def drill(store: BackupStore, manifest: BackupManifest) -> None:
    """Restore a backup into a temporary folder, prove it equal by hash, and remove it again.

    Raises
    ------
    BackupError, JournalError
        As :func:`restore`.
    """
    with tempfile.TemporaryDirectory(prefix="aegis-drill-") as scratch:
        restore(store, manifest, Path(scratch) / manifest.workspace)
