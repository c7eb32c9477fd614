"""Cash and exchanges of a traded account in its evening's book; every figure by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from aegis.backtesting.session_market import CorporateAction
from aegis.execution.account_state import Position
from aegis.execution.journal import Journal
from aegis.live_trading.booked_actions import ComingExchange, exchange_entry
from aegis.live_trading.explained_sessions import explained
from aegis.live_trading.held_positions import AccountEventKind, account_entry, adoption_entry
from tests.unit.live_trading.test_session_loop import NEW_YORK
from tests.unit.live_trading.traded_accounts import FLAT, FRIDAY, MONDAY, THURSDAY, WEDNESDAY, Account


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", account="paper") as opened:
        yield opened


def taken_over(journal: Journal, cash_usd: float | None) -> Account:
    """Return an account whose 100 AAA were taken over on Wednesday evening."""
    account = Account(journal, FLAT)
    held = [Position("AAA", "AAA", 100.0, 90.0, 95.0, WEDNESDAY)]
    at_utc = NEW_YORK.close_utc(WEDNESDAY) + timedelta(hours=1)
    about = {"reason": "start", "actor": "aegis", "session": WEDNESDAY, "at_utc": at_utc}
    account.append(adoption_entry(held, cash_usd=cash_usd, **about))
    return account


@pytest.mark.parametrize(
    ("stated", "is_break"), [(100_000.0, False), (99_999.96, False), (99_999.90, True), (98_000.0, True), (None, False)]
)
def test_a_book_that_began_with_other_cash_than_the_broker_stated_is_a_break(
    journal: Journal, stated: float | None, is_break: bool
) -> None:
    account = taken_over(journal, stated)
    breaks = account.book(THURSDAY).breaks
    assert bool(breaks) is is_break
    if stated == 98_000.0:
        (said,) = breaks
        assert said == (
            "paper 2020-06-11 cash: the book has 100,000.00 USD, and the broker stated 98,000.00 when the account was "
            "taken over (difference -2,000.00); set run.initial_cash_usd to 98000.00, and make the book again from "
            "session 2020-06-11 on"
        )
    assert account.book(FRIDAY).breaks == (), "it is said of the session that it is true of"


def test_what_was_paid_otherwise_than_an_action_said_is_in_the_book(journal: Journal) -> None:
    account = taken_over(journal, 100_000.0)
    account.book(THURSDAY)
    payload = {"due": "a split", "told": "cash in lieu", "amount_usd": 9.97, "expected_usd": 10.0}
    at_utc = NEW_YORK.open_utc(FRIDAY)
    account.append(account_entry(AccountEventKind.CASH_PAID, payload, session=FRIDAY, at_utc=at_utc, key="paid"))
    before = account.state
    booked = account.book(FRIDAY)
    assert booked.account.cash_usd == pytest.approx(99_999.97)
    assert (booked.account.interest_usd, booked.transfers_usd) == (pytest.approx(-0.03), 0.0)
    pnl, breaks = explained(before, booked, market=account.inputs(FRIDAY).market)
    assert (breaks, abs(pnl.residual_usd) < 1e-9) == ((), True)


def test_an_exchange_that_the_broker_made_days_later_moves_nothing_again(journal: Journal) -> None:
    account = taken_over(journal, 100_000.0)
    account.book(THURSDAY)
    gone = CorporateAction(action="delisting", symbol="AAA")
    coming = ComingExchange(gone, THURSDAY, 100.0, {"AAA": 95.0})
    account.append(exchange_entry(coming, at_utc=NEW_YORK.open_utc(MONDAY)))
    booked = account.book(FRIDAY)
    assert [position.symbol for position in booked.account.positions] == ["AAA"]
    assert booked.breaks == (), "it is dated to its own session, which is booked"
