"""``aegis live``: the words, and what they call.

Belongs here: the words. What they do is :mod:`aegis_sensors.live_commands`, imported when it is asked for.
"""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console


def add_live_commands(commands: Any) -> None:
    """Add ``live`` and its commands to the subparsers of ``aegis``."""
    live = commands.add_parser("live", help="confirm that the account trades real money, look at that, and end it")
    ways = live.add_subparsers(title="what to do", required=True)
    confirm = ways.add_parser("confirm", help="show what would be traded, and ask for your word; needs a terminal")
    confirm.add_argument("--hours", type=float, help="for how long (default: 8, at most 16)")
    confirm.set_defaults(command=_confirm)
    ways.add_parser("status", help="print whether real money may be traded now, and why not").set_defaults(
        command=_status
    )
    revoke = ways.add_parser("revoke", help="end the confirmation: from now on only reducing orders leave")
    revoke.add_argument("--reason", required=True)
    revoke.set_defaults(command=_revoke)


def _confirm(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415 - `aegis --help` answers without loading the brokers
    from aegis_sensors.live_commands import confirm_command  # noqa: PLC0415

    confirm_command(load_config(), hours=chosen.hours, console=Console())
    return 0


def _status(_chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.live_commands import status_command  # noqa: PLC0415

    status_command(load_config(), console=Console())
    return 0


def _revoke(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.live_commands import revoke_command  # noqa: PLC0415

    revoke_command(load_config(), reason=chosen.reason, console=Console())
    return 0
