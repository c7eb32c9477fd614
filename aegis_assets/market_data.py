"""Layer 1: from raw bars to gated bars, adjustment factors and the point-in-time universe.

Belongs here: what is read, which domain function is called, what is written. The rules are in ``aegis.market_data``;
what is asked of the source is :mod:`aegis_assets.vendor_data`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from aegis.lake import tables
from aegis.market_data import quality_gate as gate
from aegis.market_data.adjustments import PREVIOUS_CLOSE_LOOKBACK
from aegis.market_data.adjustments import adjustment_factors as compute_factors
from aegis.market_data.confirmed_closes import known_by
from aegis.market_data.expectations import CHECKS
from aegis.market_data.index_membership import read_membership
from aegis.market_data.price_jumps import LOOKBACK_SESSIONS
from aegis.market_data.quarantine import untradable_symbols
from aegis.market_data.universe import lookback_sessions
from aegis.market_data.universe import universe as compute_universe
from aegis.reporting.data_docs import JudgedRows, write_run_page
from aegis.workspace import Workspace
from aegis_assets.materialization import TableRows, publish
from aegis_assets.partitions import requested_sessions
from aegis_assets.pictures import bars_picture
from aegis_assets.table_assets import (
    GROUP_DATA,
    OWNER_ANALYST,
    asset_key,
    asset_terms,
    definition_metadata,
    description,
    read_from,
)
from aegis_assets.vendor_data import vendor_data_assets
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

_JUDGED = (tables.RAW_BARS, tables.CORPORATE_ACTIONS, tables.LISTINGS, tables.SOURCE_AGREEMENT)
"""What the quality gate reads."""
_SELECTED_FROM = (tables.DAILY_BARS, tables.CORPORATE_ACTIONS, tables.LISTINGS, tables.INSTRUMENTS)
"""What membership is decided from."""
GATED_TABLES = (tables.CHECK_RESULTS, tables.QUARANTINED_BARS, tables.REPAIRED_VALUES, tables.DAILY_BARS)
"""What the gate writes, in one transaction."""


def market_data_assets(partitions: dg.PartitionsDefinition[str]) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the data layer, partitioned by `partitions`."""
    in_sessions: dict[str, Any] = {
        "partitions_def": partitions,
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "group_name": GROUP_DATA,
        "owners": [OWNER_ANALYST],
    }

    @dg.multi_asset(
        name="quality_gate",
        specs=[
            dg.AssetSpec(
                asset_key(table),
                deps=[asset_key(upstream) for upstream in _JUDGED],
                description=description(table, looks_back=True),
                metadata=definition_metadata(table),
                group_name=GROUP_DATA,
                owners=[OWNER_ANALYST],
                kinds={"greatexpectations", "ducklake"},
                code_version="1",
            )
            for table in GATED_TABLES
        ],
        check_specs=[
            dg.AssetCheckSpec(check.name, asset=asset_key(tables.DAILY_BARS), description=check.description)
            for check in CHECKS
        ],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def quality_gate(
        context: dg.AssetExecutionContext,
        market: dg.ResourceParam[Market],
        lake: LakeResource,
        workspace: dg.ResourceParam[Workspace],
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        sessions = requested_sessions(context)
        start = market.calendar.offset(sessions[0], -LOOKBACK_SESSIONS)
        with lake.open() as store:
            bars = store.read(tables.RAW_BARS, first=start, last=sessions[-1])
            listings = store.read(tables.LISTINGS)
            confirmed = store.read(tables.CONFIRMED_CLOSES, first=start, last=sessions[-1])
            result = gate.run_quality_gate(
                bars,
                listings=listings,
                actions=store.read(tables.CORPORATE_ACTIONS, first=start, last=sessions[-1]),
                calendar=market.calendar,
                settings=market.config.quality,
                snapshot_id=store.snapshot_id(),
                first=sessions[0],
                last=sessions[-1],
                agreement=store.read(tables.SOURCE_AGREEMENT, first=sessions[0], last=sessions[-1]),
                protected=untradable_symbols(listings, sessions),
                confirmed=known_by(confirmed, market.clock.now_utc()),
            )
            docs = {"data_docs": dg.MetadataValue.path(write_run_page(_judged(result), workspace.data_docs))}
            yield from _check_results(result, docs)
            rows = [
                TableRows(tables.CHECK_RESULTS, result.check_results, metadata=docs),
                TableRows(tables.QUARANTINED_BARS, result.quarantined_bars),
                TableRows(tables.REPAIRED_VALUES, result.repaired_values),
                TableRows(tables.DAILY_BARS, result.daily_bars, picture=bars_picture(result.daily_bars)),
            ]
            for published in publish(context, store, rows, sessions=sessions, metadata=read_from(start, bars)):
                if published.asset_key != asset_key(tables.DAILY_BARS) or not result.daily_bars.empty:
                    yield published
        if result.daily_bars.empty:
            raise dg.Failure(
                f"every session of {sessions[0]}..{sessions[-1]} is blocked by its data checks: "
                f"{sessions[0]} by {', '.join(result.blocked_sessions[sessions[0]])}; quality/check_results says which "
                "rows; correct the source and materialize from raw_bars on",
                allow_retries=False,
            )

    @dg.asset(
        **asset_terms(tables.ADJUSTMENT_FACTORS, looks_back=True),
        deps=[asset_key(tables.DAILY_BARS), asset_key(tables.CORPORATE_ACTIONS)],
        kinds={"python", "ducklake"},
        code_version="1",
        **in_sessions,
    )
    def adjustment_factors(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        first, last = sessions[0], sessions[-1]
        start = first - PREVIOUS_CLOSE_LOOKBACK
        with lake.open() as store:
            bars = store.read(tables.DAILY_BARS, first=start, last=last)
            frame = compute_factors(
                bars,
                store.read(tables.CORPORATE_ACTIONS, first=first, last=last),
                first=first,
                last=last,
            )
            rows = [TableRows(tables.ADJUSTMENT_FACTORS, frame)]
            yield from publish(context, store, rows, sessions=sessions, metadata=read_from(start, bars))

    @dg.asset(
        **asset_terms(tables.UNIVERSE, looks_back=True),
        deps=[asset_key(table) for table in _SELECTED_FROM],
        kinds={"python", "ducklake"},
        code_version="1",
        **in_sessions,
    )
    def universe(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        first, last = sessions[0], sessions[-1]
        start = market.calendar.offset(first, -lookback_sessions(market.config.universe))
        file = market.config.universe.membership_file
        index_members = read_membership(file) if file else None
        with lake.open() as store:
            bars = store.read(tables.DAILY_BARS, first=start, last=last)
            frame = compute_universe(
                bars,
                store.read(tables.LISTINGS),
                store.read(tables.CORPORATE_ACTIONS, first=start),
                first=first,
                last=last,
                calendar=market.calendar,
                settings=market.config.universe,
                decision_times=market.decision_times(sessions),
                instruments=store.read(tables.INSTRUMENTS),
                index_members=index_members,
            )
            rows = [TableRows(tables.UNIVERSE, frame)]
            yield from publish(context, store, rows, sessions=sessions, metadata=read_from(start, bars))

    return [*vendor_data_assets(partitions), quality_gate, adjustment_factors, universe]


def _judged(result: gate.GateResult) -> JudgedRows:
    return JudgedRows(result.check_results, result.quarantined_bars, result.repaired_values)


def _check_results(result: gate.GateResult, docs: Mapping[str, Any]) -> Iterator[dg.AssetCheckResult]:
    for summary in result.summary:
        yield dg.AssetCheckResult(
            check_name=summary.check,
            asset_key=asset_key(tables.DAILY_BARS),
            passed=summary.passed,
            severity=dg.AssetCheckSeverity(summary.severity),
            metadata={
                "observed_rows": int(summary.observed),
                "threshold_rows": int(summary.threshold),
                "failed_sessions": summary.failed_sessions,
                "confirmed_rows": summary.confirmed,
                "first_detail": summary.first_detail or "all rows as expected",
                **docs,
            },
        )
