"""Writing an asset's rows to the lake and telling Dagster about it.

Belongs here: the last step that all table assets share. Every write is one lake snapshot; its number goes into the
metadata.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg
import pandas as pd

from aegis.lake.lake import CommitMessage, Lake, Replacement
from aegis.lake.schema import TableSchema
from aegis_assets.partitions import key_of
from aegis_assets.session_metadata import add_session_metadata
from aegis_assets.table_assets import asset_key, session_numbers


@dataclass(frozen=True)
class TableRows:
    """Rows that an asset publishes.

    Parameters
    ----------
    table : TableSchema
        Table that they conform to.
    frame : DataFrame
        The rows.
    account : str, optional
        The account they belong to, where the table has accounts.
    picture : str, optional
        Markdown of a picture, shown with the last session only, or with the whole of a table that is no partition: an
        event log keeps it for every event it stands in.
    metadata : mapping, optional
        Of this table alone, shown with the whole of it.
    data_version : str, optional
        For rows that no asset of ours was computed from: what they were, so that Dagster sees a correction. Every other
        asset's version follows from its code and its inputs.
    """

    table: TableSchema
    frame: pd.DataFrame
    account: str | None = None
    picture: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    data_version: str | None = None


def content_version(table: TableSchema, frame: pd.DataFrame) -> str:
    """Return a data version of rows that a vendor delivered: equal rows, equal version."""
    hashes = table.content_hashes(frame)
    return hashlib.sha256("".join(hashes[session] for session in sorted(hashes)).encode()).hexdigest()


def publish(
    context: dg.AssetExecutionContext,
    lake: Lake,
    rows: Sequence[TableRows],
    *,
    sessions: Sequence[date] = (),
    replaced: tuple[date, date] | None = None,
    metadata: Mapping[str, Any] | None = None,
    check_results: Sequence[dg.AssetCheckResult] = (),
    journal_head: str = "",
) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
    """Write all `rows` in one lake transaction and yield one result for each table.

    Parameters
    ----------
    context : AssetExecutionContext
    lake : Lake
    rows : sequence of TableRows
        One for each asset that the step materializes.
    sessions : sequence of date
        Sessions of this run's partitions; empty for a table without sessions.
    replaced : pair of date, optional
        First and last session whose rows are replaced, where that is more than the partitions. Tables without
        sessions are replaced whole.
    metadata : mapping, optional
        Added to each table's result: where its look-back begins, a note.
    check_results : sequence of AssetCheckResult
        Go with the result of the asset that each check belongs to.
    journal_head : str
        Where the journal ended, for the tables that rest on it.

    Notes
    -----
    Small numbers go to each session's event, so that the UI plots them over partitions; anything larger goes to the
    definition or the lake.
    """
    first, last = replaced or ((sessions[0], sessions[-1]) if sessions else (None, None))
    message = CommitMessage(
        asset=", ".join(r.table.key for r in rows),
        sessions=f"{first}..{last}" if sessions else "",
        run_id=context.run.run_id,
        code_version=_code_version(context, rows[0].table),
        journal_head=journal_head,
    )
    snapshot_id = lake.write([_replacement(item, first, last) for item in rows], message)
    for item in rows:
        key = asset_key(item.table)
        add_session_metadata(context, key, _by_partition(item, sessions))
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={"lake_snapshot_id": snapshot_id, **_whole(item, sessions), **item.metadata, **(metadata or {})},
            check_results=[result for result in check_results if result.asset_key == key],
            data_version=dg.DataVersion(item.data_version) if item.data_version else None,
        )


def _replacement(item: TableRows, first: date | None, last: date | None) -> Replacement:
    bounds = (first, last) if item.table.is_sessioned else (None, None)
    return Replacement(item.table, item.frame, *bounds, item.account)


def _by_partition(item: TableRows, sessions: Sequence[date]) -> dict[str, dict[str, Any]]:
    numbers = session_numbers(item.table, item.frame) if sessions else {}
    keys = [key_of(session) for session in sessions]
    values: dict[str, dict[str, Any]] = {
        key: dict(numbers.get(key, {"dagster/partition_row_count": 0})) for key in keys
    }
    if keys and item.picture:
        values[keys[-1]]["picture"] = dg.MetadataValue.md(item.picture)
    return values


def _whole(item: TableRows, sessions: Sequence[date]) -> dict[str, Any]:
    if sessions:
        return {}
    picture = {"picture": dg.MetadataValue.md(item.picture)} if item.picture else {}
    return {"dagster/row_count": len(item.frame), **picture}


def _code_version(context: dg.AssetExecutionContext, table: TableSchema) -> str:
    versions = context.assets_def.code_versions_by_key
    return versions.get(asset_key(table)) or "unversioned"
