"""``aegis data verify``, ``backup``, ``restore`` and ``drill``: the words.

Belongs here: what can be typed. What it does is :mod:`aegis_sensors.safekeeping_commands`, imported when it is asked
for.
"""

from __future__ import annotations

import argparse
from datetime import date
from typing import Any

from rich.console import Console

_FAILED = 1


def add_safekeeping_commands(ways: Any) -> None:
    """Add the commands to the subparsers of ``aegis data``."""
    verify = ways.add_parser("verify", help="compare every data file with the checksum recorded when it was written")
    verify.add_argument("--table", help="only this one, as market_data/daily_bars")
    verify.add_argument(
        "--since", type=_session, help="only files that may hold rows of this session or later ones, as 2024-05-31"
    )
    verify.set_defaults(command=_verify)


def _session(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a date; write it as 2024-05-31") from error


def _verify(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.safekeeping_commands import verify_command  # noqa: PLC0415

    is_whole = verify_command(load_config(), table=chosen.table, since=chosen.since, console=Console())
    return 0 if is_whole else _FAILED
