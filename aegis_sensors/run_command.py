"""``aegis run`` and ``aegis summary``: bring a workspace up to date and say what it holds.

Belongs here: the order of the steps. Running is :mod:`aegis_sensors.whole_chain`, the words are
:mod:`aegis_sensors.summary`.
"""

from __future__ import annotations

from datetime import date

from rich.console import Console

from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.lake.attachment import connect
from aegis.workspace import Workspace
from aegis_assets.reporting import read_report
from aegis_resources.desk import Desk
from aegis_resources.market_data import Market
from aegis_sensors.definitions import build_definitions, lake_resource
from aegis_sensors.instance import open_instance
from aegis_sensors.summary import print_summary
from aegis_sensors.whole_chain import ChainRun, missing_sessions, run_whole_chain


def run_command(
    config: AegisConfig, *, first: date | None, last: date | None, console: Console, clock: Clock | None = None
) -> ChainRun:
    """Materialize what is missing, or ``[first, last]`` again, and print the summary.

    Raises
    ------
    AegisError
        A session is none, lies outside the source, or the configuration cannot be used. Nothing has been changed.
    """
    market = Market(config, clock or SystemClock())
    asked = _asked_sessions(market, first, last)
    workspace = Workspace.of(config)
    definitions = build_definitions(config, clock=clock)
    if workspace.lake.folder.exists():
        with connect(workspace.lake):  # refuses a lake that cannot be read before anything else is written
            pass
    workspace.claim(config.market_identity)
    with open_instance(workspace) as instance:
        sessions = asked or missing_sessions(definitions, instance, market)
        run = run_whole_chain(definitions, instance, sessions, console=console)
    if run.succeeded:
        _print(config, market, workspace, run, console)
    for failure in run.failures:
        console.print(f"[red]failed:[/red] {failure}", soft_wrap=True, highlight=False)
    if not run.succeeded:
        console.print("Everything that was materialised before stays as it was; `make ui` shows the run.")
    return run


def summary_command(config: AegisConfig, *, console: Console) -> None:
    """Print the summary of a workspace that has a history.

    Raises
    ------
    ConfigurationError
        It has none.
    """
    workspace = Workspace.of(config)
    if not workspace.lake.catalog.exists():
        raise ConfigurationError(f"workspace {workspace.name} has no history yet; `aegis run` makes one")
    _print(config, Market(config), workspace, None, console)


def _print(config: AegisConfig, market: Market, workspace: Workspace, run: ChainRun | None, console: Console) -> None:
    with lake_resource(workspace).open() as store:
        report = read_report(store, market, Desk(config, workspace))
    print_summary(console, report, workspace, run)


def _asked_sessions(market: Market, first: date | None, last: date | None) -> list[date]:
    if first is None and last is None:
        return []
    known_first, known_last = market.session_range()[0], market.fresh_session()
    start = market.calendar.require_session(first) if first else known_first
    end = market.calendar.require_session(last) if last else known_last
    if not known_first <= start <= end <= known_last:
        raise ConfigurationError(
            f"sessions {start}..{end} were asked for; source {market.source.name} has {known_first}..{known_last}: "
            "choose "
            "a range inside it, earlier session first"
        )
    return market.calendar.sessions(start, end)
