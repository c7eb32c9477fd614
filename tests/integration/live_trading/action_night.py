"""A night in which a corporate action takes effect: Friday's account, Monday's opening, and Monday's book.

The account holds ABC, bought long ago at 10 USD, and 10,000 USD. On Friday two GTC orders rest at the venue: to buy 10
at 8.00, and to sell 30 once the price falls to 7.50. In the evening a decision commits an order for Monday. What is
asked afterwards is said by the venue and by the journal, and computed by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from aegis.backtesting.session_market import BAR_DTYPE, CorporateAction, SessionMarket
from aegis.clock import SimulatedClock
from aegis.config_eval import ExecutionEval
from aegis.errors import SourceUnavailable
from aegis.execution.account_state import AccountState, Position
from aegis.execution.algorithms.observation import MarketObservation
from aegis.execution.algorithms.planning import PastMarket
from aegis.execution.brokers.broker import Broker
from aegis.execution.decisions import Decision
from aegis.execution.journal import Journal
from aegis.execution.order_ids import client_order_id
from aegis.execution.order_management import DecisionLedger, commit_decision
from aegis.execution.order_projections import order_statuses
from aegis.execution.order_states import OrderStatus
from aegis.execution.orders import Order
from aegis.live_trading.account_books import BookedSession
from aegis.live_trading.execution_system import ExecutionSystem
from aegis.live_trading.held_positions import journalled_positions
from aegis.live_trading.live_trader import LiveTrader, TraderReport
from aegis.live_trading.session_actions import SessionActions
from aegis.live_trading.session_inputs import SessionInputs
from aegis.live_trading.traded_books import TradedBooks
from aegis.live_trading.trading_process import Knowledge, TradingProcess
from tests.integration.live_trading.trading_process import ACCOUNT, CALENDAR, NoRules, config_in

THURSDAY, FRIDAY, MONDAY = date(2014, 6, 5), date(2014, 6, 6), date(2014, 6, 9)
FRIDAY_MORNING = datetime(2014, 6, 6, 13, 31, tzinfo=UTC)
FRIDAY_EVENING = datetime(2014, 6, 6, 20, 20, tzinfo=UTC)
NIGHT = datetime(2014, 6, 9, 7, tzinfo=UTC)
MONDAY_OPEN = datetime(2014, 6, 9, 13, 30, 1, tzinfo=UTC)
MONDAY_EVENING = datetime(2014, 6, 9, 20, 20, tzinfo=UTC)
DECISION = f"{ACCOUNT}/main/{FRIDAY}/rebalance/1"
CASH_USD = 10_000.0
LIMIT, STOP = "resting purchase", "resting stop"
Actions = Mapping[date, tuple[CorporateAction, ...]]


class _Rules(NoRules):
    """An exit door without rules; what is learned before a session is heard and not used."""

    def observe_symbols(self, facts: Mapping[str, object]) -> None:
        """Keep nothing."""

    def observe_clock_skew(self, seconds: float) -> None:
        """Keep nothing."""


@dataclass
class _Quotes:
    """A feed that quotes every symbol at one price now, or not at all."""

    clock: SimulatedClock
    price_usd: float = 10.0
    is_quoting: bool = True

    def start(self) -> None:
        """Begin."""

    def step(self) -> None:
        """Hear nothing."""

    def watch(self, symbols: frozenset[str]) -> None:
        """Quote all alike."""

    def observe(self, symbol: str) -> MarketObservation:  # noqa: ARG002 - all alike
        if not self.is_quoting:
            return MarketObservation()
        return MarketObservation(bid_usd=self.price_usd, ask_usd=self.price_usd, quoted_at_utc=self.clock.now_utc())


class ActionNight:
    """The process that trades the account from Friday on, and its book.

    Parameters
    ----------
    make_broker : callable
        From a clock to the broker, connected; called again for each life of the process.
    folder : Path
        Of journal, lease and switch.
    actions : mapping of date to tuple of CorporateAction
        What the source says.
    move_venue : callable
        Moves the venue's own clock.
    closes_usd : mapping of str to float
        What the lake has of Friday.
    """

    def __init__(
        self,
        make_broker: Callable[[SimulatedClock], Broker],
        folder: Path,
        actions: Actions,
        *,
        move_venue: Callable[[datetime], None] = lambda _: None,
        closes_usd: Mapping[str, float] | None = None,
    ) -> None:
        self._make_broker, self._folder, self.actions = make_broker, folder, dict(actions)
        self.source_is_silent = False
        self._move_venue = move_venue
        self._closes = {"ABC": 10.0, "DEF": 20.0} if closes_usd is None else dict(closes_usd)
        self.clock = SimulatedClock(FRIDAY_MORNING)
        self.broker: Any
        self.system: ExecutionSystem
        self._open: ExitStack
        self.start()

    def start(self) -> None:
        """Begin a life of the process."""
        self._open = ExitStack()
        self.broker = self._make_broker(self.clock)
        self._open.callback(self.broker.close)
        config = config_in(self._folder, self.clock, rules=lambda _: _Rules())
        self.system = self._open.enter_context(closing(ExecutionSystem(self.broker, config)))
        self.journal = self._open.enter_context(Journal.open(config.journal, account=ACCOUNT))
        feed = self.feed = _Quotes(self.clock)
        actions = SessionActions(self._ask, calendar=CALENDAR, clock=self.clock)
        trader = LiveTrader(
            self.system,
            self.journal,
            calendar=CALENDAR,
            clock=self.clock,
            settings=ExecutionEval(interval_minutes=30, participation_rate=1.0),
            feed=feed,
            past=lambda _: PastMarket(),
            actions=actions.of,
        )
        knowledge = Knowledge(
            facts=lambda *_: {},
            actions=actions.of,
            closes=lambda symbols, _: {name: self._closes[name] for name in symbols if name in self._closes},
        )
        self.process = TradingProcess(self.system, trader, _Rules(), feed, knowledge, venue=object(), clock=self.clock)  # type: ignore[arg-type] # rules and feed have what a step asks of them

    def restart(self) -> None:
        """End this life of the process, and begin the next."""
        self.close()
        self.start()

    def close(self) -> None:
        """End the process."""
        self._open.close()

    def rest_orders(self) -> dict[str, Order]:
        """Send Friday's two GTC orders, and return them by name."""
        terms: dict[str, Any] = {"arrival_price_usd": 10.0, "time_in_force": "GTC"}
        orders = {
            LIMIT: self.system.order("ABC", 10, name=LIMIT, order_type="limit", limit_price_usd=8.0, **terms),
            STOP: self.system.order(
                "ABC", -30, name=STOP, order_type="stop", stop_price_usd=7.5, is_reducing=True, **terms
            ),
        }
        for order in orders.values():
            self.system.submit_order(order)
        self.hear()
        return orders

    def commit(self, quantity_shares: float = 20.0, **terms: Any) -> Order:
        """Commit Friday evening's order for Monday, as the assets do, and return it."""
        self.until(FRIDAY_EVENING)
        given: dict[str, Any] = {
            "symbol": "ABC",
            "ticker": "ABC",
            "algorithm": "market",
            "time_in_force": "DAY",
            **terms,
        }
        order = Order(
            client_order_id=client_order_id(ACCOUNT, DECISION, symbol=given["symbol"]), decision_id=DECISION,
            account=ACCOUNT, session=FRIDAY, execution_session=MONDAY, quantity_shares=quantity_shares,
            arrival_price_usd=10.0, target_weight=0.05, is_reducing=False, reason="rebalance", **given,
        )  # fmt: skip
        decision = Decision(
            decision_id=DECISION, account=ACCOUNT, session=FRIDAY, orders=(order,), gate_rows=(), input_snapshot_id=1,
            code_version="1", config_hash="c", refusals={},
        )  # fmt: skip
        commit_decision(self.journal, decision, at_utc=FRIDAY_EVENING)
        return order

    def until(self, at_utc: datetime) -> None:
        """Let time pass without a look."""
        self.clock.advance_to(max(at_utc, self.clock.now_utc()))
        self._move_venue(self.clock.now_utc())

    def hear(self) -> None:
        """Hear what the venue has told, through its questions where its stream may be late."""
        if hasattr(self.broker, "catch_up"):
            self.broker.catch_up()
        self.system.step()

    def open_monday(self, seconds: float = 0.0) -> TraderReport:
        """Step at Monday's opening, or so many seconds later."""
        self.until(MONDAY_OPEN + timedelta(seconds=seconds))
        report = self.process.step()
        self.hear()
        return report

    def statuses(self) -> dict[str, OrderStatus]:
        """Return where the orders stand by the journal."""
        return order_statuses(self.journal.events())

    def said_of(self, order: Order, kind: str) -> list[str]:
        """Return the reasons of an order's events of a kind."""
        return [
            row.payload["reason"] for row in self.journal.events(client_order_ids=[order.client_order_id], kinds=[kind])
        ]

    def held(self) -> dict[str, float]:
        """Return what the journal says is held."""
        return journalled_positions(self.journal) or {}

    def theirs(self) -> dict[str, float]:
        """Return what the venue says is held."""
        return {item.symbol: item.quantity_shares for item in self.broker.positions()}

    def book(self, shares: float, prices: Mapping[str, float], *, facts: int = 1) -> BookedSession:
        """Make Monday's book of the journal; on Friday it held so many ABC at 10 USD, and the cash.

        Parameters
        ----------
        shares : float
            ABC at Friday's close.
        prices : mapping of str to float
            Monday's closes.
        facts : int
            Fills and bookings that Friday's book is made of: the taking over, and what was bought.
        """
        self.until(MONDAY_EVENING)
        before = AccountState(
            account=ACCOUNT,
            session=FRIDAY,
            cash_usd=CASH_USD,
            positions=(Position("ABC", "ABC", shares, 10.0, 10.0, FRIDAY),),
            journal_facts=facts,
        )
        bars = np.array([(price, price, price, price, 1e6) for price in prices.values()], dtype=BAR_DTYPE)
        market = SessionMarket(
            session=MONDAY,
            opens_at_utc=CALENDAR.open_utc(MONDAY),
            closes_at_utc=CALENDAR.close_utc(MONDAY),
            rows={symbol: row for row, symbol in enumerate(prices)},
            bars=bars,
            actions=self.actions.get(MONDAY, ()),
        )
        ledger = DecisionLedger(self.journal, first=FRIDAY, last=MONDAY)
        books = TradedBooks(ledger, CALENDAR, self.clock.now_utc())
        return books.trade_session(before, _inputs(market))

    def _ask(self, session: date) -> tuple[CorporateAction, ...]:
        if self.source_is_silent:
            raise SourceUnavailable(f"{session}: the source is silent")
        return self.actions.get(session, ())


def booked_shares(booked: BookedSession) -> dict[str, float]:
    """Return what a book holds."""
    return {position.symbol: position.quantity_shares for position in booked.account.positions}


def living(nights: list[ActionNight]) -> Iterator[None]:
    """Close every process that still lives, whatever the test did."""
    try:
        yield
    finally:
        for night in nights:
            night.close()


def _inputs(market: SessionMarket) -> SessionInputs:
    nothing = np.zeros(0)
    return SessionInputs(
        session=market.session,
        next_session=CALENDAR.next(market.session),
        next_open_utc=CALENDAR.open_utc(CALENDAR.next(market.session)),
        decided_at_utc=MONDAY_EVENING,
        clock_session=market.session,
        market=market,
        members=frozenset(market.rows),
        tickers={symbol: symbol for symbol in market.rows},
        median_dollar_volume_usd={},
        symbols=(),
        expected_returns=nothing,
        covariance=nothing.reshape(0, 0),
        checks=(),
        content_hashes={},
        inputs_known_at_utc=None,
        outdated_tables=(),
        benchmark_return=None,
        snapshot_id=1,
    )
