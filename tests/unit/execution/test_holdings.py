"""What stands where an order to close it would not go."""

from __future__ import annotations

from datetime import date

import pytest

from aegis.execution.account_state import Position
from aegis.execution.brokers.holdings import holdings_at

HOMES = {"ABC": "one", "DEF": "other"}


def _held(symbol: str, shares: float) -> Position:
    return Position(symbol, symbol, shares, 10.0, 10.0, date(2014, 6, 5))


@pytest.mark.parametrize(
    ("at_one", "at_other", "misplaced"),
    [
        ([("ABC", 10.0)], [("DEF", -5.0)], []),
        ([], [("ABC", 10.0)], [("ABC", "other", 10.0, "one", 0.0)]),
        ([("ABC", -10.0)], [("ABC", 10.0)], [("ABC", "other", 10.0, "one", -10.0)]),
        (
            [("DEF", 1.0), ("XYZ", 2.0)],
            [("XYZ", 0.0)],
            [("DEF", "one", 1.0, "other", 0.0), ("XYZ", "one", 2.0, None, 0.0)],
        ),
    ],
    ids=["in place", "elsewhere", "cancelling out", "no rule"],
)
def test_each_position_is_judged_where_it_stands(at_one, at_other, misplaced):
    held = {"one": [_held(*each) for each in at_one], "other": [_held(*each) for each in at_other]}
    found = holdings_at(held, HOMES.get)
    assert [
        (each.symbol, each.broker, each.position.quantity_shares, each.home, each.home_shares)
        for each in found.misplaced
    ] == misplaced


def test_what_cancels_out_is_in_no_total_and_is_told_with_both_sides_and_a_remedy():
    found = holdings_at({"one": [_held("ABC", -10.0)], "other": [_held("ABC", 10.0)]}, HOMES.get)
    assert found.positions == ()
    (each,) = found.misplaced
    assert each.told == (
        "ABC: 10 shares are held at 'other', and by brokers.multi.routes an order to close them goes to 'one', which "
        "holds -10; close them at 'other' by hand, or, where ABC is held there alone, add a rule that sends it there"
    )
