"""``aegis compliance``: the words, and what they call.

Belongs here: the words. What they do is :mod:`aegis_sensors.compliance_commands`, imported when it is asked for.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis_sensors.arguments import session

_DIFFERS = 1


def add_compliance_commands(commands: Any) -> None:
    """Add ``compliance`` and its commands to the subparsers of ``aegis``."""
    compliance = commands.add_parser(
        "compliance", help="export orders and executions for a regulator, verify an export"
    )
    ways = compliance.add_subparsers(title="what to do", required=True)

    export = ways.add_parser(
        "export", help="write every order event and execution, each with its journal record's hash"
    )
    export.add_argument("file", type=Path, help="a new .csv or .parquet file; a manifest is written beside it")
    export.add_argument("--from", dest="first", type=session, help="first session (default: the journal's first)")
    export.add_argument("--to", dest="last", type=session, help="last session (default: the journal's last)")
    export.set_defaults(command=_export)

    verify = ways.add_parser("verify", help="find rows of an export that were changed, removed, added or moved")
    verify.add_argument("file", type=Path, help="the export; its manifest is looked for beside it")
    verify.set_defaults(command=_verify)


def _export(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415 - `aegis --help` answers without loading DuckDB
    from aegis_sensors.compliance_commands import export_command  # noqa: PLC0415

    export_command(load_config(), chosen.file, first=chosen.first, last=chosen.last, console=Console())
    return 0


def _verify(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.compliance_commands import verify_command  # noqa: PLC0415

    return 0 if verify_command(load_config(), chosen.file, console=Console()) else _DIFFERS
