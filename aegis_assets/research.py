"""Layer 2 and the risk model of layer 3: features, signals, their ensemble, and covariances.

Belongs here: what is read, which domain function is called, what is written. Each asset is a pure function of the past,
so one body serves a session and a decade. The definitions are in ``aegis.features``, ``aegis.signals``,
``aegis.portfolio``.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from aegis.features.daily import LOOKBACK_SESSIONS
from aegis.features.daily import daily_features as compute_features
from aegis.lake import tables
from aegis.portfolio.covariance import covariances as compute_covariances
from aegis.portfolio.covariance import lookback_sessions
from aegis.signals.ensemble import ensemble_signals as combine
from aegis.signals.strategy import find_strategies
from aegis.signals.strategy import strategy_signals as score
from aegis_assets.materialization import TableRows, publish
from aegis_assets.partitions import requested_sessions
from aegis_assets.pictures import features_picture
from aegis_assets.table_assets import (
    GROUP_PORTFOLIO_AND_RISK,
    GROUP_RESEARCH,
    OWNER_ANALYST,
    OWNER_STRATEGIST,
    asset_key,
    asset_terms,
    read_from,
)
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market


def research_assets(partitions: dg.PartitionsDefinition[str]) -> Sequence[dg.AssetsDefinition]:
    """Return features, signals and covariances, partitioned by `partitions`."""
    in_sessions: dict[str, Any] = {
        "partitions_def": partitions,
        "backfill_policy": dg.BackfillPolicy.single_run(),
    }

    @dg.asset(
        **asset_terms(tables.DAILY_FEATURES, looks_back=True),
        deps=[asset_key(table) for table in (tables.DAILY_BARS, tables.CORPORATE_ACTIONS, tables.UNIVERSE)],
        group_name=GROUP_RESEARCH,
        owners=[OWNER_ANALYST],
        kinds={"python", "numpy"},
        code_version="2",
        **in_sessions,
    )
    def daily_features(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        first, last = sessions[0], sessions[-1]
        start = market.calendar.offset(first, -LOOKBACK_SESSIONS)
        with lake.open() as store:
            bars = store.read(tables.DAILY_BARS, first=start, last=last)
            frame = compute_features(
                bars,
                store.read(tables.CORPORATE_ACTIONS, first=start, last=last),
                store.read(tables.UNIVERSE, first=first, last=last),
                first=first,
                last=last,
                calendar=market.calendar,
                decision_times=market.decision_times(sessions),
                benchmark=market.source.benchmark_symbol,
            )
            yield from publish(
                context,
                store,
                [TableRows(tables.DAILY_FEATURES, frame, picture=features_picture(frame))],
                sessions=sessions,
                metadata=read_from(start, bars),
            )

    @dg.asset(
        **asset_terms(tables.STRATEGY_SIGNALS),
        deps=[asset_key(tables.DAILY_FEATURES)],
        group_name=GROUP_RESEARCH,
        owners=[OWNER_ANALYST],
        kinds={"python", "pandas"},
        code_version="1",
        **in_sessions,
    )
    def strategy_signals(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        strategies = find_strategies(market.config.signals.strategies)
        with lake.open() as store:
            features = store.read(tables.DAILY_FEATURES, first=sessions[0], last=sessions[-1])
            frame = score(features, strategies)
            yield from publish(context, store, [TableRows(tables.STRATEGY_SIGNALS, frame)], sessions=sessions)

    @dg.asset(
        **asset_terms(tables.ENSEMBLE_SIGNALS),
        deps=[asset_key(tables.STRATEGY_SIGNALS), asset_key(tables.DAILY_FEATURES)],
        group_name=GROUP_RESEARCH,
        owners=[OWNER_ANALYST],
        kinds={"python", "pandas"},
        code_version="1",
        **in_sessions,
    )
    def ensemble_signals(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        first, last = sessions[0], sessions[-1]
        with lake.open() as store:
            frame = combine(
                store.read(tables.STRATEGY_SIGNALS, first=first, last=last),
                store.read(tables.DAILY_FEATURES, first=first, last=last),
                settings=market.config.signals,
            )
            yield from publish(context, store, [TableRows(tables.ENSEMBLE_SIGNALS, frame)], sessions=sessions)

    @dg.asset(
        **asset_terms(tables.COVARIANCES, looks_back=True),
        deps=[asset_key(table) for table in (tables.DAILY_BARS, tables.CORPORATE_ACTIONS, tables.UNIVERSE)],
        group_name=GROUP_PORTFOLIO_AND_RISK,
        owners=[OWNER_STRATEGIST],
        kinds={"python", "scikitlearn"},
        code_version="1",
        **in_sessions,
    )
    def covariances(
        context: dg.AssetExecutionContext, market: dg.ResourceParam[Market], lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        sessions = requested_sessions(context)
        first, last = sessions[0], sessions[-1]
        settings = market.config.portfolio
        start = market.calendar.offset(first, -lookback_sessions(settings))
        with lake.open() as store:
            bars = store.read(tables.DAILY_BARS, first=start, last=last)
            frame = compute_covariances(
                bars,
                store.read(tables.CORPORATE_ACTIONS, first=start, last=last),
                store.read(tables.UNIVERSE, first=first, last=last),
                first=first,
                last=last,
                calendar=market.calendar,
                settings=settings,
                decision_times=market.decision_times(sessions),
            )
            rows = [TableRows(tables.COVARIANCES, frame)]
            yield from publish(context, store, rows, sessions=sessions, metadata=read_from(start, bars))

    return [daily_features, strategy_signals, ensemble_signals, covariances]
