"""``aegis data versions``: which snapshots the lake holds.

Belongs here: printing them. What a snapshot is, is :mod:`aegis.lake.lake`.
"""

from __future__ import annotations

from rich.console import Console

from aegis.config import AegisConfig
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.workspace import Workspace


def versions_command(config: AegisConfig, *, console: Console) -> None:
    """Print the snapshots, oldest first.

    Raises
    ------
    ConfigurationError
        The workspace has no history.
    """
    workspace = Workspace.of(config)
    workspace.require_history()
    with connect(workspace.lake) as connection:
        snapshots = Lake(connection).snapshots()
    for row in snapshots.itertuples(index=False):
        console.print(
            f"{row.snapshot_id:>6}  {row.snapshot_time:%Y-%m-%d %H:%M:%S}  {row.commit_message or ''}",
            highlight=False,
            soft_wrap=True,
        )
