"""Runs a scenario of the decision table through a Strategy class on the event-driven engine.

Belongs here: a strategy that gives the table's orders and commands through the desk, as a user's strategy would.
"""

from __future__ import annotations

from typing import Any

from aegis.backtesting.backtest_config import BacktestConfig
from aegis.backtesting.corporate_events import CorporateEvent
from aegis.backtesting.desk import Desk
from aegis.backtesting.event_driven import EventDrivenBacktest
from aegis.backtesting.strategy import Strategy
from tests.golden.fill_scenarios.kernel_runner import (
    EXIT_SUFFIXES,
    cost_model,
    outcome,
    sparse_bars,
    trading_rules,
)
from tests.golden.fill_scenarios.scenario import Command, Outcome, Scenario, ScenarioOrder


class TableStrategy(Strategy):
    """Gives the orders and the commands of a scenario at the closes at which the table has them."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.indices: dict[str, int] = {}

    def on_bar(self, desk: Desk) -> None:
        """Give the commands, then the orders, of this close."""
        for command in self._scenario.commands:
            if command.after == desk.now_utc:
                _give_command(desk, command, self.indices[command.order])
        self._place(desk, [order for order in self._scenario.orders if order.after == desk.now_utc])

    def _place(self, desk: Desk, orders: list[ScenarioOrder]) -> None:
        for order in orders:
            if order.id not in self.indices:
                exits = [o for o in orders if o.parent == order.id and o.id.endswith(EXIT_SUFFIXES)]
                ring = [self.indices[o.id] for o in orders if o.oco and o.oco == order.oco and o.id in self.indices]
                first = self._place_one(desk, order, exits, ring)
                names = [order.id, *(exit_.id for exit_ in exits)]
                self.indices.update({name: first + number for number, name in enumerate(names)})

    def _place_one(self, desk: Desk, order: ScenarioOrder, exits: list[ScenarioOrder], ring: list[int]) -> int:
        terms: dict[str, Any] = {
            "order_type": "vwap" if order.type == "bar_average" else order.type,
            "time_in_force": order.tif,
            **_given(limit_usd=order.limit, stop_usd=order.stop),
        }
        if exits:
            stop = next((o.stop for o in exits if o.type == "stop"), None)
            profit = next((o.limit for o in exits if o.type == "limit"), None)
            leaving = _given(stop_loss_usd=stop, take_profit_usd=profit)
            return desk.bracket(order.symbol, order.quantity, **terms, **leaving)
        if order.parent is not None:
            return desk.child(self.indices[order.parent], order.symbol, order.quantity, **terms)
        trail = "trail_fraction" if order.trail_is_fraction else "trail_usd"
        terms |= _given(**{trail: order.trail}, sibling_of=ring[0] if ring else None)
        return desk.order(order.symbol, order.quantity, expires_at_utc=order.expires, **terms)


def run(scenario: Scenario) -> Outcome:
    """Let a strategy give the table's orders."""
    strategy = TableStrategy(scenario)
    backtest = EventDrivenBacktest(
        strategy,
        sparse_bars(scenario),
        BacktestConfig(
            initial_cash_usd=scenario.cash,
            rules=trading_rules(scenario.rules),
            costs=cost_model(scenario.costs),
            events=[
                CorporateEvent(
                    kind=action.kind,
                    symbol=action.symbol,
                    ex_date=action.session,
                    ratio=action.ratio,
                    amount_usd=action.amount,
                    pay_date=action.pay_session,
                    new_ticker=action.new_ticker,
                    acquirer=action.acquirer,
                )
                for action in scenario.actions
            ],
            tick_usd={symbol: terms.tick for symbol, terms in scenario.symbols.items()},
        ),
    )
    backtest.run()
    return outcome(backtest.simulation, scenario, strategy.indices)


def fits(scenario: Scenario) -> bool:
    """Whether the lots of a scenario are those of its rules: the engine has no lots of a symbol's own."""
    lot = trading_rules(scenario.rules).lot_shares
    return all(terms.lot == lot for terms in scenario.symbols.values())


def _give_command(desk: Desk, command: Command, order: int) -> None:
    if command.kind == "cancel":
        desk.cancel(order)
    else:
        changes = _given(quantity_shares=command.quantity, limit_usd=command.limit, stop_usd=command.stop)
        desk.replace(order, **changes)


def _given(**values: float | None) -> dict[str, Any]:
    """Return the values that are there."""
    return {name: value for name, value in values.items() if value is not None}
