"""The ``aegis`` command.

Belongs here: words on the command line and what they call. A refusal is one line on standard error and exit status 2; a
run of which a step or a check that must pass failed exits with 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from rich.console import Console

from aegis.errors import AegisError
from aegis_sensors.account_words import add_account_commands
from aegis_sensors.arguments import port, positive, session
from aegis_sensors.cache_commands import add_cache_commands
from aegis_sensors.compliance_words import add_compliance_commands
from aegis_sensors.data_commands import add_data_commands
from aegis_sensors.drift_words import add_drift_commands
from aegis_sensors.live_words import add_live_commands
from aegis_sensors.monitor_words import add_monitor_command

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
"""Sums over several threads differ in the last bit at times; set before numpy is loaded, inherited by the UI."""

_REFUSED = 2
_FAILED = 1
_INTERRUPTED = 130
"""As a shell says it of a program that SIGINT ended."""


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
    except KeyboardInterrupt:
        Console(stderr=True, soft_wrap=True).print("aegis: ended by Ctrl-C; what it said before is done")
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aegis", description="From market prices to risk-checked orders, with proof.")
    commands = parser.add_subparsers(title="commands", required=True)

    run = commands.add_parser("run", help="materialise every missing session, then print a summary")
    run.add_argument(
        "--from",
        dest="first",
        type=session,
        help="materialise again from this session on; make's FROM (default: what is missing)",
    )
    run.add_argument(
        "--to",
        dest="last",
        type=session,
        help="last session, not before the newest there is; make's TO (default: the last)",
    )
    run.set_defaults(command=_run)

    up = commands.add_parser("up", help="open the Dagster UI and its daemon on this workspace")
    up.add_argument("--port", type=port, default=3000)
    up.set_defaults(command=_up)

    commands.add_parser("summary", help="print the summary again").set_defaults(command=_summary)

    trace = commands.add_parser("trace", help="print what an order was decided from, back to the rows of its prices")
    trace.add_argument("order", help="client order id, or its first digits")
    trace.set_defaults(command=_trace)

    cost = commands.add_parser("shortfall", help="print what a traded account's orders cost against their decisions")
    cost.add_argument("--from", dest="first", type=session, help="first session (default: the newest)")
    cost.add_argument("--to", dest="last", type=session, help="last session (default: the newest)")
    cost.set_defaults(command=_shortfall)

    trade = commands.add_parser("trade", help="trade a paper or live account until it is stopped")
    trade.set_defaults(command=_trade)

    kill = commands.add_parser("kill", help="stop all new orders of the account")
    kill.add_argument("--reason", required=True)
    kill.add_argument("--flatten", action="store_true", help="have the trading process close every position as well")
    kill.add_argument("--wait", type=positive, default=30, help="seconds to wait for that (default: 30)")
    kill.set_defaults(command=_kill)

    release = commands.add_parser("release", help="let orders leave again after a kill")
    release.add_argument("--reason", required=True)
    release.set_defaults(command=_release)

    audit = commands.add_parser("audit", help="verify the journal's hash chain")
    audit.add_argument("action", choices=["verify"])
    audit.set_defaults(command=_audit)

    add_data_commands(commands)
    add_cache_commands(commands)
    add_compliance_commands(commands)
    add_drift_commands(commands)
    add_live_commands(commands)
    add_monitor_command(commands)
    add_account_commands(commands)

    backtest = commands.add_parser("backtest", help="examine a strategy of your own")
    ways = backtest.add_subparsers(title="what to do", required=True)
    look_ahead = ways.add_parser("look-ahead", help="find decisions that depend on what comes after them")
    look_ahead.add_argument("strategy", help="module:name of a function of bars, a jitted strategy or a Strategy")
    look_ahead.add_argument("--sessions", type=positive, default=504, help="how many of the last ones (default: 504)")
    look_ahead.add_argument("--instants", type=positive, default=60, help="at how many closes to try (default: 60)")
    look_ahead.add_argument("--seed", type=int, default=0, help="of the choice of closes (default: 0)")
    look_ahead.set_defaults(command=_look_ahead)
    return parser


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
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.up_command import up_command  # noqa: PLC0415

    return up_command(load_config(), port=chosen.port)


def _trace(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.trace import trace_command  # noqa: PLC0415

    trace_command(load_config(), chosen.order, console=Console())
    return 0


def _shortfall(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.shortfall_command import shortfall_command  # noqa: PLC0415

    shortfall_command(load_config(), first=chosen.first, last=chosen.last, console=Console())
    return 0


def _trade(_: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.trade_command import trade_command  # noqa: PLC0415

    return trade_command(load_config(), console=Console())


def _kill(chosen: argparse.Namespace) -> int:
    from aegis_sensors.kill_command import kill_command  # noqa: PLC0415

    is_done = kill_command(reason=chosen.reason, console=Console(), flatten=chosen.flatten, wait_seconds=chosen.wait)
    return 0 if is_done else _FAILED


def _release(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.desk_commands import release_command  # noqa: PLC0415

    release_command(load_config(), reason=chosen.reason, console=Console())
    return 0


def _audit(_chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.desk_commands import audit_command  # noqa: PLC0415

    audit_command(load_config(), console=Console())
    return 0


def _look_ahead(chosen: argparse.Namespace) -> int:
    from aegis.config import load_config  # noqa: PLC0415
    from aegis_sensors.backtest_commands import look_ahead_command  # noqa: PLC0415

    is_clean = look_ahead_command(
        load_config(),
        chosen.strategy,
        sessions=chosen.sessions,
        instants=chosen.instants,
        seed=chosen.seed,
        console=Console(),
    )
    return 0 if is_clean else _FAILED


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    sys.exit(main())
