"""Layer 1: from a source's bars to gated bars, adjustment factors and the point-in-time universe.

Belongs here: what is read, which domain function is called, what is written. The rules are in ``aegis.market_data``.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from aegis.lake import tables
from aegis.market_data import quality_gate as gate
from aegis.market_data.adjustments import PREVIOUS_CLOSE_LOOKBACK
from aegis.market_data.adjustments import adjustment_factors as compute_factors
from aegis.market_data.expectations import CHECKS
from aegis.market_data.ingestion import fetch_raw_bars
from aegis.market_data.price_jumps import LOOKBACK_SESSIONS
from aegis.market_data.universe import lookback_sessions
from aegis.market_data.universe import universe as compute_universe
from aegis_assets.materialization import TableRows, publish
from aegis_assets.partitions import requested_sessions
from aegis_assets.pictures import bars_picture
from aegis_assets.table_assets import GROUP_DATA, OWNER_ANALYST, asset_key, definition_metadata, description
from aegis_assets.vendor_calls import retried_when_unavailable
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

_LATE_NEWS = timedelta(days=30)
"""How long after its ex-date an action may still become known; readers decide by ``known_at_utc``."""
_EARLY_NEWS = timedelta(days=365)
"""How long before its ex-date an action may be announced."""
_VENDOR_RETRIES = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL)


def market_data_assets(partitions: dg.PartitionsDefinition[str]) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the data layer, partitioned by `partitions`."""
    in_sessions: dict[str, Any] = {
        "partitions_def": partitions,
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "group_name": GROUP_DATA,
        "owners": [OWNER_ANALYST],
    }

    @dg.asset(
        name=tables.LISTINGS.name,
        key_prefix=tables.LISTINGS.layer,
        description=description(tables.LISTINGS),
        metadata=definition_metadata(tables.LISTINGS),
        group_name=GROUP_DATA,
        owners=[OWNER_ANALYST],
        kinds={"python", "ducklake"},
        code_version="1",
        retry_policy=_VENDOR_RETRIES,
    )
    def listings(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with retried_when_unavailable():
            frame = market.source.listings()
        with lake.open() as store:
            yield from publish(context, store, [TableRows(tables.LISTINGS, frame)])

    @dg.asset(
        name=tables.RAW_BARS.name,
        key_prefix=tables.RAW_BARS.layer,
        description=description(tables.RAW_BARS),
        metadata=definition_metadata(tables.RAW_BARS),
        kinds={"python", "ducklake"},
        code_version="1",
        retry_policy=_VENDOR_RETRIES,
        **in_sessions,
    )
    def raw_bars(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        with retried_when_unavailable():
            frame = fetch_raw_bars(market.source, sessions, last_complete=market.last_complete_session())
        with lake.open() as store:
            yield from publish(context, store, [TableRows(tables.RAW_BARS, frame)], sessions=sessions)

    @dg.asset(
        name=tables.CORPORATE_ACTIONS.name,
        key_prefix=tables.CORPORATE_ACTIONS.layer,
        description=description(tables.CORPORATE_ACTIONS),
        metadata=definition_metadata(tables.CORPORATE_ACTIONS),
        kinds={"python", "ducklake"},
        code_version="1",
        retry_policy=_VENDOR_RETRIES,
        **in_sessions,
    )
    def corporate_actions(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        first, last = sessions[0] - _LATE_NEWS, sessions[-1] + _EARLY_NEWS
        with retried_when_unavailable():
            frame = market.source.corporate_actions(first, last)
        with lake.open() as store:
            rows = [TableRows(tables.CORPORATE_ACTIONS, frame)]
            yield from publish(context, store, rows, sessions=sessions, replaced=(first, last))

    @dg.multi_asset(
        name="quality_gate",
        specs=[
            dg.AssetSpec(
                asset_key(table),
                deps=[asset_key(upstream) for upstream in (tables.RAW_BARS, tables.CORPORATE_ACTIONS, tables.LISTINGS)],
                description=description(table),
                metadata=definition_metadata(table),
                group_name=GROUP_DATA,
                owners=[OWNER_ANALYST],
                kinds={"greatexpectations", "ducklake"},
                code_version="1",
            )
            for table in (tables.CHECK_RESULTS, tables.DAILY_BARS)
        ],
        check_specs=[
            dg.AssetCheckSpec(check.name, asset=asset_key(tables.DAILY_BARS), description=check.description)
            for check in CHECKS
        ],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def quality_gate(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        sessions = requested_sessions(context)
        start = market.calendar.offset(sessions[0], -LOOKBACK_SESSIONS)
        with lake.open() as store:
            bars = store.read(tables.RAW_BARS, first=start, last=sessions[-1])
            result = gate.run_quality_gate(
                bars,
                listings=store.read(tables.LISTINGS),
                actions=store.read(tables.CORPORATE_ACTIONS, first=start, last=sessions[-1]),
                calendar=market.calendar,
                settings=market.config.quality,
                snapshot_id=store.snapshot_id(),
                first=sessions[0],
                last=sessions[-1],
            )
            yield from _check_results(result)
            rows = [
                TableRows(tables.CHECK_RESULTS, result.check_results),
                TableRows(tables.DAILY_BARS, result.daily_bars, picture=bars_picture(result.daily_bars)),
            ]
            for published in publish(context, store, rows, sessions=sessions):
                if published.asset_key == asset_key(tables.CHECK_RESULTS) or not result.daily_bars.empty:
                    yield published
        if result.daily_bars.empty:
            raise dg.Failure(
                f"every session of {sessions[0]}..{sessions[-1]} is blocked by its data checks", allow_retries=False
            )

    @dg.asset(
        name=tables.ADJUSTMENT_FACTORS.name,
        key_prefix=tables.ADJUSTMENT_FACTORS.layer,
        deps=[asset_key(tables.DAILY_BARS), asset_key(tables.CORPORATE_ACTIONS)],
        description=description(tables.ADJUSTMENT_FACTORS),
        metadata=definition_metadata(tables.ADJUSTMENT_FACTORS),
        kinds={"python", "ducklake"},
        code_version="1",
        **in_sessions,
    )
    def adjustment_factors(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        first, last = sessions[0], sessions[-1]
        with lake.open() as store:
            frame = compute_factors(
                store.read(tables.DAILY_BARS, first=first - PREVIOUS_CLOSE_LOOKBACK, last=last),
                store.read(tables.CORPORATE_ACTIONS, first=first, last=last),
                first=first,
                last=last,
            )
            yield from publish(context, store, [TableRows(tables.ADJUSTMENT_FACTORS, frame)], sessions=sessions)

    @dg.asset(
        name=tables.UNIVERSE.name,
        key_prefix=tables.UNIVERSE.layer,
        deps=[asset_key(table) for table in (tables.DAILY_BARS, tables.CORPORATE_ACTIONS, tables.LISTINGS)],
        description=description(tables.UNIVERSE),
        metadata=definition_metadata(tables.UNIVERSE),
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
        with lake.open() as store:
            frame = compute_universe(
                store.read(tables.DAILY_BARS, first=start, last=last),
                store.read(tables.LISTINGS),
                store.read(tables.CORPORATE_ACTIONS, first=start),
                first=first,
                last=last,
                calendar=market.calendar,
                settings=market.config.universe,
                decision_times=market.decision_times(sessions),
            )
            yield from publish(context, store, [TableRows(tables.UNIVERSE, frame)], sessions=sessions)

    return [listings, raw_bars, corporate_actions, quality_gate, adjustment_factors, universe]


def _check_results(result: gate.GateResult) -> Iterator[dg.AssetCheckResult]:
    for summary in result.summary:
        yield dg.AssetCheckResult(
            check_name=summary.check,
            asset_key=asset_key(tables.DAILY_BARS),
            passed=summary.passed,
            severity=dg.AssetCheckSeverity.ERROR if summary.is_blocking else dg.AssetCheckSeverity.WARN,
            metadata={
                "observed_rows": summary.observed,
                "threshold_rows": summary.threshold,
                "first_detail": summary.first_detail or "all rows as expected",
            },
        )
