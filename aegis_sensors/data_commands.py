"""``aegis data``: the words that look at, correct and keep the lake, and what they call.

Belongs here: the words. Each command is a module of its own, imported when it is asked for: ``aegis --help`` answers
without loading DuckDB.
"""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console


def add_data_commands(commands: Any) -> None:
    """Add ``data`` and its commands to the subparsers of ``aegis``."""
    data = commands.add_parser("data", help="look at the lake's versions, read and compare them, correct and keep them")
    ways = data.add_subparsers(title="what to do", required=True)

    versions = ways.add_parser("versions", help="list the lake's snapshots")
    versions.set_defaults(command=_versions)


def _versions(_chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.version_commands import versions_command  # noqa: PLC0415

    versions_command(load_config(), console=Console())
    return 0
