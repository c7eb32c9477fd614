"""``aegis data correct``: bars from a file or from the source again, with a reason, through the quality gate.

Belongs here: where the rows come from, and printing what the correction changed and what rests on it. Correcting is
:mod:`aegis.market_data.corrections`.
"""

from __future__ import annotations

import getpass
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
from rich.console import Console

from aegis import __version__
from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig
from aegis.errors import ConfigurationError, MalformedData
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.lake.marks import required_reason
from aegis.lake.versions import VersionHistory
from aegis.live_trading.decision_inputs import decision_dependencies
from aegis.market_data.corrections import correct_bars, given_bars
from aegis.market_data.ingestion import fetch_raw_bars
from aegis.market_data.sources.delivery import PRICE_COLUMNS
from aegis.market_data.sources.tabular import TABLE_SUFFIXES, as_days, as_names, as_numbers, read_table
from aegis.workspace import Workspace
from aegis_resources.market_data import Market
from aegis_sensors.definitions import lake_resource
from aegis_sensors.diff_command import differences, print_difference
from aegis_sensors.make_commands import make_command
from aegis_sensors.version_commands import say
from aegis_sensors.workspace_identity import require_identity

_LARGEST_FILE_BYTES = 200 * 1024**2
_SHOWN = 20
_NUMBERS = (*PRICE_COLUMNS, "volume_shares")
_NO_ORDERS = tables.ORDERS.empty()


def correct_command(
    config: AegisConfig,
    *,
    rows: Path | None,
    first: date | None,
    last: date | None,
    reason: str,
    console: Console,
    clock: Clock | None = None,
) -> None:
    """Correct raw bars by the rows of a file, or by asking the source for sessions again.

    Parameters
    ----------
    config : AegisConfig
    rows : Path, optional
        CSV or Parquet file of corrected rows.
    first, last : date, optional
        Sessions to ask the source for, where no file is given.
    reason : str
        Why.
    console : Console
    clock : Clock, optional
        The machine's clock by default.

    Raises
    ------
    ConfigurationError
        Neither rows nor sessions were given, or both; or the workspace has no history or is another market's.
    AegisError
        The rows cannot be read or used, or the gate blocks them. Nothing has been changed.
    """
    if (rows is None) == (first is None):
        raise ConfigurationError("give either --rows with a file, or --from (and --to) to ask the source again")
    required_reason(reason)
    workspace = Workspace.of(config)
    workspace.require_history()
    require_identity(config, workspace)
    market = Market(config, clock or SystemClock())
    with lake_resource(workspace).open() as lake:
        read_at = lake.snapshot_id()
        bars = _from_file(lake, read_at, market, rows) if rows is not None else _from_source(market, first, last)
        correction = correct_bars(
            lake,
            bars,
            read_at=read_at,
            first=bars["session"].min().date(),
            last=bars["session"].max().date(),
            calendar=market.calendar,
            settings=config.quality,
            reason=reason,
            person=getpass.getuser(),
            code_version=__version__,
        )
        between = (str(correction.before), str(correction.after))
        wanted, dependencies = (tables.RAW_BARS, tables.DAILY_BARS), decision_dependencies(config)
        say(console, f"corrected: snapshot {correction.before} → {correction.after}, {reason.strip()}")
        for found in differences(lake, VersionHistory.of(lake), wanted, between, dependencies, limit=_SHOWN):
            # The gate has judged what looks back on raw bars already; the rest is computed from trusted ones.
            shown = found if found.table is tables.DAILY_BARS else replace(found, consequences=[], orders=_NO_ORDERS)
            print_difference(shown, limit=_SHOWN, console=console)
    again = make_command(f"run FROM={correction.first}")
    say(console, f"what is outdated orders nothing until it is computed again: `{again}`")


def _from_file(lake: Lake, read_at: int, market: Market, path: Path) -> pd.DataFrame:
    given = _read(path)
    if "session" not in given.columns:
        raise MalformedData(f"{path.name} has no column session; write it as 2024-05-31")
    days = given["session"]
    if days.isna().any():
        raise MalformedData(f"{path.name}: every row needs a session; write it as 2024-05-31")
    for day in sorted(set(days.dt.date)):
        market.calendar.require_session(day)
    first, last = days.min().date(), days.max().date()
    newest = lake.last_session(tables.RAW_BARS)
    if newest is None or last > newest:
        raise MalformedData(f"{path.name}: {last} is not stored, the newest session is {newest}; run it first")
    known_at = market.decision_times(market.calendar.sessions(first, last))
    stored = lake.read(tables.RAW_BARS, first=first, last=last, snapshot_id=read_at)
    return given_bars(given, stored, known_at=known_at)


def _read(path: Path) -> pd.DataFrame:
    """Return the rows of a file as the source reads its own: cell by cell, without guessing."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise MalformedData(f"{path} cannot be read: {error}; see docs/versions.md") from error
    if size > _LARGEST_FILE_BYTES:
        raise MalformedData(f"{path} is larger than {_LARGEST_FILE_BYTES:,} bytes; correct fewer rows at once")
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise MalformedData(f"{path.name} ends with none of {', '.join(TABLE_SUFFIXES)}; name it as what it holds")
    table = read_table(path)
    if not table.columns.is_unique:
        raise MalformedData(f"{path.name}: two columns have one name, {list(table.columns)}; keep one of them")
    parsers = {"session": as_days, "symbol": as_names, "ticker": as_names} | dict.fromkeys(_NUMBERS, as_numbers)
    return table.assign(**{name: parse(table[name], path) for name, parse in parsers.items() if name in table.columns})


def _from_source(market: Market, first: date | None, last: date | None) -> pd.DataFrame:
    if first is None:
        raise ConfigurationError("give --from, the first session to ask the source for again")
    start, end = market.calendar.require_session(first), market.calendar.require_session(last or first)
    if start > end:
        raise ConfigurationError(f"--from {start} lies after --to {end}; give the earlier session first")
    sessions = market.calendar.sessions(start, end)
    asked = replace(market, config=_asking_again(market.config))
    return fetch_raw_bars(
        asked.source, sessions, last_complete=market.last_complete_session(), has_ended=market.has_ended
    )


def _asking_again(config: AegisConfig) -> AegisConfig:
    """Return the configuration in which a vendor is asked for what is cached as well; its answer takes that place."""
    data = config.market_data
    if data.cache.mode == "off":
        return config
    cache = data.cache.model_copy(update={"mode": "refresh"})
    return config.model_copy(update={"market_data": data.model_copy(update={"cache": cache})})
