"""Layer 1, its beginning: listings, instruments, raw bars and corporate actions, as a source delivers them.

Belongs here: asking the source, and what of its answer is stored. The rules are in ``aegis.market_data``; what is
computed from these tables is :mod:`aegis_assets.market_data`.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from aegis.lake import tables
from aegis.market_data.ingestion import compare_with_other_sources, fetch_raw_bars
from aegis.market_data.kept_corrections import CORRECTION_SOURCE, with_kept_corrections
from aegis.market_data.sources.optional_answers import fetch_notes, instruments, silent_sources
from aegis.market_data.sources.source import MarketDataSource
from aegis.market_data.survivorship import survivorship_notes
from aegis.market_data.vanished_symbols import actions_to_store, listings_to_store
from aegis_assets.materialization import TableRows, content_version, publish
from aegis_assets.partitions import requested_sessions
from aegis_assets.table_assets import (
    GROUP_DATA,
    OWNER_ANALYST,
    asset_key,
    asset_terms,
    definition_metadata,
    description,
)
from aegis_assets.vendor_calls import retried_when_unavailable
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market

_LATE_NEWS = timedelta(days=30)
"""How long after its ex-date an action may still become known; readers decide by ``known_at_utc``."""
_EARLY_NEWS = timedelta(days=365)
"""How long before its ex-date an action may be announced."""
_SHOWN_NOTES = 200
_VENDOR_RETRIES = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL)


def vendor_data_assets(partitions: dg.PartitionsDefinition[str]) -> Sequence[dg.AssetsDefinition]:
    """Return the assets that ask the source: the listings as a whole, bars and actions partitioned by `partitions`."""
    in_sessions: dict[str, Any] = {
        "partitions_def": partitions,
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "group_name": GROUP_DATA,
        "owners": [OWNER_ANALYST],
    }

    @dg.multi_asset(
        name="listings",
        specs=[
            dg.AssetSpec(
                asset_key(table),
                description=description(table),
                metadata=definition_metadata(table),
                group_name=GROUP_DATA,
                owners=[OWNER_ANALYST],
                kinds={"python", "ducklake"},
                code_version="1",
            )
            for table in (tables.LISTINGS, tables.INSTRUMENTS)
        ],
        retry_policy=_VENDOR_RETRIES,
    )
    def listings(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with retried_when_unavailable():
            frame, silent = market.source.listings(), silent_sources(market.source)
            facts, silent = instruments(market.source, market.calendar), silent | silent_sources(market.source)
            last = market.source.session_range()[1]
            notes = [*market.source.coverage_notes(), *survivorship_notes(frame, *market.session_range())]
        with lake.open() as store:
            stored = store.read(tables.INSTRUMENTS)
            frame, facts, vanished = listings_to_store(
                frame, facts, store, market.calendar, last_session=last, silent=silent
            )
            rows = [TableRows(tables.LISTINGS, frame, metadata=_coverage([*vanished, *notes]))]
            if not facts.equals(stored):
                yield from publish(context, store, [*rows, TableRows(tables.INSTRUMENTS, facts)])
                return
            yield from publish(context, store, rows)
            yield dg.MaterializeResult(asset_key(tables.INSTRUMENTS), metadata={"dagster/row_count": len(facts)})

    @dg.asset(
        **asset_terms(tables.RAW_BARS),
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
            frame = fetch_raw_bars(
                market.source, sessions, last_complete=market.last_complete_session(), has_ended=market.has_ended
            )
        with lake.open() as store:
            frame = with_kept_corrections(frame, store, first=sessions[0], last=sessions[-1])
            version = content_version(tables.RAW_BARS, frame)
            rows = [TableRows(tables.RAW_BARS, frame, data_version=version)]
            corrected = {"corrected_bars": int((frame["source"] == CORRECTION_SOURCE).sum())}
            yield from publish(context, store, rows, sessions=sessions, metadata=corrected | _fetches(market.source))

    @dg.asset(
        **asset_terms(tables.SOURCE_AGREEMENT),
        deps=[asset_key(tables.RAW_BARS)],
        kinds={"python", "ducklake"},
        code_version="1",
        retry_policy=_VENDOR_RETRIES,
        **in_sessions,
    )
    def source_agreement(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        with lake.open() as store:
            bars = store.read(tables.RAW_BARS, first=sessions[0], last=sessions[-1])
            with retried_when_unavailable():
                frame = compare_with_other_sources(
                    market.source, bars, compared_share=market.config.market_data.compared_share
                )
            version = content_version(tables.SOURCE_AGREEMENT, frame)
            rows = [TableRows(tables.SOURCE_AGREEMENT, frame, data_version=version)]
            compared = {"compared_bars": len(frame), "bars": len(bars), **_fetches(market.source)}
            yield from publish(context, store, rows, sessions=sessions, metadata=compared)

    @dg.asset(
        **asset_terms(tables.CORPORATE_ACTIONS),
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
            frame, silent = market.source.corporate_actions(first, last), silent_sources(market.source)
            listed, silent = market.source.listings(), silent | silent_sources(market.source)
            newest = market.source.session_range()[1]
        known_until = market.decision_times(sessions[-1:])[sessions[-1]]
        with lake.open() as store:
            frame = actions_to_store(
                frame, listed, store, market.calendar, ex_dates=(first, last), first=sessions[0], last_session=newest,
                known_until=known_until, silent=silent,
            )  # fmt: skip
            version = content_version(tables.CORPORATE_ACTIONS, frame[frame["known_at_utc"] <= known_until])
            rows = [TableRows(tables.CORPORATE_ACTIONS, frame, data_version=version)]
            yield from publish(context, store, rows, sessions=sessions, replaced=(first, last))

    return [listings, raw_bars, source_agreement, corporate_actions]


def _fetches(source: MarketDataSource) -> dict[str, Any]:
    """Return metadata with how the source's answers came about, where it says so."""
    notes = fetch_notes(source)
    shown = [f"- {note}" for note in notes[:_SHOWN_NOTES]]
    return {"fetches": dg.MetadataValue.md("\n".join(shown))} if notes else {}


def _coverage(notes: Sequence[str]) -> dict[str, Any]:
    """Return metadata with what the source says about its coverage; an event log keeps the first of very many."""
    shown = [f"- {note}" for note in notes[:_SHOWN_NOTES]]
    if len(notes) > _SHOWN_NOTES:
        shown.append(f"- and {len(notes) - _SHOWN_NOTES} more, which the source's `coverage_notes()` returns")
    return {"coverage_note_count": len(notes), "coverage_notes": dg.MetadataValue.md("\n".join(shown) or "none")}
