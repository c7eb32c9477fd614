"""The ``aegis`` command.

Belongs here: words on the command line and what they call. A refusal is one line on standard error and exit status 2; a
run whose steps failed exits with 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console

from aegis.errors import AegisError, ConfigurationError

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
"""Sums over several threads differ in the last bit at times; set before numpy is loaded, inherited by the UI."""

_REFUSED = 2
_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    for variable in _THREADS:
        os.environ.setdefault(variable, "1")
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.command(chosen))
    except AegisError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]aegis: {type(error).__name__}:[/red] {_plain(str(error))}")
        return _REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aegis", description="From market prices to risk-checked orders, with proof.")
    commands = parser.add_subparsers(title="commands", required=True)

    run = commands.add_parser("run", help="materialise every missing session, then print a summary")
    run.add_argument("--from", dest="first", type=_session, help="first session to materialise again")
    run.add_argument("--to", dest="last", type=_session, help="last session to materialise")
    run.set_defaults(command=_run)

    up = commands.add_parser("up", help="open the Dagster UI and its daemon on this workspace")
    up.add_argument("--port", type=int, default=3000)
    up.set_defaults(command=_up)

    commands.add_parser("summary", help="print the summary again").set_defaults(command=_summary)

    trace = commands.add_parser("trace", help="print what an order was decided from, back to the rows of its prices")
    trace.add_argument("order", help="client order id, or its first digits")
    trace.set_defaults(command=_trace)

    kill = commands.add_parser("kill", help="stop all new orders of the account")
    kill.add_argument("--reason", required=True)
    kill.set_defaults(command=_kill)

    release = commands.add_parser("release", help="let orders leave again after a kill")
    release.add_argument("--reason", required=True)
    release.set_defaults(command=_release)

    audit = commands.add_parser("audit", help="verify the journal's hash chain")
    audit.add_argument("action", choices=["verify"])
    audit.set_defaults(command=_audit)

    data = commands.add_parser("data", help="list the lake's snapshots")
    data.add_argument("action", choices=["versions"])
    data.set_defaults(command=_data)
    return parser


def _session(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write it as 2024-05-31") from error


def _run(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415 - `aegis --help` answers without loading Dagster
    from aegis_sensors.run_command import run_command  # noqa: PLC0415

    run = run_command(load_config(), first=chosen.first, last=chosen.last, console=Console())
    return 0 if run.succeeded else _FAILED


def _summary(_chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.run_command import summary_command  # noqa: PLC0415

    summary_command(load_config(), console=Console())
    return 0


def _up(chosen: argparse.Namespace) -> int:
    from aegis.config import CONFIG_FILE_VARIABLE, load_config  # noqa: PLC0415
    from aegis.workspace import Workspace  # noqa: PLC0415
    from aegis_sensors.instance import prepare_home  # noqa: PLC0415

    config = load_config()
    workspace = Workspace.of(config)
    workspace.claim(config.market_identity)
    prepare_home(workspace)
    environment = os.environ | {
        CONFIG_FILE_VARIABLE: str(Path(os.environ.get(CONFIG_FILE_VARIABLE, "aegis.yaml")).resolve())
    }
    command = [sys.executable, "-m", "dagster", "dev", "-m", "aegis_sensors.definitions", "-p", str(chosen.port)]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - our own module, a port number


def _trace(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.trace import trace_command  # noqa: PLC0415

    trace_command(load_config(), chosen.order, console=Console())
    return 0


def _kill(chosen: argparse.Namespace) -> int:
    desk, person, now = _desk()
    desk.kill_switch.engage(reason=chosen.reason, actor=person, at_utc=now)
    Console().print(f"account {desk.account}: stopped. No new order leaves until `aegis release`.")
    return 0


def _release(chosen: argparse.Namespace) -> int:
    desk, person, now = _desk()
    desk.kill_switch.release(reason=chosen.reason, actor=person, at_utc=now)
    Console().print(f"account {desk.account}: released by {person}.")
    return 0


def _audit(_chosen: argparse.Namespace) -> int:
    desk, _, _ = _desk()
    with desk.journal() as journal:
        events = journal.verify()
    Console().print(f"journal of {desk.account}: {events:,} events, every one follows from the one before")
    return 0


def _data(_chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis.lake.attachment import connect  # noqa: PLC0415
    from aegis.lake.lake import Lake  # noqa: PLC0415
    from aegis.workspace import Workspace  # noqa: PLC0415

    workspace = Workspace.of(load_config())
    if not workspace.lake.catalog.exists():
        raise ConfigurationError(f"workspace {workspace.name} has no lake yet; `aegis run` makes it")
    with connect(workspace.lake) as connection:
        snapshots = Lake(connection).snapshots()
    console = Console()
    for row in snapshots.itertuples(index=False):
        console.print(
            f"{row.snapshot_id:>6}  {row.snapshot_time:%Y-%m-%d %H:%M:%S}  {row.commit_message or ''}",
            highlight=False,
            soft_wrap=True,
        )
    return 0


def _desk():  # type: ignore[no-untyped-def]
    import getpass  # noqa: PLC0415

    from aegis.clock import SystemClock  # noqa: PLC0415
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_resources.desk import Desk  # noqa: PLC0415

    return Desk.of(load_config()), getpass.getuser(), SystemClock().now_utc()


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    sys.exit(main())
