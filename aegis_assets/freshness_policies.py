"""How long an asset of the daily work may go without a materialization before Dagster calls it stale.

Belongs here: Dagster's own freshness policies, which the asset pages show and the freshness daemon keeps. They compare
the time since the last materialization with one fixed window and know no holiday; the check ``bars_are_fresh``
(:mod:`aegis_assets.monitoring`) knows the calendar and says which session is missing.
"""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from aegis.calendars import TradingCalendar
from aegis.market_data.freshness import longest_wait

_LOOK_BACK = timedelta(days=10 * 365)
_WORK = timedelta(hours=12)
"""From final bars to the last table made from them: the fetch's retries, and a run that waits for another."""


def session_freshness(calendar: TradingCalendar) -> dg.FreshnessPolicy:
    """Return the policy of an asset that is materialized once a session.

    Notes
    -----
    The window is the longest time between two closes over ten years of the calendar, with half a day for the work: it
    never calls a long weekend stale, and so notices an ordinary gap late. A deadline by cron was rejected: its
    tick also comes on holidays, when no session can be materialized, and every holiday would be a false alarm.
    """
    last = calendar.last_known_session()
    return dg.FreshnessPolicy.time_window(fail_window=longest_wait(calendar, last - _LOOK_BACK, last) + _WORK)


def with_session_freshness(
    assets: Sequence[dg.AssetsDefinition], calendar: TradingCalendar
) -> list[dg.AssetsDefinition]:
    """Return the assets; those with a partition for each session carry :func:`session_freshness`."""
    policy = session_freshness(calendar)

    def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec if spec.partitions_def is None else dg.apply_freshness_policy(spec, policy)

    return [asset.map_asset_specs(with_policy) for asset in assets]
