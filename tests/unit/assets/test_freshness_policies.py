"""Dagster's freshness policies: which assets carry one, and that no closure of the calendar makes it fail."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from aegis.calendars import trading_calendar
from aegis.clock import FixedClock
from aegis.config import AegisConfig
from aegis_assets.freshness_policies import session_freshness
from aegis_sensors.definitions import build_definitions

NEW_YORK = trading_calendar("XNYS")


def with_policies(home: Path, **run: date) -> dict[str, bool]:
    """Return for each asset of a workspace whether it carries a policy, by `layer/name`."""
    config = AegisConfig(run={"home": home, "first_session": date(2014, 6, 2), **run})
    definitions = build_definitions(config, clock=FixedClock(datetime(2015, 3, 10, 12, tzinfo=UTC)))
    graph = definitions.resolve_asset_graph()
    return {
        key.to_user_string(): graph.get(key).freshness_policy is not None
        for key in graph.get_all_asset_keys()
        if graph.get(key).is_partitioned or graph.get(key).freshness_policy is not None
    }


def state(policy: dg.FreshnessPolicy, *, materialized: datetime, seen: datetime) -> FreshnessState:
    """Return what Dagster's own evaluator says of an asset that was materialized at one instant, at a later one."""

    @dg.asset(freshness_policy=policy)
    def bars() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        with freeze_time(materialized):
            instance.report_runless_asset_event(dg.AssetMaterialization("bars"))
        node = dg.Definitions(assets=[bars]).resolve_asset_graph().get(bars.key)
        with freeze_time(seen):
            evaluation = TimeWindowFreshnessPolicyEvaluator().evaluate_freshness(LoadingContextForTest(instance), node)
            return asyncio.run(evaluation)


def test_every_asset_with_a_partition_a_session_carries_a_policy(tmp_path: Path) -> None:
    found = with_policies(tmp_path)
    assert {"market_data/raw_bars", "market_data/daily_bars", "signals/ensemble_signals", "execution/orders"} < set(
        found
    )
    assert all(found.values()), [key for key, has_policy in found.items() if not has_policy]


def test_a_market_that_has_ended_goes_stale_no_more(tmp_path: Path) -> None:
    assert not any(with_policies(tmp_path, last_session=date(2014, 6, 30)).values())


@pytest.mark.parametrize("year", range(2012, 2025))
def test_no_weekend_holiday_or_half_day_makes_the_policy_fail(year: int) -> None:
    """Each materialization follows its close by up to six hours, and the next is there before the window has passed."""
    window = session_freshness(NEW_YORK).fail_window.to_timedelta()  # type: ignore[attr-defined]
    sessions = NEW_YORK.sessions(date(year, 1, 1), date(year + 1, 1, 10))
    hurricane = date(2012, 10, 31)  # closed Monday and Tuesday without notice: two sessions that were due never came
    for before, after in pairwise(sessions):
        wait = NEW_YORK.close_utc(after) + timedelta(hours=6) - NEW_YORK.close_utc(before)
        assert wait < window or after == hurricane, (before, after)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (datetime(2020, 12, 28, 21, 10, tzinfo=UTC), FreshnessState.PASS),
        (datetime(2020, 12, 29, 9, 29, tzinfo=UTC), FreshnessState.PASS),
        (datetime(2020, 12, 29, 9, 31, tzinfo=UTC), FreshnessState.FAIL),
    ],
)
def test_dagster_itself_keeps_christmas_fresh_and_fails_after_the_missed_session(
    seen: datetime, expected: FreshnessState
) -> None:
    """From Christmas Eve's half day at 18:30 UTC, 4 days and 15 hours: Monday's session, and the night to mend it."""
    christmas_eve = datetime(2020, 12, 24, 18, 30, tzinfo=UTC)
    assert state(session_freshness(NEW_YORK), materialized=christmas_eve, seen=seen) == expected
