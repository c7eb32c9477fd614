"""The decision table of fills: is the table itself sound, and does each runner do what it says?

The scenarios stand in ``fill_scenarios/*.yaml``; what they mean is ``docs/fills.md``. A new way of running orders adds
itself to RUNNERS.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.golden.fill_scenarios import broker_runner, kernel_runner, python_runner
from tests.golden.fill_scenarios.comparison import differences
from tests.golden.fill_scenarios.reading import load_scenarios, read_scenario
from tests.golden.fill_scenarios.scenario import (
    ACTIONS,
    ORDER_TYPES,
    PHASES,
    STATES,
    TIMES_IN_FORCE,
    Bar,
    FillRow,
    Outcome,
    Scenario,
    ScenarioError,
)

SCENARIOS = load_scenarios()
ROUNDING_SHARES = 1e-9
RUNNERS: dict[str, Callable[[Scenario], Outcome]] = {
    "kernel": kernel_runner.run,
    "kernel_by_session": kernel_runner.run_by_session,
    "kernel_dense": kernel_runner.run_dense,
    "broker": broker_runner.run,
    "python": python_runner.run,
}
FITS: dict[str, Callable[[Scenario], bool]] = {
    "kernel_dense": kernel_runner.is_dense,
    "broker": broker_runner.fits,
    "python": python_runner.fits,
}
"""Which scenarios a runner can take; all of them unless it says so."""

REASONS = {
    "by strategy",
    "end of session",
    "end of life",
    "not immediate",
    "not whole",
    "sibling filled",
    "parent ended",
    "position closed",
    "replaced to filled",
    "liquidation",
    "buying power",
    "short sale",
    "tick size",
    "lot size",
    "halted",
    "no price",
    "min notional",
    "delisted",
    "closed session",
    "split leaves nothing",
    "missed auction",
}
THEMES = {
    "auctions",
    "average",
    "average cost",
    "bracket",
    "buying power",
    "cancel and replace",
    "costs",
    "dividends",
    "fractional shares",
    "frequencies",
    "halts and gaps",
    "limit",
    "listings",
    "margin",
    "market",
    "one-cancels-other",
    "one-triggers-other",
    "participation",
    "rejects",
    "settlement",
    "splits",
    "stop",
    "stop-limit",
    "time in force",
    "trades",
    "trailing",
}

WANTED: dict[tuple[str, str], str] = {}
"""What a runner, named by its first word, does not do yet; an entry that has become untrue fails the test."""


def _cases() -> list[Any]:
    return [
        pytest.param(runner, scenario, id=f"{runner}-{scenario.id}", marks=_marks(runner, scenario))
        for runner in sorted(RUNNERS)
        for scenario in SCENARIOS
        if runner not in FITS or FITS[runner](scenario)
    ]


def _marks(runner: str, scenario: Scenario) -> list[pytest.MarkDecorator]:
    reason = WANTED.get((runner.partition("_")[0], scenario.id))
    return [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]


@pytest.mark.parametrize(("runner", "scenario"), _cases())
def test_runner_does_what_the_table_says(runner, scenario):
    found = differences(scenario.expected, RUNNERS[runner](scenario))
    assert not found, "\n".join([f"{scenario.id}: {scenario.title}", scenario.why, *found])


def test_exceptions_of_the_daily_broker_are_those_of_the_table():
    found = {reason for scenario in SCENARIOS for reason in broker_runner.unfit(scenario)}
    assert found == set(broker_runner.UNFIT)
    assert sum(map(broker_runner.fits, SCENARIOS)) > len(SCENARIOS) // 2


def test_table_is_large_and_its_ids_are_unique():
    repeated = [name for name, count in Counter(s.id for s in SCENARIOS).items() if count > 1]
    assert (repeated, len(SCENARIOS) >= 90) == ([], True)


def test_table_covers_every_theme():
    assert {s.theme for s in SCENARIOS} == THEMES


def test_table_covers_every_word():
    orders = [order for s in SCENARIOS for order in s.orders]
    outcomes = [state for s in SCENARIOS for state in s.expected.states.values()]
    assert {o.type for o in orders} == set(ORDER_TYPES)
    assert {o.tif for o in orders} == set(TIMES_IN_FORCE)
    assert {state for state, _ in outcomes} == set(STATES)
    assert {reason for _, reason in outcomes if reason} == REASONS
    assert {f.phase for s in SCENARIOS for f in s.expected.fills} == set(PHASES)
    assert {a.kind for s in SCENARIOS for a in s.actions} == set(ACTIONS)


def test_table_has_both_sides_of_every_order_type():
    sides = {(o.type, math.copysign(1, o.quantity)) for s in SCENARIOS for o in s.orders}
    assert {(kind, side) for kind in ORDER_TYPES for side in (-1.0, 1.0)} - sides == set()


def test_titles_are_sentences_and_expectations_say_why():
    for scenario in SCENARIOS:
        assert scenario.title[0].isupper(), scenario.id
        assert scenario.title.endswith("."), scenario.id
        assert scenario.source.startswith("by hand"), scenario.id
        assert scenario.why, scenario.id


def test_expected_fills_are_in_the_order_of_time_and_phase():
    for scenario in SCENARIOS:
        keys = [(fill.bar, PHASES.index(fill.phase)) for fill in scenario.expected.fills]
        assert keys == sorted(keys), scenario.id


def test_expected_fills_are_in_bars_that_open_after_the_decision():
    for scenario in SCENARIOS:
        after = {order.id: order.after for order in scenario.orders}
        for fill in scenario.expected.fills:
            bar = _bar(scenario, fill)
            assert bar.opens_at >= after.get(fill.order, bar.opens_at), scenario.id


def test_expected_prices_are_prices_of_the_bar():
    """The open, the close and the average exactly; inside, anything in the range. Only slippage moves them."""
    for scenario in SCENARIOS:
        allowance = scenario.costs.slippage_bps / 10_000
        for fill in scenario.expected.fills:
            low, high = _price_range(_bar(scenario, fill), fill.phase)
            assert low * (1 - allowance) - 1e-9 <= fill.price <= high * (1 + allowance) + 1e-9, (scenario.id, fill)


def test_expected_fills_fit_the_capacity_of_their_bar():
    for scenario in SCENARIOS:
        taken: Counter[tuple[str, object]] = Counter()
        for fill in scenario.expected.fills:
            taken[_symbol(scenario, fill), fill.bar] += abs(fill.quantity)
        volumes = {(bar.symbol, bar.closes_at): bar.volume for bar in scenario.bars}
        for key, quantity in taken.items():
            assert quantity <= volumes[key] * scenario.rules.participation_rate + 1e-9, scenario.id


def test_expected_cash_and_positions_add_up():
    """Without corporate actions they are what fills and commissions leave: a check of the table's arithmetic."""
    for scenario in (s for s in SCENARIOS if not s.actions):
        expected = scenario.expected
        cash = scenario.cash - math.fsum(f.quantity * f.price + f.commission for f in expected.fills)
        held: Counter[str] = Counter()
        for fill in expected.fills:
            held[_symbol(scenario, fill)] += fill.quantity
        closes = {bar.symbol: bar.close for bar in scenario.bars}
        equity = cash + math.fsum(quantity * closes[symbol] for symbol, quantity in held.items())
        assert expected.cash is None or cash == pytest.approx(expected.cash, abs=1e-9), scenario.id
        assert expected.equity is None or equity == pytest.approx(expected.equity, abs=1e-9), scenario.id
        held = Counter({symbol: quantity for symbol, quantity in held.items() if abs(quantity) > ROUNDING_SHARES})
        assert expected.positions is None or expected.positions == held, scenario.id


