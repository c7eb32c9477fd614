"""A process that trades an account at the tests' venue of Alpaca's protocol, and a decision that it finds committed."""

from __future__ import annotations

from contextlib import ExitStack, closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aegis.clock import SimulatedClock
from aegis.config_eval import ExecutionEval
from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.planning import PastMarket
from aegis.execution.decisions import Decision
from aegis.execution.journal import Journal
from aegis.execution.order_management import commit_decision
from aegis.execution.orders import Order
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.live_trader import LiveTrader
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, IN_SESSION, broker_at, config_in
from tests.integration.venues.alpaca.server import AlpacaVenue

THURSDAY, FRIDAY = date(2014, 6, 5), date(2014, 6, 6)
DECISION = f"{ACCOUNT}/main/{THURSDAY}/rebalance/1"
HALF_HOUR = ExecutionEval(interval_minutes=30, participation_rate=1.0)


class Process:
    """One life of the process that trades: broker, system and trader over the same folder."""

    def __init__(self, venue: AlpacaVenue, folder: Path, at_utc: datetime = IN_SESSION, **terms: Any) -> None:
        self.clock = SimulatedClock(at_utc)
        self._open = ExitStack()
        self.broker = self._open.enter_context(broker_at(venue.rest.url, venue.stream.url, self.clock))
        config = config_in(folder, self.clock, **terms)
        self.system = self._open.enter_context(closing(ExecutionSystem(self.broker, config)))
        self.journal = self._open.enter_context(Journal.open(config.journal, account=ACCOUNT))
        self._venue = venue
        self.trader = LiveTrader(
            self.system,
            self.journal,
            calendar=CALENDAR,
            clock=self.clock,
            settings=HALF_HOUR,
            feed=self,
            past=lambda _: PastMarket(),
        )

    def watch(self, symbols: frozenset[str]) -> None:
        """Take note of nothing: the venue quotes every symbol."""

    def observe(self, symbol: str) -> MarketObservation:
        """Return the venue's quote of now."""
        price = float(self._venue.book.quotes[symbol])
        return MarketObservation(bid_usd=price, ask_usd=price, quoted_at_utc=self.clock.now_utc())

    def tick(self, at_utc: datetime) -> None:
        """Let time pass and the trader look; what is open fills at the venue, and is told."""
        self.clock.advance_to(at_utc)
        self._venue.book.now_utc = at_utc
        self.trader.step()
        for order in list(self._venue.book.orders.values()):
            if order["status"] in ("new", "partially_filled"):
                rest = Decimal(order["qty"]) - Decimal(order["filled_qty"])
                self._venue.book.fill(order["client_order_id"], str(rest), "10.00")
        self.broker.catch_up()
        self.trader.step()

    def close(self) -> None:
        self._open.close()


def limit(system: ExecutionSystem, name: str) -> Order:
    """Make an order for 10 ABC that rests below the market."""
    return system.order("ABC", 10, name=name, arrival_price_usd=10.0, order_type="limit", limit_price_usd=9.0)


def commit(folder: Path, order: Order) -> None:
    """Commit a decision of one order, as an evening does."""
    decision = Decision(
        decision_id=DECISION,
        account=ACCOUNT,
        session=THURSDAY,
        orders=(order,),
        gate_rows=(),
        input_snapshot_id=1,
        code_version="1",
        config_hash="c",
        refusals={},
    )
    with Journal.open(folder / "journal.sqlite", account=ACCOUNT) as journal:
        commit_decision(journal, decision, at_utc=datetime(2014, 6, 5, 20, 20, tzinfo=UTC))
