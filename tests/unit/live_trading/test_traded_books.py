"""A traded account's sessions, booked from a journal that a process of its own wrote; every figure by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aegis.errors import ExecutionError, ReconciliationError
from aegis.execution.account_state import AccountState
from aegis.execution.journal import Journal
from aegis.execution.order_ids import client_order_id
from aegis.execution.order_management import DecisionLedger
from aegis.execution.orders import Fill, Order, OrderEventKind
from aegis.execution.worked_ledger import WorkedLedger
from aegis.lake import tables
from aegis.live_trading.account_books import BookedSession
from aegis.live_trading.book_state import BookState
from aegis.live_trading.cash_bookings import CashBooking, CashKind, book_cash
from aegis.live_trading.explained_sessions import explained
from aegis.live_trading.held_positions import adoption_entry, held_shares, split_entry
from aegis.live_trading.session_inputs import InputHistory
from aegis.live_trading.session_loop import SessionLoop
from aegis.live_trading.session_outcome import SessionOutcome
from aegis.live_trading.traded_books import TradedBooks
from tests.unit.live_trading.test_session_loop import NEW_YORK, POLICY
from tests.unit.live_trading.traded_accounts import (
    DECISION,
    EVENING,
    FLAT,
    FRIDAY,
    MONDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    Account,
    K,
    begun,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", account="paper") as opened:
        yield opened


@pytest.fixture
def buy(order_of: Callable[..., Order]) -> Order:
    """Buy 100 AAA, decided on Thursday at 100 USD for Friday."""
    return order_of(
        client_order_id=client_order_id("paper", DECISION, symbol="AAA"), decision_id=DECISION, account="paper",
        session=THURSDAY, execution_session=FRIDAY, symbol="AAA", ticker="AAA", arrival_price_usd=100.0,
    )  # fmt: skip


def held(booked: BookedSession) -> dict[str, float]:
    return {position.symbol: position.quantity_shares for position in booked.account.positions}


def test_a_parent_is_booked_by_the_fills_of_its_children(journal: Journal, buy: Order) -> None:
    account = begun(journal, buy)
    first, second = account.child(buy, 1, 60.0), account.child(buy, 2, 40.0)
    account.fill(first, 60.0, 104.0)
    account.fill(second, 30.0, 105.0, last=False, commission=0.5)
    account.tell(second, K.CANCELLED)
    account.tell(buy, K.WORKED)
    before = account.state
    booked = account.book(FRIDAY)
    assert held(booked) == {"AAA": 90.0}
    assert booked.account.cash_usd == 100_000.0 - 60 * 104.0 - 30 * 105.0 - 1.5
    assert booked.account.equity_usd == pytest.approx(100_000.0 + 60 * 6.0 + 30 * 5.0 - 1.5, abs=1e-9)
    assert [(f.quantity_shares, f.price_usd) for f in booked.fills] == [(60.0, 104.0), (30.0, 105.0)]
    pnl, breaks = explained(before, booked, market=account.inputs(FRIDAY).market)
    assert breaks == ()
    assert (pnl.trading_pnl_usd, pnl.commission_usd) == (pytest.approx(510.0, abs=1e-9), -1.5)
    assert abs(pnl.residual_usd) < 1e-9
    assert booked.account.open_orders == ()


@pytest.mark.parametrize("end", [K.REJECTED, K.EXPIRED, K.CANCELLED])
def test_an_order_that_ended_without_a_fill_changes_nothing(journal: Journal, buy: Order, end: OrderEventKind) -> None:
    account = begun(journal, buy)
    account.tell(buy, K.SUBMITTED)
    account.tell(buy, end)
    booked = account.book(FRIDAY)
    assert (held(booked), booked.account.cash_usd, booked.account.open_orders) == ({}, 100_000.0, ())


def test_an_end_that_is_recorded_days_later_is_the_end_of_its_session(journal: Journal, buy: Order) -> None:
    account = begun(journal, buy)
    account.tell(buy, K.EXPIRED, MONDAY)
    assert held(account.book(FRIDAY)) == {}


def test_a_session_whose_orders_have_no_end_is_refused_with_what_to_do(journal: Journal, buy: Order) -> None:
    account = begun(journal, buy)
    remedy = r"the session cannot be booked before.*`aegis trade`.*start it if it does not run"
    with pytest.raises(ExecutionError, match=rf"paper 2020-06-12: order .* \(AAA \+100\) was never sent.*{remedy}"):
        account.look(FRIDAY)
    child = account.child(buy, 1, 60.0)
    with pytest.raises(ExecutionError, match=r"\(AAA \+60\) is submitted with 0 shares filled and may still be"):
        account.look(FRIDAY)
    account.fill(child, 10.0, 104.0, last=False)
    with pytest.raises(ExecutionError, match=r"is partially filled with 10 shares filled.*, and 1 more like it"):
        account.look(FRIDAY)
    account.tell(child, K.CANCELLED)
    with pytest.raises(ExecutionError, match=r"\(AAA \+100\)"):
        account.look(FRIDAY)
    account.tell(buy, K.WORKED)
    assert held(account.book(FRIDAY)) == {"AAA": 10.0}


def test_an_order_that_the_state_carries_is_found_however_old(journal: Journal, buy: Order) -> None:
    account = begun(journal, replace(buy, execution_session=TUESDAY))
    assert [s.order for s in account.book(FRIDAY).account.open_orders] == []
    account.state = replace(account.state, open_orders=())
    account.book(MONDAY)
    account.wait(replace(buy, execution_session=TUESDAY))
    with pytest.raises(ExecutionError, match=r"2020-06-16: order .* was never sent"):
        account.look(TUESDAY)


def test_booking_again_gives_the_same_bits(journal: Journal, buy: Order) -> None:
    account = begun(journal, buy)
    account.tell(buy, K.SUBMITTED)
    account.fill(buy, 100.0, 104.5)
    before = account.state
    first = account.book(FRIDAY)
    account.book(MONDAY)
    account.state = AccountState.from_record(before.to_record())
    assert account.book(FRIDAY) == first
    assert AccountState.from_record(first.account.to_record()) == first.account


def test_a_fill_that_is_told_after_its_session_was_booked_refuses_the_next(journal: Journal, buy: Order) -> None:
    account = begun(journal, buy)
    account.tell(buy, K.SUBMITTED)
    account.fill(buy, 40.0, 104.0, last=False)
    account.tell(buy, K.CANCELLED)
    before = account.state
    account.book(FRIDAY)
    late = replace(buy, client_order_id="late", execution_session=FRIDAY)
    ledger = WorkedLedger(journal, first=THURSDAY)
    ledger.commit_child(late, None, session=FRIDAY, at_utc=EVENING + timedelta(days=1))
    ledger.flush()
    account.tell(late, K.SUBMITTED)
    account.fill(late, 100.0, 104.0)
    with pytest.raises(
        ExecutionError,
        match=r"has 2 fills and bookings up to session 2020-06-12, .* of them 'filled' of session 2020-06-12, but the "
        r"book was made of 1; make the book again from that session on \(`make run FROM=2020-06-12`\)",
    ):
        account.look(MONDAY)
    account.state = before
    account.book(FRIDAY)
    assert held(account.book(MONDAY)) == {"AAA": 140.0}


def test_an_order_that_outlives_its_session_is_carried_as_it_stood_at_the_close(journal: Journal, buy: Order) -> None:
    good = replace(buy, time_in_force="GTC", order_type="limit", limit_price_usd=90.0, algorithm="market")
    account = begun(journal, good)
    account.tell(good, K.SUBMITTED)
    account.tell(good, K.ACCEPTED)
    account.fill(good, 30.0, 90.0, last=False)
    account.tell(good, K.PARTIALLY_FILLED, MONDAY, fill=_second(good))
    (carried,) = account.book(FRIDAY).account.open_orders
    assert (carried.remaining_shares, carried.fills) == (70.0, 1)
    (carried,) = account.book(MONDAY).account.open_orders
    assert carried.remaining_shares == 50.0
    account.tell(good, K.CANCELLED, TUESDAY)
    assert account.book(TUESDAY).account.open_orders == ()


def _second(order: Order) -> Fill:
    return Fill(
        client_order_id=order.client_order_id, decision_id=order.decision_id, account="paper", fill_number=2,
        session=MONDAY, symbol="AAA", ticker="AAA", quantity_shares=20.0, price_usd=90.0, reference_price_usd=90.0,
        commission_usd=0.0, slippage_usd=0.0, arrival_price_usd=100.0, execution_id="x2",
        filled_at_utc=NEW_YORK.open_utc(MONDAY) + timedelta(minutes=1),
    )  # fmt: skip


def _split(session: date, ratio: float) -> pd.DataFrame:
    row = {
        "session": session, "symbol": "AAA", "action": "split", "split_ratio": ratio, "dividend_usd": 0.0,
        "pay_session": None, "new_ticker": None, "source": "hand",
        "known_at_utc": NEW_YORK.open_utc(session) - timedelta(days=3),
    }  # fmt: skip
    return tables.CORPORATE_ACTIONS.conform(pd.DataFrame([row]).reindex(columns=tables.CORPORATE_ACTIONS.column_names))


def test_a_split_is_booked_and_is_a_break_until_the_journal_has_it(journal: Journal, buy: Order) -> None:
    account = begun(journal, buy, actions=_split(MONDAY, 2.0))
    account.tell(buy, K.SUBMITTED)
    account.fill(buy, 100.0, 104.0)
    account.book(FRIDAY)
    booked = account.look(MONDAY)
    assert held(booked) == {"AAA": 200.0}
    assert "AAA: our books say 200 shares, the broker 100" in booked.breaks[0]
    account.append(split_entry("AAA", 2.0, session=MONDAY, at_utc=NEW_YORK.open_utc(MONDAY) - timedelta(hours=1)))
    booked = account.book(MONDAY)
    assert (held(booked), booked.breaks) == ({"AAA": 200.0}, ())


def test_what_the_broker_held_comes_in_at_the_first_close_and_is_no_gain(journal: Journal) -> None:
    account = Account(journal, FLAT)
    position = account.inputs(THURSDAY)
    found = [_position("BBB", 40.0), _position("CCC", -5.0)]
    account.append(
        adoption_entry(
            found, reason="first start", actor="aegis", session=WEDNESDAY, at_utc=EVENING - timedelta(hours=8)
        )
    )
    before = account.state
    booked = account.book(THURSDAY)
    assert held(booked) == {"BBB": 40.0, "CCC": -5.0}
    assert (booked.account.cash_usd, booked.account.equity_usd) == (100_000.0, 103_500.0)
    assert booked.transfers_usd == booked.account.interest_usd == 3_500.0
    pnl, breaks = explained(before, booked, market=position.market)
    assert (breaks, pnl.return_daily, pnl.equity_change_usd, pnl.interest_usd) == ((), 0.0, 3_500.0, 3_500.0)
    assert abs(pnl.residual_usd) < 1e-9
    friday = account.book(FRIDAY)
    pnl, breaks = explained(booked.account, friday, market=account.inputs(FRIDAY).market)
    assert (breaks, pnl.price_pnl_usd, friday.transfers_usd) == ((), 350.0, 0.0)


def _position(symbol: str, shares: float) -> Any:
    from aegis.execution.account_state import Position  # noqa: PLC0415 - beside its one use

    return Position(symbol, symbol, shares, 90.0, 95.0, WEDNESDAY)


def test_what_is_taken_over_after_a_close_belongs_to_the_next_session(journal: Journal) -> None:
    account = Account(journal, FLAT)
    account.append(
        adoption_entry([_position("BBB", 40.0)], reason="first start", actor="aegis", session=THURSDAY, at_utc=EVENING)
    )
    assert held(account.book(THURSDAY)) == {}
    friday = account.book(FRIDAY)
    assert (held(friday), friday.transfers_usd) == ({"BBB": 40.0}, 4_400.0)


def test_shares_without_a_price_are_refused_by_name(journal: Journal) -> None:
    account = Account(journal, FLAT)
    account.append(
        adoption_entry([_position("ZZZ", 4.0)], reason="first start", actor="aegis", session=WEDNESDAY, at_utc=EVENING)
    )
    with pytest.raises(ReconciliationError, match=r"2020-06-11: 4 shares of ZZZ were taken over.*no trusted close"):
        account.look(THURSDAY)


def test_a_session_that_the_gate_blocked_books_fills_and_keeps_the_price_of_the_last(
    journal: Journal, buy: Order
) -> None:
    account = begun(journal, buy, {**FLAT, FRIDAY: None})
    account.tell(buy, K.SUBMITTED)
    account.fill(buy, 100.0, 104.0)
    before = account.state
    booked = account.book(FRIDAY)
    assert booked.account.equity_usd == 100_000.0 - 1.0
    pnl, breaks = explained(before, booked, market=account.inputs(FRIDAY).market)
    assert breaks == ()
    assert abs(pnl.residual_usd) < 1e-9


def test_cash_is_booked_once_and_only_a_transfer_is_no_gain(journal: Journal) -> None:
    account = Account(journal, FLAT)
    account.book(THURSDAY)
    booked_up_to = THURSDAY

    def cash(amount: float, kind: CashKind, reason: str) -> bool:
        booking = CashBooking(session=FRIDAY, amount_usd=amount, kind=kind, reason=reason, actor="ada")
        return book_cash(journal, booking, booked_up_to=booked_up_to, at_utc=EVENING)

    assert cash(10_000.0, CashKind.TRANSFER, "wired in")
    assert cash(-25.0, CashKind.FEE, "data fee")
    assert cash(12.5, CashKind.INTEREST, "May")
    assert not cash(12.5, CashKind.INTEREST, "May")
    before = account.state
    booked = account.book(FRIDAY)
    assert booked.account.cash_usd == 109_987.5
    pnl, breaks = explained(before, booked, market=account.inputs(FRIDAY).market)
    assert (breaks, pnl.interest_usd, pnl.return_daily) == ((), 9_987.5, pytest.approx(-0.000125, abs=1e-15))
    assert abs(pnl.residual_usd) < 1e-9
    booked_up_to = FRIDAY
    assert not cash(12.5, CashKind.INTEREST, "May")
    with pytest.raises(ExecutionError, match=r"\+7.00 USD \(interest\) cannot be booked, the book exists up to"):
        cash(7.0, CashKind.INTEREST, "too late")


@pytest.mark.parametrize("amount", [0.0, float("nan"), float("inf")])
def test_cash_that_is_no_amount_or_has_no_reason_is_refused(amount: float) -> None:
    with pytest.raises(ExecutionError, match="cannot be booked"):
        CashBooking(session=FRIDAY, amount_usd=amount, kind=CashKind.OTHER, reason="r", actor="a")
    with pytest.raises(ExecutionError, match="with a reason and an actor"):
        CashBooking(session=FRIDAY, amount_usd=1.0, kind=CashKind.OTHER, reason=" ", actor="a")


def test_a_payment_moves_no_drawdown() -> None:
    state = BookState.opening("paper", cash_usd=100_000.0)
    state = replace(state, peak_equity_usd=125_000.0, equity_history_usd=(125_000.0, 100_000.0))
    after = state.after_transfers(-50_000.0, equity_usd=50_000.0)
    assert after.peak_equity_usd == 62_500.0
    assert after.equity_history_usd == (62_500.0, 50_000.0)
    assert after.breaker.reference_peak_usd == 50_000.0
    assert state.after_transfers(0.0, equity_usd=1.0) is state
    with pytest.raises(ExecutionError, match="leave an equity of"):
        state.after_transfers(50_000.0, equity_usd=50_000.0)


def test_a_trade_before_the_book_begins_is_refused(journal: Journal, buy: Order) -> None:
    account = Account(journal, FLAT)
    account.decide(buy)
    account.tell(buy, K.SUBMITTED)
    account.fill(buy, 100.0, 104.0)
    with pytest.raises(ExecutionError, match=r"begins with session 2020-06-15, but .* 2020-06-12 .*run.account_since"):
        account.look(MONDAY)


def test_shares_held_follow_the_rows_from_where_they_are_known(journal: Journal, buy: Order) -> None:
    account = begun(journal, buy)
    account.tell(buy, K.SUBMITTED)
    account.fill(buy, 100.0, 104.0)
    rows = journal.events()
    assert held_shares(rows) is None
    assert held_shares(rows, before={"AAA": 5.0, "BBB": 1.0}) == {"AAA": 105.0, "BBB": 1.0}


def advance(
    journal: Journal, state: BookState, session: date, market: InputHistory, *, now: datetime
) -> SessionOutcome:
    ledger = DecisionLedger(journal, first=session, last=session)
    books = TradedBooks(ledger, NEW_YORK, now)
    outcome = SessionLoop(POLICY, ledger, books).advance(state, market.session(session))
    ledger.flush()
    return outcome
