"""What a workspace lacks: sessions, and reports that are older than what they report on.

Belongs here: comparing Dagster's history with the market. Making what is missing is :mod:`aegis_sensors.whole_chain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import dagster as dg

from aegis_assets.partitions import key_of
from aegis_resources.market_data import Market
from aegis_sensors.jobs import REPORT


def missing_sessions(definitions: dg.Definitions, instance: dg.DagsterInstance, market: Market) -> list[date]:
    """Return the sessions to run: from the first that any asset lacks, to the last complete one.

    Notes
    -----
    The book reads its own previous session, so sessions after a gap are run again; what was decided there is committed
    and is found, not decided anew.
    """
    sessions = market.calendar.sessions(market.session_range()[0], market.fresh_session())
    wanted = {key_of(session) for session in sessions}
    absent: set[str] = set()
    for done in _materialized(definitions, instance).values():
        absent |= wanted - done
    start = min(absent, default=None)
    return [session for session in sessions if start is not None and key_of(session) >= start]


def newest_session(definitions: dg.Definitions, instance: dg.DagsterInstance) -> date | None:
    """Return the newest session that any asset has; None in a workspace without a history."""
    keys = [key for done in _materialized(definitions, instance).values() for key in done]
    return date.fromisoformat(max(keys)) if keys else None


def reports_are_behind(definitions: dg.Definitions, instance: dg.DagsterInstance) -> bool:
    """Whether a mart or the report is missing, or older than a table that it is made from."""
    graph = definitions.resolve_asset_graph()
    reports = definitions.resolve_job_def(REPORT).asset_layer.selected_asset_keys
    made = _made_at(instance, {*reports, *(parent for key in reports for parent in graph.get(key).parent_keys)})
    return any(
        key not in made or any(made.get(parent, 0.0) > made[key] for parent in graph.get(key).parent_keys)
        for key in reports
    )


def _made_at(instance: dg.DagsterInstance, keys: set[dg.AssetKey]) -> Mapping[dg.AssetKey, float]:
    """Return the newest materialization's time of each asset that has one, seconds since 1970."""
    events = instance.get_latest_materialization_events(keys)
    return {key: event.timestamp for key, event in events.items() if event is not None}


def _materialized(definitions: dg.Definitions, instance: dg.DagsterInstance) -> Mapping[dg.AssetKey, set[str]]:
    return {key: instance.get_materialized_partitions(key) for key in _partitioned(definitions)}


def _partitioned(definitions: dg.Definitions) -> Iterator[dg.AssetKey]:
    graph = definitions.resolve_asset_graph()
    return (key for key in graph.materializable_asset_keys if graph.get(key).is_partitioned)
