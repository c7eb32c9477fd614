"""A process that trades for weeks holds as much after many orders as after few: what ended is in the journal."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from aegis.clock import SimulatedClock
from aegis.config_eval import ExecutionEval
from aegis.execution import worked_ledger
from aegis.execution.algorithms.observation import NOTHING_OBSERVED, MarketObservation
from aegis.execution.algorithms.planning import PastMarket
from aegis.execution.brokers.alpaca import AlpacaBroker
from aegis.execution.journal import Journal
from aegis.execution.orders import Order
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.live_trader import LiveTrader
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, IN_SESSION, broker_at, config_in
from tests.integration.venues.alpaca.server import AlpacaVenue

_KEPT, _FEW, _MANY = 4, 12, 40
_CONTAINERS = (dict, list, set, deque, tuple, frozenset, bytearray)
_WAIT_SECONDS = 10.0


class _NoFeed:
    """A feed that nobody asks for anything: no order waits for a quote."""

    def watch(self, symbols: frozenset[str]) -> None:
        """Watch nothing."""

    def observe(self, symbol: str) -> MarketObservation:  # noqa: ARG002 - all alike
        """Return nothing."""
        return NOTHING_OBSERVED


def _filled(system: ExecutionSystem, broker: AlpacaBroker, venue: AlpacaVenue, order: Order) -> None:
    system.submit_order(order)
    venue.book.fill(order.client_order_id, "4", "10.00")
    venue.book.fill(order.client_order_id, str(Decimal(str(order.quantity_shares)) - 4), "10.00")
    _until_it_ended(system, broker, order)


def _replaced_and_cancelled(system: ExecutionSystem, broker: AlpacaBroker, order: Order) -> None:
    resting = replace(order, order_type="limit", limit_price_usd=8.0)
    system.submit_order(resting)
    system.replace_order(replace(resting, limit_price_usd=7.5), revision=1)
    system.cancel_order(resting.client_order_id)
    _until_it_ended(system, broker, order)


def _until_it_ended(system: ExecutionSystem, broker: AlpacaBroker, order: Order) -> None:
    """Write down what the venue tells until the order is at its end."""
    while system.open_orders():
        told = broker.wait_for_events(system.door.heard, timeout_seconds=_WAIT_SECONDS)
        assert told, f"order {order.client_order_id} did not end"
        system.step()


def _entries(*roots: object) -> dict[str, int]:
    """Return how many entries the containers of all reachable objects of ours have, by class and attribute."""
    found: Counter[str] = Counter()
    seen, waiting = set[int](), list(roots)
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, _CONTAINERS) and not isinstance(each, bytearray):
            waiting += [*each, *each.values()] if isinstance(each, Mapping) else list(each)
        elif type(each).__module__.startswith("aegis."):
            for name, value in _attributes(each):
                if isinstance(value, _CONTAINERS):
                    found[f"{type(each).__name__}.{name}"] += len(value)
                waiting.append(value)
    return dict(found)


def _attributes(each: object) -> list[tuple[str, object]]:
    slots = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
    return [
        *getattr(each, "__dict__", {}).items(),
        *((name, getattr(each, name)) for name in slots if hasattr(each, name)),
    ]


def test_as_many_entries_are_held_after_many_orders_as_after_few(
    venue: AlpacaVenue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worked_ledger, "_KEPT_ENDED_ORDERS", _KEPT)
    clock = SimulatedClock(IN_SESSION)
    config = config_in(tmp_path, clock)
    held = {}
    with (
        broker_at(venue.rest.url, venue.stream.url, clock) as broker,
        closing(ExecutionSystem(broker, config)) as system,
        Journal.open(config.journal, account=ACCOUNT) as journal,
    ):
        trader = LiveTrader(
            system,
            journal,
            calendar=CALENDAR,
            clock=clock,
            settings=ExecutionEval(),
            feed=_NoFeed(),
            past=lambda _: PastMarket(),
        )
        for number in range(_MANY):
            order = system.order("ABC", 10, name=f"flat-{number}", arrival_price_usd=10.0)
            if number % 2:
                _filled(system, broker, venue, order)
            else:
                _replaced_and_cancelled(system, broker, order)
            trader.step()
            if number + 1 in (_FEW, _MANY):
                held[number + 1] = _entries(system, trader, broker)
        assert len(system.fills(IN_SESSION.date(), IN_SESSION.date())) == _MANY
    assert held[_MANY] == held[_FEW]
