"""``aegis drift``: the words, and what they call.

Belongs here: the words. What they do is :mod:`aegis_sensors.drift_commands`, imported when it is asked for.
"""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console


def add_drift_commands(commands: Any) -> None:
    """Add ``drift`` and its commands to the subparsers of ``aegis``."""
    drift = commands.add_parser("drift", help="show what has drifted and what it led to, release the account again")
    ways = drift.add_subparsers(title="what to do", required=True)
    ways.add_parser("status", help="print the alarms of the newest session and the responses that stand").set_defaults(
        command=_status
    )
    release = ways.add_parser("release", help="let decisions be made without the responses that stand")
    release.add_argument("--reason", required=True)
    release.set_defaults(command=_release)


def _status(_chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415 - `aegis --help` answers without loading DuckDB
    from aegis_sensors.drift_commands import status_command  # noqa: PLC0415

    status_command(load_config(), console=Console())
    return 0


def _release(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.drift_commands import release_command  # noqa: PLC0415

    release_command(load_config(), reason=chosen.reason, console=Console())
    return 0
