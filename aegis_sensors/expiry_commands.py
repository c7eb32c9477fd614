"""``aegis data keep``, ``release`` and ``expire``: which snapshots stay.

Belongs here: what a person says of snapshots, and printing what would go and why the rest stays. The rules are
:mod:`aegis.lake.retention`.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Literal

from rich.console import Console

from aegis import __version__
from aegis.clock import SystemClock
from aegis.config import AegisConfig
from aegis.lake.lake import CommitMessage
from aegis.lake.marks import Mark, mark_snapshot, required_reason
from aegis.lake.retention import ExpiryPlan, expire
from aegis.lake.versions import VersionHistory
from aegis.live_trading.snapshot_references import expiry_plan
from aegis.workspace import Workspace
from aegis_resources.desk import Desk
from aegis_sensors.version_commands import opened_lake, say
from aegis_sensors.workspace_identity import require_account

_SHOWN = 20
_OLDEST_DAYS = 36_500
"""No snapshot is older than a century, and a calendar ends."""

Doing = Literal["show", "expire"]
"""Whether an expiry is shown or done."""


def mark_command(config: AegisConfig, snapshot: str, mark: Mark, *, reason: str, console: Console) -> None:
    """Mark a snapshot as kept, or lift the mark.

    Raises
    ------
    ConfigurationError
        The workspace has no history.
    LakeError
        The snapshot cannot be read, or the reason is none.
    """
    with opened_lake(config) as lake:
        number = VersionHistory.of(lake).find(snapshot)
        person = getpass.getuser()
        mark_snapshot(lake, number, mark, reason=reason, person=person, at_utc=SystemClock().now_utc())
    say(console, f"snapshot {number}: {'kept' if mark == 'keep' else 'no longer kept'} by {person}: {reason.strip()}")


def expire_command(config: AegisConfig, *, older_than_days: int, doing: Doing, reason: str, console: Console) -> None:
    """Print which snapshots nothing refers to, and expire them when told to.

    Raises
    ------
    ConfigurationError
        The workspace has no history, or is another account's: its journal would not be asked.
    LakeError
        No reason was given for doing it, or somebody marked a snapshot in the meantime. Nothing has been changed.
    """
    said = required_reason(reason) if doing == "expire" else ""
    workspace, now = Workspace.of(config), SystemClock().now_utc()
    workspace.require_history()
    require_account(config, workspace)
    desk = Desk(config, workspace)
    with opened_lake(config) as lake, ExitStack() as stack:
        has_journal = workspace.journal(desk.account).exists()
        journal = stack.enter_context(desk.recorded_journal()) if has_journal else None
        plan = expiry_plan(lake, journal, before=now - timedelta(days=min(older_than_days, _OLDEST_DAYS)))
        _print_plan(plan, console)
        if doing == "expire":
            person = f"aegis data expire by {getpass.getuser()}"
            message = CommitMessage("expire snapshots", "", person, __version__, said)
            count = expire(lake, plan, message, at_utc=now)
            say(console, f"{count:,} snapshots expired; their files leave the disk with the weekly upkeep")
        elif plan.expiring:
            say(console, 'nothing was changed: `--apply --reason "..."` expires them')


def _print_plan(plan: ExpiryPlan, console: Console) -> None:
    before, listed = f"{plan.before:%Y-%m-%d %H:%M:%S} UTC", ":" if plan.expiring else ""
    say(console, f"{len(plan.expiring):,} snapshots before {before} can go{listed}")
    lines = [f"{v.snapshot_id:>8}  {v.made_at_utc:%Y-%m-%d %H:%M:%S}  {v.asset} {v.sessions}" for v in plan.expiring]
    _print_some(lines, console)
    say(console, f"{len(plan.kept):,} snapshots as old stay{':' if plan.kept else ''}")
    _print_some([f"{number:>8}  {why}" for number, why in plan.kept.items()], console)


def _print_some(lines: Sequence[str], console: Console) -> None:
    for line in lines[:_SHOWN]:
        say(console, line)
    if len(lines) > _SHOWN:
        say(console, f"          and {len(lines) - _SHOWN:,} more")
