"""Rings of many orders at both entrances of the kernel: each fill changes all that are left."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from tests.golden.fill_scenarios import broker_runner, kernel_runner
from tests.golden.fill_scenarios.scenario import (
    CLOSES,
    OPENS,
    Bar,
    Costs,
    Expected,
    Instrument,
    Rules,
    Scenario,
    ScenarioOrder,
)

MEMBERS = 60
SESSIONS = tuple(date(2024, 1, 2) + timedelta(days=number) for number in range(3))


def _ring() -> Scenario:
    """Orders for 1, 2, 3, … shares of which one cancels the other, all of which the next bar reaches."""
    return Scenario(
        id="ring",
        title="",
        theme="",
        source="",
        why="",
        cash=100_000.0,
        rules=Rules(),
        costs=Costs(),
        symbols={"ABC": Instrument()},
        sessions=SESSIONS,
        bars=tuple(
            Bar(
                symbol="ABC",
                session=day,
                opens_at=datetime.combine(day, OPENS),
                closes_at=datetime.combine(day, CLOSES),
                open=100.0,
                high=100.0,
                low=100.0,
                close=100.0,
                volume=10_000.0,
            )
            for day in SESSIONS
        ),
        actions=(),
        orders=tuple(
            ScenarioOrder(
                id=f"o{number:03d}",
                after=datetime.combine(SESSIONS[0], CLOSES),
                symbol="ABC",
                quantity=float(number),
                type="limit",
                limit=101.0,
                tif="GTC",
                oco="ring",
            )
            for number in range(1, MEMBERS + 1)
        ),
        commands=(),
        expected=Expected(fills=(), states={}),
    )


@pytest.mark.parametrize("runner", [kernel_runner, broker_runner])
def test_each_member_of_a_ring_of_ascending_orders_buys_one_share(runner):
    # The first buys its 1 share, which leaves 1 of the second; that buys it, which leaves 1 of the third, and so on.
    found = runner.run(_ring())
    assert [fill.quantity for fill in found.fills] == [1.0] * MEMBERS
    assert found.positions == {"ABC": float(MEMBERS)}
    assert {state for state, _ in found.states.values()} == {"filled"}
