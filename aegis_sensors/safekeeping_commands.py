"""``aegis data verify``, ``backup``, ``restore`` and ``drill``: what they do and what they print.

Belongs here: opening the configured workspace and telling a person the outcome. The work is done by
:mod:`aegis.lake.verification` and :mod:`aegis.backup`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from rich.console import Console

from aegis.backup.making import back_up
from aegis.backup.manifest import BackupManifest
from aegis.backup.restoring import chosen_backup, drill, restore
from aegis.backup.store import BackupStore
from aegis.clock import SystemClock
from aegis.config import AegisConfig
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.lake.verification import database_problem, verify_lake
from aegis.lake.verified_lake import remedy
from aegis.workspace import Workspace

_MEGABYTE = 1_000_000


def verify_command(config: AegisConfig, *, table: str | None, since: date | None, console: Console) -> bool:
    """Verify the catalog and the data files of the workspace's lake; return whether they are as they were written.

    Raises
    ------
    ConfigurationError
        The workspace has no history.
    LakeError
        The lake cannot be opened, its checksums were cut off, or there is no such table.

    Notes
    -----
    A catalog on PostgreSQL is that server's to check (``pg_amcheck``); its data files are read all the same.
    """
    workspace = Workspace.of(config)
    workspace.require_history()
    is_embedded = workspace.lake.server is None
    problem = database_problem(workspace.lake.catalog) if is_embedded else ""
    if problem:
        _print(
            console, f"catalog {workspace.lake.catalog}: {problem}. Restore it from a backup (`aegis data restore`)."
        )
        return False
    with connect(workspace.lake) as connection:
        found = verify_lake(Lake(connection), table=table, since=since)
    for item in found.damaged:
        _print(console, f"{item.file.table_key}: {item.problem}; {remedy(item.file)}")
    outcome = f"{len(found.damaged)} damaged" if found.damaged else "every one is as it was written"
    _print(
        console,
        f"Workspace {workspace.name}: {found.files:,} data files, {found.size_bytes / _MEGABYTE:,.1f} MB, verified by "
        f"SHA-256: {outcome}. "
        + ("The catalog's database is whole." if is_embedded else f"The catalog is {workspace.lake.catalog_name}'s."),
    )
    return not found.damaged


def backup_command(config: AegisConfig, location: str, *, leave_out: tuple[str, ...], console: Console) -> None:
    """Back up the workspace.

    Raises
    ------
    ConfigurationError
        The workspace does not exist.
    BackupError, JournalError
        Something in it is damaged, or the place cannot be written; no backup was made.
    """
    workspace = Workspace.of(config)
    workspace.require_folder()
    made = back_up(
        workspace,
        BackupStore(location),
        configuration=config.model_dump(mode="json"),
        at_utc=SystemClock().now_utc(),
        leave_out=leave_out,
    )
    _print(
        console,
        f"Workspace {workspace.name}: backup {made.name} in {location}: {len(made.files):,} files, "
        f"{made.size_bytes / _MEGABYTE:,.1f} MB; {_contents(made)}. `aegis data drill {location}` proves that it can "
        "be restored.",
    )


def restore_command(
    config: AegisConfig, location: str, *, name: str | None, into: Path | None, console: Console
) -> None:
    """Restore a backup into `into`, or as the configured workspace.

    Raises
    ------
    BackupError
        The folder is not empty, there is no such backup, or it is damaged or incomplete. Nothing was left behind.
    """
    store = BackupStore(location)
    chosen = chosen_backup(store, name)
    folder = Workspace.of(config).folder if into is None else into.expanduser().resolve()
    restore(store, chosen, folder)
    _print(console, f"Backup {chosen.name} restored into {folder}, equal by hash: {_contents(chosen)}.")


def drill_command(location: str, *, name: str | None, console: Console) -> None:
    """Restore a backup into a temporary folder, compare and remove it.

    Raises
    ------
    BackupError
        There is no such backup, or it could not be restored whole.
    """
    store = BackupStore(location)
    chosen = chosen_backup(store, name)
    drill(store, chosen)
    _print(console, f"Drill of backup {chosen.name}: restored and equal by hash: {_contents(chosen)}.")


def _contents(backup: BackupManifest) -> str:
    rows = sum(table.rows for table in backup.tables.values())
    journals = ", ".join(f"{account} ({end.sequence:,} events)" for account, end in backup.journals.items())
    return f"{len(backup.tables)} tables with {rows:,} rows, journals: {journals or 'none'}"


def _print(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
