"""What the checks of a backtest find: nothing in the example booked by hand, and each planted defect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aegis.backtesting.kernel.codes import Amendment
from aegis.research.backtest_checks import illegal_orders, unexplained_usd
from tests.unit.backtesting.five_sessions import EQUITY, backtest
from tests.unit.backtesting.hand_written import amendment, amendments


def changed(records: str, row: int, **values: Any) -> np.ndarray:
    table: np.ndarray = getattr(backtest(), records).copy()
    for name, value in values.items():
        table[name][row] = value
    return table


def test_nothing_is_wrong_with_a_book_that_was_booked_by_hand() -> None:
    assert illegal_orders(backtest()) == []
    assert unexplained_usd(backtest()) == pytest.approx(0.0, abs=1e-9)


def test_a_book_without_orders_has_nothing_illegal() -> None:
    empty = {name: getattr(backtest(), name)[:0] for name in ("order_records", "fill_records", "amendment_records")}
    assert illegal_orders(backtest(**empty)) == []


@pytest.mark.parametrize("missing", [-1.0, 1.0])
def test_equity_that_nothing_explains_is_found(missing: float) -> None:
    results = backtest(equity_usd=np.array([*EQUITY[:-1], EQUITY[-1] + missing]))
    assert unexplained_usd(results) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("fill", "found"),
    [
        ({"symbol": 0}, "order 1 (BBB, decided 2024-01-30): fill 1 is of another symbol than its order"),
        ({"quantity": 5.0}, "order 1 (BBB, decided 2024-01-30): fill 1 is on the other side of its order"),
        ({"step": 0}, "order 1 (BBB, decided 2024-01-30): fill 1 is not later than its decision"),
        ({"price": 0.0}, "order 1 (BBB, decided 2024-01-30): fill 1 has no price above 0"),
        ({"price": float("nan")}, "order 1 (BBB, decided 2024-01-30): fill 1 has no price above 0"),
        ({"quantity": -4.0}, "order 1 (BBB, decided 2024-01-30): fills do not add up to what is filled"),
        ({"quantity": -6.0}, "order 1 (BBB, decided 2024-01-30): more is filled than ordered"),
    ],
)
def test_a_fill_that_cannot_be_is_named(fill: dict[str, Any], found: str) -> None:
    results = backtest(fill_records=changed("fill_records", 0, **fill))
    assert f"by hand: {found}" in illegal_orders(results)


def test_an_order_that_was_rescaled_by_a_split_need_not_add_up() -> None:
    fills = changed("fill_records", 0, quantity=-6.0)
    split = amendments(amendment(1, 1, Amendment.RESCALED, -5.0))
    sums = [text for text in illegal_orders(backtest(fill_records=fills, amendment_records=split)) if "fills " in text]
    assert sums == []


def test_an_event_after_the_end_of_an_order_is_named() -> None:
    """The first order was filled in step 1, and something changes it in step 3."""
    results = backtest(amendment_records=amendments(amendment(0, 3, Amendment.REPLACED, 12.0)))
    assert illegal_orders(results) == [
        "by hand: order 0 (AAA, decided 2024-01-30): event 'replaced' follows state 'filled'"
    ]
