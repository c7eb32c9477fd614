"""Runs a scenario of the decision table through the matching kernel, by its Python object.

Belongs here: the table's words in the kernel's terms and back. It decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import numpy as np

from aegis.backtesting.bar_times import session_table
from aegis.backtesting.bars import Bars
from aegis.backtesting.commissions import Bps, PerShare
from aegis.backtesting.costs import CostModel
from aegis.backtesting.kernel.codes import ActionKind, OrderType, Pass, Reason, State, TimeInForce
from aegis.backtesting.kernel.records import ACTION, NEVER, NO_ORDER, NO_SYMBOL
from aegis.backtesting.kernel.simulation import Simulation
from aegis.backtesting.rules import TradingRules
from tests.golden.fill_scenarios.scenario import Command, Costs, FillRow, Outcome, Rules, Scenario, ScenarioOrder

PHASE_OF = {
    Pass.OPEN_SELL: "open",
    Pass.OPEN_BUY: "open",
    Pass.STOP: "inside",
    Pass.LIMIT: "inside",
    Pass.AVERAGE_SELL: "average",
    Pass.AVERAGE_BUY: "average",
    Pass.CLOSE_SELL: "close",
    Pass.CLOSE_BUY: "close",
}
COLUMNS = ("open", "high", "low", "close", "volume")
EXIT_SUFFIXES = (".stop_loss", ".take_profit")


def run(scenario: Scenario) -> Outcome:
    """Simulate a scenario from its first bar to its last."""
    return _simulate(scenario, [sparse_bars(scenario)])


def run_by_session(scenario: Scenario) -> Outcome:
    """Simulate a scenario with bars that arrive session by session."""
    return _simulate(scenario, list(sparse_bars(scenario).chunks(1)))


def run_dense(scenario: Scenario) -> Outcome:
    """Simulate a scenario with a row for every symbol at every step; missing bars are NaN."""
    return _simulate(scenario, [dense_bars(scenario)])


def is_dense(scenario: Scenario) -> bool:
    """Whether the bars of each step open together, which the dense layout takes for granted."""
    opens = {(bar.closes_at, bar.opens_at) for bar in scenario.bars}
    return len(opens) == len(scenario.steps)


def _simulate(scenario: Scenario, chunks: Sequence[Bars]) -> Outcome:
    symbols = tuple(sorted(scenario.symbols))
    simulation = Simulation(
        symbols,
        rules=trading_rules(scenario.rules),
        costs=cost_model(scenario.costs),
        cash_usd=scenario.cash,
        actions=actions(scenario, symbols),
        tick_usd=[scenario.symbols[symbol].tick for symbol in symbols],
        capacity=64,
    )
    simulation.terms["lot"] = [scenario.symbols[symbol].lot for symbol in symbols]
    indices: dict[str, int] = {}
    instants = iter(scenario.steps)
    for chunk in chunks:
        simulation.feed(chunk)
        for step in range(chunk.n_steps):
            simulation.advance(step + 1)
            _decide(simulation, scenario, next(instants), indices)
    return outcome(simulation, scenario, indices)


def _decide(simulation: Simulation, scenario: Scenario, instant: datetime, indices: dict[str, int]) -> None:
    """Give the commands, then the orders, of one close."""
    for command in scenario.commands:
        if command.after == instant:
            _command(simulation, command, indices[command.order])
    _place(simulation, [order for order in scenario.orders if order.after == instant], indices)


def trading_rules(rules: Rules) -> TradingRules:
    """Return the rules of a scenario; the kernel's margin accounts may sell short, its cash accounts may not."""
    names = ("initial_margin", "maintenance_margin", "max_leverage") if rules.margin_account else ()
    return TradingRules(
        account_type="margin" if rules.margin_account else "cash",
        **{name: getattr(rules, name) for name in names},
        participation_rate=rules.participation_rate,
        settlement_sessions=rules.settlement_sessions,
        min_notional_usd=rules.min_notional,
        fractional_shares=rules.fractional,
        limit_needs_trade_through=rules.limit_needs_trade_through,
        children_act_in_entry_bar=rules.children_act_in_entry_bar,
        reject_unaffordable=rules.reject_unaffordable,
    )


def cost_model(costs: Costs) -> CostModel:
    """Return the costs of a scenario."""
    per_share = PerShare(costs.commission_per_share_usd, min_usd_per_order=costs.commission_minimum_usd)
    commission = per_share if costs.commission_per_share_usd else Bps(costs.commission_bps)
    return CostModel(slippage_bps=costs.slippage_bps, commission=commission)


def sparse_bars(scenario: Scenario) -> Bars:
    """Return the bars of a scenario, only those that exist, each with the time at which it opens."""
    symbols = sorted(scenario.symbols)
    rows = sorted(scenario.bars, key=lambda bar: (bar.closes_at, bar.symbol))
    closes_at = np.array([nanoseconds(instant) for instant in scenario.steps], np.int64)
    row_closes_at = [nanoseconds(bar.closes_at) for bar in rows]
    return Bars(
        symbols=tuple(symbols),
        **{name: np.array([getattr(bar, name) for bar in rows]) for name in COLUMNS},
        closes_at=closes_at,
        sessions=session_table(closes_at, _days(scenario)),
        row_symbol=np.array([symbols.index(bar.symbol) for bar in rows], np.int32),
        first_row=np.searchsorted(row_closes_at, [*closes_at, NEVER]).astype(np.int64),
        row_opens_at=np.array([nanoseconds(bar.opens_at) for bar in rows], np.int64),
    )


