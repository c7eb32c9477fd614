"""Layer 4: what each strategy's opinions earned for the book.

Belongs here: the asset, rebuilt as a whole from the stored tables. How a weight is shared out is in
``aegis/metrics/attribution.py``; the mart that sets it beside costs and interest is ``marts/pnl_by_strategy``.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from aegis.lake import tables
from aegis.lake.lake import Lake
from aegis.reporting.strategy_pnl import AttributionInputs, strategy_pnl
from aegis_assets.materialization import TableRows, publish
from aegis_assets.table_assets import (
    GROUP_EXECUTION_AND_MONITORING,
    OWNER_STRATEGIST,
    asset_key,
    asset_terms,
    readable,
)
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

_READ = {
    "daily_pnl": tables.DAILY_PNL,
    "account_values": tables.ACCOUNT_VALUES,
    "positions": tables.POSITIONS,
    "target_weights": tables.TARGET_WEIGHTS,
    "risk_report": tables.RISK_REPORT,
    "strategy_signals": tables.STRATEGY_SIGNALS,
    "daily_bars": tables.DAILY_BARS,
    "corporate_actions": tables.CORPORATE_ACTIONS,
}


def attribution_assets() -> Sequence[dg.AssetsDefinition]:
    """Return the attribution of the book's P&L to strategies."""

    @dg.asset(
        **asset_terms(tables.STRATEGY_PNL),
        deps=[asset_key(table) for table in _READ.values()],
        group_name=GROUP_EXECUTION_AND_MONITORING,
        owners=[OWNER_STRATEGIST],
        kinds={"python", "ducklake"},
        code_version="1",
    )
    def strategy_pnl_table(
        context: dg.AssetExecutionContext,
        market: dg.ResourceParam[Market],
        desk: dg.ResourceParam[Desk],
        lake: LakeResource,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with lake.open() as store:
            snapshot = store.snapshot_id()
            inputs = _inputs(store, desk.account, snapshot)
            frame = strategy_pnl(inputs, account=desk.account, settings=market.config.portfolio)
            earned = frame.groupby("attributed_to")["pnl_usd"].sum()
            numbers = {f"pnl_usd_{name}": readable(float(total), "USD") for name, total in earned.items()}
            shown = {"input_snapshot_id": snapshot, **numbers}
            rows = [TableRows(tables.STRATEGY_PNL, frame, desk.account, metadata=shown)]
            whole = (market.session_range()[0], market.calendar.last_known_session())
            yield from publish(context, store, rows, replaced=whole)

    return [strategy_pnl_table]


def _inputs(store: Lake, account: str, snapshot: int) -> AttributionInputs:
    def rows(name: str) -> Any:
        table = _READ[name]
        own = {"account": account} if "account" in table.column_names else {}
        return store.read(table, snapshot_id=snapshot, **own)

    return AttributionInputs(**{name: rows(name) for name in _READ})
