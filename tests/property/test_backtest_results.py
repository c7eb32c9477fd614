"""What results say of random simulations, against what the kernel booked while it ran."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.backtesting.bars import Bars
from aegis.backtesting.costs import CostModel
from aegis.backtesting.kernel.codes import ActionKind, OrderType, TimeInForce
from aegis.backtesting.kernel.records import ACTION
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.results import BacktestResults
from aegis.backtesting.rules import TradingRules
from aegis.execution.order_states import OrderState, next_state
from aegis.execution.orders import OrderEventKind

SYMBOLS = ("AAA", "BBB", "CCC")
STEPS, STEPS_A_SESSION = 60, 3
HOUR = 3_600 * 10**9
CASH_USD = 100_000.0


def _bars(rng: np.random.Generator) -> Bars:
    shape = (STEPS, len(SYMBOLS))
    close = np.round(50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, shape), axis=0)), 2)
    opened = np.round(close * np.exp(rng.normal(0.0, 0.01, shape)), 2)
    high, low = np.maximum(opened, close) + 0.25, np.minimum(opened, close) - 0.25
    volume = rng.integers(0, 4_000, shape).astype(float)
    missing = rng.random(shape) < 0.05
    for column in (opened, high, low, close, volume):
        column[missing] = np.nan
    step = np.arange(STEPS)
    day = step // STEPS_A_SESSION
    closes_at = day * 24 * HOUR + (15 + step % STEPS_A_SESSION) * HOUR
    days = day.astype("datetime64[D]")
    return Bars.from_arrays(
        opened, high, low, close, volume, closes_at=closes_at, symbols=SYMBOLS, sessions=days, bar_interval=HOUR
    )


def _actions(rng: np.random.Generator) -> np.ndarray:
    rows = np.zeros(6, ACTION)
    rows["day"] = rows["pay_day"] = np.sort(rng.integers(2, STEPS // STEPS_A_SESSION, 6))
    rows["symbol"] = rng.integers(0, len(SYMBOLS), 6)
    rows["kind"] = rng.choice([ActionKind.SPLIT, ActionKind.SPLIT, ActionKind.DIVIDEND], 6)
    rows["kind"][-1] = rng.choice([ActionKind.CASH_MERGER, ActionKind.DELISTING, ActionKind.DIVIDEND])
    rows["ratio"] = np.where(rows["kind"] == ActionKind.SPLIT, rng.choice([2.0, 1.5, 0.3], 6), 1.0)
    rows["amount"] = np.where(rows["kind"] == ActionKind.SPLIT, 0.0, 1.25)
    return rows


def _send(simulation: Simulation, rng: np.random.Generator) -> None:
    """Place one order of any kind, or take one back."""
    symbol, quantity = int(rng.integers(len(SYMBOLS))), float(rng.choice([-1, 1]) * rng.integers(1, 300))
    mark = float(simulation.positions["mark"][symbol])
    if not mark > 0.0:
        return
    kind = rng.integers(6)
    away = mark * (1.0 + 0.02 * np.sign(quantity))
    in_force = rng.choice([TimeInForce.DAY, TimeInForce.GTC])
    if kind == 0:
        exits = {
            "stop_loss_usd": mark * (1 - 0.03 * np.sign(quantity)),
            "take_profit_usd": mark * (1 + 0.03 * np.sign(quantity)),
        }
        simulation.place_bracket(symbol, quantity, **exits, time_in_force=TimeInForce.GTC)
    elif kind == 1:
        limit = mark * (1.0 - 0.01 * np.sign(quantity))
        simulation.place(symbol, quantity, order_type=OrderType.LIMIT, limit_usd=limit, time_in_force=in_force)
    elif kind == 2:
        simulation.place(symbol, quantity, order_type=OrderType.STOP, stop_usd=away, time_in_force=in_force)
    elif kind == 3:
        terms = {"trail": 0.02, "trail_is_fraction": True, "time_in_force": TimeInForce.GTC}
        simulation.place(symbol, quantity, order_type=OrderType.TRAILING_STOP, **terms)
    elif kind == 4 and len(simulation.orders):
        number = int(rng.integers(len(simulation.orders)))
        if simulation.orders["type"][number] == OrderType.LIMIT and rng.random() < 0.5:
            simulation.replace(number, limit_usd=mark)
        else:
            simulation.cancel(number)
    else:
        simulation.place(symbol, quantity, time_in_force=in_force)


def _simulated(seed: int, account_type: str) -> tuple[Simulation, BacktestResults]:
    rng = np.random.default_rng(seed)
    bars, rules = _bars(rng), TradingRules(account_type=account_type, children_act_in_entry_bar=bool(seed % 2))
    simulation = Simulation(
        SYMBOLS, rules=rules, costs=CostModel(slippage_bps=5.0, commission_bps=2.0), cash_usd=CASH_USD,
        actions=_actions(rng),
    )  # fmt: skip
    simulation.feed(bars)
    for step in range(STEPS):
        simulation.advance(step + 1)
        if rng.random() < 0.7:
            _send(simulation, rng)
    return simulation, BacktestResults(
        strategy="random",
        source="random",
        is_simulated=True,
        symbols=SYMBOLS,
        closes_at=bars.closes_at,
        sessions=bars.sessions,
        initial_cash_usd=CASH_USD,
        equity_usd=simulation.equity,
        cash_usd=simulation.cash,
        order_records=simulation.orders,
        fill_records=simulation.fills,
        amendment_records=simulation.amendments,
        action_records=simulation.actions,
        position_records=simulation.positions,
        account_record=simulation.account_array,
        lot_shares=rules.lot_shares,
        closes_usd=bars.close.reshape(STEPS, len(SYMBOLS)),
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), account_type=st.sampled_from(["cash", "margin"]))
def test_results_agree_with_what_the_kernel_booked(seed: int, account_type: str) -> None:
    simulation, results = _simulated(seed, account_type)

    assert results.metrics.unexplained_usd == pytest.approx(0.0, abs=1e-6)
    assert results.positions.iloc[-1].tolist() == pytest.approx(simulation.positions["quantity"].tolist(), abs=1e-9)
    assert results.metrics.commission_usd == pytest.approx(float(simulation.account["commissions"]), abs=1e-6)
    assert results.metrics.slippage_usd == pytest.approx(float(simulation.account["slippage"]), abs=1e-6)
    marks = results.session_marks_usd
    assert marks is not None
    held = results.positions.to_numpy()
    value = np.where(held != 0.0, held * marks, 0.0).sum(axis=1)
    receivable = float(simulation.account["receivable"])
    assert value[-1] + float(simulation.cash[-1]) + receivable == pytest.approx(results.equity_usd[-1], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), account_type=st.sampled_from(["cash", "margin"]))
def test_every_order_goes_through_legal_states_to_the_one_it_is_in(seed: int, account_type: str) -> None:
    _, results = _simulated(seed, account_type)

    seen = dict.fromkeys(results.orders.index, OrderState.SUBMITTED)
    for number, kind in zip(results.order_events["order"], results.order_events["kind"], strict=True):
        seen[number] = next_state(seen[number], OrderEventKind(kind), client_order_id=str(number))
    assert {number: str(state) for number, state in seen.items()} == results.orders["state"].astype(str).to_dict()
