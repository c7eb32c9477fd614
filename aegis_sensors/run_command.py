"""``aegis run`` and ``aegis summary``: bring a workspace up to date and say what it holds.

Belongs here: the order of the steps, and which sessions may be asked for. What must hold before is
:mod:`aegis_sensors.opening`, running is :mod:`aegis_sensors.whole_chain`, the words are :mod:`aegis_sensors.summary`.
"""

from __future__ import annotations

from datetime import date

import dagster as dg
from rich.console import Console

from aegis.clock import Clock, SystemClock
from aegis.compliance.pre_trade import order_rules
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.market_data.sources.coverage import notes_by_relevance
from aegis.market_data.survivorship import survivorship_notes
from aegis.portfolio.capacity import empty_universe_remark, idle_money_remark
from aegis.workspace import Workspace
from aegis_assets.monitoring import FRESHNESS_CHECK
from aegis_assets.reporting import read_report
from aegis_resources.desk import Desk
from aegis_resources.market_data import Market
from aegis_sensors.dead_runs import mark_dead_runs
from aegis_sensors.definitions import build_definitions, lake_resource
from aegis_sensors.instance import open_instance
from aegis_sensors.missing import missing_sessions, newest_session, reports_are_behind
from aegis_sensors.opening import open_workspace
from aegis_sensors.summary import print_failures, print_summary
from aegis_sensors.whole_chain import NOTHING_TO_DO, ChainRun, run_reports, run_whole_chain
from aegis_sensors.workspace_identity import require_identity


def run_command(
    config: AegisConfig, *, first: date | None, last: date | None, console: Console, clock: Clock | None = None
) -> ChainRun:
    """Materialize what is missing, or from `first` on again, and print the summary.

    Parameters
    ----------
    config : AegisConfig
    first : date, optional
        First session to materialize again. Default: the first that is missing.
    last : date, optional
        Last session to materialize, the newest of the workspace or a later one. Default: the last complete one.
    console : Console
        Where progress and summary are printed.
    clock : Clock, optional
        Replays the past when it stands still; the machine's clock otherwise.

    Raises
    ------
    AegisError
        A session is none or cannot be asked for, or the configuration cannot be used with this workspace. Nothing has
        been changed.
    """
    require_identity(config, Workspace.of(config))  # before the source is asked for anything
    market = Market(config, clock or SystemClock())
    _refuse_outside(market, first, last)
    definitions = build_definitions(config, clock=clock, source=market.source)
    workspace = open_workspace(config, market)
    with open_instance(workspace) as instance:
        mark_dead_runs(instance)
        sessions = _sessions_to_run(definitions, instance, market, first=first, last=last)
        if sessions:
            run = run_whole_chain(definitions, instance, sessions, console=console)
        elif reports_are_behind(definitions, instance):
            run = run_reports(definitions, instance, console=console)
        else:
            run = NOTHING_TO_DO
    if sessions and sessions[-1] < market.fresh_session():
        run = run.without_check(FRESHNESS_CHECK)  # it was asked to stop before the newest bars
    if run.is_complete:
        _print(config, market, workspace, run, console)
    print_failures(console, run)
    return run


def summary_command(config: AegisConfig, *, console: Console) -> None:
    """Print the summary of a workspace that has a history.

    Raises
    ------
    ConfigurationError
        It has none.
    """
    workspace = Workspace.of(config)
    workspace.require_history()
    _print(config, Market(config), workspace, None, console)


def _print(config: AegisConfig, market: Market, workspace: Workspace, run: ChainRun | None, console: Console) -> None:
    desk = Desk(config, workspace)
    with lake_resource(workspace).open() as store:
        report = read_report(store, market, desk)
        members, last = _member_count(store), market.fresh_session()
        remarks = (
            empty_universe_remark(members, len(store.sessions(tables.DAILY_BARS)), config.universe),
            idle_money_remark(members, config.portfolio),
            *desk.unlisted_restrictions(store, order_rules(config.compliance).restrictions, last),
            *survivorship_notes(store.read(tables.LISTINGS), *market.session_range()),
        )
    notes = notes_by_relevance(market.source.coverage_notes(), *market.session_range()) if run else ()
    print_summary(
        console,
        report,
        workspace,
        kill_switch=desk.kill_switch.status(),
        run=run,
        notes=notes,
        remarks=[remark for remark in remarks if remark],
    )


def _member_count(store: Lake) -> int:
    """Return how many names might be held in the newest session that has a universe."""
    last = store.last_session(tables.UNIVERSE)
    return 0 if last is None else int(store.read(tables.UNIVERSE, first=last, last=last)["is_member"].sum())


def _refuse_outside(market: Market, first: date | None, last: date | None) -> None:
    """Refuse sessions that are none, or that the source does not have."""
    if first is None and last is None:
        return
    known_first, known_last = market.session_range()[0], market.fresh_session()
    start = market.calendar.require_session(first) if first else known_first
    end = market.calendar.require_session(last) if last else known_last
    if not known_first <= start <= end <= known_last:
        raise ConfigurationError(
            f"sessions {start}..{end} were asked for; source {market.source.name} has {known_first}..{known_last}: "
            "choose a range inside it, earlier session first"
        )


def _sessions_to_run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    market: Market,
    *,
    first: date | None,
    last: date | None,
) -> list[date]:
    """Return the sessions to materialize.

    Raises
    ------
    ConfigurationError
        Sessions before `first` are missing, or the workspace has sessions after `last`: each session starts from the
        book of the one before, so a range has no gap before it and ends with the newest session.

    Notes
    -----
    A range that stops earlier is refused and not carried on to the newest session: it was typed for a purpose, and
    deciding further sessions again is another one.
    """
    missing, newest = missing_sessions(definitions, instance, market), newest_session(definitions, instance)
    if last is not None and newest is not None and last < newest:
        raise ConfigurationError(
            f"--to {last} (TO) stops before {newest}, the newest session of this workspace; the sessions after {last} "
            f"follow from it and would keep a past that is no more: leave it out, or give {newest}"
        )
    if first is not None and missing and missing[0] < first:
        raise ConfigurationError(
            f"--from {first} (FROM) leaves out {missing[0]}, which is missing; each session starts from the book of "
            f"the one before: leave it out, or begin the history later with run.first_session (FIRST) in a new "
            "workspace"
        )
    end = last or market.fresh_session()
    if first is not None:
        return market.calendar.sessions(first, end)
    return [session for session in missing if session <= end]