def test_filled_orders_are_filled_in_full():
    for scenario in SCENARIOS:
        if scenario.actions or scenario.commands or any(order.parent or order.oco for order in scenario.orders):
            continue
        filled: Counter[str] = Counter()
        for fill in scenario.expected.fills:
            filled[fill.order] += fill.quantity
        for order in scenario.orders:
            state, _ = scenario.expected.states[order.id]
            assert (filled[order.id] == order.quantity) == (state == "filled"), (scenario.id, order.id)
            assert state != "partially filled" or 0 < filled[order.id] / order.quantity < 1, (scenario.id, order.id)


def test_differences_name_what_came_out_otherwise():
    scenario = next(s for s in SCENARIOS if s.id == "market-buy")
    (fill,) = scenario.expected.fills
    worse = FillRow(order="a", bar=fill.bar, phase="close", quantity=100, price=103)
    seen = Outcome(fills=(worse,), states={"a": ("expired", "end of session")}, cash=89_700, positions={"ABC": 90})
    found = "\n".join(differences(scenario.expected, seen))
    assert "expected a +100 @ 101.0 at the open of 2024-01-03 21:00:00" in found
    assert "seen     a +100 @ 103 at the close of 2024-01-03 21:00:00" in found
    assert "order a: expected filled, seen expired, end of session" in found
    assert "positions of ABC: expected 100.0, seen 90" in found
    assert "cash: expected 89900.0, seen 89700" in found
    assert "equity: expected 100200.0, seen nan" in found


