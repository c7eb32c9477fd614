"""``aegis backtest look-ahead``: examining a strategy of the user's for what it cannot know yet.

Belongs here: finding the strategy and the bars, and saying what was found. The detector is
:mod:`aegis.backtesting.look_ahead`.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.bar_rows import bars_from_daily_bars
from aegis.backtesting.bars import Bars
from aegis.backtesting.corporate_events import events_from_lake
from aegis.backtesting.look_ahead import examine
from aegis.calendars import TradingCalendar, trading_calendar
from aegis.clock import SystemClock
from aegis.config import AegisConfig
from aegis.errors import BacktestError
from aegis.lake.attachment import connect
from aegis.lake.lake import Lake
from aegis.lake.tables import CORPORATE_ACTIONS, DAILY_BARS
from aegis.market_data.sources.registry import open_source
from aegis.workspace import Workspace


def look_ahead_command(
    config: AegisConfig, strategy: str, *, sessions: int, instants: int, seed: int, console: Console
) -> bool:
    """Examine a strategy and return whether its decisions depend on the past only.

    Parameters
    ----------
    config : AegisConfig
        Says which market: the workspace's lake, or the source itself where there is no lake yet.
    strategy : str
        ``module:name``: a function of bars that returns a strategy, a jitted strategy, or a class or instance of
        Strategy. Modules are looked for in the working directory as well.
    sessions : int
        How many of the last sessions to run on.
    instants, seed : int
        See :func:`aegis.backtesting.look_ahead.examine`.

    Raises
    ------
    BacktestError
        There is no such strategy, or it decides nothing on these bars.
    """
    subject = _subject(strategy)
    calendar = trading_calendar(config.market_data.calendar)
    bars, settings = _market(config, BacktestConfig.from_settings(config, calendar), calendar, sessions)
    first, last = bars.session_days[0], bars.session_days[-1]
    console.print(
        f"{strategy} on {len(bars.symbols)} symbols, {first} to {last}, source {settings.source}",
        highlight=False,
        soft_wrap=True,
    )
    seen = examine(subject, bars, settings, instants=instants, seed=seed)
    if seen.found is None:
        console.print(
            f"No look-ahead found: {seen.decisions:,} decisions stayed the same at {seen.instants} instants, on bars "
            "that end there and on bars that are garbled after them.",
            highlight=False,
            soft_wrap=True,
        )
        return True
    console.print("[red]Look-ahead found.[/red]")
    console.print(str(seen.found), highlight=False, markup=False, soft_wrap=True)
    return False


def _subject(place: str) -> Any:
    """Return what ``module:name`` names."""
    module, separator, name = place.partition(":")
    if not (module and separator and name):
        raise BacktestError(f"{place!r} names no strategy; write module:name, such as my_strategies:momentum")
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise BacktestError(
            f"{place}: there is no module {error.name}; start the command where it is, or install it"
        ) from error
    if not hasattr(found, name):
        raise BacktestError(f"{place}: {module} has no {name}; correct the name")
    return getattr(found, name)


def _market(
    config: AegisConfig, settings: BacktestConfig, calendar: TradingCalendar, sessions: int
) -> tuple[Bars, BacktestConfig]:
    """Return the last sessions of the market, and the settings with its corporate actions."""
    workspace = Workspace.of(config)
    source = open_source(config, calendar, SystemClock())
    first, last = source.session_range()
    days = calendar.sessions(first, last)[-sessions:]
    if workspace.lake.exists():
        with connect(workspace.lake) as connection:
            lake = Lake(connection)
            rows = lake.read(DAILY_BARS, first=days[0], last=days[-1])
            actions = lake.read(CORPORATE_ACTIONS, first=days[0], last=days[-1])
    else:
        rows, actions = source.bars(days[0], days[-1]), source.corporate_actions(days[0], days[-1])
    if rows.empty:
        raise BacktestError(f"there are no bars from {days[0]} to {days[-1]}; run the sessions first, or ask for more")
    bars = bars_from_daily_bars(rows, calendar)
    events = [event for event in events_from_lake(actions) if event.symbol in set(bars.symbols)]
    return bars, replace(settings, events=(*settings.events, *events))