def dense_bars(scenario: Scenario) -> Bars:
    """Return the bars of a scenario with a row for every symbol at every step."""
    symbols, steps = sorted(scenario.symbols), scenario.steps
    columns = {name: np.full((len(steps), len(symbols)), np.nan) for name in COLUMNS}
    for bar in scenario.bars:
        for name, column in columns.items():
            column[steps.index(bar.closes_at), symbols.index(bar.symbol)] = getattr(bar, name)
    opens_at = {bar.closes_at: nanoseconds(bar.opens_at) for bar in scenario.bars}
    return Bars.from_arrays(
        **columns,
        closes_at=np.array([nanoseconds(instant) for instant in steps], np.int64),
        symbols=symbols,
        sessions=_days(scenario),
        opens_at=np.array([opens_at[instant] for instant in steps], np.int64),
    )


def _days(scenario: Scenario) -> np.ndarray:
    session_of = {bar.closes_at: bar.session for bar in scenario.bars}
    return np.array([session_of[instant] for instant in scenario.steps], "datetime64[D]")


def actions(scenario: Scenario, symbols: Sequence[str]) -> np.ndarray:
    """Return the corporate actions of a scenario in the order in which a session books them."""
    rows = [
        (
            action.ratio,
            action.amount,
            _day(action.session),
            _day(action.pay_session or action.session),
            symbols.index(action.symbol),
            ActionKind[action.kind.upper()],
            symbols.index(action.acquirer) if action.acquirer in symbols else NO_SYMBOL,
        )
        for action in scenario.actions
    ]
    return np.array(sorted(rows, key=lambda row: (row[2], row[5])), dtype=ACTION)


def nanoseconds(instant: datetime) -> int:
    """Return whole nanoseconds since 1970."""
    return round(instant.timestamp()) * 1_000_000_000


def _day(day: date) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def _place(simulation: Simulation, orders: Sequence[ScenarioOrder], indices: dict[str, int]) -> None:
    """Place the orders of one close: entries with their exits, children after their parents, rings as siblings."""
    for order in orders:
        if order.id not in indices:
            exits = [o for o in orders if o.parent == order.id and o.id.endswith(EXIT_SUFFIXES)]
            names = [order.id, *(exit_.id for exit_ in exits)]
            ring = [indices[o.id] for o in orders if o.oco and o.oco == order.oco and o.id in indices]
            sibling = ring[0] if ring else NO_ORDER
            first = _place_one(simulation, order, exits, indices, sibling)
            indices.update({name: first + number for number, name in enumerate(names)})


def _place_one(
    simulation: Simulation,
    order: ScenarioOrder,
    exits: Sequence[ScenarioOrder],
    indices: Mapping[str, int],
    sibling: int,
) -> int:
    symbol = simulation.symbols.index(order.symbol)
    terms = {
        "order_type": OrderType[order.type.upper()],
        "time_in_force": TimeInForce[order.tif],
        "limit_usd": _nan(order.limit),
        "stop_usd": _nan(order.stop),
    }
    if exits:
        return simulation.place_bracket(
            symbol,
            order.quantity,
            stop_loss_usd=_nan(next((o.stop for o in exits if o.type == "stop"), None)),
            take_profit_usd=_nan(next((o.limit for o in exits if o.type == "limit"), None)),
            **terms,
        )
    if order.parent is not None:
        return simulation.place_child(indices[order.parent], symbol, order.quantity, **terms)
    return simulation.place(
        symbol,
        order.quantity,
        trail=_nan(order.trail),
        trail_is_fraction=order.trail_is_fraction,
        expires_ns=NEVER if order.expires is None else nanoseconds(order.expires),
        sibling_of=sibling,
        **terms,
    )


def _command(simulation: Simulation, command: Command, index: int) -> None:
    if command.kind == "cancel":
        simulation.cancel(index)
    else:
        simulation.replace(
            index,
            quantity=_nan(command.quantity),
            limit_usd=_nan(command.limit),
            stop_usd=_nan(command.stop),
        )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


def outcome(simulation: Simulation, scenario: Scenario, indices: Mapping[str, int]) -> Outcome:
    """Return what a simulation came to; `indices` are its orders by their ids in the table."""
    symbols = simulation.symbols
    names = {index: name for name, index in indices.items()}
    for index, order in enumerate(simulation.orders):
        names.setdefault(index, f"margin_call:{symbols[order['symbol']]}")
    positions = dict(zip(symbols, simulation.positions, strict=True))
    return Outcome(
        fills=tuple(
            FillRow(
                order=names[int(fill["order"])],
                bar=scenario.steps[fill["step"]],
                phase=PHASE_OF[Pass(fill["at"])],
                quantity=float(fill["quantity"]),
                price=float(fill["price"]),
                commission=float(fill["commission"]),
            )
            for fill in simulation.fills
        ),
        states={names[index]: _state(order) for index, order in enumerate(simulation.orders)},
        cash=float(simulation.account["cash"]),
        positions={symbol: float(p["quantity"]) for symbol, p in positions.items() if p["quantity"] != 0},
        average_costs={symbol: float(p["average_cost"]) for symbol, p in positions.items()},
        realised={symbol: float(p["realised"]) for symbol, p in positions.items()},
        receivable=float(simulation.account["receivable"]),
        equity=float(simulation.equity[-1]),
    )


def _state(order: np.void) -> tuple[str, str]:
    state, reason = State(order["state"]), Reason(order["reason"])
    ended = state in (State.CANCELLED, State.EXPIRED, State.REJECTED)
    return _words(state.name), _words(reason.name) if ended else ""


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
