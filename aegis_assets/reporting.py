"""What people read: the performance report, rebuilt from the book's tables, beside dbt's marts.

Belongs here: the report's asset, without partitions. Its numbers are in ``aegis.reporting``; the marts are
:mod:`aegis_assets.marts`.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from aegis import __version__
from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.reporting.files import write_report
from aegis.reporting.performance import performance_report as assemble
from aegis.reporting.report import REPORT_TABLES, PerformanceReport, ReportIdentity, ReportInputs
from aegis.workspace import Workspace
from aegis_assets.attribution import attribution_assets
from aegis_assets.marts import marts_assets
from aegis_assets.shortfall import shortfall_assets
from aegis_assets.table_assets import GROUP_EXECUTION_AND_MONITORING, OWNER_EXECUTOR, asset_key, readable
from aegis_resources.desk import Desk, config_hash
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

_WHOLE = (tables.CHECK_RESULTS, tables.PRE_TRADE_GATE)
"""Read from the first session of the market on, and not from the account's first decision."""

REPORT_KEY = dg.AssetKey(["reporting", "performance_report"])


def reporting_assets() -> Sequence[dg.AssetsDefinition]:
    """Return the attribution, the shortfall of orders, the marts, and the report."""

    @dg.asset(
        name=REPORT_KEY.path[-1],
        key_prefix=REPORT_KEY.path[:-1],
        deps=[asset_key(table) for table in REPORT_TABLES],
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
                "total_return": readable(report.account.total_return),
                "max_drawdown": readable(report.account.max_drawdown),
                "lake_snapshot_id": report.identity.snapshot_id,
                **{name: dg.MetadataValue.path(path) for name, path in files.items()},
            }
        )

    return [*attribution_assets(), *shortfall_assets(), *marts_assets(), performance_report]


def read_report(store: Lake, market: Market, desk: Desk) -> PerformanceReport:
    """Return the report of the desk's account, from the session of its first order on.

    Notes
    -----
    Sessions before the first order, while features have no history yet, would only dilute the account's numbers against
    its benchmark's. What data checks and gate stopped is told of every session, those before included: a bad bar in the
    look-back is a bad bar.
    """
    snapshot = store.snapshot_id()
    orders = store.read(tables.ORDERS, account=desk.account, snapshot_id=snapshot)
    first = None if orders.empty else orders["session"].min().date()
    frames: dict[str, Any] = {}
    for table in REPORT_TABLES:
        own = {"account": desk.account} if "account" in table.column_names else {}
        is_cut = table.is_sessioned and table not in _WHOLE
        frames[table.name] = store.read(table, first=first if is_cut else None, snapshot_id=snapshot, **own)
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
