"""Latencies of orders: quantiles by nearest rank, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aegis.monitoring.order_timing import OrderInstants, nearest_rank, stage_latencies

NOON = datetime(2014, 6, 6, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "quantile", "expected"),
    [(1, 0.5, 1), (2, 0.5, 1), (3, 0.5, 2), (100, 0.99, 99), (101, 0.99, 100), (200, 0.99, 198), (100, 1.0, 100)],
)
def test_a_quantile_is_a_value_that_was_seen(count, quantile, expected) -> None:
    assert nearest_rank([float(value) for value in range(1, count + 1)], quantile) == expected


def test_no_order_has_no_latency() -> None:
    assert nearest_rank([], 0.5) is None
    assert {stage.p99_seconds for stage in stage_latencies([])} == {None}


def test_each_stage_counts_the_orders_that_passed_it() -> None:
    def after(seconds: float) -> datetime:
        return NOON + timedelta(seconds=seconds)

    orders = [
        OrderInstants(NOON, after(1), after(3), after(10)),
        OrderInstants(NOON, after(2), after(5)),
        OrderInstants(NOON),
    ]
    stages = {stage.stage: stage for stage in stage_latencies(orders)}

    assert (stages["decided to submitted"].orders, stages["decided to submitted"].p50_seconds) == (2, 1.0)
    sent = stages["submitted to acknowledged"]
    assert (sent.orders, sent.p50_seconds, sent.p99_seconds, sent.longest_seconds) == (2, 2.0, 3.0, 3.0)
    assert (stages["acknowledged to filled"].orders, stages["acknowledged to filled"].p50_seconds) == (1, 7.0)
    assert stages["decided to filled"].p50_seconds == 10.0
