"""``aegis data verify``, ``backup``, ``restore`` and ``drill``: what they do and what they print.

Belongs here: opening the configured workspace and telling a person the outcome. The work is done by
:mod:`aegis.lake.verification` and :mod:`aegis.backup`.
"""

from __future__ import annotations

from datetime import date

from rich.console import Console

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
    """
    workspace = Workspace.of(config)
    workspace.require_history()
    problem = database_problem(workspace.lake.catalog)
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
        f"SHA-256: {outcome}. The catalog's database is whole.",
    )
    return not found.damaged


def _print(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
