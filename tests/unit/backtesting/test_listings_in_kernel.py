"""Halts, resumptions and delistings of one symbol, in every order."""

from __future__ import annotations

import pytest

from aegis.backtesting.kernel.codes import ActionKind, OrderType, Reason, State, TimeInForce
from tests.unit.backtesting.small_market import actions, ends, fills, market

HALT, RESUME, DELISTING = ActionKind.HALT, ActionKind.RESUME, ActionKind.DELISTING
FLAT = [100.0, 100.0, 103.0, 104.0, 105.0]


def listing(*events: tuple[ActionKind, int]):
    return actions(*((kind, 0, session, 1.0, 0.0) for kind, session in sorted(events, key=lambda e: (e[1], e[0]))))


@pytest.mark.parametrize("events", [[(HALT, 2), (DELISTING, 2)], [(HALT, 2), (RESUME, 2), (DELISTING, 2)]])
def test_halt_on_the_day_of_the_delisting_does_not_keep_the_shares(events):
    # 100 bought at 100; the last close is 103: 100,000 - 10,000 + 10,300.
    found = market({"AAA": FLAT}, actions=listing(*events))
    found.place(0, 100.0)
    found.advance()
    assert found.positions["quantity"].tolist() == [0.0]
    assert found.cash.tolist()[2:] == [100_300.0] * 3
    assert found.equity.tolist()[2:] == [100_300.0] * 3


def test_symbol_that_is_halted_fills_nothing_on_its_last_day():
    found = market({"AAA": FLAT}, actions=listing((HALT, 1), (DELISTING, 3)))
    found.place(0, 100.0, order_type=OrderType.LIMIT, limit_usd=200.0, time_in_force=TimeInForce.GTC)
    found.advance()
    assert fills(found) == []
    assert ends(found) == [(State.CANCELLED, Reason.DELISTED)]


def test_symbol_that_was_delisted_does_not_resume():
    found = market({"AAA": FLAT}, actions=listing((DELISTING, 1), (RESUME, 2)))
    found.advance(4)
    found.place(0, 10.0)
    found.advance()
    assert ends(found) == [(State.REJECTED, Reason.DELISTED)]
    assert fills(found) == []


def test_symbol_that_was_halted_resumes():
    found = market({"AAA": FLAT}, actions=listing((HALT, 1), (RESUME, 3)))
    found.place(0, 10.0, time_in_force=TimeInForce.GTC)
    found.advance()
    assert fills(found) == [(0, 10.0, 104.0)]
