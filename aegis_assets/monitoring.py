"""Checks that run beside the daily work: freshness, reconciliation, and the journal's chain.

Belongs here: checks that need no asset to be computed again. Checks of an asset's own rows are where it is computed.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg
import pandas as pd

from aegis.errors import JournalError
from aegis.execution.journal import holds_journal
from aegis.execution.journal_chain import EMPTY, JournalHead
from aegis.execution.order_projections import recorded_fills
from aegis.lake import tables
from aegis.lake.provenance import Provenance
from aegis.live_trading.journal_audit import lost_events
from aegis.market_data.freshness import Freshness, freshness
from aegis_assets.table_assets import asset_key
from aegis_assets.verdicts import blocking_checks
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

FRESHNESS_CHECK = "bars_are_fresh"
JOURNAL_CHECK = "journal_chain_verifies"
FILLS_CHECK = "fills_match_the_journal"

CAUSE_METADATA = "cause"
"""Names what a check found, the same for as long as it finds the same; alerts are sent once for each."""

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
        description="The last session whose final bars can exist, by the exchange's calendar with its holidays, was "
        "fetched and judged, whatever the verdict. Warns while a vendor is late and nothing trades on it yet.",
    )
    def bars_are_fresh(market: dg.ResourceParam[Market], lake: LakeResource) -> dg.AssetCheckResult:
        first, known_last = market.session_range()
        with lake.open() as store:
            delivered, judged = store.last_session(tables.RAW_BARS), store.last_session(tables.CHECK_RESULTS)
            found = freshness(
                market.calendar,
                market.clock.now_utc(),
                newest=judged,
                first=first,
                vendor_delay=market.config.market_data.vendor_delay,
                vendor_newest=known_last,
                ended_on=known_last if market.has_ended else None,
            )
            blocking = blocking_checks(store, found.expected, found.expected).get(found.expected, [])
        return dg.AssetCheckResult(
            passed=found.state == "fresh",
            severity=dg.AssetCheckSeverity.WARN if found.state == "vendor_late" else dg.AssetCheckSeverity.ERROR,
            metadata={
                "observed": str(judged),
                "threshold": str(found.expected),
                "missing_sessions": len(found.missing),
                "late_by_hours": found.late_by / timedelta(hours=1),
                "due_utc": f"{found.due_utc:%Y-%m-%d %H:%M}",
                "detail": _freshness_detail(found, delivered, known_last, blocking),
                **_caused_by(f"session {found.missing[0]}" if found.missing else ""),
            },
        )

    @dg.asset_check(
        asset=asset_key(tables.ORDERS),
        name=JOURNAL_CHECK,
        description="No event of the account's journal was edited, deleted, inserted or reordered, and every order of "
        "the lake is in it.",
    )
    def journal_chain_verifies(desk: dg.ResourceParam[Desk], lake: LakeResource) -> dg.AssetCheckResult:
        with lake.open() as store:
            ordered = set(store.read(tables.ORDERS, account=desk.account)["client_order_id"])
            published = Provenance(store.snapshots()).journal_head(desk.account)
            has_decided = bool(store.sessions(tables.BOOK_STATES, account=desk.account))
        events, problem = 0, ""
        try:
            if has_decided or holds_journal(desk.workspace.journal(desk.account), account=desk.account):
                with desk.recorded_journal() as journal:
                    events = journal.verify(EMPTY if published is None else JournalHead(*published))
                    desk.require_anchored(journal)
                    problem = lost_events(journal, orders=ordered, fills=frozenset())
        except JournalError as error:
            problem = str(error)
        return dg.AssetCheckResult(
            passed=not problem,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "events": events,
                "detail": problem or "every event follows from the one before",
                **_caused_by(problem),
            },
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
        try:
            different, problem = sorted(in_lake ^ _recorded(desk, frame)), ""
        except JournalError as error:
            different, problem = sorted(in_lake), str(error)
        first = str(different[:3])
        return dg.AssetCheckResult(
            passed=not different,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "observed": len(different),
                "threshold": 0,
                "first": first if different else "none",
                "detail": problem or "fills are compared by order, number and quantity",
                **_caused_by((problem or first) if different else ""),
            },
        )

    return [bars_are_fresh, journal_chain_verifies, fills_match_the_journal]


def _caused_by(cause: str) -> dict[str, str]:
    """Return the metadata that names a cause; nothing for a check that found none."""
    return {CAUSE_METADATA: cause} if cause else {}


def _freshness_detail(found: Freshness, delivered: date | None, vendor_newest: date, blocking: Sequence[str]) -> str:
    if found.state == "fresh" and blocking:
        return (
            f"session {found.expected} was fetched and has no trusted bars: blocked by {', '.join(blocking)}; correct "
            "the rows at the source and fetch the session again"
        )
    if found.state == "fresh":
        return found.sentence
    missing = found.missing[0]
    if delivered is not None and delivered >= missing:
        remedy = f"its bars are there but were not judged; materialize the quality gate of {missing}"
    elif found.state == "vendor_late":
        remedy = "the vendor has no such session yet; the sensor final_bars_exist fetches it once there is one"
    elif vendor_newest < missing:
        remedy = (
            "the vendor has no such session yet, and the session that trades on it has opened; ask the vendor, or let "
            "another source answer (run.source: multi)"
        )
    else:
        remedy = "it has not been fetched; run fetch_market_data for it, or `make run`"
    return f"{found.sentence}; {remedy}"


def _recorded(desk: Desk, fills: pd.DataFrame) -> set[tuple[str, int, float]]:
    """Return the journal's fills over the sessions of the lake's `fills`."""
    if fills.empty:
        return set()
    first, last = fills["session"].min().date(), fills["session"].max().date()
    with desk.recorded_journal() as journal:
        recorded = recorded_fills(journal, first=first, last=last)
    return {(fill.client_order_id, fill.fill_number, fill.quantity_shares) for fill in recorded}
