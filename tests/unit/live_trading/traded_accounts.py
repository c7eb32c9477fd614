"""A traded account's journal, written as the process that trades writes it, and its book.

The book begins on Thursday with 100,000 USD. AAA, BBB and CCC are at one price a session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aegis.execution.account_state import AccountState
from aegis.execution.decisions import Decision
from aegis.execution.journal import Journal
from aegis.execution.order_ids import client_order_id
from aegis.execution.order_management import DecisionLedger, commit_decision
from aegis.execution.orders import Fill, Order, OrderEvent, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.live_trading.account_books import BookedSession
from aegis.live_trading.session_inputs import InputHistory, SessionInputs
from aegis.live_trading.traded_books import TradedBooks
from tests.unit.live_trading.test_session_loop import NEW_YORK, history

WEDNESDAY, THURSDAY, FRIDAY, MONDAY = date(2020, 6, 10), date(2020, 6, 11), date(2020, 6, 12), date(2020, 6, 15)
TUESDAY = date(2020, 6, 16)
DECISION = f"paper/main/{THURSDAY}/rebalance/1"
EVENING = datetime(2020, 6, 11, 20, 15, tzinfo=UTC)
K = OrderEventKind


class Account:
    """A traded account's journal, written as the process that trades writes it, and its book."""

    def __init__(self, journal: Journal, prices: Mapping[date, float | None], **given: Any) -> None:
        self.journal = journal
        self.market: InputHistory = history(prices, **given)
        self.state = AccountState.opening("paper", cash_usd=100_000.0)

    def decide(self, *orders: Order) -> None:
        decision = Decision(
            decision_id=DECISION, account="paper", session=THURSDAY, orders=orders, gate_rows=(), input_snapshot_id=1,
            code_version="1", config_hash="c", refusals={},
        )  # fmt: skip
        commit_decision(self.journal, decision, at_utc=EVENING)

    def tell(self, order: Order, kind: OrderEventKind, session: date = FRIDAY, **more: Any) -> None:
        at_utc = NEW_YORK.open_utc(session) + timedelta(minutes=1)
        ledger = WorkedLedger(self.journal, first=THURSDAY)
        event = OrderEvent(kind=kind, client_order_id=order.client_order_id, session=session, at_utc=at_utc, **more)
        assert ledger.record([event]) == ()
        ledger.flush()

    def fill(
        self, order: Order, shares: float, price: float, *, number: int = 1, last: bool = True, **more: Any
    ) -> None:
        session = more.pop("session", FRIDAY)
        at_utc = NEW_YORK.open_utc(session) + timedelta(minutes=number)
        execution = Fill(
            client_order_id=order.client_order_id, decision_id=order.decision_id, account="paper", fill_number=number,
            session=session, symbol=order.symbol, ticker=order.ticker, quantity_shares=shares, price_usd=price,
            reference_price_usd=price, commission_usd=more.pop("commission", 1.0), slippage_usd=0.0,
            arrival_price_usd=order.arrival_price_usd, filled_at_utc=at_utc, execution_id=f"x{number}",
        )  # fmt: skip
        self.tell(order, K.FILLED if last else K.PARTIALLY_FILLED, session, fill=execution)

    def child(self, parent: Order, number: int, shares: float) -> Order:
        name = client_order_id("paper", parent.decision_id, symbol=parent.symbol, child=number)
        order = replace(parent, client_order_id=name, quantity_shares=shares, algorithm="market")
        ledger = WorkedLedger(self.journal, first=THURSDAY)
        ledger.commit_child(order, None, session=FRIDAY, at_utc=NEW_YORK.open_utc(FRIDAY))
        ledger.flush()
        self.tell(order, K.SUBMITTED)
        return order

    def append(self, *entries: Any) -> None:
        with self.journal.batch() as batch:
            for entry in entries:
                batch.append(entry)

    def book(self, session: date, *, now: datetime | None = None) -> BookedSession:
        """Book a session on the state of the one before, and go on from there."""
        booked = self.look(session, now=now)
        self.state = booked.account
        return booked

    def look(self, session: date, *, now: datetime | None = None) -> BookedSession:
        ledger = DecisionLedger(self.journal, first=session, last=session)
        books = TradedBooks(ledger, NEW_YORK, now or NEW_YORK.close_utc(session) + timedelta(hours=1))
        return books.trade_session(self.state, self.inputs(session))

    def wait(self, *orders: Order) -> None:
        """Take committed orders as waiting for their session, as a decision does."""
        books = TradedBooks(DecisionLedger(self.journal, first=THURSDAY, last=THURSDAY), NEW_YORK, EVENING)
        self.state, conflicts = books.submit(self.state, orders, session=THURSDAY, at_utc=EVENING)
        assert conflicts == ()

    def inputs(self, session: date) -> SessionInputs:
        return self.market.session(session)


FLAT = {THURSDAY: 100.0, FRIDAY: 110.0, MONDAY: 110.0, TUESDAY: 110.0}


def begun(journal: Journal, buy: Order, prices: Mapping[date, float | None] = FLAT, **given: Any) -> Account:
    """Return an account on Friday morning: Thursday is booked, the order is committed and waits."""
    account = Account(journal, prices, **given)
    account.book(THURSDAY)
    account.decide(buy)
    account.wait(buy)
    return account
