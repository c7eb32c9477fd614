"""What is noticed between the schedules: final bars, drifted positions.

Belongs here: sensors that start work. Sensors that tell a person are in :mod:`aegis_sensors.alerting`.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from aegis.lake import tables
from aegis.portfolio.rebalancing import drifted
from aegis_assets.partitions import key_of
from aegis_assets.table_assets import asset_key
from aegis_resources.lake import LakeResource
from aegis_resources.market_data import Market
from aegis_sensors import jobs
from aegis_sensors.requests import is_materialized, latest_final
from aegis_sensors.schedules import ScheduleAnswer, fetch_key, request_once, trade_key

_MINUTE = 60
_QUARTER_HOUR = 900


def platform_sensors(market: Market, lake: LakeResource) -> Sequence[dg.SensorDefinition]:
    """Return the sensors of `market` that start work."""
    delay = market.config.market_data.vendor_delay
    account = market.config.run.account
    band = market.config.monitoring.weight_drift_band

    @dg.sensor(
        job_name=jobs.FETCH_MARKET_DATA,
        minimum_interval_seconds=_MINUTE,
        description="Starts the fetch that the 16:00 schedule put off, as soon as the session's final bars exist.",
    )
    def final_bars_exist(context: dg.SensorEvaluationContext) -> ScheduleAnswer:
        session = latest_final(market.calendar, market.clock.now_utc(), delay).session
        if market.has_ended and session > market.session_range()[1]:
            return dg.SkipReason(f"source {market.source.name} ends before {session}")
        if is_materialized(context.instance, asset_key(tables.RAW_BARS), session):
            return dg.SkipReason(f"session {session} has been fetched")
        return request_once(context.instance, fetch_key(key_of(session)), key_of(session))

    @dg.sensor(
        job_name=jobs.EXECUTE_TRADES,
        minimum_interval_seconds=_QUARTER_HOUR,
        description="Starts the next decision early when held weights have left their band around the targets.",
    )
    def positions_drifted(context: dg.SensorEvaluationContext) -> ScheduleAnswer:
        with lake.open() as store:
            decided = store.sessions(tables.TARGET_WEIGHTS, account=account)
            if not decided:
                return dg.SkipReason("nothing has been decided yet")
            weights = store.read(tables.TARGET_WEIGHTS, first=decided[-1], last=decided[-1], account=account)
        names = drifted(
            dict(zip(weights["symbol"], weights["current_weight"], strict=True)),
            dict(zip(weights["symbol"], weights["target_weight"], strict=True)),
            band=band,
        )
        if not names:
            return dg.SkipReason(f"all weights of {decided[-1]} are within {band:.2%} of their targets")
        session = market.calendar.next(decided[-1])
        if not is_materialized(context.instance, asset_key(tables.COVARIANCES), session):
            return dg.SkipReason(
                f"{', '.join(names)} drifted by more than {band:.2%}; session {session} is not there yet"
            )
        return request_once(context.instance, trade_key(key_of(session)), key_of(session))

    return [final_bars_exist, positions_drifted]
