"""The arithmetic of the live trading benchmark on numbers small enough to be worked out by hand."""

from collections import Counter

import pytest

from aegis.execution.order_states import OrderState, OrderStatus, apply_event
from aegis.execution.orders import OrderEvent, OrderEventKind
from benchmarks.live_trading.order_stream import EVENTS_AN_ORDER, Expected, order_stream
from benchmarks.live_trading.samples import Sample, growth, quantiles_ms, quarter_medians, slope_per_hour


def sampled(*resident_mb: float) -> list[Sample]:
    """Look every ten seconds."""
    return [Sample(10.0 * n, mb, mb / 2, files=5, threads=3, processor_seconds=0.0) for n, mb in enumerate(resident_mb)]


def test_quarters_are_of_time_and_growth_is_from_the_second_to_the_last() -> None:
    # Over 80 s: quarters of 20 s, with 2, 2, 2 and 3 samples.
    samples = sampled(1, 3, 10, 20, 16, 18, 11, 12, 16)
    medians = quarter_medians(samples, "resident_mb")
    assert medians == (2.0, 15.0, 17.0, 12.0)
    assert growth(medians) == pytest.approx(-0.2)
    assert quarter_medians(samples, "files") == (5.0, 5.0, 5.0, 5.0)


def test_a_quarter_without_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="leave a quarter empty"):
        quarter_medians(sampled(1, 2), "resident_mb")


def test_slope_leaves_out_the_warming_up() -> None:
    # A megabyte every ten seconds from 20 s on is 360 an hour, whatever came before.
    assert slope_per_hour(sampled(500, 90, 1, 2, 3, 4), "resident_mb", after_seconds=20.0) == pytest.approx(360.0)


def test_quantiles_are_by_nearest_rank() -> None:
    nanoseconds = [n * 1_000_000 for n in range(200, 0, -1)]
    assert quantiles_ms(nanoseconds) == {0.5: pytest.approx(100.0), 0.99: pytest.approx(198.0)}
    with pytest.raises(ValueError, match="no order was measured"):
        quantiles_ms([])


def test_the_stream_of_orders_comes_to_what_it_says() -> None:
    expected = Expected()
    states, shares, events = Counter[str](), Counter[str](), 0
    for decision, told in order_stream(60, expected):
        statuses = {o.client_order_id: OrderStatus(o, OrderState.INTENT_RECORDED) for o in decision.orders}
        terms = {"kind": OrderEventKind.APPROVED, "session": decision.session, "at_utc": told[0].at_utc}
        approvals = [OrderEvent(client_order_id=name, **terms) for name in statuses]
        for event in (*approvals, *told):
            status = statuses[event.client_order_id] = apply_event(statuses[event.client_order_id], event)
            events += 1
            if event.fill is not None:
                shares[status.order.symbol] += int(event.fill.quantity_shares)
        states.update(str(status.state) for status in statuses.values())
    assert (expected.orders, expected.events, events) == (60, 60 * EVENTS_AN_ORDER, 60 * EVENTS_AN_ORDER)
    assert (states, dict(shares)) == (expected.states, dict(expected.shares))
    assert set(states) == {"filled", "cancelled", "expired"}
