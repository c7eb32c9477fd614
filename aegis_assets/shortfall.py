"""Layer 4: what each order of an account that is traded cost against the decision to trade.

Belongs here: the asset, rebuilt as a whole from the journal and the stored bars. How a cost is parted is in
``aegis/execution/algorithms/shortfall_report.py``.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from aegis.execution.order_shortfalls import READ_KINDS
from aegis.lake import tables
from aegis.reporting.implementation_shortfall import shortfall_figures, shortfall_rows
from aegis_assets.materialization import TableRows, publish
from aegis_assets.table_assets import (
    GROUP_EXECUTION_AND_MONITORING,
    OWNER_EXECUTOR,
    asset_key,
    asset_terms,
    readable,
)
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

_READ = (tables.FILLS, tables.ORDERS, tables.DAILY_BARS, tables.CORPORATE_ACTIONS)
_TABLE = tables.IMPLEMENTATION_SHORTFALL


def shortfall_assets() -> Sequence[dg.AssetsDefinition]:
    """Return the implementation shortfall of the account's orders."""

    @dg.asset(
        **asset_terms(_TABLE),
        deps=[asset_key(table) for table in _READ],
        group_name=GROUP_EXECUTION_AND_MONITORING,
        owners=[OWNER_EXECUTOR],
        kinds={"python", "ducklake"},
        code_version="1",
    )
    def implementation_shortfall(
        context: dg.AssetExecutionContext,
        market: dg.ResourceParam[Market],
        desk: dg.ResourceParam[Desk],
        lake: LakeResource,
    ) -> Iterator[dg.MaterializeResult[Any]]:
        whole = (market.session_range()[0], market.calendar.last_known_session())
        with lake.open() as store:
            frame, snapshot = _TABLE.empty(), store.snapshot_id()
            if desk.config.is_traded and store.sessions(tables.BOOK_STATES, account=desk.account):
                begins = desk.first_session(market)
                bars, actions = (store.read(table, first=begins, snapshot_id=snapshot) for table in _READ[2:])
                with desk.recorded_journal() as journal:
                    frame = shortfall_rows(journal.events(last=whole[1], kinds=READ_KINDS), bars, actions)
            figures = shortfall_figures(frame)
            shown: dict[str, Any] = {"input_snapshot_id": snapshot, "orders": len(frame)}
            if figures is not None:
                shown |= {"shortfall_usd": readable(figures.shortfall_usd, "USD")}
                shown |= {"shortfall_bps": readable(figures.shortfall_bps)}
            yield from publish(context, store, [TableRows(_TABLE, frame, desk.account, metadata=shown)], replaced=whole)

    return [implementation_shortfall]
