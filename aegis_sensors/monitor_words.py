"""``aegis monitor``: the words, and what they call.

Belongs here: the words. What is printed is :mod:`aegis_sensors.monitor_command`, imported when it is asked for.
"""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console


def add_monitor_command(commands: Any) -> None:
    """Add ``monitor`` to the subparsers of ``aegis``."""
    monitor = commands.add_parser(
        "monitor", help="print how the account is that is being traded; exit status 1 where something is wrong"
    )
    monitor.add_argument("--follow", action="store_true", help="print it again and again, until interrupted")
    monitor.add_argument("--json", action="store_true", help="print the status as it is stored")
    monitor.set_defaults(command=_monitor)


def _monitor(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415 - `aegis --help` answers without loading the rest
    from aegis_sensors.monitor_command import monitor_command  # noqa: PLC0415

    return monitor_command(load_config(), console=Console(), follow=chosen.follow, as_json=chosen.json)
