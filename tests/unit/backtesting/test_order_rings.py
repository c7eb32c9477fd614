"""Orders that cancel one another: who may be in a ring, and how a ring counts."""

from __future__ import annotations

import pytest

from aegis.backtesting.kernel import sizing
from aegis.backtesting.kernel.codes import OrderType, Reason, State, TimeInForce
from aegis.backtesting.kernel.simulation import Simulation
from aegis.errors import StrategyFailed
from tests.unit.backtesting.small_market import ends, fills, market

GTC = {"time_in_force": TimeInForce.GTC}
WORKS, NONE = (State.WORKING, Reason.NONE), Reason.NONE


def limit(simulation: Simulation, quantity: float, usd: float, **terms: int) -> int:
    return simulation.place(0, quantity, order_type=OrderType.LIMIT, limit_usd=usd, **GTC, **terms)  # type: ignore[arg-type]


def stop(simulation: Simulation, quantity: float, usd: float, **terms: int) -> int:
    return simulation.place(0, quantity, order_type=OrderType.STOP, stop_usd=usd, **GTC, **terms)  # type: ignore[arg-type]


def holding(shares: float, *prices: float) -> Simulation:
    """Return a cash account that holds shares at the close of its second bar."""
    found = market({"AAA": [100.0, 100.0, *prices]})
    found.place(0, shares)
    found.advance(2)
    return found


def test_order_of_a_ring_cannot_be_linked_again():
    found = market({"AAA": [100.0, 100.0, 94.0]})
    for usd in (99.0, 98.0, 97.0, 96.0):
        limit(found, 10, usd)
    found.link(0, 3)
    with pytest.raises(StrategyFailed, match=r"AAA 2024-03-04.*order 2 is already one of .* link each order once"):
        found.link(2, 2)
    found.advance()
    assert fills(found) == [(0, 10.0, 94.0), (3, 10.0, 94.0)]
    assert ends(found)[1:3] == [(State.CANCELLED, Reason.SIBLING_FILLED)] * 2


@pytest.mark.parametrize("count", [1, 0, -1])
def test_fewer_than_two_orders_are_no_ring(count):
    found = market({"AAA": [100.0, 100.0]})
    limit(found, 10, 99.0)
    with pytest.raises(StrategyFailed, match=rf"{count} orders cannot cancel one another; link two or more"):
        found.link(0, count)


def test_order_that_has_ended_cannot_be_linked_or_joined():
    found = market({"AAA": [100.0, 100.0, 100.0]})
    limit(found, 10, 99.0)
    limit(found, 10, 98.0)
    found.cancel(0)
    with pytest.raises(StrategyFailed, match="order 0 has ended and can cancel no other"):
        found.link(0, 2)
    with pytest.raises(StrategyFailed, match="order 0 has ended and can cancel no other"):
        limit(found, 10, 97.0, sibling_of=0)


def test_order_that_the_venue_rejected_is_no_fault_of_a_ring():
    # 10 are held; the sale of 20 is rejected, the purchase works alone.
    found = holding(10, 100.0, 94.0)
    limit(found, -20, 105.0)
    limit(found, 10, 95.0)
    found.link(1, 2)
    found.advance()
    assert ends(found)[1:] == [(State.REJECTED, Reason.SHORT_SALE), (State.FILLED, NONE)]


def test_two_exits_of_one_position_are_accepted_as_a_ring_in_a_cash_account():
    found = holding(100, 94.0, 110.0)
    profit = limit(found, -100, 110.0)
    loss = stop(found, -100, 95.0, sibling_of=profit)
    assert ends(found)[1:] == [WORKS, WORKS]
    found.advance()
    assert fills(found)[1:] == [(loss, -100.0, 94.0)]
    assert ends(found)[1:] == [(State.CANCELLED, Reason.SIBLING_FILLED), (State.FILLED, NONE)]


def test_sale_joins_a_ring_of_three():
    found = holding(100, 100.0, 108.0)
    first = limit(found, -100, 110.0)
    second = stop(found, -100, 95.0, sibling_of=first)
    third = limit(found, -100, 107.0, sibling_of=second)
    found.advance()
    assert fills(found)[1:] == [(third, -100.0, 108.0)]
    assert ends(found)[1:3] == [(State.CANCELLED, Reason.SIBLING_FILLED)] * 2


def test_sibling_of_more_than_is_held_is_rejected_and_leaves_the_other_alone():
    found = holding(100, 112.0)
    first = limit(found, -100, 110.0)
    second = stop(found, -101, 95.0, sibling_of=first)
    assert ends(found)[second] == (State.REJECTED, Reason.SHORT_SALE)
    found.advance()
    assert fills(found)[1:] == [(first, -100.0, 112.0)]


@pytest.mark.parametrize(("more", "accepted"), [(-20, True), (-21, False)])
def test_one_of_a_ring_of_three_sales_counts_beside_another_sale(more, accepted):
    # 30 are held and a ring offers 10: 20 more can be sold, 21 cannot.
    found = holding(30, 100.0)
    for usd in (110.0, 111.0, 112.0):
        limit(found, -10, usd)
    found.link(1, 3)
    index = limit(found, more, 113.0)
    assert ends(found)[index] == (WORKS if accepted else (State.REJECTED, Reason.SHORT_SALE))


@pytest.mark.parametrize("sizes", [(-5, -25, -10), (-25, -10, -5), (-10, -5, -25)])
def test_largest_of_a_ring_counts(sizes):
    # 30 are held and a ring offers 25 at most: 5 more can be sold, 6 cannot.
    found = holding(30, 100.0)
    first = limit(found, sizes[0], 110.0)
    for size in sizes[1:]:
        limit(found, size, 111.0, sibling_of=first)
    limit(found, -6, 113.0)
    limit(found, -5, 113.0)
    assert ends(found)[4:] == [(State.REJECTED, Reason.SHORT_SALE), WORKS]


def test_ended_member_of_a_ring_does_not_count():
    found = holding(30, 100.0)
    first = limit(found, -25, 110.0)
    limit(found, -10, 111.0, sibling_of=first)
    found.cancel(first)
    limit(found, -20, 113.0)
    assert ends(found)[3] == WORKS


def test_target_counts_one_of_a_ring():
    # 100 held, of which a ring sells 100 one way or the other: a target of 0 needs no order.
    found = holding(100, 100.0)
    first = limit(found, -100, 110.0)
    stop(found, -100, 95.0, sibling_of=first)
    market_order, day = int(OrderType.MARKET), int(TimeInForce.DAY)
    assert found.ask(sizing.order_target_quantity, 0, 0.0, market_order, day) == -1
