"""What the rules at the door keep of orders that have ended and are in the journal: sums, however many there were."""

from __future__ import annotations

from collections.abc import Sized
from datetime import timedelta
from decimal import Decimal

from aegis.execution.orders import OrderEventKind
from aegis.live_trading.order_reservations import OrderReservations
from tests.unit.live_trading.doors import Door, named

_E = OrderEventKind


def _traded(orders: int, door: Door) -> list[str]:
    """Let orders of 10 ABC at 20 USD through, fill them in two parts, and let them go once the broker stated them."""
    names = []
    for number in range(orders):
        order = named(f"o-{number}", 10.0 if number % 2 else -10.0)
        assert door.manager.review(order).is_allowed
        door.manager.settle(door.event(_E.SUBMITTED, order))
        shares = order.quantity_shares / 2
        door.manager.settle(door.fill(order, shares))
        door.manager.settle(door.fill(order, shares, number=2, ends=True))
        names.append(order.client_order_id)
        if number % 10 == 9:
            door.manager.let_go(names)
            door.tell()
            names.clear()
    return names


def _kept(door: Door) -> dict[str, int]:
    orders = door.manager._book.orders
    assert isinstance(orders, OrderReservations)
    return {name: len(value) for name, value in vars(orders).items() if isinstance(value, Sized)}


def test_as_much_is_kept_after_ten_times_as_many_orders() -> None:
    few, many = Door(positions={"ABC": 100.0}), Door(positions={"ABC": 100.0})
    _traded(30, few)
    _traded(300, many)
    assert _kept(few) == _kept(many)
    assert _kept(many)["_entries"] == 0


def test_the_day_counts_orders_that_were_forgotten_and_the_next_day_does_not() -> None:
    door = Door(positions={"ABC": 100.0})
    _traded(30, door)
    view = door.manager.view(named("probe"))
    assert (view.day_orders, view.day_shares, view.day_notional_usd) == (30, Decimal(300), Decimal(6_000))
    door.go_to(door.clock.instant_utc + timedelta(days=1))
    view = door.manager.view(named("probe"))
    assert (view.day_orders, view.day_shares, view.day_notional_usd) == (0, Decimal(0), Decimal(0))
    assert door.manager._book.orders.total == door.manager._book.orders.from_scratch()


def test_an_order_that_is_let_go_is_kept_until_the_broker_has_stated_what_it_traded() -> None:
    door = Door(positions={"ABC": 100.0})
    order = named("o-1", 10.0)
    door.manager.review(order)
    door.manager.settle(door.event(_E.SUBMITTED, order))
    door.manager.settle(door.fill(order, 10.0, ends=True))
    door.manager.let_go([order.client_order_id])
    assert door.manager._book.position_shares("ABC") == 110
    door.positions = {"ABC": 110.0}
    door.tell()
    assert door.manager._book.position_shares("ABC") == 110
    assert _kept(door)["_entries"] == 0


def test_an_open_order_is_not_forgotten_and_shares_that_trade_after_the_end_count() -> None:
    door = Door(positions={"ABC": 100.0})
    resting, ended = named("o-1", 10.0), named("o-2", 10.0)
    for order in (resting, ended):
        door.manager.review(order)
        door.manager.settle(door.event(_E.SUBMITTED, order))
    door.manager.settle(door.event(_E.CANCELLED, ended))
    door.manager.let_go([resting.client_order_id, ended.client_order_id, "a stranger"])
    assert list(door.manager._book.orders._entries) == [resting.client_order_id]
    door.manager.settle(door.fill(ended, 4.0))
    assert door.manager._book.position_shares("ABC") == 104
    view = door.manager.view(named("probe"))
    assert (view.day_orders, view.day_shares) == (2, Decimal(14))
