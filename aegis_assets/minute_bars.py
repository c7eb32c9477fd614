"""Minute bars, where the configuration names symbols.

Belongs here: what is read, which domain function is called, what is written. The checks are
:mod:`aegis.market_data.minute_checks`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from aegis.lake import tables
from aegis.market_data.minute_checks import CHECKS, JudgedMinutes, judge_minute_bars
from aegis_assets.materialization import TableRows, publish
from aegis_assets.partitions import requested_sessions
from aegis_assets.table_assets import GROUP_DATA, OWNER_ANALYST, asset_key, definition_metadata, description
from aegis_assets.vendor_calls import retried_when_unavailable
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

MINUTE_ASSET_KEYS = tuple(asset_key(table) for table in tables.MINUTE_TABLES)
"""No decision of the daily chain reads them."""


def minute_bar_assets(partitions: dg.PartitionsDefinition[str]) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of minute bars, partitioned by `partitions`."""

    @dg.multi_asset(
        name="minute_bars",
        specs=[
            dg.AssetSpec(
                asset_key(table),
                deps=[asset_key(tables.DAILY_BARS)],
                description=description(table),
                metadata=definition_metadata(table),
                group_name=GROUP_DATA,
                owners=[OWNER_ANALYST],
                kinds={"python", "ducklake"},
                code_version="1",
            )
            for table in tables.MINUTE_TABLES
        ],
        check_specs=[
            dg.AssetCheckSpec(name, asset=asset_key(tables.MINUTE_BARS), description=text)
            for name, text in CHECKS.items()
        ],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL),
    )
    def minute_bars(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        sessions = requested_sessions(context)
        settings = market.config.market_data.minute_bars
        with retried_when_unavailable():
            delivered = market.minute_bars(sessions)
        with lake.open() as store:
            daily = store.read(tables.DAILY_BARS, first=sessions[0], last=sessions[-1], symbols=settings.symbols)
            judged = judge_minute_bars(delivered, daily, sessions=sessions, calendar=market.calendar, settings=settings)
            rows = [TableRows(tables.MINUTE_BARS, judged.bars), TableRows(tables.MINUTE_BAR_CHECKS, judged.checks)]
            yield from _check_results(judged)
            yield from publish(context, store, rows, sessions=sessions)
        if len(judged.blocked_sessions) == len(sessions):
            raise dg.Failure(
                f"no session of {sessions[0]}..{sessions[-1]} passed the checks of its minute bars; "
                "quality/minute_bar_checks says which rows; correct the source and materialize again",
                allow_retries=False,
            )

    return [minute_bars]


def _check_results(judged: JudgedMinutes) -> Iterator[dg.AssetCheckResult]:
    for name, found in judged.checks.groupby("check", sort=False):
        failed = found[found["outcome"] == "block"]
        yield dg.AssetCheckResult(
            check_name=str(name),
            asset_key=asset_key(tables.MINUTE_BARS),
            passed=failed.empty,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "observed_rows": int(found["observed"].sum()),
                "threshold_rows": 0,
                "failed_sessions": len(failed),
                "first_detail": "all rows as expected" if failed.empty else str(failed["detail"].iloc[0]),
            },
        )
