"""``aegis data verify``, ``backup``, ``restore`` and ``drill``: the words.

Belongs here: what can be typed. What it does is :mod:`aegis_sensors.safekeeping_commands`, imported when it is asked
for.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis_sensors.arguments import session

_FAILED = 1


def add_safekeeping_commands(ways: Any) -> None:
    """Add the commands to the subparsers of ``aegis data``."""
    verify = ways.add_parser("verify", help="compare every data file with the checksum recorded when it was written")
    verify.add_argument("--table", help="only this one, as market_data/daily_bars")
    verify.add_argument(
        "--since", type=session, help="only files that may hold rows of this session or later ones, as 2024-05-31"
    )
    verify.set_defaults(command=_verify)

    backup = ways.add_parser("backup", help="copy the workspace to a folder or s3://bucket/prefix; only what is new")
    backup.add_argument("location", help="folder, or s3://bucket/prefix")
    backup.add_argument("--without-dagster", action="store_true", help="leave out Dagster's home: runs and event log")
    backup.set_defaults(command=_backup)

    restore = ways.add_parser("restore", help="bring a backup back into an empty folder, and prove it equal by hash")
    restore.add_argument("location", help="folder, or s3://bucket/prefix")
    restore.add_argument("--backup", help="its name (default: the newest)")
    restore.add_argument("--into", type=Path, help="an empty or new folder (default: the configured workspace's)")
    restore.set_defaults(command=_restore)

    drill = ways.add_parser("drill", help="restore a backup into a temporary folder, compare all hashes, remove it")
    drill.add_argument("location", help="folder, or s3://bucket/prefix")
    drill.add_argument("--backup", help="its name (default: the newest)")
    drill.set_defaults(command=_drill)


def _verify(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.safekeeping_commands import verify_command  # noqa: PLC0415

    is_whole = verify_command(load_config(), table=chosen.table, since=chosen.since, console=Console())
    return 0 if is_whole else _FAILED


def _backup(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.safekeeping_commands import backup_command  # noqa: PLC0415

    leave_out = ("dagster",) if chosen.without_dagster else ()
    backup_command(load_config(), chosen.location, leave_out=leave_out, console=Console())
    return 0


def _restore(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.safekeeping_commands import restore_command  # noqa: PLC0415

    restore_command(load_config(), chosen.location, name=chosen.backup, into=chosen.into, console=Console())
    return 0


def _drill(chosen: argparse.Namespace) -> int:
    from aegis_sensors.safekeeping_commands import drill_command  # noqa: PLC0415

    drill_command(chosen.location, name=chosen.backup, console=Console())
    return 0
