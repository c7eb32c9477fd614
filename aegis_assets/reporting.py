"""What people read: dbt's marts and the performance report, rebuilt from the book's tables.

Belongs here: two assets without partitions. The numbers are in ``aegis.reporting`` and ``dbt/models``.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from aegis import __version__
from aegis.errors import ReportingError
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.lake.schema import TableSchema
from aegis.reporting.files import write_report
from aegis.reporting.performance import performance_report as assemble
from aegis.reporting.report import PerformanceReport, ReportIdentity, ReportInputs
from aegis.workspace import Workspace
from aegis_assets.table_assets import GROUP_EXECUTION_AND_MONITORING, OWNER_EXECUTOR, asset_key
from aegis_resources.desk import Desk, config_hash
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

REPORT_KEY = dg.AssetKey(["reporting", "performance_report"])
MARTS: dict[str, tuple[TableSchema, ...]] = {
    "costs": (tables.FILLS,),
    "daily_returns": (tables.DAILY_PNL, tables.ACCOUNT_VALUES),
    "data_quality": (tables.CHECK_RESULTS,),
    "execution_quality": (tables.FILLS, tables.ORDERS),
    "pnl_by_month": (tables.DAILY_PNL,),
    "pnl_by_symbol_month": (
        tables.POSITIONS,
        tables.ACCOUNT_VALUES,
        tables.FILLS,
        tables.CORPORATE_ACTIONS,
        tables.DAILY_BARS,
    ),
    "sector_exposures": (tables.POSITIONS, tables.LISTINGS),
    "turnover": (tables.FILLS, tables.ACCOUNT_VALUES),
}
"""Each mart and the lake's tables that it reads, directly or through dbt's other models."""
DBT_PROJECT = Path(__file__).resolve().parent.parent / "dbt"

_READ_BY_REPORT = (
    tables.ACCOUNT_VALUES,
    tables.DAILY_PNL,
    tables.FILLS,
    tables.POSITIONS,
    tables.ORDERS,
    tables.RISK_REPORT,
    tables.PRE_TRADE_GATE,
    tables.CHECK_RESULTS,
    tables.LISTINGS,
)


def reporting_assets() -> Sequence[dg.AssetsDefinition]:
    """Return the marts and the report."""

    @dg.multi_asset(
        name="marts",
        specs=[
            dg.AssetSpec(
                dg.AssetKey(["marts", name]),
                deps=[asset_key(table) for table in read],
                description=f"Reporting mart `{name}`: see `dbt/models/marts/{name}.sql` and `marts.yml`.",
                group_name=GROUP_EXECUTION_AND_MONITORING,
                owners=[OWNER_EXECUTOR],
                kinds={"dbt", "ducklake"},
                code_version="1",
            )
            for name, read in MARTS.items()
        ],
        can_subset=False,
    )
    def marts(
        context: dg.AssetExecutionContext, lake: LakeResource, workspace: dg.ResourceParam[Workspace]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with lake.open() as store:  # places the tables and DuckDB's extensions that dbt needs
            before = store.snapshot_id()
        context.log.info(build_marts(workspace))
        for name in MARTS:
            yield dg.MaterializeResult(asset_key=["marts", name], metadata={"read_after_snapshot_id": before})

    @dg.asset(
        name=REPORT_KEY.path[-1],
        key_prefix=REPORT_KEY.path[:-1],
        deps=[asset_key(table) for table in _READ_BY_REPORT],
        description="Performance, risk, costs and events of the account as HTML, PDF and CSV.",
        group_name=GROUP_EXECUTION_AND_MONITORING,
        owners=[OWNER_EXECUTOR],
        kinds={"html", "pdf", "csv"},
        code_version="1",
    )
    def performance_report(
        market: dg.ResourceParam[Market],
        desk: dg.ResourceParam[Desk],
        lake: LakeResource,
        workspace: dg.ResourceParam[Workspace],
    ) -> dg.MaterializeResult[Any]:
        with lake.open() as store:
            report = read_report(store, market, desk)
        files = write_report(report, workspace.reports, market.config.eval.reporting.formats)
        return dg.MaterializeResult(
            metadata={
                "sessions": report.session_count,
                "total_return": report.account.total_return,
                "max_drawdown": report.account.max_drawdown,
                "lake_snapshot_id": report.identity.snapshot_id,
                **{name: dg.MetadataValue.path(path) for name, path in files.items()},
            }
        )

    return [marts, performance_report]


def read_report(store: Lake, market: Market, desk: Desk) -> PerformanceReport:
    """Return the report of the desk's account, from the session before its first order on.

    Notes
    -----
    Sessions before the first order, while features have no history yet, would only dilute the account's numbers against
    its benchmark's.
    """
    snapshot = store.snapshot_id()
    orders = store.read(tables.ORDERS, account=desk.account, snapshot_id=snapshot)
    first = None if orders.empty else orders["session"].min().date()
    frames: dict[str, Any] = {}
    for table in _READ_BY_REPORT:
        own = {"account": desk.account} if "account" in table.column_names else {}
        frames[table.name] = store.read(table, first=first if table.is_sessioned else None, snapshot_id=snapshot, **own)
    return assemble(ReportInputs(identity=_identity(market, desk, snapshot), **frames))


def _identity(market: Market, desk: Desk, snapshot_id: int) -> ReportIdentity:
    return ReportIdentity(
        source=market.source.name,
        is_simulated=market.source.is_simulated,
        account=desk.account,
        workspace=desk.workspace.name,
        snapshot_id=snapshot_id,
        code_version=__version__,
        config_hash=config_hash(market.config),
        benchmark_symbol=market.source.benchmark_symbol,
        risk_free_rate_annual=market.config.eval.metrics.risk_free_rate,
        created_at_utc=market.clock.now_utc(),
    )


def build_marts(workspace: Workspace) -> str:
    """Run ``dbt build`` on the workspace's lake and return its closing line.

    Raises
    ------
    ReportingError
        A model or a test failed; the message holds the end of dbt's log.
    """
    location = workspace.lake
    settings = {
        "AEGIS_LAKE_CATALOG": str(location.catalog),
        "AEGIS_LAKE_DATA": f"{location.data_path}/",
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_PROJECT_DIR": str(DBT_PROJECT),
        "DBT_TARGET_PATH": str(workspace.dbt_target / "target"),
        "DBT_LOG_PATH": str(workspace.dbt_target / "logs"),
    }
    done = subprocess.run(  # our own project, no user text in the command
        [sys.executable, "-m", "dbt.cli.main", "--quiet", "build"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise ReportingError(f"dbt build failed for workspace {workspace.name}; run it again after correcting:\n{tail}")
    return "dbt build succeeded"
