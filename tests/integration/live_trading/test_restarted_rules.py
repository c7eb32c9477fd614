"""The live risk manager behind the door of an account: what a restart must not forget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aegis.clock import SimulatedClock
from aegis.config_eval import LiveRiskLimits
from aegis.execution.decisions import DecisionEventKind
from aegis.execution.journal import Journal
from aegis.execution.order_states import OrderState
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.journalled_rules import restored_risk_manager
from aegis.live_trading.risk_manager import LiveRiskManager
from aegis.risk.exit_limits import ExitLimits
from aegis.risk.exit_view import SymbolFacts
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, IN_SESSION, broker_at, config_in
from tests.integration.venues.alpaca.server import AlpacaVenue


class Desk:
    """An account at the venue whose rules know the market of ABC, after each start anew from the journal."""

    def __init__(self, venue: AlpacaVenue, folder: Path, **limits: Any) -> None:
        self.clock = SimulatedClock(IN_SESSION)
        self._open = ExitStack()
        self._limits = ExitLimits.from_settings(LiveRiskLimits(max_position_size=1.0, **limits))
        broker = self._open.enter_context(broker_at(venue.rest.url, venue.stream.url, self.clock))
        config = config_in(folder, self.clock, rules=self._rules)
        self.system = self._open.enter_context(closing(ExecutionSystem(broker, config)))
        self.rules.observe_clock_skew(0.0)
        self.rules.observe_symbols({"ABC": SymbolFacts(median_daily_volume_shares=1e6, is_shortable=False)})
        self.rules.observe_quote("ABC", bid_usd=9.99, ask_usd=10.0, at_utc=IN_SESSION)

    def _rules(self, journal: Journal) -> LiveRiskManager:
        self.rules = restored_risk_manager(
            journal, limits=self._limits, clock=self.clock, calendar=CALENDAR, kill_switch_engaged=lambda: False
        )
        return self.rules

    def buy(self, name: str, shares: int = 10) -> tuple[OrderState, tuple[str, ...]]:
        """Submit a purchase; return where it stands and what the door's row in the journal names as refusing."""
        system = self.system
        order = system.order("ABC", shares, name=name, arrival_price_usd=10.0)
        state = system.submit_order(order).state
        rows = system.ledger.asides(order.client_order_id, DecisionEventKind.EXIT_VERDICT)
        return state, tuple(row["rule"] for row in rows[-1]["rows"] if row["outcome"] != "pass")

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def start(venue: AlpacaVenue, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Start the desk of one account again and again."""
    with ExitStack() as living:

        def started(**limits: Any) -> Desk:
            desk = Desk(venue, tmp_path, **limits)
            living.callback(desk.close)
            return desk

        yield started


TAKEN = (OrderState.SUBMITTED, OrderState.ACCEPTED)


def test_the_orders_of_a_day_are_counted_over_restarts(start, running, tmp_path) -> None:
    desk = start(max_day_orders=3)
    assert desk.buy("one")[0] in TAKEN
    assert desk.buy("two", 11)[0] in TAKEN
    desk.close()
    desk = start(max_day_orders=3)
    assert desk.buy("three", 12)[0] in TAKEN
    assert desk.buy("four", 13) == (OrderState.REFUSED, ("day_orders_within_limit",))
    desk.close()
    desk = start(max_day_orders=3)
    assert desk.buy("five", 14) == (OrderState.REFUSED, ("day_orders_within_limit",))
    assert sum(running.book.accepted.values()) == 3
    with Journal.open(tmp_path / "journal.sqlite", account=ACCOUNT) as journal:
        journal.verify()


def test_a_loss_that_tripped_a_breaker_stands_after_a_restart(start, running) -> None:
    desk = start()
    assert desk.buy("one")[0] in TAKEN
    running.book.charge("300", "three per cent of the account")
    desk.clock.advance_to(IN_SESSION + timedelta(seconds=5))
    desk.system.reconcile()
    state, refusing = desk.buy("two", 11)
    assert (state, "no_loss_breaker_is_tripped" in refusing) == (OrderState.REFUSED, True)
    desk.close()
    running.book.charge("-300", "paid back")
    state, refusing = start().buy("three", 12)
    assert (state, refusing) == (OrderState.REFUSED, ("no_loss_breaker_is_tripped",)), "a person releases it"
    assert sum(running.book.accepted.values()) == 1
