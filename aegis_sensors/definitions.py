"""The code location: everything Dagster loads.

Belongs here: bringing assets, checks, jobs, schedules, sensors and resources together for one configuration. Nothing is
opened at import; ``defs`` is called by Dagster when the location is loaded.
"""

from __future__ import annotations

import warnings

import dagster as dg

from aegis.clock import Clock, SystemClock
from aegis.config import AegisConfig, load_config
from aegis.market_data.sources.source import MarketDataSource
from aegis.workspace import Workspace
from aegis_assets.backtests import backtest_assets
from aegis_assets.book import book_assets
from aegis_assets.conduct import conduct_assets
from aegis_assets.freshness_policies import with_session_freshness
from aegis_assets.maintenance import maintenance_assets
from aegis_assets.market_data import market_data_assets
from aegis_assets.minute_bars import minute_bar_assets
from aegis_assets.monitoring import monitoring_checks
from aegis_assets.partitions import session_partitions
from aegis_assets.reporting import reporting_assets
from aegis_assets.research import research_assets
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market
from aegis_sensors.alerting import alert_sensors
from aegis_sensors.backups import backup_jobs, backup_schedules
from aegis_sensors.jobs import platform_jobs
from aegis_sensors.schedules import platform_schedules
from aegis_sensors.sensors import platform_sensors
from aegis_sensors.stop_button import stop_jobs, stop_sensors


def build_definitions(
    config: AegisConfig, *, clock: Clock | None = None, source: MarketDataSource | None = None, desk: Desk | None = None
) -> dg.Definitions:
    """Return the definitions of one workspace.

    Parameters
    ----------
    config : AegisConfig
        Decides the workspace, the source and every setting.
    clock : Clock, optional
        Replays the past when it stands still; the machine's clock otherwise.
    source : MarketDataSource, optional
        Takes the place of the configured source.
    desk : Desk, optional
        Takes the place of the configured account's desk.

    Raises
    ------
    AegisError
        The configuration or the source cannot be used; nothing has been changed.
    """
    market = Market(config, clock or SystemClock(), source)
    workspace = Workspace.of(config)
    lake = lake_resource(workspace)
    first, last = market.session_range()
    partitions = session_partitions(market.calendar, first, last if market.has_ended else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies and owners; Dagster's version is pinned
        assets = [
            *market_data_assets(partitions),
            *research_assets(partitions),
            *backtest_assets(),
            *book_assets(partitions),
            *conduct_assets(),
            *reporting_assets(),
            *maintenance_assets(),
        ]
        if config.market_data.minute_bars.symbols:
            assets.extend(minute_bar_assets(partitions))
        if not market.has_ended:
            assets = with_session_freshness(assets, market.calendar)
    return dg.Definitions(
        assets=assets,
        asset_checks=monitoring_checks(),
        jobs=[*platform_jobs(), *backup_jobs(config), *stop_jobs(config, workspace, clock=clock)],
        schedules=[*platform_schedules(market, lake), *backup_schedules(market)],
        sensors=[
            *platform_sensors(market, lake),
            *alert_sensors(config, workspace),
            *stop_sensors(config, workspace, clock=clock),
        ],
        resources={"market": market, "lake": lake, "desk": desk or Desk.of(config), "workspace": workspace},
        executor=dg.in_process_executor,
    )


def lake_resource(workspace: Workspace) -> LakeResource:
    """Return the resource that opens the workspace's lake."""
    return LakeResource.of(workspace)


@dg.definitions
def defs() -> dg.Definitions:
    """Load the definitions of the configuration that ``AEGIS_CONFIG`` or the working directory names."""
    return build_definitions(load_config())
