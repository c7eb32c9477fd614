"""An account that is traded by a process of its own, through one session: booked from what its journal holds.

Belongs here: from the journal's facts to the account after a session. Nothing is sent here, and nothing is written:
what happens to orders is recorded by the process that trades (:mod:`aegis.live_trading.live_trader`), what cash was
for by a person (:mod:`aegis.live_trading.cash_bookings`). Reading is :mod:`aegis.live_trading.traded_journal`.

Notes
-----
A session is booked once every order that was due in it has a recorded end, and refused before. Fills, dividends,
splits and marks are booked by the same kernel as in simulation. What the broker held when the account was taken over
comes in at the session's close, as a payment in kind: its worth is a transfer, and no gain.

A fill or booking that is recorded after its session was booked is not slipped into a later one: the next session is
refused until the book is made again from there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from aegis.backtesting.session_market import SessionMarket
from aegis.calendars import TradingCalendar
from aegis.errors import ExecutionError, ReconciliationError
from aegis.execution.account_state import AccountState, Position
from aegis.execution.brokers.recorded_session import book_session
from aegis.execution.order_management import DecisionLedger
from aegis.execution.order_states import FILL_TOLERANCE_SHARES, OrderState, OrderStatus
from aegis.execution.orders import Order
from aegis.live_trading.account_books import BookedSession, Standing
from aegis.live_trading.booked_actions import exchanges, received_shares
from aegis.live_trading.cash_bookings import CashKind
from aegis.live_trading.held_positions import held_shares
from aegis.live_trading.reconciliation import reconcile
from aegis.live_trading.session_inputs import SessionInputs
from aegis.live_trading.standing_orders import account_within_the_day
from aegis.live_trading.traded_journal import TradedJournal
from aegis.risk.gate_inputs import GateInputs

CASH_TOLERANCE_USD = 0.05
"""What a book may begin with beside the broker's statement."""