def test_no_differences_where_everything_came_out():
    scenario = next(s for s in SCENARIOS if s.id == "market-buy")
    expected = scenario.expected
    seen = Outcome(fills=expected.fills, states=expected.states, cash=89_900, positions={"ABC": 100}, equity=100_200)
    assert differences(expected, seen) == []


ROW = {
    "id": "x",
    "title": "T.",
    "theme": "market",
    "source": "by hand",
    "why": "so",
    "bars": {"ABC": {"2024-01-02 21:00": [1, 1, 1, 1, 1]}},
    "orders": [{"id": "a", "after": "2024-01-02 21:00", "buy": 1, "type": "market"}],
    "expected": {"fills": [], "orders": {"a": "working"}},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, r"made up\.yaml: x: scenario has unknown keys \['colour'\]"),
        ({"rules": {"lot": 1}}, r"rules has unknown keys \['lot'\]"),
        ({"orders": [{**ROW["orders"][0], "limit_price": 1}]}, r"order has unknown keys \['limit_price'\]"),
        ({"orders": [{"id": "a", "buy": 1, "type": "market"}]}, r"order lacks \['after'\]"),
        ({"orders": [{**ROW["orders"][0], "type": "iceberg"}]}, "unknown type or time in force"),
        ({"orders": [{**ROW["orders"][0], "after": "2024-01-03 21:00"}]}, "no bar closes at the time of"),
        ({"orders": ROW["orders"] * 2}, "order ids repeat"),
        ({"orders": [{**ROW["orders"][0], "parent": "b"}]}, r"no such orders \['b'\]"),
        ({"expected": {"fills": [], "orders": {}}}, r"states are missing for \['a'\]"),
        ({"expected": {"fills": [], "orders": {"a": "done"}}}, "state 'done' is none of"),
        ({"bars": {"ABC": {"2024-01-02 21:00": [1, 1, 2, 1, 1]}}}, "is no bar"),
        ({"bars": {"ABC": {"Tuesday": [1, 1, 1, 1, 1]}}}, "'Tuesday' is neither a date nor a time"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused_by_name(change, message):
    with pytest.raises(ScenarioError, match=message):
        read_scenario("made up", {**ROW, **change})


def _symbol(scenario: Scenario, fill: FillRow) -> str:
    symbols = {order.id: order.symbol for order in scenario.orders}
    return symbols.get(fill.order) or fill.order.removeprefix("margin_call:")


def _bar(scenario: Scenario, fill: FillRow) -> Bar:
    symbol = _symbol(scenario, fill)
    return next(bar for bar in scenario.bars if (bar.symbol, bar.closes_at) == (symbol, fill.bar))


def _price_range(bar: Bar, phase: str) -> tuple[float, float]:
    average = (bar.open + bar.high + bar.low + bar.close) / 4
    ranges = {
        "open": (bar.open, bar.open),
        "inside": (bar.low, bar.high),
        "average": (average, average),
        "close": (bar.close, bar.close),
    }
    return ranges[phase]
