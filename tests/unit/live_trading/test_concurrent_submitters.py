"""A thousand threads at the exit door at once, against one shared limit: exactly what fits goes through."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from aegis.execution.orders import Order, OrderEventKind
from tests.unit.live_trading.doors import Door, named

SUBMITTERS = 1_000
_E = OrderEventKind


@pytest.fixture(autouse=True)
def _threads_switch_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def _let_through(submit: Callable[[int], bool]) -> int:
    """Let all submitters go at one moment and return how many were let through."""
    barrier = threading.Barrier(SUBMITTERS)
    passed: list[int] = []

    def run(number: int) -> None:
        barrier.wait()
        if submit(number):
            passed.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(SUBMITTERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(passed)


def _order(number: int) -> Order:
    return named(f"o-{number}", symbol=("ABC", "XYZ")[number % 2])


# Each order is of 100 shares at 20.01 USD: 2,001 USD. Equity is 1,000,000 USD.
@pytest.mark.parametrize(
    ("limits", "buying_power", "fitting"),
    [
        # Exactly 500 × 2,001 USD, and a millionth of a cent less.
        ({"max_day_notional_usd": 1_000_500.0}, 1e9, 500),
        pytest.param({"max_day_notional_usd": 1_000_499.999_999_99}, 1e9, 499, marks=pytest.mark.long),
        ({"max_day_orders": 137}, 1e9, 137),
        pytest.param({"max_orders_per_second": 33}, 1e9, 33, marks=pytest.mark.long),
        # 300,000 / 2,001 = 149.9
        pytest.param({"max_gross_exposure": 0.3}, 1e9, 149, marks=pytest.mark.long),
        ({}, 500_250.0, 250),
    ],
)
def test_exactly_what_fits_goes_through(limits: dict[str, float], buying_power: float, fitting: int) -> None:
    door = Door(**limits)
    door.tell(ask=20.01, buying_power=buying_power)
    assert _let_through(lambda number: door.manager.review(_order(number)).is_allowed) == fitting


def test_a_position_is_not_exceeded_by_submitters_who_each_would_fit() -> None:
    # 5 % of 1,000,000 USD: 24 × 2,001 USD fit, 25 do not. 400 shares are held: 20 orders remain.
    door = Door(positions={"ABC": 400.0}, max_position_weight=0.05)
    door.tell(ask=20.01)
    assert _let_through(lambda number: door.manager.review(named(f"o-{number}")).is_allowed) == 20


@pytest.mark.long
def test_what_is_held_is_sold_once() -> None:
    # 2,000 shares are held and nothing may be sold short: 20 sales of 100.
    door = Door(positions={"ABC": 2_000.0}, max_gross_exposure=0.01, max_position_weight=0.01)
    passed = _let_through(lambda number: door.manager.review(named(f"o-{number}", -100)).is_allowed)
    # Selling on would be short of up to 1 % of equity, 500 shares, but 2,000 shares held exceed the gross limit.
    assert passed == 20


@pytest.mark.long
def test_an_id_goes_through_once() -> None:
    door = Door()
    assert _let_through(lambda _: door.manager.review(named("o-1")).is_allowed) == 1


@pytest.mark.long
def test_fills_and_ends_meanwhile_never_let_more_through_than_the_limit() -> None:
    door = Door(max_day_notional_usd=100_000.0)
    highest: list[Decimal] = []

    def submit(number: int) -> bool:
        order = _order(number)
        if not door.manager.review(order).is_allowed:
            return False
        door.settle(order, [_E.SUBMITTED, _E.ACCEPTED])
        door.manager.settle(door.fill(order, 50))
        highest.append(door.manager.view(named("probe")).day_notional_usd)
        door.settle(order, [_E.CANCELLED])
        return True

    passed = _let_through(submit)
    # 50 shares at 20 USD of each order stay traded: at least the 50 orders that fit at once, at most 100.
    assert 50 <= passed <= 100
    assert max(highest) <= 100_000
    assert door.manager.view(named("probe")).day_notional_usd == passed * 1_000
    assert door.manager.view(named("probe")).book.open_bought_shares == 0
