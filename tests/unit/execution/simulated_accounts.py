"""The account, the position and the session that tests of the simulated broker begin from."""

from __future__ import annotations

from datetime import UTC, date, datetime

from aegis.backtesting.costs import CostModel
from aegis.backtesting.rules import TradingRules
from aegis.clock import FixedClock
from aegis.execution.account_state import AccountState, Position
from aegis.execution.brokers.simulated import SimulatedBroker

THURSDAY, FRIDAY, MONDAY = date(2014, 6, 5), date(2014, 6, 6), date(2014, 6, 9)
FLAT = (10.0, 10.0, 10.0, 10.0, 1e6)


def account_of(*positions, cash=10_000.0, receivables=()):
    return AccountState(
        account="simulated", session=THURSDAY, cash_usd=cash, positions=positions, receivables=receivables
    )


UNLEVERED = TradingRules(account_type="margin", initial_margin=1.0, maintenance_margin=0.0)
"""Positions, long and short, are worth no more than the equity when they are opened."""


def holding(quantity, *, mark=10.0, cost=8.0):
    return Position("ABC", "ABC", quantity, cost, mark, THURSDAY)


def broker_of(state, **options):
    clock = FixedClock(datetime(2014, 6, 5, 20, 15, tzinfo=UTC))
    return SimulatedBroker(state, **{"costs": CostModel(), "rules": TradingRules(), "clock": clock, **options})


def session_of(broker, market):
    broker.begin_session(market)
    return broker.end_session()


def reasons(broker):
    return [(str(item.event.kind), item.event.reason) for item in broker.events_since(0)]
