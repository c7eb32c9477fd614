import math

import pytest

from aegis.risk.reducing import are_reducing


@pytest.mark.parametrize(
    ("position", "order", "reduces"),
    [
        (100.0, -99.0, True),
        (100.0, -100.0, True),
        (100.0, -101.0, False),
        (100.0, 1.0, False),
        (-100.0, 100.0, True),
        (-100.0, 101.0, False),
        (-100.0, -1.0, False),
        (0.0, -1.0, False),
        (0.0, 1.0, False),
        (math.nan, -1.0, False),
        (math.inf, -1.0, False),
        (100.0, math.nan, False),
        (100.0, -math.inf, False),
    ],
)
def test_an_order_reduces_when_it_shrinks_the_position_without_crossing_zero(
    position: float, order: float, reduces: bool
) -> None:
    assert are_reducing([("A", order)], {"A": position}) == (reduces,)


def test_an_unknown_symbol_has_nothing_to_reduce() -> None:
    assert are_reducing([("B", -1.0)], {"A": 100.0}) == (False,)


def test_of_two_sales_that_together_exceed_the_position_the_second_does_not_reduce() -> None:
    assert are_reducing([("A", -60.0), ("A", -60.0), ("A", -40.0)], {"A": 100.0}) == (True, False, True)


def test_open_sales_use_the_position_up_first() -> None:
    assert are_reducing([("A", -50.0), ("A", -40.0)], {"A": 100.0}, open_orders_shares=[("A", -60.0)]) == (False, True)


def test_open_purchases_of_a_long_position_add_nothing_that_could_be_sold() -> None:
    assert are_reducing([("A", -120.0)], {"A": 100.0}, open_orders_shares=[("A", 50.0)]) == (False,)


def test_an_open_order_of_unknown_size_leaves_nothing_to_reduce() -> None:
    assert are_reducing([("A", -1.0)], {"A": 100.0}, open_orders_shares=[("A", math.nan)]) == (False,)


def test_symbols_do_not_share_what_they_can_reduce() -> None:
    assert are_reducing([("A", -100.0), ("B", 5.0)], {"A": 100.0, "B": -5.0}) == (True, True)
