"""Upkeep of the lake: the many small files of daily runs become few, and old snapshots go where settings say so.

Belongs here: the asset. How files are merged is :mod:`aegis.lake.compaction`, which snapshots may go
:mod:`aegis.live_trading.snapshot_references`.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import dagster as dg

from aegis import __version__
from aegis.clock import SystemClock
from aegis.lake import compaction
from aegis.lake.lake import CommitMessage, Lake
from aegis.lake.retention import expire
from aegis.live_trading.snapshot_references import expiry_plan
from aegis_assets.table_assets import GROUP_DATA, OWNER_ANALYST
from aegis_resources.desk import Desk
from aegis_resources.lake import LakeResource

MAINTAIN_LAKE = "maintain_lake"
STORED_FILES = dg.AssetKey(["lake", "stored_files"])
MAINTENANCE_ASSET_KEYS = (STORED_FILES,)

_UNUSED_FOR = timedelta(days=7)
"""How long files that no snapshot reads stay for a run that still does; no run takes a week."""


def maintenance_assets() -> Sequence[dg.AssetsDefinition]:
    """Return the asset of the lake's files, which no other asset reads."""

    @dg.asset(
        name=STORED_FILES.path[-1],
        key_prefix=STORED_FILES.path[:-1],
        description="The lake's data files after upkeep: small files merged, and those that no snapshot has read for a "
        "week removed. Every kept snapshot reads as before. Snapshots expire only with "
        "`retention.expire_snapshots_after_days`, and never one that an order, decision, check result, journal entry "
        "or person refers to.",
        group_name=GROUP_DATA,
        owners=[OWNER_ANALYST],
        kinds={"ducklake"},
        code_version="1",
    )
    def stored_files(
        context: dg.AssetExecutionContext, desk: dg.ResourceParam[Desk], lake: LakeResource
    ) -> dg.MaterializeResult[Any]:
        message = CommitMessage(MAINTAIN_LAKE, "", context.run.run_id, __version__, "merge small files")
        with lake.open() as store:
            before = compaction.stored_files(store)
            expired = expire_by_settings(store, desk, run_id=context.run.run_id)
            merged = compaction.merge_small_files(store, message)
            removed = compaction.remove_unused_files(store, unused_for=_UNUSED_FOR)
            after, snapshot = compaction.stored_files(store), store.snapshot_id()
        return dg.MaterializeResult(
            metadata={
                "lake_snapshot_id": snapshot,
                "files_before": before.count,
                "files_after": after.count,
                "bytes_before": before.size_bytes,
                "bytes_after": after.size_bytes,
                "tables_merged": len(merged),
                "files_merged": sum(merged.values()),
                "files_removed": removed,
                "snapshots_expired": expired,
            }
        )

    return [stored_files]


def expire_by_settings(store: Lake, desk: Desk, *, run_id: str) -> int:
    """Expire the snapshots that ``retention.expire_snapshots_after_days`` gives up, and return how many."""
    days = desk.config.retention.expire_snapshots_after_days
    if days is None:
        return 0
    now = SystemClock().now_utc()
    with ExitStack() as stack:
        has_journal = desk.workspace.journal(desk.account).exists()
        journal = stack.enter_context(desk.recorded_journal()) if has_journal else None
        plan = expiry_plan(store, journal, before=now - timedelta(days=days))
    reason = f"older than {days} days (retention.expire_snapshots_after_days)"
    return expire(store, plan, CommitMessage("expire snapshots", "", run_id, __version__, reason), at_utc=now)