@dataclass
class TradedBooks:
    """The books of one account that is traded.

    Parameters
    ----------
    ledger : DecisionLedger
        The account's page of the journal.
    calendar : TradingCalendar
        Says when a session is over.
    now_utc : datetime
        When the book is made, by a clock on the wall: nothing is decided for a session that is over.
    """

    ledger: DecisionLedger
    calendar: TradingCalendar
    now_utc: datetime

    def __post_init__(self) -> None:
        self._journal: TradedJournal | None = None

    def trade_session(self, before: AccountState, inputs: SessionInputs) -> BookedSession:
        """Book what the journal holds of a session; see :meth:`AccountBooks.trade_session`.

        Raises
        ------
        ExecutionError
            An order that was due in the session has no recorded end; or a fill or booking of a session that was booked
            before is recorded now.
        ReconciliationError
            Something was taken over from the broker that has no price.
        """
        market, journal = inputs.market, self._read(before)
        session = market.session
        also = [status.order.client_order_id for status in before.open_orders]
        self._refuse_late_facts(before, session)
        self._refuse_orders_without_end(journal.orders_without_end(session, also=also), session)
        fills = journal.fills(session)
        after = book_session(before, market, fills)
        taken, breaks = self._compared(before, after, market)
        after, worth = with_taken_over(after, taken, market, inputs.tickers)
        cash = journal.cash(session)
        paid = math.fsum(booking.amount_usd for booking in cash)
        account = replace(
            after,
            cash_usd=after.cash_usd + paid,
            interest_usd=paid + worth,
            open_orders=tuple(journal.open_orders(market.closes_at_utc, also=also)),
            order_progress=(),
            journal_facts=journal.facts(session),
        )
        transfers = math.fsum(booking.amount_usd for booking in cash if booking.kind is CashKind.TRANSFER)
        breaks = (*breaks, *_other_cash(before, journal.cash_taken_over(session), session))
        return BookedSession(account, fills, taken_over_shares=taken, transfers_usd=transfers + worth, breaks=breaks)

    def standing(
        self, account: AccountState, earlier: Sequence[Order], decision_id: str, *, inputs: SessionInputs
    ) -> Standing:
        """Return the account after the close or, for a later decision, as it was when that was made or is now."""
        if not earlier:
            return Standing(account, inputs.decided_at_utc)
        row = self.ledger.committed_row(decision_id)
        before = None if row is None else row.sequence
        within = account_within_the_day(account, earlier, self._read(account), before=before)
        return Standing(within, self.now_utc if row is None else row.instant_utc)

    def submit(
        self,
        account: AccountState,
        orders: Sequence[Order],
        *,
        session: date,  # noqa: ARG002 - the protocol's: nothing is sent, so nothing is dated
        at_utc: datetime,  # noqa: ARG002 - the same
    ) -> tuple[AccountState, tuple[str, ...]]:
        """Return the account with the orders that wait for the process that trades; nothing is sent."""
        waiting = [OrderStatus(order, OrderState.APPROVED) for order in orders]
        named = sorted((*account.open_orders, *waiting), key=lambda status: status.order.client_order_id)
        return replace(account, open_orders=tuple(named)), ()

    def seen_late(self, seen: GateInputs) -> GateInputs:
        """Return what the gate sees of a decision whose session is over by the clock on the wall."""
        session = min((order.execution_session for order in seen.orders), default=None)
        if session is None or self.now_utc < self.calendar.close_utc(session):
            return seen
        if self.ledger.committed(seen.decision_id) is not None:
            return seen
        return replace(seen, missed_session=session)

    def _read(self, before: AccountState) -> TradedJournal:
        if self._journal is None:
            self._journal = TradedJournal(self.ledger.journal, calendar=self.calendar, since=before.session)
        return self._journal

    def _refuse_late_facts(self, before: AccountState, session: date) -> None:
        journal = self._read(before)
        if before.session is None:
            late = journal.newest_trade_before(session)
            if late is not None:
                raise ExecutionError(
                    f"account {before.account}: its book begins with session {session}, but the journal has "
                    f"{late.kind!r} of session {late.session} (sequence {late.sequence}); set run.account_since to "
                    f"{late.session} or earlier"
                )
            return
        recorded = journal.facts(before.session)
        if recorded != before.journal_facts:
            newest = journal.newest_fact_before(session)
            told = "" if newest is None else f", the last recorded of them {newest.kind!r} of session {newest.session}"
            remedy = "" if newest is None else f" (`make run FROM={newest.session}`)"
            raise ExecutionError(
                f"account {before.account} {session}: the journal has {recorded} fills and bookings up to session "
                f"{before.session}{told}, but the book was made of {before.journal_facts}; make the book again from "
                f"that session on{remedy}"
            )

    def _refuse_orders_without_end(self, waiting: Sequence[OrderStatus], session: date) -> None:
        if not waiting or self._journal is None:
            return
        first, order = waiting[0], waiting[0].order
        if first.state is not OrderState.APPROVED:
            stands = f"is {first.state!s} with {abs(first.filled_shares):g} shares filled and may still be at the venue"
        elif self._journal.is_worked(order.client_order_id):
            stands = "is worked by children and its end is not recorded"
        else:
            stands = "was never sent and its end is not recorded"
        more = f", and {len(waiting) - 1} more like it" if len(waiting) > 1 else ""
        raise ExecutionError(
            f"account {order.account} {session}: order {order.client_order_id} ({order.symbol} "
            f"{order.quantity_shares:+g}) {stands}{more}; the session cannot be booked before. The process that trades "
            "the account (`aegis trade`) records the end of every order once the session is over: start it if it does "
            "not run, then materialize the book again"
        )

    def _compared(
        self, before: AccountState, after: AccountState, market: SessionMarket
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        """Return the shares that were taken over in a session, and what differs from the journal otherwise."""
        journal, session = self._read(before), market.session
        if before.session is None:
            expected = held_shares(journal.share_movements_up_to(session))
            taken_over = expected is not None
        else:
            held = {position.symbol: position.quantity_shares for position in before.positions}
            expected = held_shares(journal.share_movements(session), before=held)
            taken_over = journal.has_taken_over(session)
        if expected is None:
            return {}, ()
        booked = {position.symbol: position.quantity_shares for position in after.positions}
        # Whether the broker has made an exchange is asked by who trades; its row may come days later.
        for action in exchanges(market.actions, expected):
            merger = market.exchange(action.symbol)
            received = 0.0 if merger is None else received_shares(merger, expected[action.symbol])
            del expected[action.symbol]
            if merger is not None and merger.acquirer is not None and received:
                expected[merger.acquirer] = expected.get(merger.acquirer, 0.0) + received
        if taken_over:
            shares = {s: expected.get(s, 0.0) - booked.get(s, 0.0) for s in sorted({*expected, *booked})}
            return {symbol: found for symbol, found in shares.items() if abs(found) > FILL_TOLERANCE_SHARES}, ()
        label = f"{after.account} {session} (journal beside the book)"
        found = reconcile(booked, expected, residual_usd=0.0, share_tolerance=FILL_TOLERANCE_SHARES, label=label)
        return {}, tuple(one.message for one in found.breaks)


def _other_cash(before: AccountState, stated_usd: float | None, session: date) -> tuple[str, ...]:
    """Return the break of a book that began with other cash than the broker stated when the account was taken over."""
    if stated_usd is None or abs(before.cash_usd - stated_usd) <= CASH_TOLERANCE_USD:
        return ()
    said = (
        f"{before.account} {session} cash: the book has {before.cash_usd:,.2f} USD, and the broker stated "
        f"{stated_usd:,.2f} when the account was taken over (difference {stated_usd - before.cash_usd:+,.2f}); set "
        f"run.initial_cash_usd to {stated_usd:.2f}, and make the book again from session {session} on"
    )
    return (said,)


def with_taken_over(
    account: AccountState, shares: Mapping[str, float], market: SessionMarket, tickers: Mapping[str, str]
) -> tuple[AccountState, float]:
    """Return an account with shares that came or went without a trade, and their worth at the session's marks, USD.

    Parameters
    ----------
    account : AccountState
        After the session's fills.
    shares : mapping of str to float
        Signed, by permanent symbol.
    market : SessionMarket
        Closes; a symbol without one is worth its position's mark.
    tickers : mapping of str to str
        What each listed symbol trades as.

    Raises
    ------
    ReconciliationError
        A symbol has neither.
    """
    if not shares:
        return account, 0.0
    held = {position.symbol: position for position in account.positions}
    worth = []
    for symbol, quantity in shares.items():
        close, position = market.close_usd(symbol), held.get(symbol)
        mark = position.mark_price_usd if close is None and position is not None else close
        if mark is None:
            raise ReconciliationError(
                f"account {account.account} {market.session}: {quantity:g} shares of {symbol} were taken over from the "
                "broker, and the session has no trusted close of it; bring its bars (run.source, universe), or sell it "
                "at the broker and take the positions over again"
            )
        worth.append(quantity * mark)
        if position is None:
            ticker = tickers.get(symbol, symbol)
            held[symbol] = Position(symbol, ticker, quantity, mark, mark, market.session)
        elif abs(position.quantity_shares + quantity) <= FILL_TOLERANCE_SHARES:
            del held[symbol]
        else:
            held[symbol] = replace(position, quantity_shares=position.quantity_shares + quantity)
    positions = tuple(held[symbol] for symbol in sorted(held))
    return replace(account, positions=positions), math.fsum(worth)
