"""Checks that run beside the daily work: freshness, reconciliation, and the journal's chain.

Belongs here: checks that need no asset to be computed again. Checks of an asset's own rows are where it is computed.
"""

from collections.abc import Sequence

import dagster as dg

from aegis.errors import JournalError
from aegis.execution.order_projections import recorded_fills
from aegis.lake import tables
from aegis_assets.table_assets import asset_key
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

FRESHNESS_CHECK = "bars_are_fresh"
JOURNAL_CHECK = "journal_chain_verifies"
FILLS_CHECK = "fills_match_the_journal"

MONITORED_CHECKS = (
    dg.AssetCheckKey(asset_key(tables.DAILY_BARS), FRESHNESS_CHECK),
    dg.AssetCheckKey(asset_key(tables.ORDERS), JOURNAL_CHECK),
    dg.AssetCheckKey(asset_key(tables.FILLS), FILLS_CHECK),
)


def monitoring_checks() -> Sequence[dg.AssetChecksDefinition]:
    """Return the checks that the monitoring job runs."""

    @dg.asset_check(
        asset=asset_key(tables.DAILY_BARS),
        name=FRESHNESS_CHECK,
        description="The newest gated session is the last one whose final bars can exist, by the exchange's calendar.",
    )
    def bars_are_fresh(market: dg.ResourceParam[Market], lake: LakeResource) -> dg.AssetCheckResult:
        expected = market.fresh_session()
        with lake.open() as store:
            found = store.sessions(tables.DAILY_BARS)
        newest = found[-1] if found else None
        return dg.AssetCheckResult(
            passed=newest is not None and newest >= expected,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "observed": str(newest),
                "threshold": str(expected),
                "remedy": "materialize the missing sessions",
            },
        )

    @dg.asset_check(
        asset=asset_key(tables.ORDERS),
        name=JOURNAL_CHECK,
        description="No event of the account's journal was edited, deleted, inserted or reordered.",
    )
    def journal_chain_verifies(desk: dg.ResourceParam[Desk]) -> dg.AssetCheckResult:
        try:
            with desk.journal() as journal:
                events, problem = journal.verify(), ""
        except JournalError as error:
            events, problem = 0, str(error)
        return dg.AssetCheckResult(
            passed=not problem,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"events": events, "detail": problem or "every event follows from the one before"},
        )

    @dg.asset_check(
        asset=asset_key(tables.FILLS),
        name=FILLS_CHECK,
        description="The fills in the lake are the fills in the journal: same orders, same quantities.",
    )
    def fills_match_the_journal(desk: dg.ResourceParam[Desk], lake: LakeResource) -> dg.AssetCheckResult:
        with lake.open() as store:
            frame = store.read(tables.FILLS, account=desk.account)
        in_lake = set(zip(frame["client_order_id"], frame["fill_number"], frame["quantity_shares"], strict=True))
        if frame.empty:
            in_journal = set()
        else:
            first, last = frame["session"].min().date(), frame["session"].max().date()
            with desk.journal() as journal:
                fills = recorded_fills(journal, first=first, last=last)
            in_journal = {(f.client_order_id, f.fill_number, f.quantity_shares) for f in fills}
        different = sorted(in_lake ^ in_journal)
        return dg.AssetCheckResult(
            passed=not different,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"observed": len(different), "threshold": 0, "first": str(different[:3])},
        )

    return [bars_are_fresh, journal_chain_verifies, fills_match_the_journal]
